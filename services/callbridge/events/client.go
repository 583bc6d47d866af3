package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"rotunda/mmp/admission"
)

const (
	// window is how many messages of ours may be unacknowledged before we stop sending.
	window = 16
	// maxEntries bounds the objects that one client follows, in all its subscriptions: each costs some 200 bytes.
	maxEntries = 200_000
	// maxWrong is how many messages of a client may be refused.
	maxWrong = 100
)

// times are those of connections.
type times struct {
	// acknowledge is how long a message of ours may be unacknowledged, write how long sending one may take.
	acknowledge, write time.Duration
	// ping is how often the far end is asked for a sign of life, pong how long that may take.
	ping, pong time.Duration
	// look is how often acknowledgements are looked at.
	look time.Duration
	// requests are taken one in this time, after a burst.
	request time.Duration
}

var usualTimes = times{acknowledge: time.Minute, write: 20 * time.Second, ping: 30 * time.Second, pong: 20 * time.Second, look: time.Second,
	request: 100 * time.Millisecond}

// burst of requests that are taken at once: a client that watches all meetings subscribes anew at each one that begins.
const burst = 50

// client is one connection.
type client struct {
	service *Service
	// source is the far end's address, for traces.
	source  string
	session *admission.Session
	conn    *websocket.Conn
	times   times

	// wake tells the writer that there is something to do.
	wake chan struct{}
	// room holds a place for each answer that is not sent yet.
	room chan struct{}
	// broken takes the first reason to end it.
	broken chan end

	// Of the hub, under its lock.
	subs    []*subscription
	answers [][]byte
	states  []stateOf
	ready   []*subscription
	entries int

	mu     sync.Mutex
	flying []flight
	number int64

	scratch scratch
	now     func() time.Time
}

// flight is a message that is not acknowledged.
type flight struct {
	id int64
	at time.Time
}

// end is why a connection ends; without a code the far end went away.
type end struct {
	code   websocket.StatusCode
	reason string
}

func (s *Service) client(conn *websocket.Conn, source string, session *admission.Session) *client {
	return &client{service: s, source: source, session: session, conn: conn, times: s.times, wake: make(chan struct{}, 1), room: make(chan struct{}, 16), broken: make(chan end, 1), now: s.now}
}

// poke wakes the writer, and ends a client that wants too much. The hub's lock is held.
func (c *client) poke() {
	c.rouse()
	if c.entries > maxEntries {
		c.fail(end{websocket.StatusPolicyViolation, fmt.Sprintf("the subscriptions follow more than %d objects", maxEntries)})
	}
}

func (c *client) fail(e end) {
	select {
	case c.broken <- e:
	default:
	}
}

// run serves the connection until it ends, and says why it did. stop ends it from this side.
func (c *client) run(stop <-chan struct{}) end {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for _, part := range []func(context.Context) end{c.read, c.write, c.watch} {
		group.Go(func() { c.fail(part(ctx)) })
	}
	var why end
	select {
	case why = <-c.broken:
	case <-stop:
		why = end{websocket.StatusGoingAway, "the Call Bridge ends"}
	}
	c.subscribe(nil, nil)
	if why.code != 0 {
		// The far end gets a few seconds to read it and to say goodbye.
		_ = c.conn.Close(why.code, why.reason)
	}
	cancel()
	_ = c.conn.CloseNow()
	group.Wait()
	return why
}

// read hears the far end.
func (c *client) read(ctx context.Context) end {
	wrong := 0
	full := c.now() // when the bucket of requests is full again
	for {
		kind, b, err := c.conn.Read(ctx)
		if err != nil {
			if errors.Is(err, websocket.ErrMessageTooBig) {
				// The library has said so to the far end.
				return end{0, fmt.Sprintf("a message has more than %d bytes", maxMessage)}
			}
			return end{0, "closed by the client"}
		}
		if kind != websocket.MessageText {
			return end{websocket.StatusUnsupportedData, "send JSON in text frames"}
		}
		c.trace("received", b)
		m, err := readMessage(b)
		if err == nil && m.isAck {
			c.acknowledged(m.ack)
			continue
		}
		if now := c.now(); full.Before(now) {
			full = now
		}
		full = full.Add(c.times.request)
		if wait := full.Sub(c.now()) - burst*c.times.request; wait > 0 {
			pause := time.NewTimer(wait)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
				return end{}
			}
		}
		if err != nil {
			if wrong++; wrong > maxWrong {
				return end{websocket.StatusPolicyViolation, fmt.Sprintf("more than %d messages were wrong", maxWrong)}
			}
		}
		select {
		case c.room <- struct{}{}:
		case <-ctx.Done():
			return end{}
		}
		if answer := acknowledge(m.id, err); err != nil {
			c.answer(answer)
		} else {
			c.subscribe(m.want, answer)
			c.look()
		}
	}
}

// answer is sent before anything else.
func (c *client) answer(b []byte) {
	h := c.service.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	c.answers = append(c.answers, b)
	c.rouse()
}

// subscribe replaces the whole set. The answer comes behind what was made for the last set, and before anything of this one.
func (c *client) subscribe(want []wanted, answer []byte) {
	h := c.service.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if answer != nil {
		c.answers = append(c.answers, answer)
		c.rouse()
	}
	for _, s := range c.subs {
		s.closed = true
		h.forget(s)
	}
	c.subs, c.states, c.ready, c.entries = nil, nil, nil, 0
	for _, w := range want {
		s := &subscription{client: c, index: w.index, kind: w.kind, call: w.call, elements: w.elements}
		c.subs = append(c.subs, s)
		h.add(s)
	}
}

