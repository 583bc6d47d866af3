package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// DefaultGrace is how long the objects of an owner stay when its connection has ended.
	DefaultGrace = 10 * time.Second
	maxGrace     = time.Hour
	// maxServed requests of one connection are worked on at a time; further ones wait unread.
	maxServed = 256
	// maxKept events wait for an owner who is away.
	maxKept = 256
	// maxConns bounds what strangers can open.
	maxConns = 256
)

// DispatcherOptions are what a [Dispatcher] is made with.
type DispatcherOptions struct {
	// Role and Name are what the server says in its hello.
	Role Role
	Name string
	// Log takes a line for the log; nil for none.
	Log func(text string)
	// AfterFunc is time.AfterFunc, unless a test has a clock of its own. It returns what stops the timer.
	AfterFunc func(time.Duration, func()) (stop func() bool)
}

// Dispatcher lets clients reach a [Handler]. It knows which owner is behind which connection: events go there, and when an
// owner is away for longer than its grace, its objects are deleted. Make it with [NewDispatcher].
//
// One owner has one connection: a newer hello of the same name ends the older connection. The connection of a manager
// carries all owners that have none of their own.
type Dispatcher struct {
	handler Handler
	o       DispatcherOptions

	mu     sync.Mutex
	owners map[string]*presence
	// conns are the greeted connections; the channel is closed when nothing of one is being worked on any more.
	conns  map[*wire]chan struct{}
	closed bool
	wait   sync.WaitGroup
}

// presence is one owner.
type presence struct {
	// wire is where the owner is, nil while it is away.
	wire  *wire
	grace time.Duration
	// absence counts how often the owner went; stop ends the timer of the grace.
	absence int
	stop    func() bool
	// kept events wait for the owner to come back.
	kept []Event
	// gone is not nil while the objects are being deleted, and closed after it.
	gone chan struct{}
}

// NewDispatcher returns a dispatcher without connections.
func NewDispatcher(h Handler, o DispatcherOptions) *Dispatcher {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.AfterFunc == nil {
		o.AfterFunc = func(after time.Duration, f func()) func() bool { return time.AfterFunc(after, f).Stop }
	}
	return &Dispatcher{handler: h, o: o, owners: map[string]*presence{}, conns: map[*wire]chan struct{}{}}
}

// Emit sends an event to an owner. It never waits: for an owner who is away it is kept, the oldest 256 of them, and an
// owner who does not read is cut off.
func (d *Dispatcher) Emit(owner string, e Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.owners[owner]
	if p == nil {
		return
	}
	if p.wire == nil {
		if len(p.kept) < maxKept {
			p.kept = append(p.kept, e)
		}
		return
	}
	_ = p.wire.send(Line{Owner: owner, Event: &e})
}

// Broadcast sends an event to every owner who is there.
func (d *Dispatcher) Broadcast(e Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for owner, p := range d.owners {
		if p.wire != nil {
			_ = p.wire.send(Line{Owner: owner, Event: &e})
		}
	}
}

// Expect begins the grace of an owner who has objects here and no connection yet: whom a new manager learned of from
// a worker.
func (d *Dispatcher) Expect(owner string, grace time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.owners[owner] != nil || d.closed {
		return
	}
	p := &presence{grace: grace}
	d.owners[owner] = p
	d.leave(owner, p)
}

// Grace returns the grace that an owner asked for.
func (d *Dispatcher) Grace(owner string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.owners[owner]; p != nil {
		return p.grace
	}
	return DefaultGrace
}

// Listen serves every connection that comes, until ctx ends or the listener is closed. It closes the listener.
func (d *Dispatcher) Listen(ctx context.Context, l net.Listener) error {
	return Accept(ctx, l, func(conn net.Conn) {
		if err := d.Serve(ctx, conn); err != nil {
			d.o.Log(fmt.Sprintf("connection of %s: %v", conn.RemoteAddr(), err))
		}
	})
}

// Accept calls serve in a goroutine for every connection that comes, at most 256 at a time, and returns when ctx has
// ended, the listener is closed and every serve has returned. serve closes its connection, at the latest when ctx ends.
func Accept(ctx context.Context, l net.Listener, serve func(net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wait sync.WaitGroup
	defer wait.Wait()
	slots := make(chan struct{}, maxConns)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept: %w", err)
		}
		select {
		case slots <- struct{}{}:
		default:
			conn.Close()
			continue
		}
		wait.Go(func() {
			defer func() { <-slots }()
			serve(conn)
		})
	}
}

