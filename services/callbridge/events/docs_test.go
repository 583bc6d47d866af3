package events

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const page = "../../../docs/events.md"

func TestTheManualHasAllElementsAndFigures(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all := string(text)
	_, subscribing, _ := strings.Cut(all, "## Subscribing")
	for _, k := range kinds {
		for _, want := range append([]string{k.name, k.message}, names(k)...) {
			if !strings.Contains(subscribing, "`"+want+"`") {
				t.Errorf("%s: want `%s` in it", page, want)
			}
		}
	}
	for _, want := range []string{
		fmt.Sprintf("When %d of our messages", window), fmt.Sprintf("%d clients are connected", maxClients),
		fmt.Sprintf("At most %d updates", maxUpdates), fmt.Sprintf("may have %d subscriptions", maxSubscriptions),
		fmt.Sprintf("more than %d messages were wrong", maxWrong), fmt.Sprintf("more than %d MiB", maxMessage>>20),
		fmt.Sprintf("more than %d,%03d objects", maxEntries/1000, maxEntries%1000), fmt.Sprintf("after %d requests at once", burst),
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%s: want %q in it", page, want)
		}
	}
}

func names(k *kind) (all []string) {
	for _, e := range k.elements {
		all = append(all, e.name)
	}
	return all
}
