package events

import (
	"fmt"
	"testing"

	"rotunda/services/callbridge/meeting"
)

// deaf is a client without a connection: what would be sent is counted.
func deaf(h *hub, call meeting.ID) *client {
	c := &client{service: &Service{hub: h}, wake: make(chan struct{}, 1), broken: make(chan end, 1)}
	k := callRoster
	w := wanted{index: 1, kind: k, call: call}
	for i := range k.elements {
		w.elements = append(w.elements, &k.elements[i])
	}
	c.subscribe([]wanted{w}, nil)
	return c
}

// drain makes all messages that there are.
func (c *client) drain() (messages, bytes int) {
	for {
		b, more := c.make(int64(messages + 1))
		if b != nil {
			messages++
			bytes += len(b)
		} else if !more {
			return messages, bytes
		}
	}
}

func full(n int) (*meetings, *hub) {
	m := &meetings{calls: []meeting.CallInfo{{ID: call(1), Name: "town hall"}}}
	for i := range n {
		m.people = append(m.people, meeting.ParticipantInfo{ID: people(i + 1), Call: call(1), Name: fmt.Sprint("Participant ", i),
			URI: fmt.Sprintf("participant%d@example.com", i), State: meeting.Connected, Direction: meeting.Incoming, Layout: "allEqual"})
	}
	h, _ := newHub(m)
	return m, h
}

// BenchmarkRoster is what one client costs that subscribes to a roster (whole), and one change of a participant in it (change). Both
// times per participant must not grow with the roster.
func BenchmarkRoster(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("whole/%d", n), func(b *testing.B) {
			_, h := full(n)
			b.ReportAllocs()
			sent := 0
			for b.Loop() {
				_, sent = deaf(h, call(1)).drain()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/participant")
			b.ReportMetric(float64(sent)/float64(n), "bytes/participant")
		})
		b.Run(fmt.Sprintf("change/%d", n), func(b *testing.B) {
			m, h := full(n)
			c := deaf(h, call(1))
			c.drain()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				p := m.people[i%n]
				p.Speaking = i/n%2 == 0
				h.hear(meeting.Change{Kind: meeting.ParticipantChanged, Participant: &p})
				if messages, _ := c.drain(); messages != 1 {
					b.Fatalf("want one message, got %d", messages)
				}
				i++
			}
		})
	}
}

func TestALargeRosterComesInMessagesThatClientsTake(t *testing.T) {
	_, h := full(1000)
	c := deaf(h, call(1))
	c.make(1) // the state
	most, messages := 0, 0
	for {
		b, more := c.make(int64(messages + 1))
		if b == nil && !more {
			break
		}
		messages++
		most = max(most, len(b))
	}
	if messages != 1000/maxUpdates || most > 32<<10 {
		t.Errorf("want %d messages below 32 KiB, got %d up to %d bytes", 1000/maxUpdates, messages, most)
	}
	if c.entries != 1000 {
		t.Errorf("want 1000 objects followed, got %d", c.entries)
	}
}
