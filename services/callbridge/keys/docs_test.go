package keys

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"rotunda/services/callbridge/schema"
)

// The manual has the actions in the order in which they count.
func TestTheManualListsEveryAction(t *testing.T) {
	page, err := os.ReadFile("../../../docs/dialling-in.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Keys in a meeting")
	section, _, _ = strings.Cut(section, "\n## ")
	lines := regexp.MustCompile("(?m)^\\| `.*$").FindAllString(section, -1)
	if len(lines) != len(Actions) {
		t.Fatalf("the manual has %d actions, want %d", len(lines), len(Actions))
	}
	for i, a := range Actions {
		if want := fmt.Sprintf("| `%s` | %s | ", a, schema.DTMFProfile.Field(string(a)).Help); !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of the manual: want %q, got %q", i+1, want, lines[i])
		}
		for _, m := range regexp.MustCompile("`([a-zA-Z]+Allowed)`").FindAllStringSubmatch(lines[i], -1) {
			if schema.CallLegProfile.Field(m[1]) == nil {
				t.Errorf("%s: call leg profiles have no %s", a, m[1])
			}
		}
	}
}
