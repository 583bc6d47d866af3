package dialplan

import (
	"os"
	"strings"
	"testing"
)

// The examples of the manual do what it says.
func TestExamplesOfTheManual(t *testing.T) {
	page, err := os.ReadFile("../../../docs/dialplan.md")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 7 {
			continue
		}
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		kind := TransformType(cells[1])
		if kind != Raw && kind != Strip && kind != Phone {
			continue
		}
		tried++
		p := one(kind, cells[2], cells[3])
		if got := p.Transform(cells[4], nil); got.Text != cells[5] || len(p.Problems()) > 0 {
			t.Errorf("%s: %s becomes %s %v", strings.TrimSpace(line), cells[4], got.Text, p.Problems())
		}
	}
	if tried < 9 {
		t.Errorf("the manual has %d examples, want 9", tried)
	}
}
