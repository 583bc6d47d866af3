package prompt

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The manual has a line for every prompt, with the words that are spoken.
func TestTheManualListsEveryPrompt(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/dialling-in.md")
	if err != nil {
		t.Fatal(err)
	}
	calls, ivrs := string(page), ""
	if at := strings.Index(calls, "### Files of an IVR"); at >= 0 {
		calls = calls[at:]
		ivrs, calls, _ = strings.Cut(calls, "### Files of meetings")
	}
	lines := map[Kind]int{}
	for _, p := range All() {
		section := map[Kind]string{IVR: ivrs, Call: calls}[p.Kind]
		if strings.HasPrefix(string(p.Name), "number_") {
			if n := strings.TrimPrefix(string(p.Name), "number_"); (n == "0" || n == "20" || n == "1000") && !strings.Contains(section, "`"+p.Name.File()+"`") {
				t.Errorf("the manual does not name %s", p.Name.File())
			}
			continue
		}
		text, repeated := p.Text, ""
		if text == "" {
			text = "—"
		}
		if p.Repeats {
			repeated = "yes"
		}
		line := fmt.Sprintf("| `%s` | %s | %s | %s |\n", p.Name.File(), text, p.When, repeated)
		if !strings.Contains(section, line) {
			t.Errorf("the manual lacks the line\n%s", line)
		}
		lines[p.Kind]++
	}
	for kind, section := range map[Kind]string{IVR: ivrs, Call: calls} {
		if got := strings.Count(section, "\n| `"); got != lines[kind] {
			t.Errorf("the manual has %d prompts of kind %d, want %d", got, kind, lines[kind])
		}
		if !strings.Contains(section, "`"+kind.Background()+"`") {
			t.Errorf("the manual does not name %s", kind.Background())
		}
	}
}
