package leg

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rotunda/init/config"
	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/sip"
	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// wire is a dialog between two ends that never loses anything. It is what package sip shows of one, without its messages.
type wire struct {
	request, from, to string
	headers           []sip.Header
	offer             []byte
	caller, callee    *end
	replaces          *end
}

// end is one end of a wire.
type end struct {
	w     *wire
	other *end
	q     queue

	mu      sync.Mutex
	h       sip.Handler
	ended   bool
	said    []string // what its user did: "ring", "reject 486"
	infos   []string
	headers []sip.Header // of a refusal
	// held: re-INVITEs wait. asked: the far end waits for an answer; ours wait as well. Of several that wait the last goes.
	held, asked bool
	waits       []byte
	// refuses is how many more re-INVITEs it answers 488 to, itself.
	refuses int
}

func newWire(from, to string, offer []byte) *wire {
	w := &wire{request: to, from: from, to: to, offer: offer}
	w.caller, w.callee = &end{w: w}, &end{w: w}
	w.caller.other, w.callee.other = w.callee, w.caller
	return w
}

func (e *end) tell(f func(h sip.Handler)) {
	e.q.add(func() {
		e.mu.Lock()
		h, over := e.h, e.ended
		e.mu.Unlock()
		if h != nil && !over {
			f(h)
		}
	})
}

func (e *end) say(format string, args ...any) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		e.said = append(e.said, fmt.Sprintf(format, args...))
	}
	return !e.ended
}

func (e *end) finish(how sip.End) {
	e.q.add(func() {
		e.mu.Lock()
		h, over := e.h, e.ended
		e.ended = true
		e.mu.Unlock()
		if h != nil && !over {
			h.Ended(how)
		}
	})
}

func (e *end) did(what string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.said {
		if s == what {
			return true
		}
	}
	return false
}

func (e *end) all() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.said, ", ")
}

var (
	callerAt = netip.MustParseAddrPort("127.0.0.1:5062")
	calleeAt = netip.MustParseAddrPort("127.0.0.1:5060")
)

func (e *end) ID() string      { return fmt.Sprintf("%p", e.w) }
func (e *end) Incoming() bool  { return e == e.w.callee }
func (e *end) Secure() bool    { return false }
func (e *end) From() sip.Party { return sip.Party{Name: "Caller", URI: e.w.from} }
func (e *end) To() sip.Party   { return sip.Party{URI: e.w.to} }
func (e *end) Request() string { return e.w.request }
func (e *end) Local() netip.AddrPort {
	if e.Incoming() {
		return calleeAt
	}
	return callerAt
}
func (e *end) Source() netip.AddrPort { return e.other.Local() }
func (e *end) Header(name string) (values []string) {
	for _, h := range e.w.headers {
		if strings.EqualFold(h.Name, name) {
			values = append(values, h.Value)
		}
	}
	return values
}
func (e *end) Offer() []byte { return e.w.offer }
func (e *end) Use(h sip.Handler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.h = h
}
func (e *end) Ring() {
	if e.say("ring") {
		e.other.tell(func(h sip.Handler) { h.Ringing(180) })
	}
}
func (e *end) Accept(body []byte) {
	if !e.say("accept") {
		return
	}
	if r := e.w.replaces; r != nil {
		r.mu.Lock()
		r.ended = true
		r.mu.Unlock()
		r.other.finish(sip.End{Remote: true})
	}
	if e.w.offer == nil {
		e.other.tell(func(h sip.Handler) { h.Offered(body) })
		return
	}
	e.other.tell(func(h sip.Handler) {
		e.tell(func(h sip.Handler) { h.Confirmed() }) // before anything that the caller does next
		h.Answered(body)
		h.Confirmed()
	})
}
func (e *end) Reject(code int, reason string, extra ...sip.Header) {
	if e.say("reject %d", code) {
		e.headers = extra
		e.other.finish(sip.End{Remote: true, Code: code, Reason: reason, Busy: code == 486 || code == 600})
		e.finish(sip.End{Code: code})
	}
}
func (e *end) Reoffer(body []byte) {
	if e.say("reoffer") {
		e.mu.Lock()
		e.waits = body
		e.mu.Unlock()
		e.turn()
	}
}

// turn sends an offer that waits, if it may.
func (e *end) turn() {
	e.mu.Lock()
	body := e.waits
	if e.held || e.asked {
		body = nil
	}
	if body != nil {
		e.waits = nil
	}
	e.mu.Unlock()
	if body != nil {
		e.other.mu.Lock()
		refused := e.other.refuses > 0
		if refused {
			e.other.refuses--
		} else {
			e.other.asked = true
		}
		e.other.mu.Unlock()
		if refused {
			e.tell(func(h sip.Handler) { h.OfferRefused(488) })
			return
		}
		e.other.tell(func(h sip.Handler) { h.Offered(body) })
	}
}

func (e *end) free(held bool) {
	e.mu.Lock()
	e.asked, e.held = false, held
	e.mu.Unlock()
	e.turn()
}

