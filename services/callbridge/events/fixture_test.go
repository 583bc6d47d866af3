package events

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/meeting"
)

// patience with what happens on other goroutines.
const patience = 20 * time.Second

func number(kind byte, n int) (i meeting.ID) {
	i[0] = kind
	binary.BigEndian.PutUint32(i[12:], uint32(n))
	return i
}

func call(n int) meeting.ID   { return number(0xca, n) }
func people(n int) meeting.ID { return number(0xaa, n) }

// meetings are what goes on, in tests: each change is shown and then told.
type meetings struct {
	meeting.Control
	mu      sync.Mutex
	calls   []meeting.CallInfo
	people  []meeting.ParticipantInfo
	hearers map[int]func(meeting.Change)
	n       int
	// late, when it is set, shows calls that nobody has been told of.
	late map[meeting.ID]bool
}

func (m *meetings) Subscribe(f func(meeting.Change)) (uint64, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hearers == nil {
		m.hearers = map[int]func(meeting.Change){}
	}
	m.n++
	key := m.n
	m.hearers[key] = f
	return 0, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.hearers, key)
	}
}

func (m *meetings) Calls() []meeting.CallInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]meeting.CallInfo(nil), m.calls...)
}

func (m *meetings) Participants(meeting.ID) []meeting.ParticipantInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]meeting.ParticipantInfo(nil), m.people...)
}

func (m *meetings) Call(id meeting.ID) (meeting.CallInfo, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.calls {
		if c.ID == id {
			return c, true
		}
	}
	return meeting.CallInfo{ID: id}, m.late[id]
}

func (m *meetings) tell(c meeting.Change) {
	m.mu.Lock()
	hearers := make([]func(meeting.Change), 0, len(m.hearers))
	for _, f := range m.hearers {
		hearers = append(hearers, f)
	}
	m.mu.Unlock()
	for _, f := range hearers {
		f(c)
	}
}

// put begins or changes a call.
func (m *meetings) put(c meeting.CallInfo) {
	m.mu.Lock()
	kind := meeting.CallBegan
	for i := range m.calls {
		if m.calls[i].ID == c.ID {
			kind = meeting.CallChanged
			m.calls[i] = c
		}
	}
	if kind == meeting.CallBegan {
		m.calls = append(m.calls, c)
	}
	m.mu.Unlock()
	m.tell(meeting.Change{Kind: kind, Call: &c})
}

// join begins or changes a participant.
func (m *meetings) join(p meeting.ParticipantInfo) {
	m.mu.Lock()
	kind := meeting.ParticipantBegan
	for i := range m.people {
		if m.people[i].ID == p.ID {
			kind = meeting.ParticipantChanged
			m.people[i] = p
		}
	}
	if kind == meeting.ParticipantBegan {
		m.people = append(m.people, p)
	}
	m.mu.Unlock()
	m.tell(meeting.Change{Kind: kind, Participant: &p})
}

func (m *meetings) part(id meeting.ID) {
	m.mu.Lock()
	for i := range m.people {
		if m.people[i].ID == id {
			m.people = append(m.people[:i], m.people[i+1:]...)
			break
		}
	}
	m.mu.Unlock()
	m.tell(meeting.Change{Kind: meeting.ParticipantOver, Participant: &meeting.ParticipantInfo{ID: id}})
}

func (m *meetings) finish(id meeting.ID) {
	m.mu.Lock()
	for i := range m.calls {
		if m.calls[i].ID == id {
			m.calls = append(m.calls[:i], m.calls[i+1:]...)
			break
		}
	}
	m.mu.Unlock()
	m.tell(meeting.Change{Kind: meeting.CallOver, Call: &meeting.CallInfo{ID: id}})
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

// accounts has one, script with the password right.
type accounts struct{}

func (accounts) Check(_ context.Context, user, password, _ string) ([]string, error) {
	if user != "script" || password != "right" {
		return nil, api.ErrRefused
	}
	return []string{"api"}, nil
}

// desk is the service behind an API on TCP.
type desk struct {
	testing.TB
	*meetings
	service *Service
	base    string
	log     *journal
	stop    context.CancelFunc
	done    chan struct{}

	mu    sync.Mutex
	ahead time.Duration
}

// pass lets time pass for tokens and acknowledgements.
func (d *desk) pass(t time.Duration) {
	d.mu.Lock()
	d.ahead += t
	d.mu.Unlock()
}

func newDesk(t testing.TB, m *meetings, change ...func(*Service)) *desk {
	t.Helper()
	d := newDeskOf(t, m, change...)
	d.meetings = m
	return d
}

// newDeskOf tells of any meetings.
func newDeskOf(t testing.TB, m meeting.Control, change ...func(*Service)) *desk {
	t.Helper()
	d := &desk{TB: t, log: &journal{}, done: make(chan struct{})}
	log := slog.New(slog.NewTextHandler(d.log, nil))
	d.service = New(Options{Control: m, Log: log, Now: func() time.Time {
		d.mu.Lock()
		defer d.mu.Unlock()
		return time.Now().Add(d.ahead)
	}})
	for _, f := range change {
		f(d.service)
	}
	server := api.New(api.Options{Accounts: accounts{}, Log: log, Front: -1})
	d.service.Route(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.base = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(ctx, l) })
	group.Go(func() { _ = d.service.Run(ctx) })
	go func() {
		group.Wait()
		close(d.done)
	}()
	t.Cleanup(d.end)
	return d
}

