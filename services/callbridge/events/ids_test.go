package events

import (
	"math/rand/v2"
	"slices"
	"testing"

	"rotunda/services/callbridge/meeting"
)

func TestIDsKeepTheirOrderAndNoMoreRoomThanTheyNeed(t *testing.T) {
	var s ids
	var want []meeting.ID
	random := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		id := people(1 + random.IntN(200))
		at := slices.Index(want, id)
		switch random.IntN(4) {
		case 0, 1:
			if s.add(id) != (at < 0) {
				t.Fatal("a member was added twice")
			}
			if at < 0 {
				want = append(want, id)
			}
		case 2:
			if s.remove(id) != (at >= 0) {
				t.Fatal("what was removed was no member")
			}
			if at >= 0 {
				want = slices.Delete(want, at, at+1)
			}
		case 3:
			got, ok := s.pop()
			if ok != (len(want) > 0) || ok && got != want[0] {
				t.Fatalf("want %v first, got %v", want, got)
			}
			if ok {
				want = want[1:]
			}
		}
		if s.len() != len(want) || len(s.order) > 2*len(want)+34 {
			t.Fatalf("want %d members, got %d in %d places", len(want), s.len(), len(s.order))
		}
	}
}
