package control_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// clock runs timers when it is told to.
type clock struct {
	mu     sync.Mutex
	cond   *sync.Cond
	timers []*timer
}

type timer struct {
	after   time.Duration
	run     func()
	stopped bool
}

func newClock() *clock {
	c := &clock{}
	c.cond = sync.NewCond(&c.mu)
	return c
}

func (c *clock) afterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{after: d, run: f}
	c.timers = append(c.timers, t)
	c.cond.Broadcast()
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		was := t.stopped
		t.stopped = true
		return !was
	}
}

// ring waits for the nth timer that was ever set and lets it ring, whether stopped or not, as a timer may that is stopped
// in the same moment.
func (c *clock) ring(n int) (after time.Duration) {
	c.mu.Lock()
	for len(c.timers) < n {
		c.cond.Wait()
	}
	t := c.timers[n-1]
	c.mu.Unlock()
	t.run()
	return t.after
}

// server is a dispatcher with an engine on a real socket.
type server struct {
	*control.Dispatcher
	engine  *controltest.Engine
	address string
	clock   *clock
	stop    func()
}

// serve starts one on address, ":0" for any port.
func serve(t *testing.T, address string) *server {
	t.Helper()
	s := &server{engine: controltest.New(control.WorkerStatus{Name: "0.1", CPU: 1, Capacity: 9000}), clock: newClock()}
	s.Dispatcher = control.NewDispatcher(s.engine, control.DispatcherOptions{Role: control.RoleWorker, Name: "0.1", AfterFunc: s.clock.afterFunc})
	s.engine.Emit = s.Emit
	l, err := control.Listen(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Listen(ctx, l) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		s.Close()
		if err := <-done; err != nil {
			t.Errorf("listen: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// dial returns a client and its events.
func dial(t *testing.T, address, name string) (*control.Client, <-chan control.Event) {
	t.Helper()
	events := make(chan control.Event, 10_000)
	c := control.NewClient(control.ClientOptions{Address: address, Name: name, Events: func(e control.Event) { events <- e }})
	t.Cleanup(c.Close)
	return c, events
}

// next returns the next event.
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

func TestAClientReachesEveryRequest(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	c, _ := dial(t, s.address, "bridge")
	ctx := t.Context()
	leg := control.Leg{
		ID: "alice", Conference: "weekly", Name: "Alice Ærø",
		Transports: []control.Transport{{Local: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, Security: control.SDES,
			Remote: netip.MustParseAddrPort("192.0.2.1:4000"), Keys: &control.Keys{Suite: control.SuiteAEAD128, Local: []byte{1, 2}}}},
		Audio: &control.Audio{Send: control.Format{PayloadType: 111, Codec: control.Opus, FEC: true}},
		Video: &control.Video{RIDs: []string{"l", "h"}, Slots: 9},
	}
	state, err := c.PutLeg(ctx, leg)
	if state.Guest == nil || state.Guest.Name != leg.Name {
		t.Errorf("what others have to know of the leg: want its name, got %+v", state.Guest)
	}
	state.Guest = nil
	want := control.LegState{ID: "alice", Worker: "0.1", Transports: []control.TransportState{{RTP: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:32768")}}}}
	if d := cmp.Diff(want, state, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" || err != nil {
		t.Errorf("put leg: %v, difference %s", err, d)
	}
	if got := s.engine.Leg("bridge", "alice"); !reflect.DeepEqual(got, leg) {
		t.Errorf("leg at the server: want %+v, got %+v", leg, got)
	}
	for _, ask := range []func() error{
		func() error { return c.PutConference(ctx, control.Conference{ID: "weekly"}) },
		func() error { return c.Play(ctx, control.Play{ID: "welcome", Leg: "alice", Files: []string{"a.wav"}}) },
		func() error { return c.StopPlay(ctx, "welcome") },
		func() error { return c.SendKeys(ctx, "alice", "12#,") },
		func() error { return c.KeyFrame(ctx, "alice", "main") },
		func() error { return c.DeleteConference(ctx, "weekly") },
		func() error {
			stats, err := c.Stats(ctx, nil)
			if len(stats) != 1 || stats[0].ID != "alice" {
				t.Errorf("want figures of alice, got %+v", stats)
			}
			return err
		},
		func() error {
			modules, err := c.Status(ctx)
			if len(modules) != 1 || len(modules[0].Workers) != 1 || modules[0].Workers[0].Name != "0.1" {
				t.Errorf("want one module with worker 0.1, got %+v", modules)
			}
			return err
		},
		func() error { return c.DeleteLeg(ctx, "alice") },
		func() error { return c.Sync(ctx, nil, nil) },
	} {
		if err := ask(); err != nil {
			t.Error(err)
		}
	}
	wantSaid := []string{"sync [] []", "putLeg alice", "putConference weekly", "play welcome", "stopPlay welcome", "sendKeys alice 12#,", "keyFrame alice main",
		"deleteConference weekly", "stats 1", "deleteLeg alice", "sync [] []"}
	if got := s.engine.Said(); !slices.Equal(got, wantSaid) {
		t.Errorf("want the requests %q, got %q", wantSaid, got)
	}
}

func TestOwnersDoNotMeet(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	a, eventsA := dial(t, s.address, "a")
	b, eventsB := dial(t, s.address, "b")
	for _, c := range []*control.Client{a, b} {
		if _, err := c.PutLeg(t.Context(), control.Leg{ID: "1"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.DeleteLeg(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if got := s.engine.Legs("b"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("b's legs after a deleted its own: want [1], got %v", got)
	}
	s.Emit("a", control.Event{Event: control.EventKey, Key: "5"})
	s.Broadcast(control.Event{Event: control.EventModules})
	if e := next(t, eventsA); e.Key != "5" {
		t.Errorf("a's event: want key 5, got %+v", e)
	}
	if e := next(t, eventsB); e.Event != control.EventModules {
		t.Errorf("b's first event: want the one for all, got %+v", e)
	}
}

func TestRefusalsKeepTheirCodeAndText(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	answers := map[string]error{
		"full":   fmt.Errorf("place: %w", control.Errorf(control.CodeCapacity, "no room for %d", 5)),
		"broken": errors.New("disk on fire"),
		"slow":   fmt.Errorf("encode: %w", context.DeadlineExceeded),
	}
	s.engine.Refuse(func(_, id string) error { return answers[id] })
	c, _ := dial(t, s.address, "bridge")
	for _, x := range []struct {
		id   string
		code control.Code
		text string
	}{
		{"full", control.CodeCapacity, "no room for 5"},
		{"broken", control.CodeInternal, "disk on fire"},
		{"slow", control.CodeTimeout, "encode: context deadline exceeded"},
		{"", control.CodeInvalid, "leg id of 0 bytes: want 1 to 64"},
		{strings.Repeat("x", 65), control.CodeInvalid, "leg id of 65 bytes: want 1 to 64"},
	} {
		_, err := c.PutLeg(t.Context(), control.Leg{ID: x.id})
		refusal, ok := errors.AsType[*control.Error](err)
		if !ok || refusal.Code != x.code || refusal.Text != x.text {
			t.Errorf("leg %q: want %s, %q; got %v", x.id, x.code, x.text, err)
		}
	}
	for name, err := range map[string]error{
		"prompt for nobody":      c.Play(t.Context(), control.Play{ID: "p"}),
		"keys that no phone has": c.SendKeys(t.Context(), "a", "12x"),
		"stream without a name":  c.KeyFrame(t.Context(), "a", ""),
	} {
		if control.CodeOf(err) != control.CodeInvalid {
			t.Errorf("%s: want code %s, got %v", name, control.CodeInvalid, err)
		}
	}
}

// raw is a connection without a client.
type raw struct {
	net.Conn
	*bufio.Scanner
}

func dialRaw(t *testing.T, address string) raw {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(conn)
	s.Buffer(nil, control.MaxLine)
	return raw{conn, s}
}

// say sends lines.
func (r raw) say(t *testing.T, lines ...string) {
	t.Helper()
	if _, err := io.WriteString(r, strings.Join(lines, "\n")+"\n"); err != nil {
		t.Fatal(err)
	}
}

// hear returns the next line, "" at the end.
func (r raw) hear() string {
	if !r.Scan() {
		return ""
	}
	return r.Text()
}

const hello = `{"hello":{"version":1,"role":"client","name":"bridge"}}`

func TestWhoDoesNotBelongHereIsToldInWords(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	for first, want := range map[string]string{
		`{"hello":{"version":2,"role":"client","name":"x"}}`: `{"error":{"code":"version","text":"this side speaks version 1 of the media control protocol, the other one version 2"}}`,
		`{"hello":{"version":1,"role":"worker","name":"x"}}`: `{"error":{"code":"invalid","text":"role \"worker\" does not belong here: want [\"client\"]"}}`,
		`{"hello":{"version":1,"role":"client"}}`:            `{"error":{"code":"invalid","text":"hello without an owner name of 1 to 64 bytes"}}`,
		`{"id":1,"ask":"status"}`:                            `{"error":{"code":"invalid","text":"the first line must be a hello"}}`,
		`GET / HTTP/1.1`:                                     ``,
	} {
		r := dialRaw(t, s.address)
		r.say(t, first)
		if got := r.hear(); got != want {
			t.Errorf("%s: want %s, got %s", first, want, got)
		}
		if got := r.hear(); got != "" {
			t.Errorf("%s: want the end of the connection, got %s", first, got)
		}
	}
}

func TestAClientGivesUpAServerOfAnotherVersion(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintln(conn, `{"hello":{"version":2,"role":"manager"}}`)
		_, _ = io.Copy(io.Discard, conn)
	}()
	c, _ := dial(t, l.Addr().String(), "bridge")
	if _, err := c.Status(t.Context()); control.CodeOf(err) != control.CodeVersion {
		t.Errorf("want code %s, got %v", control.CodeVersion, err)
	}
}

func TestWrongRequestsAreAnsweredAndHarmNothing(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	r := dialRaw(t, s.address)
	r.say(t, hello)
	if got, want := r.hear(), `{"hello":{"version":1,"role":"worker","name":"0.1"}}`; got != want {
		t.Fatalf("want %s, got %s", want, got)
	}
	for ask, want := range map[string]string{
		`{"id":1,"ask":"reboot"}`:                      `{"id":1,"error":{"code":"unknown","text":"no request is called \"reboot\""}}`,
		`{"id":2,"ask":"deleteLeg","body":[]}`:         `{"id":2,"error":{"code":"invalid","text":"deleteLeg: json: cannot unmarshal array into Go value of type control.ID"}}`,
		`{"id":3,"ask":"deleteLeg"}`:                   `{"id":3,"error":{"code":"invalid","text":"leg id of 0 bytes: want 1 to 64"}}`,
		`{"id":4,"ask":"deleteLeg","body":{"id":"x"}}`: `{"id":4,"body":{}}`,
	} {
		r.say(t, ask)
		if got := r.hear(); got != want {
			t.Errorf("%s: want %s, got %s", ask, want, got)
		}
	}
	r.say(t, `{"id":5,"ask":"putLeg","body":{"id":"x","name":"`+strings.Repeat("x", control.MaxLine)+`"}}`)
	if got := r.hear(); got != "" {
		t.Errorf("line beyond the bound: want the end of the connection, got %s", got)
	}
}

func TestRequestsAboutOneObjectAreServedInTheirOrder(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	r := dialRaw(t, s.address)
	r.say(t, hello)
	r.hear()
	const n = 2000
	for i := range n {
		r.say(t, fmt.Sprintf(`{"id":%d,"ask":"putLeg","body":{"id":"x","importance":%d}}`, 2*i+1, i+1), fmt.Sprintf(`{"id":%d,"ask":"putLeg","body":{"id":"other%d"}}`, 2*i+2, i%7))
	}
	for range 2 * n {
		if r.hear() == "" {
			t.Fatal("the connection ended")
		}
	}
	if got := s.engine.Leg("bridge", "x").Importance; got != n {
		t.Errorf("the last of %d puts counts: want importance %d, got %d", n, n, got)
	}
}

func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	r := dialRaw(t, s.address)
	r.say(t, hello, `{"id":1,"ask":"putLeg","body":{"id":"x"}}`)
	r.hear()
	r.hear()
	// Kernel buffers take a few megabytes, the queue 8 more.
	e := control.Event{Event: control.EventAlarm, Text: strings.Repeat("x", 32<<10)}
	const sent = 10_000
	for range sent {
		s.Emit("bridge", e)
	}
	heard := 0
	for r.hear() != "" {
		heard++
	}
	if heard >= sent/2 {
		t.Errorf("heard %d of %d events that nobody read in time; want the end of the connection long before", heard, sent)
	}
	if got := s.engine.Legs("bridge"); !slices.Equal(got, []string{"x"}) {
		t.Errorf("legs of a client that was cut off: want [x] for its grace, got %v", got)
	}
}

func TestObjectsGoWhenTheirOwnerDoesNotComeBack(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	c, _ := dial(t, s.address, "bridge")
	if _, err := c.PutLeg(t.Context(), control.Leg{ID: "x"}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := s.clock.ring(1); got != control.DefaultGrace {
		t.Errorf("want a grace of %v, got %v", control.DefaultGrace, got)
	}
	if got := s.engine.Legs("bridge"); len(got) != 0 {
		t.Errorf("after the grace: want no legs, got %v", got)
	}
}

func TestAGraceThatRingsWhenTheOwnerIsBackDoesNothing(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	first := dialRaw(t, s.address)
	first.say(t, `{"hello":{"version":1,"role":"client","name":"bridge","grace":3000}}`, `{"id":1,"ask":"putLeg","body":{"id":"x"}}`)
	first.hear()
	first.hear()
	first.Close()
	s.clock.mu.Lock()
	for len(s.clock.timers) == 0 {
		s.clock.cond.Wait()
	}
	s.clock.mu.Unlock()
	s.Emit("bridge", control.Event{Event: control.EventKey, Key: "1"})
	second := dialRaw(t, s.address)
	second.say(t, hello, `{"id":1,"ask":"status"}`)
	second.hear()
	if got, want := second.hear(), `{"owner":"bridge","event":{"event":"key","key":"1"}}`; got != want {
		t.Errorf("event of the time between: want %s, got %s", want, got)
	}
	second.hear()
	if got := s.clock.ring(1); got != 3*time.Second {
		t.Errorf("grace that was asked for: want 3s, got %v", got)
	}
	if got := s.engine.Legs("bridge"); !slices.Equal(got, []string{"x"}) {
		t.Errorf("want the leg to stay, got %v", got)
	}
}

func TestASecondConnectionOfANameEndsTheFirst(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	first, second := dialRaw(t, s.address), dialRaw(t, s.address)
	first.say(t, hello, `{"id":1,"ask":"putLeg","body":{"id":"x"}}`)
	first.hear()
	first.hear()
	second.say(t, hello, `{"id":1,"ask":"status"}`)
	if got := first.hear(); got != "" {
		t.Errorf("first connection: want its end, got %s", got)
	}
	second.hear()
	if got := second.hear(); !strings.HasPrefix(got, `{"id":1,"body":[`) {
		t.Errorf("second connection: want an answer, got %s", got)
	}
	if got := s.engine.Legs("bridge"); !slices.Equal(got, []string{"x"}) {
		t.Errorf("want the leg to stay, got %v", got)
	}
}

// cable is between a client and a server, and can be cut.
type cable struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: l}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, near, far)
			c.mu.Unlock()
			wait.Go(func() { _, _ = io.Copy(near, far); near.Close() })
			wait.Go(func() { _, _ = io.Copy(far, near); far.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		c.cut()
		wait.Wait()
	})
	return c
}

// cut ends all connections.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

func TestAClientComesBackWithoutLosingAnything(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	wire := newCable(t, s.address)
	c, events := dial(t, wire.Addr().String(), "bridge")
	if err := c.PutConference(t.Context(), control.Conference{ID: "weekly"}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := c.PutLeg(t.Context(), control.Leg{ID: fmt.Sprint(i), Conference: "weekly"}); err != nil {
			t.Fatalf("leg %d: %v", i, err)
		}
		wire.cut()
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(s.engine.Legs("bridge")); got != 20 {
		t.Errorf("want 20 legs, got %d", got)
	}
	if got := s.engine.Conferences("bridge"); !slices.Equal(got, []string{"weekly"}) {
		t.Errorf("want the conference, got %v", got)
	}
	for len(events) > 0 {
		if e := next(t, events); e.Event == control.EventLost {
			t.Errorf("nothing was lost, and %+v came", e)
		}
	}
}

func TestWhatAServerForgotComesBackAsLost(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	c, events := dial(t, s.address, "bridge")
	for _, id := range []string{"a", "b"} {
		if _, err := c.PutLeg(t.Context(), control.Leg{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	s.stop()
	again := serve(t, s.address)
	e := next(t, events)
	slices.Sort(e.Legs)
	if e.Event != control.EventLost || !slices.Equal(e.Legs, []string{"a", "b"}) {
		t.Errorf("want a and b to be lost, got %+v", e)
	}
	if _, err := c.PutLeg(t.Context(), control.Leg{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := again.engine.Legs("bridge"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("after it was put again: want [a], got %v", got)
	}
	if !c.Connected() {
		t.Error("a client that was answered says that it is not connected")
	}
}

func TestARequestWithoutAServerEndsWithItsContext(t *testing.T) {
	c, _ := dial(t, "127.0.0.1:1", "bridge")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Status(ctx); control.CodeOf(err) != control.CodeLost {
		t.Errorf("want code %s, got %v", control.CodeLost, err)
	}
	c.Close()
	if _, err := c.Status(t.Context()); control.CodeOf(err) != control.CodeLost {
		t.Errorf("closed client: want code %s, got %v", control.CodeLost, err)
	}
	if c.Connected() {
		t.Error("a closed client says that it is connected")
	}
}

func TestAnEventMayBeAnsweredWithARequest(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	done := make(chan error, 1)
	var c *control.Client
	ready := make(chan struct{})
	c = control.NewClient(control.ClientOptions{Address: s.address, Name: "bridge", Events: func(control.Event) {
		<-ready
		_, err := c.PutLeg(context.Background(), control.Leg{ID: "x"})
		done <- err
	}})
	defer c.Close()
	close(ready)
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Emit("bridge", control.Event{Event: control.EventLost, Legs: []string{"x"}})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAWorkerTellsWhatItHoldsAndBeats(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	held := make([]string, 1200)
	service := s.engine.Owner("bridge")
	for i := range held {
		if _, err := service.PutLeg(t.Context(), control.Leg{ID: fmt.Sprint(i), Conference: "big"}); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	registered := make(chan error, 1)
	go func() {
		registered <- s.Register(ctx, control.Registration{Address: l.Addr().String(), Every: time.Millisecond,
			Status: func() control.WorkerStatus { return s.engine.Status }})
	}()
	for range 2 {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		beats, events := make(chan control.WorkerStatus, 1), make(chan string, 100)
		p, err := control.AcceptWorker(t.Context(), conn, control.PeerOptions{
			Beat: func(w control.WorkerStatus) {
				select {
				case beats <- w:
				default:
				}
			},
			Events: func(owner string, e control.Event) { events <- owner + " " + e.Key },
		})
		if err != nil {
			t.Fatal(err)
		}
		legs := 0
		for _, h := range p.Holdings() {
			legs += len(h.Legs)
			if h.Owner != "bridge" || h.Grace == nil || h.Grace.Duration() != control.DefaultGrace || h.Legs[0].Conference != "big" || h.Legs[0].Units != control.UnitsAudio {
				t.Errorf("want bridge's legs in big, got %+v", h)
			}
		}
		if legs != len(held) || p.Hello().Name != "0.1" || p.Hello().Worker.Capacity != 9000 {
			t.Errorf("want worker 0.1 with %d legs, got %+v with %d", len(held), p.Hello(), legs)
		}
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		if w := <-beats; w != s.engine.Status {
			t.Errorf("heartbeat: want %+v, got %+v", s.engine.Status, w)
		}
		if _, err := p.Owner("bridge").PutLeg(t.Context(), control.Leg{ID: "7"}); err != nil {
			t.Error(err)
		}
		s.Emit("bridge", control.Event{Event: control.EventKey, Key: "9"})
		if got := <-events; got != "bridge 9" {
			t.Errorf("want an event for bridge, got %q", got)
		}
		// The manager dies; the worker comes again, and all is still there.
		p.End(errors.New("the end"))
		<-ended
	}
	if got := len(s.engine.Legs("bridge")); got != len(held) {
		t.Errorf("after two managers: want %d legs, got %d", len(held), got)
	}
	cancel()
	if err := <-registered; err != nil {
		t.Error(err)
	}
}

// certificate writes a key and a certificate for 127.0.0.1 that its own trust file signs.
func certificate(t *testing.T, name string) control.Files {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := control.Files{Certificate: filepath.Join(dir, "certificate"), Key: filepath.Join(dir, "key"), Trust: filepath.Join(dir, "certificate")}
	for path, block := range map[string]*pem.Block{f.Certificate: {Type: "CERTIFICATE", Bytes: der}, f.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestBetweenMachinesBothSidesShowACertificate(t *testing.T) {
	ours, strange := certificate(t, "media"), certificate(t, "stranger")
	config, err := ours.Config()
	if err != nil {
		t.Fatal(err)
	}
	l, err := control.Listen("127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	d := control.NewDispatcher(controltest.New(control.WorkerStatus{Name: "0.0"}), control.DispatcherOptions{Role: control.RoleManager})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Listen(ctx, l) }()
	defer func() {
		cancel()
		d.Close()
		<-done
	}()
	c := control.NewClient(control.ClientOptions{Address: l.Addr().String(), Name: "bridge", TLS: config})
	defer c.Close()
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("with the certificate that both trust: %v", err)
	}
	stranger, err := strange.Config()
	if err != nil {
		t.Fatal(err)
	}
	stranger.RootCAs = config.RootCAs
	for name, config := range map[string]*tls.Config{"a stranger's certificate": stranger, "no certificate": {RootCAs: config.RootCAs}, "no TLS": nil} {
		refused := make(chan string, 100)
		c := control.NewClient(control.ClientOptions{Address: l.Addr().String(), Name: name, TLS: config, Log: func(text string) { refused <- text }})
		if got := <-refused; got == "" {
			t.Errorf("%s: want a refusal", name)
		}
		c.Close()
	}
}

func TestWithoutTLSOnlyThisMachineIsServed(t *testing.T) {
	if l, err := control.Listen("0.0.0.0:0", nil); err == nil {
		l.Close()
		t.Error("want a refusal to listen on every address without TLS")
	}
}