func (d *desk) end() {
	d.stop()
	select {
	case <-d.done:
	case <-time.After(patience):
		d.Error("the service does not end")
	}
}

// token logs in.
func (d *desk) token(password string) (string, int) {
	d.Helper()
	q, err := http.NewRequest(http.MethodPost, "http://"+d.base+"/api/v1/authTokens", nil)
	if err != nil {
		d.Fatal(err)
	}
	q.SetBasicAuth("script", password)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		d.Fatal(err)
	}
	answer.Body.Close()
	return answer.Header.Get(tokenHeader), answer.StatusCode
}

// tester is a client of events.
type tester struct {
	*desk
	conn *websocket.Conn
	ctx  context.Context
	// lazy ones do not acknowledge.
	lazy bool
	sent int
}

func (d *desk) dial(token string) (*tester, *http.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	d.Cleanup(cancel)
	conn, answer, err := websocket.Dial(ctx, "ws://"+d.base+"/events/v1?authToken="+token, nil)
	if err != nil {
		return nil, answer, err
	}
	conn.SetReadLimit(1 << 20)
	d.Cleanup(func() { _ = conn.CloseNow() })
	return &tester{desk: d, conn: conn, ctx: ctx}, answer, nil
}

func (d *desk) connect() *tester {
	d.Helper()
	token, status := d.token("right")
	if token == "" {
		d.Fatalf("want a token, got %d", status)
	}
	c, _, err := d.dial(token)
	if err != nil {
		d.Fatal(err)
	}
	return c
}

func (c *tester) say(text string) {
	c.Helper()
	if err := c.conn.Write(c.ctx, websocket.MessageText, []byte(text)); err != nil {
		c.Fatal(err)
	}
}

// hear returns the next message as it came, and acknowledges it unless it is lazy.
func (c *tester) hear() string {
	c.Helper()
	_, b, err := c.conn.Read(c.ctx)
	if err != nil {
		c.Fatalf("read: %v", err)
	}
	if !c.lazy {
		var m struct {
			Message *struct {
				ID int64 `json:"messageId"`
			} `json:"message"`
		}
		if err := json.Unmarshal(b, &m); err != nil {
			c.Fatalf("%s: %v", b, err)
		}
		if m.Message != nil {
			c.say(fmt.Sprintf(`{"type":"messageAck","messageAck":{"messageId":%d,"status":"success"}}`, m.Message.ID))
		}
	}
	return string(b)
}

// want hears messages and compares them.
func (c *tester) want(all ...string) {
	c.Helper()
	for _, w := range all {
		if got := c.hear(); got != w {
			c.Fatalf("want\n%s\ngot\n%s", w, got)
		}
	}
}

// subscribe sends a request and hears that it is acknowledged.
func (c *tester) subscribe(subscriptions ...string) {
	c.Helper()
	c.sent++
	c.say(fmt.Sprintf(`{"type":"message","message":{"messageId":%d,"type":"subscribeRequest","subscriptions":[%s]}}`, c.sent, strings.Join(subscriptions, ",")))
	ack := fmt.Sprintf(`{"type":"messageAck","messageAck":{"messageId":%d,"status":"success"}}`, c.sent)
	for {
		switch got := c.hear(); {
		case got == ack:
			return
		case strings.HasPrefix(got, `{"type":"messageAck"`):
			c.Fatalf("want %s, got %s", ack, got)
		}
	}
}

// ended reads until the far end closes, and returns how.
func (c *tester) ended() (code websocket.StatusCode, reason string) {
	c.Helper()
	for {
		_, _, err := c.conn.Read(c.ctx)
		if err == nil {
			continue
		}
		if c.ctx.Err() != nil {
			c.Fatal("the connection is not closed")
		}
		code = websocket.CloseStatus(err)
		return code, err.Error()
	}
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
