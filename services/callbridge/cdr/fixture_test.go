package cdr

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"rotunda/services/callbridge/meeting"
)

// patience with what happens on other goroutines.
const patience = 20 * time.Second

// number makes IDs that can be read in transcripts.
func number(kind byte, n int) (i meeting.ID) {
	i[0] = kind
	binary.BigEndian.PutUint32(i[12:], uint32(n))
	return i
}

func call(n int) meeting.ID  { return number(0xca, n) }
func leg(n int) meeting.ID   { return number(0x1e, n) }
func space(n int) meeting.ID { return number(0x5b, n) }

// bridge is what a Recorder listens to: changes are told by the test.
type bridge struct {
	meeting.Control
	hear func(meeting.Change)
	n    uint64
}

func (b *bridge) Subscribe(f func(meeting.Change)) (uint64, func()) {
	b.hear = f
	return b.n, func() { b.hear = func(meeting.Change) {} }
}

func (b *bridge) tell(c meeting.Change) {
	b.n++
	c.Number = b.n
	b.hear(c)
}

func (b *bridge) call(k meeting.Kind, c meeting.CallInfo) { b.tell(meeting.Change{Kind: k, Call: &c}) }
func (b *bridge) leg(k meeting.Kind, l meeting.LegInfo)   { b.tell(meeting.Change{Kind: k, Leg: &l}) }

// clock is one that tests turn.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// journal is a log that tests read.
type journal struct {
	mu sync.Mutex
	b  strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// scene is a Recorder with receivers that tests choose.
type scene struct {
	*testing.T
	*bridge
	r       *Recorder
	clock   *clock
	log     *journal
	changed chan struct{}
	stop    context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	places []Place
	alarms []string
	heard  chan struct{}
}

// quick are times for tests.
var quick = pace{gather: time.Millisecond, connect: 5 * time.Second, answer: 5 * time.Second, first: time.Millisecond, most: 10 * time.Millisecond}

func newScene(t *testing.T, change ...func(*Options)) *scene {
	t.Helper()
	s := &scene{T: t, bridge: &bridge{}, clock: newClock(), log: &journal{}, changed: make(chan struct{}, 1), done: make(chan struct{}),
		heard: make(chan struct{}, 1)}
	o := Options{Control: s.bridge, Log: slog.New(slog.NewTextHandler(s.log, nil)), Now: s.clock.now, Alarm: func(on bool, reason string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if on {
			s.alarms = append(s.alarms, "raised "+reason)
		} else {
			s.alarms = append(s.alarms, "cleared")
		}
		select {
		case s.heard <- struct{}{}:
		default:
		}
	}}
	for _, f := range change {
		f(&o)
	}
	s.r = New(o)
	s.r.session = "5552fc55-0000-4000-8000-000000000001"
	s.r.pace = quick
	return s
}

// start runs the Recorder with receivers and returns when each has its place.
func (s *scene) start(uris ...string) {
	s.Helper()
	s.want(uris...)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() {
		defer close(s.done)
		_ = s.r.run(ctx, func() []Place {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.places
		}, s.changed)
	}()
	s.Cleanup(s.end)
	s.await("receivers", func() bool { return s.count() == len(uris) })
}

func (s *scene) end() {
	s.stop()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.Error("the recorder does not end")
	}
}

// want sets the receivers, by position.
func (s *scene) want(uris ...string) {
	s.mu.Lock()
	s.places = nil
	for i, u := range uris {
		s.places = append(s.places, Place{number(0xfe, i), u})
	}
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *scene) count() int {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	return len(s.r.receivers)
}

// waiting is how many records were not acknowledged by all receivers.
func (s *scene) waiting() (n int) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	for _, v := range s.r.receivers {
		n += v.left()
	}
	return n
}

// receiving are the URIs that records go to now.
func (s *scene) receiving() (uris []string) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	for _, v := range s.r.receivers {
		uris = append(uris, v.uri)
	}
	return uris
}

func (s *scene) alarmed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.alarms...)
}

// await waits for something that comes by itself.
func (s *scene) await(what string, is func() bool) {
	s.Helper()
	await(s.T, what, is)
}

func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	end := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// collector is a receiver that keeps what it took.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	posts    []string
	records  []parsed
	requests []*http.Request
	// answer, when it is set, is what answers; it says whether the records count as taken.
	answer func(w http.ResponseWriter, r *http.Request, n int) bool
	seen   int
}

func newCollector(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, n int) bool) *collector {
	c := &collector{answer: answer}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	n := c.seen
	c.seen++
	c.mu.Unlock()
	if c.answer == nil || c.answer(w, r, n) {
		c.mu.Lock()
		c.posts = append(c.posts, string(body))
		c.records = append(c.records, parse(string(body))...)
		c.requests = append(c.requests, r)
		c.mu.Unlock()
	}
}

func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.posts, "\n")
}

func (c *collector) took() []parsed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.records[:len(c.records):len(c.records)]
}

func (c *collector) tries() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

var home = netip.MustParseAddrPort("192.0.2.7:5060")
