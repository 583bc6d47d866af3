package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rotunda/services/callbridge/schema"
)

func TestOrderIsThatOfFoldedText(t *testing.T) {
	words := []string{"", "a", "A", "B", "b", "Ä", "ä", "z", "ß", "ẞ", "İ", "i", "I", "K", "k", "K", "ab", "aB", "\xff", "�", "a\xff", "Σ", "ς", "σ", "日本", "0", "_", "[", "{"}
	for _, a := range words {
		for _, b := range words {
			if got, want := compareFold(a, b), strings.Compare(fold(a), fold(b)); got != want {
				t.Errorf("%q and %q: got %d, want %d", a, b, got, want)
			}
		}
		if got := string(appendFold([]byte("x"), a)); got != "x"+fold(a) {
			t.Errorf("%q was folded to %q", a, got)
		}
	}
}

func FuzzCompareFold(f *testing.F) {
	f.Add("abc", "ABD")
	f.Add("Ä\xff", "äx")
	f.Fuzz(func(t *testing.T, a, b string) {
		if got, want := compareFold(a, b), strings.Compare(fold(a), fold(b)); got != want {
			t.Errorf("%q and %q: got %d, want %d", a, b, got, want)
		}
	})
}

// spaceOf makes a space for tests of lists.
func spaceOf(id uint64, name, callID, tenant string) *Record {
	var at ID
	binary.BigEndian.PutUint64(at[:], id)
	d := newDraft(schema.CoSpace, at, ID{})
	d.Set("name", name)
	d.Set("callId", callID)
	d.Set("tenant", tenant)
	return pack(schema.CoSpace, at, ID{}, 1, d.values, "")
}

// TestListsStayInOrderAndAnswersTrue changes a list at random, by ones and by hundreds, and asks it the same things again and again.
func TestListsStayInOrderAndAnswersTrue(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	k := tables().kind(schema.CoSpace)
	tenants := []string{"", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"}
	now := map[ID]*Record{}
	random := func(id uint64) *Record {
		return spaceOf(id, fmt.Sprintf("%c%d", "aAbBcä"[r.IntN(5)], r.IntN(400)), fmt.Sprint(r.IntN(10000)), tenants[r.IntN(3)])
	}
	var start []*Record
	for i := range uint64(3000) {
		s := random(i)
		now[s.id] = s
		start = append(start, s)
	}
	list := newSorted(k, start)
	var answers memory
	most := 0
	for round := range 60 {
		var changes []change
		seen := map[ID]bool{}
		for range []int{1, 3, 400, 1500}[r.IntN(4)] {
			id := r.Uint64N(6000)
			after := random(id)
			if seen[after.id] {
				continue
			}
			seen[after.id] = true
			before := now[after.id]
			switch {
			// Rounds of growing and rounds of shrinking.
			case before != nil && r.IntN(4) < 1+round/15%2*2:
				after = nil
				delete(now, before.id)
			case before != nil && r.IntN(2) == 0:
				after = spaceOf(id, before.Text("name"), fmt.Sprint(r.IntN(10000)), before.Text("tenant"))
				now[after.id] = after
			default:
				now[after.id] = after
			}
			changes = append(changes, change{k, before, after})
		}
		list = list.changed(k, changes)
		want := make([]*Record, 0, len(now))
		for _, s := range now {
			want = append(want, s)
		}
		slices.SortFunc(want, func(a, b *Record) int {
			return cmp.Or(strings.Compare(fold(a.Text("name")), fold(b.Text("name"))), slices.Compare(a.id[:], b.id[:]))
		})
		var got []*Record
		for _, c := range list.chunks {
			if len(c.records) == 0 || len(c.records) > mostRecords {
				t.Fatalf("a chunk has %d records", len(c.records))
			}
			got = append(got, c.records...)
		}
		if !slices.Equal(got, want) || list.length != len(want) {
			t.Fatalf("round %d: the list has %d, want %d in order", round, len(got), len(want))
		}
		most = max(most, len(list.chunks))
		for _, q := range []struct {
			part  string
			equal map[string]string
		}{{"a1", nil}, {"77", nil}, {"b", nil}, {"nobody", nil}, {"", map[string]string{"tenant": tenants[1]}}, {"3", map[string]string{"tenant": tenants[2]}},
			{"a", map[string]string{"callId": "17"}}} {
			hits := answers.matches(k, list, q.part, k.equals(q.equal))
			var found, right []*Record
			for i, c := range list.chunks {
				for _, at := range hits.at(i, c) {
					found = append(found, c.records[at])
				}
			}
			for _, s := range want {
				if k.contains(s, q.part) && k.equals(q.equal).hold(s) {
					right = append(right, s)
				}
			}
			if !slices.Equal(found, right) {
				t.Fatalf("round %d: %v finds %d, want %d", round, q, len(found), len(right))
			}
		}
	}
	if most < 10 {
		t.Errorf("the list had %d chunks at most: nothing was split", most)
	}
}

func FuzzNeedle(f *testing.F) {
	f.Add("some text\x00with a part\x00", "part", 1)
	f.Add("aaab", "aab", 2)
	f.Fuzz(func(t *testing.T, text, part string, rare int) {
		if part == "" {
			return
		}
		n := needle{part, int(uint(rare) % uint(len(part)))}
		if got, want := n.index(text), strings.Index(text, part); got != want {
			t.Errorf("%q in %q by byte %d: got %d, want %d", part, text, n.rare, got, want)
		}
	})
}

func TestPagesAreWindows(t *testing.T) {
	for _, c := range []struct{ offset, limit, n, want int }{{0, 10, 25, 10}, {20, 10, 25, 5}, {25, 10, 25, 0}, {30, 10, 25, 0}, {0, 0, 25, 0}, {5, -1, 25, 20}, {-3, 2, 25, 2}, {1 << 62, 1 << 62, 25, 0}} {
		var p page
		p.start(Query{Offset: c.offset, Limit: c.limit})
		got := 0
		for _, part := range []int{10, 0, 10, 5} {
			if from, to := p.window(part); from < to {
				got += to - from
			}
		}
		if got != c.want || p.Total != c.n {
			t.Errorf("offset %d, limit %d: %d of %d, want %d", c.offset, c.limit, got, p.Total, c.want)
		}
	}
}

func TestManyNamesOfOneThing(t *testing.T) {
	p := newPostings()
	slots := make([]*slot, 100)
	for i := range slots {
		slots[i] = &slot{}
		p.add(1, slots[i])
	}
	count := func() (n int) {
		for range p.all(1) {
			n++
		}
		return n
	}
	if got := count(); got != 100 {
		t.Errorf("%d are found, want 100", got)
	}
	for i, s := range slots {
		p.remove(1, s)
		if got := count(); got != 99-i {
			t.Fatalf("%d are found, want %d", got, 99-i)
		}
	}
	if len(p.many)+len(p.one) != 0 {
		t.Error("something is left")
	}
}