// Serve serves one client that has dialled us, until it goes or ctx ends; going is no error.
func (d *Dispatcher) Serve(ctx context.Context, conn net.Conn) error {
	w := newWire(conn)
	defer w.close(net.ErrClosed)
	stop := context.AfterFunc(ctx, func() { w.end(ctx.Err()) })
	defer stop()
	h, err := d.greet(w)
	if err != nil {
		return err
	}
	return d.serve(ctx, w, h)
}

// greet reads the peer's hello and answers it.
func (d *Dispatcher) greet(w *wire) (Hello, error) {
	h, err := readHello(w, RoleClient)
	if err != nil {
		return Hello{}, err
	}
	if h.Name == "" || len(h.Name) > MaxID {
		e := Errorf(CodeInvalid, "hello without an owner name of 1 to %d bytes", MaxID)
		w.refuse(e)
		return Hello{}, e
	}
	return h, w.send(Line{Hello: &Hello{Version: Version, Role: d.o.Role, Name: d.o.Name}})
}

// readHello reads the greeting of a peer and refuses another version or role, in words.
func readHello(w *wire, roles ...Role) (Hello, error) {
	if err := w.conn.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return Hello{}, fmt.Errorf("hello: %w", err)
	}
	m, err := w.read()
	if err != nil {
		return Hello{}, fmt.Errorf("hello: %w", err)
	}
	var refusal *Error
	switch {
	case m.Error != nil:
		return Hello{}, m.Error
	case m.Hello == nil:
		refusal = Errorf(CodeInvalid, "the first line must be a hello")
	case m.Hello.Version != Version:
		refusal = Errorf(CodeVersion, "this side speaks version %d of the media control protocol, the other one version %d", Version, m.Hello.Version)
	case !slices.Contains(roles, m.Hello.Role):
		refusal = Errorf(CodeInvalid, "role %.32q does not belong here: want %q", m.Hello.Role, roles)
	}
	if refusal != nil {
		w.refuse(refusal)
		return Hello{}, refusal
	}
	if err := w.conn.SetReadDeadline(time.Time{}); err != nil {
		return Hello{}, fmt.Errorf("hello: %w", err)
	}
	return *m.Hello, nil
}

// serve works on the requests of a greeted peer.
func (d *Dispatcher) serve(ctx context.Context, w *wire, h Hello) error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return net.ErrClosed
	}
	d.conns[w] = make(chan struct{})
	d.wait.Add(1)
	d.mu.Unlock()
	defer d.wait.Done()
	if h.Role == RoleClient {
		d.come(h.Name, w, grace(h.Grace), true)
	}
	ctx, cancel := context.WithCancel(ctx)
	turns := turns{slots: make(chan struct{}, maxServed), last: map[string]chan struct{}{}}
	// The owner's absence begins when nothing of it is being worked on any more.
	defer d.forget(w)
	defer turns.wait.Wait()
	defer cancel()
	for {
		m, err := w.read()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return ended(err)
		}
		if m.Error != nil {
			return m.Error
		}
		if m.Ask == "" {
			continue
		}
		owner := h.Name
		if h.Role == RoleManager {
			if owner = m.Owner; owner == "" {
				_ = w.send(Line{ID: m.ID, Error: Errorf(CodeInvalid, "a manager's request without an owner")})
				continue
			}
			d.come(owner, w, 0, false)
		}
		d.take(ctx, w, &turns, owner, h.Role == RoleManager, m)
	}
}

// ended tells a connection that was closed from one that broke.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// take starts the work on one request. The owner is carried when the connection is a manager's.
func (d *Dispatcher) take(ctx context.Context, w *wire, t *turns, owner string, carried bool, m Line) {
	answer := func(body any, err error) {
		a := Line{ID: m.ID}
		if err == nil {
			a.Body, err = json.Marshal(body)
		}
		if err != nil {
			a.Error = asError(err)
		}
		if err := w.send(a); errors.Is(err, errTooLong) {
			_ = w.send(Line{ID: m.ID, Error: Errorf(CodeInvalid, "the answer is longer than %d bytes: ask for less", MaxLine)})
		}
	}
	r, known := requests[m.Ask]
	if !known {
		answer(nil, Errorf(CodeUnknown, "no request is called %.64q", m.Ask))
		return
	}
	object, run, err := r.prepare(m.Body)
	if err != nil {
		answer(nil, err)
		return
	}
	if object != "" {
		object = owner + " " + object
	}
	t.do(object, func() {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		body, err := run(ctx, d.handler.Owner(owner))
		if carried && err == nil && empties(m) {
			d.release(owner, w)
		}
		answer(body, err)
	})
}

