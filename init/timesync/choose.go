package timesync

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// measured is what one server says: its offset from our clock, and how far that may be wrong.
type measured struct {
	server  int
	offset  time.Duration
	error   time.Duration // root distance: half of the way there and back to the first source, and what it may have drifted
	stratum uint8
}

// choose returns the servers that agree with most others, the best first (RFC 5905, 11.2.1): each says that the time lies in an interval, and
// those count whose intervals have the most common point in their middle. None counts where no majority agrees.
func choose(all []measured) []measured {
	var edges []edge
	for _, m := range all {
		edges = append(edges, edge{m.offset - m.error, -1}, edge{m.offset + m.error, 1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.kind, b.kind)) })
	for liars := 0; 2*liars < len(all); liars++ {
		need := len(all) - liars
		low, lowOK := bound(edges, need, -1)
		slices.Reverse(edges)
		high, highOK := bound(edges, need, 1)
		slices.Reverse(edges)
		if !lowOK || !highOK || low > high {
			continue
		}
		var good []measured
		for _, m := range all {
			if m.offset+m.error >= low && m.offset-m.error <= high {
				good = append(good, m)
			}
		}
		if len(good) < need {
			continue
		}
		slices.SortStableFunc(good, func(a, b measured) int {
			return cmp.Or(cmp.Compare(a.stratum, b.stratum), cmp.Compare(a.error, b.error))
		})
		return good
	}
	return nil
}

// edge is an end of an interval: kind is -1 where it begins and 1 where it ends.
type edge struct {
	at   time.Duration
	kind int
}

// bound is the first point that as many intervals have in common, of edges in the order in which ends of a kind open them.
func bound(edges []edge, need, opens int) (time.Duration, bool) {
	in := 0
	for _, e := range edges {
		if in += e.kind * opens; in >= need {
			return e.at, true
		}
	}
	return 0, false
}

// combine is the offset of those who agree, each by how sure it is.
func combine(good []measured) time.Duration {
	var sum, weight float64
	for _, m := range good {
		w := 1 / math.Max(m.error.Seconds(), 1e-6)
		sum += w * m.offset.Seconds()
		weight += w
	}
	return time.Duration(sum / weight * float64(time.Second))
}
