package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"rotunda/services/callbridge/sip"
)

// callers make the calls.
type callers struct {
	h     *house
	agent *sip.Agent
	media *net.UDPConn // where the mixers send to
	offer []byte
	stop  context.CancelFunc
	done  chan struct{}
	next  int
	up    []*caller
}

func newCallers(h *house) (*callers, error) {
	media, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	agent, err := sip.New(sip.Options{Listen: []sip.Listen{{Transport: sip.UDP, Address: netip.MustParseAddrPort("127.0.0.1:0")}}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		media.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &callers{h: h, agent: agent, media: media, offer: description(media.LocalAddr().(*net.UDPAddr).Port), stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		_ = agent.Serve(ctx)
	}()
	return c, nil
}

func (c *callers) end() {
	for _, one := range c.up {
		one.call.Hangup("")
	}
	for _, one := range c.up {
		select {
		case <-one.over:
		case <-time.After(patience):
		}
	}
	c.stop()
	<-c.done
	c.media.Close()
}

// patience is how long a call may take to go up or down before the bench gives up.
const patience = 40 * time.Second

// caller is one call.
type caller struct {
	call  *sip.Call
	made  chan struct{} // closed when call is there
	offer []byte
	began time.Time
	up    chan time.Duration
	over  chan sip.End
}

// place makes a call to the next space.
func (c *callers) place() *caller {
	user := c.h.users[c.next%len(c.h.users)]
	c.next++
	one := &caller{made: make(chan struct{}), offer: c.offer, began: time.Now(), up: make(chan time.Duration, 1), over: make(chan sip.End, 1)}
	one.call = c.agent.Dial(sip.Dial{To: "sip:" + user + "@" + c.h.sip.String(), From: fmt.Sprintf("sip:caller%d@example.org", c.next), Offer: c.offer,
		Next: []sip.Target{{Transport: sip.UDP, Address: c.h.sip}}}, one)
	close(one.made)
	return one
}

// ready waits until it is up.
func (c *caller) ready(ctx context.Context) (time.Duration, error) {
	select {
	case d := <-c.up:
		return d, nil
	case e := <-c.over:
		return 0, fmt.Errorf("a call was not answered: %+v", e)
	case <-time.After(patience):
		return 0, errors.New("a call was not answered")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// run makes calls at a rate, each at its own time, which do not wait for one another, and ends each when it was up for a while. What comes back is how long
// each took to be set up.
func (c *callers) run(ctx context.Context, rate int, window, stays time.Duration) ([]time.Duration, error) {
	n := int(window.Seconds() * float64(rate))
	took, errs := make([]time.Duration, n), make([]error, n)
	var all sync.WaitGroup
	begin := time.Now()
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		one := c.place()
		all.Go(func() {
			if took[i], errs[i] = one.ready(ctx); errs[i] != nil {
				return
			}
			time.Sleep(stays)
			one.call.Hangup("")
			select {
			case <-one.over:
			case <-time.After(patience):
				errs[i] = errors.New("a call does not end")
			}
		})
	}
	all.Wait()
	return took, errors.Join(append(errs, ctx.Err())...)
}

// hold makes calls, a few at a time, until so many are up.
func (c *callers) hold(ctx context.Context, n int) error {
	const together = 8
	for len(c.up) < n {
		var some []*caller
		for range min(together, n-len(c.up)) {
			some = append(some, c.place())
		}
		for _, one := range some {
			if _, err := one.ready(ctx); err != nil {
				return fmt.Errorf("after %d calls: %w", len(c.up), err)
			}
			c.up = append(c.up, one)
		}
	}
	return nil
}

func (c *caller) Confirmed()               { c.up <- time.Since(c.began) }
func (c *caller) Ended(e sip.End)          { c.over <- e }
func (c *caller) Ringing(int)              {}
func (c *caller) Answered([]byte)          {}
func (c *caller) Early([]byte)             {}
func (c *caller) OfferRefused(int)         {}
func (c *caller) Info(string, []byte) int  { return 200 }
func (c *caller) Referred(_, _ string) int { return 603 }
func (c *caller) Replaced(by *sip.Call)    {}

// Offered is an offer of the meeting in a call that is up: it gets the same answer.
func (c *caller) Offered([]byte) {
	<-c.made
	c.call.AnswerOffer(c.offer)
}