func (e *end) AnswerOffer(body []byte) {
	if e.say("answer") {
		late := e == e.w.caller && e.w.offer == nil && !e.did("confirmed")
		e.other.tell(func(h sip.Handler) { h.Answered(body) })
		if late {
			e.say("confirmed")
			e.other.tell(func(h sip.Handler) { h.Confirmed() })
			e.tell(func(h sip.Handler) { h.Confirmed() })
		}
		e.free(false)
	}
}
func (e *end) RefuseOffer(code int) {
	if e.say("refuse %d", code) {
		e.other.tell(func(h sip.Handler) { h.OfferRefused(code) })
		e.free(false)
	}
}
func (e *end) Info(contentType string, body []byte) {
	e.mu.Lock()
	e.infos = append(e.infos, contentType)
	e.mu.Unlock()
	e.other.tell(func(h sip.Handler) { h.Info(contentType, body) })
}
func (e *end) Refer(to string) {
	if e.say("refer %s", to) {
		e.other.tell(func(h sip.Handler) {
			code := h.Referred(to, "")
			if code >= 300 {
				e.tell(func(h sip.Handler) { h.(sip.Referrer).ReferDone(code) })
			}
		})
	}
}
func (e *end) ReferProgress(code int) {
	if e.say("progress %d", code) {
		e.other.tell(func(h sip.Handler) { h.(sip.Referrer).ReferDone(code) })
	}
}
func (e *end) Hangup(reason string) {
	if e.say("hangup %s", reason) {
		e.other.finish(sip.End{Remote: true, Reason: reason})
		e.finish(sip.End{})
	}
}

// told is a caller that keeps what it is told.
type told struct {
	t     testing.TB
	mu    sync.Mutex
	cond  *sync.Cond
	said  []string
	media meeting.MediaInfo
	who   meeting.Identity
}

func newTold(t testing.TB) *told {
	c := &told{t: t}
	c.cond = sync.NewCond(&c.mu)
	return c
}

func (c *told) say(f func(), format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f != nil {
		f()
	}
	c.said = append(c.said, fmt.Sprintf(format, args...))
	c.cond.Broadcast()
}

func (c *told) Ringing() { c.say(nil, "ringing") }
func (c *told) Answered(who meeting.Identity, m meeting.MediaInfo) {
	c.say(func() { c.who, c.media = who, m }, "answered")
}
func (c *told) Changed(who meeting.Identity, m meeting.MediaInfo) {
	c.say(func() { c.who, c.media = who, m }, "changed")
}
func (c *told) Held(on bool)                          { c.say(nil, "held %v", on) }
func (c *told) Ended(why meeting.Reason, remote bool) { c.say(nil, "ended %s %v", why, remote) }
func (c *told) Key(key rune)                          { c.say(nil, "key %c", key) }
func (c *told) WantsFloor()                           { c.say(nil, "wants floor") }
func (c *told) LeavesFloor()                          { c.say(nil, "leaves floor") }
func (c *told) EndpointRecords(on bool)               { c.say(nil, "records %v", on) }
func (c *told) Retargeted(who meeting.Identity)       { c.say(func() { c.who = who }, "retargeted") }
func (c *told) info() (meeting.MediaInfo, meeting.Identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.media, c.who
}

