package manager

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// desk is a manager on real sockets. The clock stands still until a test moves it.
type desk struct {
	*Manager
	workers, clients string
	reports          chan string
	stop             func()

	mu     sync.Mutex
	now    time.Time
	timers []func()
}

// open starts a manager; the addresses are those of one before, or "127.0.0.1:0".
func open(t *testing.T, workers, clients string, wanted ...int) *desk {
	t.Helper()
	d := &desk{reports: make(chan string, 100), now: time.Unix(1e9, 0)}
	d.Manager = New(Options{
		Wanted: wanted,
		Report: func(line string) { d.reports <- line },
		Now: func() time.Time {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.now
		},
		AfterFunc: func(_ time.Duration, f func()) func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.timers = append(d.timers, f)
			return func() bool { return true }
		},
	})
	listen := func(address string) net.Listener {
		l, err := control.Listen(address, nil)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	w := listen(workers)
	d.workers = w.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = d.ServeWorkers(ctx, w) })
	c := listen(clients)
	d.clients = c.Addr().String()
	wait.Go(func() {
		d.Settle(ctx)
		_ = d.ServeClients(ctx, c)
		c.Close()
	})
	d.stop = sync.OnceFunc(func() {
		cancel()
		d.Close()
		wait.Wait()
	})
	t.Cleanup(d.stop)
	return d
}

// report waits for the next status line.
func (d *desk) report(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-d.reports:
		if got != want {
			t.Errorf("status: want %q, got %q", want, got)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no status line; want %q", want)
	}
}

// ringAll lets every grace that was ever begun end.
func (d *desk) ringAll() {
	d.mu.Lock()
	timers := d.timers
	d.mu.Unlock()
	for _, f := range timers {
		f()
	}
}

// worker is an engine that registers with a manager.
type fakeWorker struct {
	*controltest.Engine
	dispatcher *control.Dispatcher
	// away gets a text when the worker has no manager.
	away chan string
	kill func()
}

// hire starts worker "module.index" and lets it register.
func hire(t *testing.T, address string, module, index, capacity int) *fakeWorker {
	t.Helper()
	e := controltest.New(control.WorkerStatus{Name: fmt.Sprintf("%d.%d", module, index), Module: module, CPU: 1 + index, Capacity: capacity,
		Exchange: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(40000+100*module+index))})
	w := &fakeWorker{Engine: e, away: make(chan string, 1000)}
	w.dispatcher = control.NewDispatcher(e, control.DispatcherOptions{Role: control.RoleWorker, Log: func(text string) { w.away <- text }})
	e.Emit = w.dispatcher.Emit
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- w.dispatcher.Register(ctx, control.Registration{Address: address, Status: func() control.WorkerStatus { return e.Status }, Every: time.Hour})
	}()
	w.kill = sync.OnceFunc(func() {
		cancel()
		w.dispatcher.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.kill)
	return w
}

// bridge returns a client and its events without those about modules.
func bridge(t *testing.T, address string) (*control.Client, <-chan control.Event) {
	t.Helper()
	events := make(chan control.Event, 10_000)
	c := control.NewClient(control.ClientOptions{Address: address, Name: "bridge", Events: func(e control.Event) {
		if e.Event != control.EventModules {
			events <- e
		}
	}})
	t.Cleanup(c.Close)
	return c, events
}

func next(t *testing.T, events <-chan control.Event) control.Event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("no event came")
		return control.Event{}
	}
}

// put puts a leg and returns its worker.
func put(t *testing.T, c *control.Client, l control.Leg) string {
	t.Helper()
	s, err := c.PutLeg(t.Context(), l)
	if err != nil {
		t.Fatalf("put leg %s: %v", l.ID, err)
	}
	return s.Worker
}

const anywhere = "127.0.0.1:0"

