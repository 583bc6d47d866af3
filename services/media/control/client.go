package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// ClientOptions are what a [Client] is made with.
type ClientOptions struct {
	// Address is the server's host:port; TLS is wanted where that is not this machine.
	Address string
	TLS     *tls.Config
	// Name is the owner: objects of two names do not meet, and a second client of a name replaces the first.
	Name string
	// Grace is how long the objects stay when this client is away; 0 means [DefaultGrace].
	Grace time.Duration
	// Events takes the events, one at a time, in order; it may ask the client. While it does not return, events wait; if
	// more than 4096 do, the connection is made anew and what was lost is told by [EventLost].
	Events func(Event)
	// Log takes a line for the log; nil for none.
	Log func(text string)
}

// Client is a [Service] over a connection that it keeps: when the connection ends it dials again, for as long as it is not
// closed. Requests wait for the connection, and all but SendKeys are asked again when it broke under them, until their
// context ends (10 s when it has no end). On every new connection the client tells which legs and conferences it put
// ([Service.Sync]); what is not there any more comes back as [EventLost], just as when a worker dies. So there is one
// way to lose media, and one thing to do about it: put again.
//
// A client begins with nothing: what an earlier process of the same name left is deleted.
type Client struct {
	caller
	o      ClientOptions
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu   sync.Mutex
	peer *Peer
	// refused is why there will be no connection, such as another version.
	refused error
	// tried is why the last attempt came to nothing.
	tried error
	// changed is closed when peer or refused changes.
	changed     chan struct{}
	legs        map[string]bool
	conferences map[string]bool
	events      []Event
	wake        chan struct{}
}

// maxEvents wait for [ClientOptions.Events] to return.
const maxEvents = 4096

// NewClient begins to connect and returns at once.
func NewClient(o ClientOptions) *Client {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{o: o, cancel: cancel, changed: make(chan struct{}), legs: map[string]bool{}, conferences: map[string]bool{}, wake: make(chan struct{}, 1)}
	c.caller = func(ctx context.Context, ask string, body, into any) error { return c.call(ctx, ask, body, into, nil) }
	c.wait.Go(func() { c.connect(ctx) })
	c.wait.Go(func() { c.deliver(ctx) })
	return c
}

// Close ends the connection; the objects stay for their grace. It must not be called from [ClientOptions.Events].
func (c *Client) Close() {
	c.cancel()
	c.wait.Wait()
}

// Connected says whether requests have somewhere to go now; without a connection they wait for one until their context ends.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peer != nil && !c.peer.Ended()
}

// connect keeps a connection until ctx ends.
func (c *Client) connect(ctx context.Context) {
	pause := redialFirst
	said := ""
	for ctx.Err() == nil {
		worked, err := c.session(ctx)
		if ctx.Err() != nil {
			break
		}
		c.mu.Lock()
		c.peer, c.tried = nil, err
		switch CodeOf(err) {
		case CodeVersion, CodeInvalid:
			c.refused = err
			c.notify()
		}
		refused := c.refused
		c.mu.Unlock()
		if err.Error() != said {
			said = err.Error()
			c.o.Log(fmt.Sprintf("media control at %s: %v", c.o.Address, err))
		}
		if refused != nil {
			return
		}
		if worked {
			pause = redialFirst
		}
		sleep(ctx, pause)
		pause = min(2*pause, redialMost)
	}
	c.mu.Lock()
	c.peer, c.refused = nil, Errorf(CodeLost, "the client is closed")
	c.notify()
	c.mu.Unlock()
}

// session is one connection. It worked when requests could be made.
func (c *Client) session(ctx context.Context) (worked bool, err error) {
	conn, err := dial(ctx, c.o.Address, c.o.TLS)
	if err != nil {
		return false, err
	}
	w := newWire(conn)
	defer w.close(net.ErrClosed)
	stop := context.AfterFunc(ctx, func() { w.end(ctx.Err()) })
	defer stop()
	h := Hello{Version: Version, Role: RoleClient, Name: c.o.Name}
	if c.o.Grace > 0 {
		grace := Milliseconds(c.o.Grace / time.Millisecond)
		h.Grace = &grace
	}
	if err := w.send(Line{Hello: &h}); err != nil {
		return false, err
	}
	answer, err := readHello(w, RoleManager, RoleWorker)
	if err != nil {
		return false, err
	}
	p := newPeer(w, answer, PeerOptions{Events: func(_ string, e Event) { c.happened(e) }})
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	c.mu.Lock()
	legs, conferences := slices.Collect(maps.Keys(c.legs)), slices.Collect(maps.Keys(c.conferences))
	c.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, requestTimeout)
	err = p.Owner("").Sync(within, legs, conferences)
	cancel()
	if err != nil {
		p.End(err)
		<-ended
		return false, fmt.Errorf("sync: %w", err)
	}
	c.mu.Lock()
	c.peer = p
	c.notify()
	c.mu.Unlock()
	return true, <-ended
}

