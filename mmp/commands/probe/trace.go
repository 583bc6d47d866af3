package probe

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"time"
)

// As traceroute(8) has them.
const (
	// MaxHops is the longest route that is followed.
	MaxHops = 30
	// Probes are sent to each hop.
	Probes     = 3
	firstPort  = 33434
	hopTimeout = 2 * time.Second
)

// Hop is one step of a route.
type Hop struct {
	Number  int
	Answers [Probes]Answer
}

// Reached tells that an answer came from where no router passes on: the target, or who refuses.
func (h Hop) Reached() bool {
	for _, a := range h.Answers {
		if a.From.IsValid() && a.Problem != timeExceeded {
			return true
		}
	}
	return false
}

// Trace follows the route to an address and reports each hop, until the target or somebody who refuses answers. A
// hop's answers that say nothing but that the route goes on, or ends at the target, carry no Problem.
func (Prober) Trace(ctx context.Context, to netip.Addr, each func(Hop)) error {
	s, err := open(to, false)
	if err != nil {
		return err
	}
	defer s.close()
	for n := 1; n <= MaxHops; n++ {
		h, err := s.hop(ctx, to, n)
		if err != nil {
			return err
		}
		done := h.Reached()
		for i := range h.Answers {
			if p := &h.Answers[i].Problem; *p == timeExceeded || *p == portUnreachable {
				*p = ""
			}
		}
		each(h)
		if done {
			break
		}
	}
	return nil
}

// hop sends its probes at once, each to a port of its own by which its answer is known.
func (s *socket) hop(ctx context.Context, to netip.Addr, n int) (Hop, error) {
	h := Hop{Number: n}
	if err := s.setHops(n); err != nil {
		return h, err
	}
	base := firstPort + (n-1)*Probes
	var sent [Probes]time.Time
	for i := range sent {
		sent[i] = time.Now()
		if err := s.send(netip.AddrPortFrom(to, uint16(base+i)), make([]byte, 32)); err != nil {
			return h, err
		}
	}
	deadline := sent[Probes-1].Add(hopTimeout)
	for left := Probes; left > 0; {
		e, err := s.receive(ctx, deadline)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return h, nil
		case err != nil:
			return h, err
		case e.err == nil:
			continue // somebody answered the datagram itself; there is no telling which
		}
		i := int(e.about.Port()) - base
		if i < 0 || i >= Probes || h.Answers[i].From.IsValid() || !e.from.IsValid() {
			continue
		}
		h.Answers[i] = Answer{From: e.from, RTT: e.at.Sub(sent[i]), Problem: problem(e.err)}
		left--
	}
	return h, nil
}