func TestAConferenceThatFitsIsOnOneWorkerAndConferencesSpread(t *testing.T) {
	d := open(t, anywhere, anywhere, 2)
	a, b := hire(t, d.workers, 0, 0, 2000), hire(t, d.workers, 0, 1, 2000)
	c, _ := bridge(t, d.clients)
	if err := c.PutConference(t.Context(), control.Conference{ID: "weekly", Recording: true}); err != nil {
		t.Fatal(err)
	}
	first := put(t, c, control.Leg{ID: "1", Conference: "weekly", Units: 1000})
	if got := put(t, c, control.Leg{ID: "2", Conference: "weekly", Units: 900}); got != first {
		t.Errorf("second leg of the conference: want worker %s, got %s", first, got)
	}
	if got := put(t, c, control.Leg{ID: "3", Conference: "other"}); got == first {
		t.Errorf("another conference: want the worker that is empty, got %s", got)
	}
	if _, err := c.PutLeg(t.Context(), control.Leg{ID: "4", Conference: "weekly", Units: 1946}); control.CodeOf(err) != control.CodeCapacity {
		t.Errorf("a leg that no worker has room for: want code %s, got %v", control.CodeCapacity, err)
	}
	if got := put(t, c, control.Leg{ID: "4", Conference: "weekly", Units: 100}); got != first {
		t.Errorf("up to the last unit: want worker %s, got %s", first, got)
	}
	home, away := a, b
	if first == "0.1" {
		home, away = b, a
	}
	if got := home.Conferences("bridge"); !slices.Equal(got, []string{"weekly"}) {
		t.Errorf("conferences put at its worker: want [weekly], got %v", got)
	}
	if got := away.Legs("bridge"); !slices.Equal(got, []string{"3"}) {
		t.Errorf("legs of the other worker: want [3], got %v", got)
	}
	stats, err := c.Stats(t.Context(), nil)
	if err != nil || len(stats) != 4 || stats[0].ID != "1" || stats[2].Layout == stats[0].Layout {
		t.Errorf("want the figures of four legs from two workers, got %+v, %v", stats, err)
	}
	modules, err := c.Status(t.Context())
	if err != nil || len(modules) != 1 || modules[0].Registered != 2 || modules[0].Workers[0].Used+modules[0].Workers[1].Used != 2055 {
		t.Errorf("want one module of two workers with 2055 units in use, got %+v, %v", modules, err)
	}
}

func TestALegThatJoinsMovesToItsConference(t *testing.T) {
	d := open(t, anywhere, anywhere, 2)
	workers := map[string]*fakeWorker{"0.0": hire(t, d.workers, 0, 0, 9000), "0.1": hire(t, d.workers, 0, 1, 9000)}
	c, _ := bridge(t, d.clients)
	home := put(t, c, control.Leg{ID: "1", Conference: "weekly", Units: 2000})
	lobby := put(t, c, control.Leg{ID: "2"})
	if lobby == home {
		t.Fatalf("a leg in the lobby: want the empty worker, got %s", lobby)
	}
	if got := put(t, c, control.Leg{ID: "2", Conference: "weekly"}); got != home {
		t.Errorf("after it joined: want worker %s, got %s", home, got)
	}
	if got := workers[lobby].Legs("bridge"); len(got) != 0 {
		t.Errorf("where it was: want no legs, got %v", got)
	}
	if got := put(t, c, control.Leg{ID: "3", Near: "weekly"}); got != home {
		t.Errorf("a leg that will join: want worker %s, got %s", home, got)
	}
	// The only leg of a conference takes it along.
	if err := c.PutConference(t.Context(), control.Conference{ID: "small"}); err != nil {
		t.Fatal(err)
	}
	at := put(t, c, control.Leg{ID: "4"})
	if got := put(t, c, control.Leg{ID: "4", Conference: "small"}); got != at {
		t.Errorf("the first leg of a conference: want it to stay on worker %s, got %s", at, got)
	}
	if got := workers[at].Conferences("bridge"); !slices.Equal(got, []string{"small"}) {
		t.Errorf("conferences at worker %s: want [small], got %v", at, got)
	}
	if got := put(t, c, control.Leg{ID: "4", Conference: "small", Units: 8999}); got == home {
		t.Errorf("a conference of one leg that grew: want the worker with room, got %s", got)
	}
}

func TestEventsComeFromTheLegsWorkerOnly(t *testing.T) {
	d := open(t, anywhere, anywhere, 2)
	workers := map[string]*fakeWorker{"0.0": hire(t, d.workers, 0, 0, 9000), "0.1": hire(t, d.workers, 0, 1, 9000)}
	c, events := bridge(t, d.clients)
	home := put(t, c, control.Leg{ID: "1", Conference: "weekly"})
	former := put(t, c, control.Leg{ID: "2"})
	put(t, c, control.Leg{ID: "2", Conference: "weekly"})
	workers[former].dispatcher.Emit("bridge", control.Event{Event: control.EventTransport, Leg: "2", State: "closed"})
	workers[former].dispatcher.Emit("bridge", control.Event{Event: control.EventAlarm, Alarm: "last of the former"})
	if e := next(t, events); e.Alarm != "last of the former" {
		t.Errorf("want nothing of a leg that has moved on, got %+v", e)
	}
	workers[home].dispatcher.Emit("bridge", control.Event{Event: control.EventKey, Leg: "2", Key: "4"})
	if e := next(t, events); e.Key != "4" || e.Worker != home {
		t.Errorf("want key 4 from worker %s, got %+v", home, e)
	}
}