// look ends subscriptions to calls that there are not. A call that has begun may not have been told to the hub yet.
func (c *client) look() {
	h := c.service.hub
	var unknown []*subscription
	h.mu.Lock()
	for _, s := range c.subs {
		if s.state == pending {
			unknown = append(unknown, s)
		}
	}
	h.mu.Unlock()
	for _, s := range unknown {
		_, there := c.service.control.Call(s.call)
		h.mu.Lock()
		switch {
		case there && s.state == pending && !s.closed:
			s.set(pending)
		case !there:
			h.missing(s)
		}
		h.mu.Unlock()
	}
}

// acknowledged takes an answer to a message of ours; failure or not, the far end has it.
func (c *client) acknowledged(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, f := range c.flying {
		if f.id == id {
			c.flying = append(c.flying[:i], c.flying[i+1:]...)
			c.rouse()
			return
		}
	}
}

// rouse wakes the writer.
func (c *client) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write sends what there is to say: answers first, and messages while they are acknowledged.
func (c *client) write(ctx context.Context) end {
	for {
		b := c.answered()
		if b == nil {
			b = c.next()
		}
		if b == nil {
			select {
			case <-c.wake:
				continue
			case <-ctx.Done():
				return end{}
			}
		}
		c.trace("sent", b)
		sending, cancel := context.WithTimeout(ctx, c.times.write)
		err := c.conn.Write(sending, websocket.MessageText, b)
		cancel()
		if err != nil {
			return end{0, "it cannot be sent to"}
		}
	}
}

// maxTrace is how much of a message a trace shows.
const maxTrace = 4 << 10

// trace logs a message while detailed tracing of events is on.
func (c *client) trace(way string, b []byte) {
	if c.service.tracing() {
		c.service.log.Info("events trace: "+way, "source", c.source, "bytes", len(b), "message", strings.ToValidUTF8(string(b[:min(len(b), maxTrace)]), "?"))
	}
}

// answered takes the next answer, and its place.
func (c *client) answered() (b []byte) {
	h := c.service.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(c.answers) == 0 {
		return nil
	}
	b, c.answers = c.answers[0], c.answers[1:]
	<-c.room
	return b
}

// next makes the next message, nil when there is none or the window is full.
func (c *client) next() []byte {
	c.mu.Lock()
	open, number := len(c.flying) < window, c.number+1
	c.mu.Unlock()
	if !open {
		return nil
	}
	for {
		b, more := c.make(number)
		if b != nil {
			c.mu.Lock()
			c.number = number
			c.flying = append(c.flying, flight{number, c.now()})
			c.mu.Unlock()
			return b
		}
		if !more {
			return nil
		}
	}
}

// make makes a message of the first thing that there is to tell. Without one, more says that there may be another.
func (c *client) make(number int64) (b []byte, more bool) {
	h := c.service.hub
	h.mu.Lock()
	if len(c.answers) > 0 {
		h.mu.Unlock()
		return nil, false
	}
	if n := min(len(c.states), maxStates); n > 0 {
		states := c.states[:n]
		c.states = c.states[n:]
		h.mu.Unlock()
		return subscriptionUpdate(number, states), true
	}
	if len(c.ready) == 0 {
		c.ready = nil
		h.mu.Unlock()
		return nil, false
	}
	s := c.ready[0]
	c.ready[0] = nil
	c.ready = c.ready[1:]
	s.queued = false
	all := make([]difference, 0, min(maxUpdates, s.changed.len()))
	for len(all) < maxUpdates {
		id, ok := s.changed.pop()
		if !ok {
			break
		}
		d := difference{id: id}
		d.before, d.known = s.told[id]
		d.now, d.is = h.look(s, id)
		c.entries--
		switch {
		case d.is && !d.known:
			c.entries++
		case d.known && !d.is:
			c.entries--
		case !d.is:
			continue
		}
		if d.is {
			s.told[id] = d.now
		} else {
			delete(s.told, id)
		}
		all = append(all, d)
	}
	if s.changed.len() > 0 {
		// Behind the others: a large roster does not hold up small news.
		s.ready()
	}
	h.mu.Unlock()
	return c.scratch.update(number, s.index, s.kind, s.elements, all), true
}

// watch looks for signs of life and for acknowledgements.
func (c *client) watch(ctx context.Context) end {
	look, ping := time.NewTicker(c.times.look), time.NewTicker(c.times.ping)
	defer look.Stop()
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return end{}
		case <-look.C:
			c.mu.Lock()
			var first flight
			if len(c.flying) > 0 {
				first = c.flying[0]
			}
			c.mu.Unlock()
			if first.id != 0 && c.now().Sub(first.at) > c.times.acknowledge {
				return end{websocket.StatusPolicyViolation, fmt.Sprintf("message %d was not acknowledged within %v", first.id, c.times.acknowledge)}
			}
		case <-ping.C:
			if !c.service.keeps(ctx, c.session) {
				return end{websocket.StatusPolicyViolation, "an administrator ended the session, or deleted its account"}
			}
			asking, cancel := context.WithTimeout(ctx, c.times.pong)
			err := c.conn.Ping(asking)
			cancel()
			if err != nil {
				return end{websocket.StatusPolicyViolation, "no answer to a ping"}
			}
		}
	}
}