// notify wakes who waits for a connection. The caller holds mu.
func (c *Client) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// call waits for a connection and asks, again if the connection breaks and the request may be repeated.
func (c *Client) call(ctx context.Context, ask string, body, into any, noted func()) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	for {
		c.mu.Lock()
		p, refused, changed := c.peer, c.refused, c.changed
		c.mu.Unlock()
		if refused != nil {
			return refused
		}
		if p == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				c.mu.Lock()
				tried := c.tried
				c.mu.Unlock()
				if tried == nil {
					tried = ctx.Err()
				}
				return Errorf(CodeLost, "%s: no connection to %s: %w", ask, c.o.Address, tried)
			}
		}
		err := p.call(ctx, "", ask, body, into, noted)
		if p.Ended() && CodeOf(err) == CodeLost && !requests[ask].once {
			c.drop(p)
			continue
		}
		return err
	}
}

// drop takes a connection that has broken out of use before its session has noticed.
func (c *Client) drop(p *Peer) {
	c.mu.Lock()
	if c.peer == p {
		c.peer = nil
	}
	c.mu.Unlock()
}

// happened takes an event from the connection.
func (c *Client) happened(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Event == EventLost {
		for _, id := range e.Legs {
			delete(c.legs, id)
		}
		delete(c.conferences, e.Conference)
	}
	if len(c.events) >= maxEvents {
		if c.peer != nil {
			c.peer.End(errors.New("events come faster than they are taken"))
		}
		return
	}
	c.events = append(c.events, e)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// deliver hands events on.
func (c *Client) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		for ctx.Err() == nil {
			c.mu.Lock()
			if len(c.events) == 0 {
				c.events = nil
				c.mu.Unlock()
				break
			}
			e := c.events[0]
			c.events = c.events[1:]
			c.mu.Unlock()
			c.o.Events(e)
		}
	}
}

// know notes that an object is ours, or not. What is put becomes ours with the answer: if the connection ends before it,
// what the server made of the request is deleted by the next Sync and made again by the repetition.
func (c *Client) know(set map[string]bool, id string, ours bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ours {
		set[id] = true
	} else {
		delete(set, id)
	}
}

// PutConference is part of [Service].
func (c *Client) PutConference(ctx context.Context, q Conference) error {
	return c.call(ctx, "putConference", q, nil, func() { c.know(c.conferences, q.ID, true) })
}

// DeleteConference is part of [Service].
func (c *Client) DeleteConference(ctx context.Context, id string) error {
	c.know(c.conferences, id, false)
	return c.caller.DeleteConference(ctx, id)
}

// PutLeg is part of [Service].
func (c *Client) PutLeg(ctx context.Context, l Leg) (s LegState, err error) {
	err = c.call(ctx, "putLeg", l, &s, func() { c.know(c.legs, l.ID, true) })
	return s, err
}

// DeleteLeg is part of [Service].
func (c *Client) DeleteLeg(ctx context.Context, id string) error {
	c.know(c.legs, id, false)
	return c.caller.DeleteLeg(ctx, id)
}

// Stats is part of [Service]. Any number of legs may be listed.
func (c *Client) Stats(ctx context.Context, legs []string) ([]LegStats, error) {
	if len(legs) == 0 {
		c.mu.Lock()
		legs = slices.Sorted(maps.Keys(c.legs))
		c.mu.Unlock()
	}
	var all []LegStats
	for part := range slices.Chunk(legs, MaxStats) {
		s, err := c.caller.Stats(ctx, part)
		if err != nil {
			return nil, err
		}
		all = append(all, s...)
	}
	return all, nil
}