func TestAWorkerThatDiesTakesOnlyItsOwnLegs(t *testing.T) {
	d := open(t, anywhere, anywhere, 2)
	workers := map[string]*fakeWorker{"0.0": hire(t, d.workers, 0, 0, 9000), "0.1": hire(t, d.workers, 0, 1, 9000)}
	d.report(t, "media module status 1 (1/1) 1/1 (full media capacity)")
	c, events := bridge(t, d.clients)
	if err := c.PutConference(t.Context(), control.Conference{ID: "weekly", Streaming: true}); err != nil {
		t.Fatal(err)
	}
	dying := put(t, c, control.Leg{ID: "1", Conference: "weekly"})
	put(t, c, control.Leg{ID: "2", Conference: "weekly"})
	other := put(t, c, control.Leg{ID: "3"})
	workers[dying].kill()
	e := next(t, events)
	slices.Sort(e.Legs)
	if e.Event != control.EventLost || e.Worker != dying || !slices.Equal(e.Legs, []string{"1", "2"}) {
		t.Fatalf("want legs 1 and 2 of worker %s lost, got %+v", dying, e)
	}
	d.report(t, "media module status 0 (1/1) 0/1 (reduced media capacity)")
	for _, id := range e.Legs {
		if got := put(t, c, control.Leg{ID: id, Conference: "weekly"}); got != other {
			t.Errorf("put again: want worker %s, got %s", other, got)
		}
	}
	if got := workers[other].Conferences("bridge"); !slices.Equal(got, []string{"weekly"}) {
		t.Errorf("the conference goes with its legs: want [weekly], got %v", got)
	}
	if got := workers[other].Legs("bridge"); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("want three legs, got %v", got)
	}
}

func TestAWorkerThatIsSilentIsDropped(t *testing.T) {
	d := open(t, anywhere, anywhere, 1)
	w := hire(t, d.workers, 0, 0, 9000)
	d.report(t, "media module status 1 (1/1) 1/1 (full media capacity)")
	c, events := bridge(t, d.clients)
	put(t, c, control.Leg{ID: "1"})
	d.Tick(d.now.Add(control.BeatLimit))
	d.Tick(d.now.Add(control.BeatLimit + 1))
	if e := next(t, events); e.Event != control.EventLost || !slices.Equal(e.Legs, []string{"1"}) {
		t.Errorf("want leg 1 lost, got %+v", e)
	}
	d.report(t, "media module status 0 (0/1) 0/1 (no media capacity)")
	// It was only slow and comes again: what it held has been given up, and is dropped before anything is placed there.
	w.Await(t, "sync [] []")
	d.report(t, "media module status 1 (1/1) 1/1 (full media capacity)")
	if got := w.Legs("bridge"); len(got) != 0 {
		t.Errorf("legs that were given up: want none, got %v", got)
	}
	if got := put(t, c, control.Leg{ID: "1"}); got != "0.0" {
		t.Errorf("put again: want worker 0.0, got %s", got)
	}
}

