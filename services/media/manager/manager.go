// Package manager is the media manager: the one place that clients ask for media, and that knows every media worker.
//
// Workers dial it (port 2829 of the guide's table 23), say what they can carry and serve; clients such as the Call
// Bridge dial it (port 2830) and ask. Both sides speak the protocol of package control, and a client cannot tell the
// manager from a worker. The manager carries no media. It places: a conference and all of its legs are on one worker,
// chosen by load units ([Place]), until they outgrow it; then on several of the same machine. It passes requests on to the
// worker that has the object, and events back to the owner.
//
// Of a conference on several workers each is told where the others are and which guests it has there
// ([control.Conference]); they exchange sound and pictures among themselves. That is told anew with every change, before
// the change is answered, and nothing is told twice (spread).
//
// What it knows, the workers know as well. A manager that dies is replaced within the owners' grace of 10 s: workers
// register again and tell what they hold, and when they have (or after [SettleLimit]) clients are let in; they notice
// nothing but a slow answer. A worker that dies is noticed by its closed connection, a stalled one by two seconds
// without a heartbeat: its legs are gone, the owners are told ([control.EventLost]) and put them again. A worker that
// lost only its connection and comes back to the same manager is told to drop what it held, because the owners
// have been told that it is lost. Conferences that the owners put are kept and placed anew with their next leg; from those
// that others carry as well the guests of the dead worker vanish at once.
package manager

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"rotunda/services/media/control"
)

const (
	// ReportEvery is the time between two status lines when nothing changes (chapter 16.4).
	ReportEvery = 15 * time.Minute
	// SettleLimit is how long a new manager waits for the workers that should be there: four times the longest pause
	// between two of their attempts to dial.
	SettleLimit = 2 * time.Second
)

// Options are what a [Manager] is made with.
type Options struct {
	// Wanted is how many workers each module should have.
	Wanted []int
	// Report takes the status line; Log takes lines for the log. Nil for none.
	Report func(line string)
	Log    func(text string)
	// Now and AfterFunc are the clock; nil for that of package time.
	Now       func() time.Time
	AfterFunc func(time.Duration, func()) (stop func() bool)
}

// Manager is a [control.Handler]. Make it with [New].
type Manager struct {
	o          Options
	dispatcher *control.Dispatcher

	mu      sync.Mutex
	workers map[string]*worker
	// known are the names that were registered with this manager: what such a worker holds when it comes again was
	// given up for lost.
	known  map[string]bool
	owners map[string]*objects
	// all is closed when every wanted worker is registered for the first time.
	all      chan struct{}
	complete bool
	// settled is set when clients are let in; from then on the status is reported.
	settled    bool
	reported   string
	reportedAt time.Time
}

// worker is a registered worker.
type worker struct {
	name string
	// host is the machine: only workers of one machine can share a conference.
	host   string
	peer   *control.Peer
	status control.WorkerStatus
	// seen is when the last heartbeat came.
	seen time.Time
	// used are the units of the legs placed here.
	used int
	// again: it was registered with this manager before. ready: legs may be placed on it; not before it has dropped what
	// was lost, and not after its connection was found broken.
	again, ready bool
}

// objects are what one owner has.
type objects struct {
	legs        map[string]*leg
	conferences map[string]*conference
	// plays tells on which workers a prompt runs.
	plays map[string][]*worker
}

// leg is where a leg is. It is replaced, never changed.
type leg struct {
	worker     *worker
	units      int
	conference string
	// pictures: it sends a main picture. guest is what other workers have to know of it; nil until its own has said.
	pictures bool
	guest    *control.Guest
}

