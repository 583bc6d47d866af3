package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Peer is the asking side of one connection, for as long as it lasts. A [Client] has one after the other; a manager has
// one for each worker.
type Peer struct {
	w *wire
	// hello is the other side's.
	hello    Hello
	holdings []Holding
	// early are the events that came before Run.
	early  []Line
	events func(owner string, e Event)
	beat   func(WorkerStatus)

	mu      sync.Mutex
	last    uint64
	pending map[uint64]question
	ended   bool
}

// question waits for its answer. noted, which may be nil, is called when the answer is good, before anything that came after
// it is looked at.
type question struct {
	answer chan Line
	noted  func()
}

// PeerOptions are where a peer says what comes unasked. The functions are called by [Peer.Run], one at a time, and must
// not wait for anything of the same peer.
type PeerOptions struct {
	Events func(owner string, e Event)
	Beat   func(WorkerStatus)
}

// AcceptWorker greets a worker that has dialled us. It returns when the worker has told everything that it holds; the
// caller then calls [Peer.Run].
func AcceptWorker(ctx context.Context, conn net.Conn, o PeerOptions) (*Peer, error) {
	w := newWire(conn)
	stop := context.AfterFunc(ctx, func() { w.end(ctx.Err()) })
	defer stop()
	p, err := acceptWorker(w, o)
	if err != nil {
		w.close(err)
		return nil, fmt.Errorf("worker at %s: %w", conn.RemoteAddr(), err)
	}
	return p, nil
}

func acceptWorker(w *wire, o PeerOptions) (*Peer, error) {
	h, err := readHello(w, RoleWorker)
	if err != nil {
		return nil, err
	}
	if h.Worker == nil || h.Name == "" || len(h.Name) > MaxID || h.Worker.Module < 0 || h.Worker.Module >= MaxModules {
		e := Errorf(CodeInvalid, "a worker's hello with its name and a module of 0 to %d is wanted", MaxModules-1)
		w.refuse(e)
		return nil, e
	}
	if err := w.send(Line{Hello: &Hello{Version: Version, Role: RoleManager}}); err != nil {
		return nil, err
	}
	p := newPeer(w, h, o)
	if err := w.conn.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return nil, err
	}
	for {
		m, err := w.read()
		switch {
		case err != nil:
			return nil, err
		case m.Error != nil:
			return nil, m.Error
		case m.Holding != nil:
			if len(p.holdings) >= maxHoldings {
				return nil, fmt.Errorf("more than %d parts of what it holds", maxHoldings)
			}
			p.holdings = append(p.holdings, *m.Holding)
		case m.Event != nil:
			// It was kept while no manager was there; the owner gets it as every other.
			if p.early = append(p.early, m); len(p.early) > maxEvents {
				return nil, errors.New("more events than a worker keeps")
			}
		case m.Beat != nil:
			return p, w.conn.SetReadDeadline(time.Time{})
		}
	}
}

// maxHoldings lines of [maxHeld] legs are more than one worker can carry.
const maxHoldings = 1024

// MaxModules is one more than the highest number of a media module.
const MaxModules = 64

func newPeer(w *wire, h Hello, o PeerOptions) *Peer {
	return &Peer{w: w, hello: h, events: o.Events, beat: o.Beat, pending: map[uint64]question{}}
}

// Hello returns what the other side said of itself.
func (p *Peer) Hello() Hello { return p.hello }

// Holdings are what a worker held when it came.
func (p *Peer) Holdings() []Holding { return p.holdings }

// Run reads until the connection ends, and returns why. All requests that wait are answered with [CodeLost].
func (p *Peer) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.w.end(ctx.Err()) })
	defer stop()
	err := p.run()
	p.w.close(err)
	p.mu.Lock()
	p.ended = true
	for id, q := range p.pending {
		delete(p.pending, id)
		close(q.answer)
	}
	p.mu.Unlock()
	return err
}