// await waits until it was told something n times.
func (c *told) await(what string, n int) {
	c.t.Helper()
	late := false
	timer := time.AfterFunc(10*time.Second, func() {
		c.mu.Lock()
		late = true
		c.mu.Unlock()
		c.cond.Broadcast()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.count(what) < n {
		if late {
			c.t.Fatalf("want %q %d times, was told %q", what, n, c.said)
		}
		c.cond.Wait()
	}
}

func (c *told) count(what string) (n int) {
	for _, s := range c.said {
		if s == what {
			n++
		}
	}
	return n
}

func (c *told) mention(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count(what)
}

func (c *told) heard(what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count(what) > 0
}

// world is two Call Bridges with a media engine without media each: ours, whose legs are tested, and that of far ends, whose legs are
// ours as well.
type world struct {
	t           testing.TB
	engine, far *controltest.Engine
	worker      atomic.Pointer[string] // of our engine, where legs are put next
	mixer       *mixer.Mixer
	legs, peers *Legs
	settings    Settings
	farSettings Settings
	plan        *dialplan.Plan
	marks       config.DSCP

	mu    sync.Mutex
	stats map[string]uint64 // pictures that our engine asked for, by leg
	wires []*wire
	// arrive is who takes calls of the far ends' side or ours; by default they are answered.
	arrive func(w *wire)
	dialed []sip.Dial
	came   chan *came
}

// came is a call that came in somewhere.
type came struct {
	*told
	line *Line
	meeting.Arrival
	wire *wire
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, engine: controltest.New(control.WorkerStatus{Name: "0.0"}), far: controltest.New(control.WorkerStatus{Name: "1.0"}), came: make(chan *came, 100)}
	w.settings = Settings{Policy: sdp.Policy{Video: true, Presentation: true}}
	w.farSettings = w.settings
	w.plan = dialplan.Compile(dialplan.Rules{Outbound: []dialplan.OutboundRule{{Domain: "", Encryption: dialplan.Unencrypted}}})
	w.on("0.0")
	w.mixer = mixer.New(mixer.Options{Service: workers{certified{w.engine.Owner("bridge")}, w}, BackWithin: 100 * time.Millisecond})
	w.legs = w.side(w.mixer, &w.settings)
	w.peers = w.side(mixer.New(mixer.Options{Service: certified{w.far.Owner("bridge")}}), &w.farSettings)
	w.arrive = func(wire *wire) { w.take(w.peers, wire).line.Accept() }
	return w
}

func (w *world) on(worker string) { w.worker.Store(&worker) }

// certified is an engine that has a certificate, and ports on all addresses that it is given.
type certified struct{ control.Service }

func (s certified) PutLeg(ctx context.Context, l control.Leg) (control.LegState, error) {
	state, err := s.Service.PutLeg(ctx, l)
	for i := range state.Transports {
		port := state.Transports[i].RTP[0].Port()
		state.Transports[i].RTP = nil
		for _, a := range l.Transports[i].Local {
			state.Transports[i].RTP = append(state.Transports[i].RTP, netip.AddrPortFrom(a, port))
		}
		if l.Transports[i].Security == control.DTLS {
			state.Transports[i].Fingerprint = "sha-256 " + strings.Repeat("AB:", 31) + "AB"
		}
	}
	return state, err
}

// workers is an engine whose legs are at the worker that the test says, with the figures that it says.
type workers struct {
	control.Service
	w *world
}

func (s workers) Stats(_ context.Context, legs []string) (list []control.LegStats, err error) {
	for _, id := range legs {
		if n, ok := s.w.stats[id]; ok {
			list = append(list, control.LegStats{ID: id, Video: []control.VideoStats{{KeyFramesAsked: n}}})
		}
	}
	return list, nil
}

func (s workers) PutLeg(ctx context.Context, l control.Leg) (control.LegState, error) {
	state, err := s.Service.PutLeg(ctx, l)
	state.Worker = *s.w.worker.Load()
	return state, err
}

func (w *world) side(m *mixer.Mixer, set *Settings) *Legs {
	return New(Options{Mixer: m, Plan: func() *dialplan.Plan { return w.plan }, Settings: func(*profiles.Effective) Settings {
		w.mu.Lock()
		defer w.mu.Unlock()
		return *set
	},
		Addresses: func(netip.Addr, netip.Addr) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} },
		Dial:      w.dial, Transfers: func(*Line, string) bool { return true },
		From: func(meeting.ID) string { return "bridge@example.com" }, Marks: func() config.DSCP {
			w.mu.Lock()
			defer w.mu.Unlock()
			m := w.marks
			m.IPv4 = maps.Clone(m.IPv4)
			return m
		}})
}

func (w *world) set(s *Settings, f func(*Settings)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(s)
}

func (w *world) dial(d sip.Dial, h sip.Handler) Dialog {
	wire := newWire(d.From, d.To, d.Offer)
	wire.headers = d.Headers
	wire.caller.h = h
	w.mu.Lock()
	w.wires = append(w.wires, wire)
	w.dialed = append(w.dialed, d)
	arrive := w.arrive
	w.mu.Unlock()
	go arrive(wire)
	return wire.caller
}

// take lets a call come in.
func (w *world) take(s *Legs, wire *wire) *came {
	c := &came{told: newTold(w.t), wire: wire}
	var err error
	c.line, c.Arrival, err = s.Arrive(wire.callee)
	if err != nil {
		w.t.Error(err)
		return nil
	}
	c.line.Tell(c.told)
	w.came <- c
	return c
}

// up makes a call from the far ends' side to ours that is answered. far is its far end.
func (w *world) up() (near, far *came) {
	w.t.Helper()
	w.mu.Lock()
	w.arrive = func(wire *wire) { w.take(w.legs, wire).line.Accept() }
	w.mu.Unlock()
	far = &came{told: newTold(w.t)}
	line, _ := w.peers.Dial(w.t.Context(), meeting.Dial{Leg: id(), To: "space@127.0.0.1"}, far.told)
	far.line = line.(*Line)
	near = wait(w.t, "the call", w.came)
	far.wire = near.wire
	near.await("answered", 1)
	far.await("answered", 1)
	return near, far
}

func wait[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

// media is a leg as the engine was told last.
func (w *world) media(c *came) control.Leg { return w.engine.Leg("bridge", c.line.ID().String()) }

// until asks again and again.
func (c *told) until(what string, is func() bool) {
	c.t.Helper()
	for limit := time.Now().Add(10 * time.Second); !is(); <-time.After(time.Millisecond) {
		if time.Now().After(limit) {
			c.t.Fatalf("%s: not so", what)
		}
	}
}