func TestAnotherManagerTakesOverWithoutTouchingMedia(t *testing.T) {
	d := open(t, anywhere, anywhere, 2)
	workers := []*fakeWorker{hire(t, d.workers, 0, 0, 2000), hire(t, d.workers, 0, 1, 2000)}
	c, events := bridge(t, d.clients)
	if err := c.PutConference(t.Context(), control.Conference{ID: "weekly"}); err != nil {
		t.Fatal(err)
	}
	home := put(t, c, control.Leg{ID: "1", Conference: "weekly", Units: 1000})
	put(t, c, control.Leg{ID: "2", Units: 1500})
	d.stop()
	for _, w := range workers {
		// What is sent before a worker notices is lost with the connection.
		<-w.away
		w.dispatcher.Emit("bridge", control.Event{Event: control.EventKey, Key: w.Status.Name})
	}
	again := open(t, d.workers, d.clients, 2)
	again.report(t, "media module status 1 (1/1) 1/1 (full media capacity)")
	// The client's next request goes to the new manager, which knows where everything is.
	if got := put(t, c, control.Leg{ID: "3", Conference: "weekly", Units: 1000}); got != home {
		t.Errorf("third leg: want worker %s, got %s", home, got)
	}
	if _, err := c.PutLeg(t.Context(), control.Leg{ID: "4", Units: 501}); control.CodeOf(err) != control.CodeCapacity {
		t.Errorf("what is in use is known: want code %s, got %v", control.CodeCapacity, err)
	}
	keys := []string{next(t, events).Key, next(t, events).Key}
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"0.0", "0.1"}) {
		t.Errorf("events of the time without a manager: want one of each worker, got %v", keys)
	}
	for _, w := range workers {
		for _, said := range w.Said() {
			if strings.HasPrefix(said, "delete") || said == "sync [] []" && len(w.Legs("bridge")) == 0 {
				t.Errorf("worker %s was told %q; want its legs left alone", w.Status.Name, said)
			}
		}
	}
	if len(events) > 0 {
		t.Errorf("nothing was lost, and %+v came", next(t, events))
	}
}

func TestANewManagerDropsWhatNobodyComesBackFor(t *testing.T) {
	d := open(t, anywhere, anywhere, 1)
	w := hire(t, d.workers, 0, 0, 9000)
	c, _ := bridge(t, d.clients)
	put(t, c, control.Leg{ID: "1"})
	c.Close()
	d.stop()
	again := open(t, d.workers, d.clients, 1)
	again.report(t, "media module status 1 (1/1) 1/1 (full media capacity)")
	if got := w.Legs("bridge"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("during the grace: want [1], got %v", got)
	}
	again.ringAll()
	if got := w.Legs("bridge"); len(got) != 0 {
		t.Errorf("after the grace: want no legs, got %v", got)
	}
}

func TestAWorkerThatDiesUnderARequestIsReplacedByAnother(t *testing.T) {
	d := open(t, anywhere, anywhere, 2)
	workers := map[string]*fakeWorker{"0.0": hire(t, d.workers, 0, 0, 9000), "0.1": hire(t, d.workers, 0, 1, 9000)}
	c, _ := bridge(t, d.clients)
	for _, w := range workers {
		w.Refuse(func(ask, _ string) error {
			if ask == "putLeg" && w.Status.Name == "0.0" {
				go w.kill()
				<-t.Context().Done()
			}
			return nil
		})
	}
	if got := put(t, c, control.Leg{ID: "1"}); got != "0.1" {
		t.Errorf("want the worker that lives, got %s", got)
	}
}

func TestStatusIsReportedOnChangeAndEveryQuarterOfAnHour(t *testing.T) {
	d := open(t, anywhere, anywhere, 1, 1)
	w := hire(t, d.workers, 0, 0, 9000)
	second := hire(t, d.workers, 1, 0, 9000)
	const full = "media module status 11 (11/11) 2/2 (full media capacity)"
	d.report(t, full)
	// Only the report is due, not the heartbeat: those come with the time of the report.
	d.mu.Lock()
	d.now = d.now.Add(ReportEvery)
	d.mu.Unlock()
	for _, x := range []*fakeWorker{w, second} {
		d.Manager.mu.Lock()
		d.Manager.workers[x.Status.Name].seen = d.now
		d.Manager.mu.Unlock()
	}
	d.Tick(d.now.Add(-1))
	d.Tick(d.now)
	d.Tick(d.now)
	second.kill()
	d.report(t, full)
	d.report(t, "media module status 10 (10/11) 1/2 (reduced media capacity)")
}

func TestASecondWorkerOfANameIsSentAway(t *testing.T) {
	d := open(t, anywhere, anywhere, 1)
	hire(t, d.workers, 0, 0, 9000)
	d.report(t, "media module status 1 (1/1) 1/1 (full media capacity)")
	conn, err := net.Dial("tcp", d.workers)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, `{"hello":{"version":1,"role":"worker","name":"0.0","worker":{"name":"0.0"}}}`)
	fmt.Fprintln(conn, `{"beat":{"name":"0.0"}}`)
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	for {
		if _, err = conn.Read(b); err != nil {
			break
		}
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Errorf("want the end of the second connection, it stayed open")
	}
	c, _ := bridge(t, d.clients)
	if got := put(t, c, control.Leg{ID: "1"}); got != "0.0" {
		t.Errorf("want the first one to serve, got %s", got)
	}
}
