package meeting

import (
	"slices"
	"testing"
)

func TestObserversHearWhatComesAfterThem(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice := w.joins("alice", s)
	var heard []uint64
	n, cancel := w.calls.Subscribe(func(c Change) {
		heard = append(heard, c.Number)
		// What a change tells is there to be read.
		if c.Kind == LegBegan {
			if l, ok := w.calls.Leg(c.Leg.ID); !ok || l.Call != c.Leg.Call {
				t.Errorf("leg %s began and is not there", c.Leg.ID)
			}
		}
	})
	if n == 0 {
		t.Error("nothing has happened yet")
	}
	w.joins("bob", s)
	if len(heard) == 0 || heard[0] != n+1 || !slices.IsSorted(heard) {
		t.Errorf("want changes from %d, got %v", n+1, heard)
	}
	cancel()
	before := len(heard)
	alice.hangsUp()
	if len(heard) != before {
		t.Error("an observer who went hears on")
	}
	late, _ := w.calls.Subscribe(func(Change) {})
	if late <= heard[before-1] {
		t.Errorf("the numbers go back: %d after %d", late, heard[before-1])
	}
}
