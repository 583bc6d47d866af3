package release

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"rotunda/init/fat"
)

// versionsOf makes versions of 10 bytes from their names; a name with a question mark is damaged.
func versionsOf(t *testing.T, running int, files string) []Version {
	t.Helper()
	var out []Version
	for _, f := range strings.Fields(files) {
		clean := strings.TrimSuffix(f, "?")
		n, ok := ParseName("rotunda_00000" + clean + ".efi")
		if !ok {
			t.Fatalf("bad name %s", f)
		}
		out = append(out, Version{Number: n.Number, Size: 10, State: stateOf(n, running, clean != f), File: n.String()})
	}
	return out
}

func TestStates(t *testing.T) {
	for file, want := range map[string]State{"7": Running, "6": Committed, "8+3": Trial, "8+1-2": Trial, "8+0-3": Failed, "5?": Failed, "7+2-1": Running, "7?": Running} {
		if got := versionsOf(t, 7, file)[0].State; got != want {
			t.Errorf("%s while 7 runs: want %s, got %s", file, want, got)
		}
	}
}

func TestPlanNeverTouchesTheRunningVersionOrTheFallback(t *testing.T) {
	for _, c := range []struct {
		what     string
		running  int
		versions string
		free     int64
		remove   []int
		number   int
		full     bool
	}{
		{"an empty partition", 0, "", 100, nil, 1, false},
		{"one version", 1, "1", 100, nil, 2, false},
		{"two versions", 2, "1 2", 100, nil, 3, false},
		{"three versions: the oldest goes", 3, "1 2 3", 100, []int{1}, 4, false},
		{"after going back: the next higher stays", 2, "1 2 3", 100, []int{1}, 4, false},
		{"a failed one goes", 2, "1 2 3+0-3", 100, []int{3}, 4, false},
		{"a trial that never started goes", 2, "1 2 3+3", 100, []int{3}, 4, false},
		{"a damaged one goes", 2, "1? 2", 100, []int{1}, 3, false},
		{"a damaged one is nothing to fall back to", 3, "1 2? 3", 100, []int{2}, 4, false},
		{"on trial: it and the one before stay", 3, "1 2 3+2-1", 100, []int{1}, 4, false},
		{"little room: the oldest makes enough", 3, "1 2 3", 10, []int{1}, 4, false},
		{"failed ones go before committed ones", 3, "1 2 3 4+0-3", 100, []int{4, 1}, 5, false},
		{"no room", 2, "1 2", 5, nil, 0, true},
		{"no room even without the oldest", 3, "1 2 3", 0, nil, 0, true},
		{"unknown: the two newest stay", 0, "1 2 3", 100, []int{1}, 4, false},
		{"unknown: a trial may be what runs", 0, "1 2 3+2-1", 100, []int{1}, 4, false},
	} {
		p, err := plan(versionsOf(t, c.running, c.versions), c.running, 20, c.free, 1)
		if c.full {
			if !errors.Is(err, fat.ErrFull) {
				t.Errorf("%s: want fat.ErrFull, got %+v, %v", c.what, p, err)
			}
			continue
		}
		var got []int
		for _, v := range p.Remove {
			got = append(got, v.Number)
		}
		if err != nil || !slices.Equal(got, c.remove) || p.Number != c.number {
			t.Errorf("%s: want number %d without %v, got %d without %v, %v", c.what, c.number, c.remove, p.Number, got, err)
		}
	}
	if _, err := plan([]Version{{Number: maxNumber, State: Running}}, maxNumber, 1, 100, 1); err == nil {
		t.Error("behind the last number: want an error, got none")
	}
}