// New returns a manager without workers.
func New(o Options) *Manager {
	if o.Report == nil {
		o.Report = func(string) {}
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Manager{o: o, workers: map[string]*worker{}, known: map[string]bool{}, owners: map[string]*objects{}, all: make(chan struct{})}
	m.dispatcher = control.NewDispatcher(m, control.DispatcherOptions{Role: control.RoleManager, Log: o.Log, AfterFunc: o.AfterFunc})
	m.countWorkers()
	return m
}

// ServeWorkers takes registrations until ctx ends.
func (m *Manager) ServeWorkers(ctx context.Context, l net.Listener) error {
	return control.Accept(ctx, l, func(conn net.Conn) { m.serveWorker(ctx, conn) })
}

// Settle waits until all wanted workers are registered, [SettleLimit] has passed, or ctx ends. Clients are served from
// then on.
func (m *Manager) Settle(ctx context.Context) {
	limit := time.NewTimer(SettleLimit)
	defer limit.Stop()
	select {
	case <-m.all:
	case <-limit.C:
	case <-ctx.Done():
	}
	m.mu.Lock()
	m.settled = true
	m.report(m.o.Now())
	owners := slices.Collect(maps.Keys(m.owners))
	m.mu.Unlock()
	// Workers that did not come again have taken guests with them.
	for _, owner := range owners {
		m.spreadAll(ctx, owner)
	}
}

// spreadAll brings all conferences of an owner up to date after something that the owner did not ask for.
func (m *Manager) spreadAll(ctx context.Context, owner string) {
	m.mu.Lock()
	var ids []string
	if o := m.owners[owner]; o != nil {
		ids = slices.Sorted(maps.Keys(o.conferences))
	}
	m.mu.Unlock()
	for _, id := range ids {
		if err := (service{m, owner}).spread(ctx, id); err != nil {
			m.o.Log(fmt.Sprintf("conference %q of %q: %v", id, owner, err))
		}
	}
}

// ServeClients serves clients until ctx ends. Call [Manager.Settle] first.
func (m *Manager) ServeClients(ctx context.Context, l net.Listener) error {
	return m.dispatcher.Listen(ctx, l)
}

// Close ends all connections. What the workers hold stays with them.
func (m *Manager) Close() { m.dispatcher.Close() }

// Tick does what time asks for: it drops workers that fell silent and reports the status. Call it a few times a second.
func (m *Manager) Tick(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.workers {
		if now.Sub(w.seen) > control.BeatLimit {
			w.peer.End(fmt.Errorf("no heartbeat for %v", control.BeatLimit))
		}
	}
	if m.settled && now.Sub(m.reportedAt) >= ReportEvery {
		m.reported = ""
		m.report(now)
	}
}

// report prints the status line if it changed. The caller holds mu.
func (m *Manager) report(now time.Time) {
	if !m.settled {
		return
	}
	line := StatusLine(m.modules())
	if line == m.reported {
		return
	}
	m.reported, m.reportedAt = line, now
	m.o.Report(line)
}

// modules lists the modules by number; a module that nobody wanted is there while it has workers. The caller holds mu.
func (m *Manager) modules() []control.Module {
	var list []control.Module
	at := func(n int) *control.Module {
		for len(list) <= n {
			list = append(list, control.Module{Number: len(list), Workers: []control.WorkerStatus{}})
		}
		return &list[n]
	}
	for n, wanted := range m.o.Wanted {
		at(n).Wanted = wanted
	}
	for _, w := range m.workers {
		if !w.ready {
			continue
		}
		module := at(w.status.Module)
		module.Registered++
		status := w.status
		status.Used = w.used
		module.Workers = append(module.Workers, status)
	}
	for _, module := range list {
		slices.SortFunc(module.Workers, func(a, b control.WorkerStatus) int {
			return cmp.Or(cmp.Compare(a.CPU, b.CPU), cmp.Compare(a.Name, b.Name))
		})
	}
	return list
}

// countWorkers tells Settle when every wanted worker is there. The caller holds mu.
func (m *Manager) countWorkers() {
	for _, module := range m.modules() {
		if module.Registered < module.Wanted {
			return
		}
	}
	if !m.complete {
		m.complete = true
		close(m.all)
	}
}

// serveWorker is the life of one worker's connection.
func (m *Manager) serveWorker(ctx context.Context, conn net.Conn) {
	var w *worker
	peer, err := control.AcceptWorker(ctx, conn, control.PeerOptions{
		Events: func(owner string, e control.Event) { m.event(w, owner, e) },
		Beat:   func(status control.WorkerStatus) { m.beat(w, status) },
	})
	if err != nil {
		if ctx.Err() == nil {
			m.o.Log(err.Error())
		}
		return
	}
	w = &worker{name: peer.Hello().Name, host: hostOf(conn), peer: peer, status: *peer.Hello().Worker, seen: m.o.Now()}
	twice, err := m.register(w)
	if err != nil {
		m.o.Log(err.Error())
		peer.End(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err == nil {
			m.admit(ctx, w, twice)
		}
	}()
	why := peer.Run(ctx)
	<-done
	if err == nil {
		m.lose(ctx, w, why)
	}
}

// hostOf tells machines apart: this one is "".
func hostOf(conn net.Conn) string {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || at.Addr().Unmap().IsLoopback() {
		return ""
	}
	return at.Addr().String()
}

// held is a leg of an owner.
type held struct{ owner, leg string }

// register learns what a worker holds. It returns the legs that another worker has as well: a move that the former
// manager did not finish. They stay with the first.
func (m *Manager) register(w *worker) (twice []held, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.workers[w.name] != nil {
		return nil, fmt.Errorf("worker %s is registered already; the second one is sent away", w.name)
	}
	m.workers[w.name] = w
	w.again = m.known[w.name]
	m.known[w.name] = true
	w.ready = !w.again
	if w.again {
		return nil, nil
	}
	for _, h := range w.peer.Holdings() {
		grace := control.DefaultGrace
		if h.Grace != nil {
			grace = h.Grace.Duration()
		}
		twice = append(twice, m.adopt(w, h)...)
		m.dispatcher.Expect(h.Owner, grace)
	}
	return twice, nil
}

// admit lets legs be placed on a worker, after a worker that came again has dropped what was given up for lost.
func (m *Manager) admit(ctx context.Context, w *worker, twice []held) {
	if w.again {
		for _, h := range w.peer.Holdings() {
			if err := w.peer.Owner(h.Owner).Sync(ctx, nil, nil); err != nil {
				w.peer.End(fmt.Errorf("drop what was lost: %w", err))
				return
			}
		}
	}
	m.mu.Lock()
	w.ready = true
	m.o.Log(fmt.Sprintf("media worker %s is registered: cpu %d, %d load units, %d of them in use", w.name, w.status.CPU, w.status.Capacity, w.used))
	m.countWorkers()
	m.report(m.o.Now())
	m.dispatcher.Broadcast(control.Event{Event: control.EventModules, Worker: w.name, On: true})
	settled := m.settled
	m.mu.Unlock()
	if settled && !w.again {
		for _, h := range w.peer.Holdings() {
			m.spreadAll(ctx, h.Owner)
		}
	}
	for _, h := range twice {
		if err := w.peer.Owner(h.owner).DeleteLeg(ctx, h.leg); err != nil {
			m.o.Log(fmt.Sprintf("delete leg %q at media worker %s, which another one has: %v", h.leg, w.name, err))
		}
	}
}

// adopt takes over what a worker holds of an owner, and returns the legs that another worker has. The caller holds mu.
func (m *Manager) adopt(w *worker, h control.Holding) (twice []held) {
	o := m.of(h.Owner)
	for _, c := range h.Conferences {
		k := o.conference(c.ID)
		// One with zero settings need not have been put: it may only have been told of its other workers.
		wanted := bare(c)
		if k.wanted == nil && (c.Mix == 0 || !reflect.DeepEqual(wanted, control.Conference{ID: c.ID})) {
			k.wanted = &wanted
		}
		at := k.give(w)
		if at.told = &c; c.Mix != 0 {
			at.mix = c.Mix
		}
	}
	for _, l := range h.Legs {
		if o.legs[l.ID] != nil {
			twice = append(twice, held{h.Owner, l.ID})
			continue
		}
		o.set(l.ID, &leg{worker: w, units: l.Units, conference: l.Conference, guest: l.Guest, pictures: l.Guest != nil && l.Guest.Video})
	}
	return twice
}

// ids lists what an owner has on a worker. The caller holds mu.
func (o *objects) ids(w *worker) (ids control.IDs) {
	for id, l := range o.legs {
		if l.worker == w {
			ids.Legs = append(ids.Legs, id)
		}
	}
	for id, c := range o.conferences {
		if c.share(w) != nil {
			ids.Conferences = append(ids.Conferences, id)
		}
	}
	slices.Sort(ids.Legs)
	slices.Sort(ids.Conferences)
	return ids
}

// lose takes a worker out, and tells the owners what went with it, and the other workers of its conferences.
func (m *Manager) lose(ctx context.Context, w *worker, why error) {
	m.mu.Lock()
	delete(m.workers, w.name)
	var owners []string
	for owner, o := range m.owners {
		lost := o.ids(w).Legs
		for _, id := range lost {
			o.set(id, nil)
		}
		for _, k := range o.conferences {
			k.at = slices.DeleteFunc(k.at, func(s *share) bool { return s.worker == w })
		}
		for id := range o.plays {
			if o.played(id, w) && ctx.Err() == nil {
				m.dispatcher.Emit(owner, control.Event{Event: control.EventPlayed, ID: id, Worker: w.name})
			}
		}
		if len(lost) > 0 && ctx.Err() == nil {
			m.dispatcher.Emit(owner, control.Event{Event: control.EventLost, Worker: w.name, Legs: lost})
		}
		owners = append(owners, owner)
	}
	m.gone(ctx, w, why)
	m.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	for _, owner := range owners {
		m.spreadAll(ctx, owner)
	}
}

// gone reports a worker that was taken out. The caller holds mu.
func (m *Manager) gone(ctx context.Context, w *worker, why error) {
	if ctx.Err() != nil {
		// The manager itself is ending.
		return
	}
	m.o.Log(fmt.Sprintf("media worker %s is lost: %v", w.name, why))
	m.report(m.o.Now())
	m.dispatcher.Broadcast(control.Event{Event: control.EventModules, Worker: w.name})
}

// beat takes a heartbeat.
func (m *Manager) beat(w *worker, status control.WorkerStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Name and module are those of the hello for as long as the connection lasts.
	status.Name, status.Module = w.status.Name, w.status.Module
	w.status, w.seen = status, m.o.Now()
}

// event passes an event on. One about a leg that has moved on to another worker is of no use to anybody.
func (m *Manager) event(w *worker, owner string, e control.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Worker = w.name
	o := m.owners[owner]
	if o == nil {
		return
	}
	if l := o.legs[e.Leg]; l != nil && l.worker != w {
		return
	}
	if e.Event == control.EventPlayed && len(o.plays[e.ID]) > 0 && !o.played(e.ID, w) {
		return // it still plays elsewhere
	}
	m.dispatcher.Emit(owner, e)
}

// played notes that a prompt is through on a worker, and tells whether it is on all. The caller holds mu.
func (o *objects) played(id string, w *worker) bool {
	at := o.plays[id]
	i := slices.Index(at, w)
	if i < 0 {
		return false
	}
	if at = slices.Delete(at, i, i+1); len(at) > 0 {
		o.plays[id] = at
		return false
	}
	delete(o.plays, id)
	return true
}

// Holdings is part of [control.Handler]; the manager registers with nobody.
func (m *Manager) Holdings() []control.Holding { return nil }

// Owner is part of [control.Handler].
func (m *Manager) Owner(owner string) control.Service { return service{m, owner} }

// of returns an owner's objects. The caller holds mu.
func (m *Manager) of(owner string) *objects {
	o := m.owners[owner]
	if o == nil {
		o = &objects{legs: map[string]*leg{}, conferences: map[string]*conference{}, plays: map[string][]*worker{}}
		m.owners[owner] = o
	}
	return o
}

// conference returns a conference, made if there is none.
func (o *objects) conference(id string) *conference {
	k := o.conferences[id]
	if k == nil {
		k = &conference{}
		o.conferences[id] = k
	}
	return k
}

// set replaces a leg, nil for none, and keeps the sums.
func (o *objects) set(id string, l *leg) {
	if old := o.legs[id]; old != nil {
		old.worker.used -= old.units
		if k := o.conferences[old.conference]; k != nil {
			if at := k.share(old.worker); at != nil {
				at.count(old, -1)
			}
		}
	}
	if l == nil {
		delete(o.legs, id)
		return
	}
	o.legs[id] = l
	l.worker.used += l.units
	if l.conference != "" {
		o.conference(l.conference).give(l.worker).count(l, 1)
	}
}

// loads are what the workers carry, sorted by module and processor. The caller holds mu.
func (m *Manager) loads() []Load {
	list := make([]Load, 0, len(m.workers))
	for _, w := range m.workers {
		if !w.ready {
			continue
		}
		l := Load{Name: w.name, Host: w.host, Module: w.status.Module, Capacity: w.status.Capacity, Used: w.used}
		if !w.status.Exchange.IsValid() {
			l.Host = "alone " + w.name // it cannot share with anybody
		}
		for _, o := range m.owners {
			for _, k := range o.conferences {
				l.Used += k.span(w)
			}
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Load) int {
		return cmp.Or(cmp.Compare(a.Module, b.Module), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return list
}