func (p *Peer) run() error {
	for _, m := range p.early {
		p.events(m.Owner, *m.Event)
	}
	p.early = nil
	for {
		m, err := p.w.read()
		switch {
		case err != nil:
			return err
		case m.ID != 0:
			p.mu.Lock()
			q, waits := p.pending[m.ID]
			delete(p.pending, m.ID)
			p.mu.Unlock()
			if waits {
				if q.noted != nil && m.Error == nil {
					q.noted()
				}
				q.answer <- m
			}
		case m.Error != nil:
			return m.Error
		case m.Event != nil:
			p.events(m.Owner, *m.Event)
		case m.Beat != nil && p.beat != nil:
			p.beat(*m.Beat)
		}
	}
}

// End closes the connection for a reason; [Peer.Run] returns it.
func (p *Peer) End(why error) { p.w.end(why) }

// call asks and waits for the answer; noted is as in question.
func (p *Peer) call(ctx context.Context, owner, ask string, body, into any, noted func()) error {
	m := Line{Ask: ask, Owner: owner}
	var err error
	if m.Body, err = json.Marshal(body); err != nil {
		return fmt.Errorf("encode %s: %w", ask, err)
	}
	answer := make(chan Line, 1)
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return p.lost()
	}
	p.last++
	m.ID = p.last
	p.pending[m.ID] = question{answer, noted}
	p.mu.Unlock()
	if err := p.w.send(m); err != nil {
		p.forget(m.ID)
		if errors.Is(err, errTooLong) {
			return Errorf(CodeInvalid, "%s: %w", ask, err)
		}
		return p.lost()
	}
	select {
	case a, ok := <-answer:
		if !ok {
			return p.lost()
		}
		if a.Error != nil {
			return a.Error
		}
		if into != nil && len(a.Body) > 0 {
			if err := json.Unmarshal(a.Body, into); err != nil {
				return fmt.Errorf("read answer to %s: %w", ask, err)
			}
		}
		return nil
	case <-ctx.Done():
		p.forget(m.ID)
		return Errorf(CodeTimeout, "%s: %w", ask, ctx.Err())
	}
}

func (p *Peer) forget(id uint64) {
	p.mu.Lock()
	delete(p.pending, id)
	p.mu.Unlock()
}

// Ended tells that the connection has ended.
func (p *Peer) Ended() bool { return p.w.reason() != nil }

func (p *Peer) lost() *Error {
	if err := p.w.reason(); err != nil {
		return Errorf(CodeLost, "connection lost: %w", err)
	}
	return Errorf(CodeLost, "connection lost")
}

// Owner returns the service that acts for an owner. Only a manager may choose one.
func (p *Peer) Owner(owner string) Service {
	return caller(func(ctx context.Context, ask string, body, into any) error {
		return p.call(ctx, owner, ask, body, into, nil)
	})
}

// caller is a [Service] made of a way to ask.
type caller func(ctx context.Context, ask string, body, into any) error

func (c caller) PutConference(ctx context.Context, q Conference) error {
	return c(ctx, "putConference", q, nil)
}

func (c caller) DeleteConference(ctx context.Context, id string) error {
	return c(ctx, "deleteConference", ID{id}, nil)
}

func (c caller) PutLeg(ctx context.Context, l Leg) (s LegState, err error) {
	err = c(ctx, "putLeg", l, &s)
	return s, err
}

func (c caller) DeleteLeg(ctx context.Context, id string) error {
	return c(ctx, "deleteLeg", ID{id}, nil)
}

func (c caller) Play(ctx context.Context, p Play) error { return c(ctx, "play", p, nil) }

func (c caller) StopPlay(ctx context.Context, id string) error {
	return c(ctx, "stopPlay", ID{id}, nil)
}

func (c caller) SendKeys(ctx context.Context, leg, keys string) error {
	return c(ctx, "sendKeys", KeysRequest{leg, keys}, nil)
}

func (c caller) KeyFrame(ctx context.Context, leg, stream string) error {
	return c(ctx, "keyFrame", KeyFrameRequest{leg, stream}, nil)
}

func (c caller) Stats(ctx context.Context, legs []string) (s []LegStats, err error) {
	err = c(ctx, "stats", IDs{Legs: legs}, &s)
	return s, err
}

func (c caller) Status(ctx context.Context) (m []Module, err error) {
	err = c(ctx, "status", None{}, &m)
	return m, err
}

func (c caller) Sync(ctx context.Context, legs, conferences []string) error {
	return c(ctx, "sync", IDs{Legs: legs, Conferences: conferences}, nil)
}