// asError puts a handler's error into the form of the wire.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Code: e.Code, Text: e.Text}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Code: CodeTimeout, Text: err.Error()}
	}
	return &Error{Code: CodeInternal, Text: err.Error()}
}

// turns lets requests about one object go one after the other, and others at the same time.
type turns struct {
	slots chan struct{}
	wait  sync.WaitGroup
	mu    sync.Mutex
	last  map[string]chan struct{}
}

// do waits for a slot, not for the work.
func (t *turns) do(object string, work func()) {
	t.slots <- struct{}{}
	if object == "" {
		t.wait.Go(func() {
			defer func() { <-t.slots }()
			work()
		})
		return
	}
	done := make(chan struct{})
	t.mu.Lock()
	before := t.last[object]
	t.last[object] = done
	t.mu.Unlock()
	t.wait.Go(func() {
		defer func() { <-t.slots }()
		if before != nil {
			<-before
		}
		work()
		t.mu.Lock()
		if t.last[object] == done {
			delete(t.last, object)
		}
		t.mu.Unlock()
		close(done)
	})
}

func grace(asked *Milliseconds) time.Duration {
	if asked == nil {
		return DefaultGrace
	}
	return min(max(asked.Duration(), 0), maxGrace)
}

// come puts an owner behind a connection. With take it takes the owner away from another connection, and its grace is set.
func (d *Dispatcher) come(owner string, w *wire, grace time.Duration, take bool) {
	for {
		d.mu.Lock()
		p := d.owners[owner]
		if p == nil {
			p = &presence{grace: DefaultGrace}
			d.owners[owner] = p
		}
		if p.gone != nil {
			// Its former objects are being deleted; new ones must not be among them.
			gone := p.gone
			d.mu.Unlock()
			<-gone
			continue
		}
		if take {
			p.grace = grace
		}
		if p.wire == w || p.wire != nil && !take {
			d.mu.Unlock()
			return
		}
		if idle := d.conns[p.wire]; idle != nil && take {
			p.wire.end(fmt.Errorf("replaced by a newer connection of %q", owner))
			d.mu.Unlock()
			<-idle
			continue
		}
		if p.stop != nil {
			p.stop()
		}
		p.wire = w
		for _, e := range p.kept {
			_ = w.send(Line{Owner: owner, Event: &e})
		}
		p.kept = nil
		d.mu.Unlock()
		return
	}
}

// empties tells that a request leaves nothing of its owner.
func empties(m Line) bool {
	var q IDs
	return m.Ask == "sync" && (len(m.Body) == 0 || json.Unmarshal(m.Body, &q) == nil) && len(q.Legs)+len(q.Conferences) == 0
}

// release forgets an owner whom a manager carries and who has nothing left.
func (d *Dispatcher) release(owner string, w *wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.owners[owner]; p != nil && p.wire == w {
		delete(d.owners, owner)
	}
}

// forget begins the grace of every owner behind a connection that has ended.
func (d *Dispatcher) forget(w *wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if idle := d.conns[w]; idle != nil {
		delete(d.conns, w)
		close(idle)
	}
	for owner, p := range d.owners {
		if p.wire == w {
			p.wire = nil
			d.leave(owner, p)
		}
	}
}

// leave starts the timer after which an absent owner's objects are deleted. The caller holds mu.
func (d *Dispatcher) leave(owner string, p *presence) {
	p.absence++
	absence := p.absence
	p.stop = d.o.AfterFunc(p.grace, func() {
		d.mu.Lock()
		// A timer that fired when the owner came back in the same moment finds it here, or in another absence.
		if d.closed || p.wire != nil || p.absence != absence {
			d.mu.Unlock()
			return
		}
		p.gone = make(chan struct{})
		d.wait.Add(1)
		d.mu.Unlock()
		defer d.wait.Done()
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		d.o.Log(fmt.Sprintf("owner %q did not come back within %v; its objects are deleted", owner, p.grace))
		if err := d.handler.Owner(owner).Sync(ctx, nil, nil); err != nil {
			d.o.Log(fmt.Sprintf("delete the objects of %q: %v", owner, err))
		}
		d.mu.Lock()
		delete(d.owners, owner)
		close(p.gone)
		d.mu.Unlock()
	})
}

// Close ends all connections and waits for what is being worked on. Objects stay as they are.
func (d *Dispatcher) Close() {
	d.mu.Lock()
	d.closed = true
	for w := range d.conns {
		w.end(net.ErrClosed)
	}
	for _, p := range d.owners {
		if p.stop != nil {
			p.stop()
		}
	}
	d.mu.Unlock()
	d.wait.Wait()
}
