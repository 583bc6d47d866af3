package events

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rotunda/mmp/admission"
	"rotunda/services/callbridge/meeting"
)

func TestTokensAreForThoseWhoLogInAndExpire(t *testing.T) {
	d := newDesk(t, &meetings{})
	if token, status := d.token("wrong"); token != "" || status != http.StatusUnauthorized {
		t.Errorf("a wrong password: want 401 and no token, got %d, %q", status, token)
	}
	token, _ := d.token("right")
	// One token opens several connections.
	for range 2 {
		if _, _, err := d.dial(token); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "x", strings.Repeat("y", 1000), token + "x", strings.ToLower(token)} {
		if _, answer, err := d.dial(bad); err == nil || answer == nil || answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("token %.20q: want 401, got %v", bad, err)
		}
	}
	d.pass(goodFor)
	if _, answer, err := d.dial(token); err == nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("after %v: want 401, got %v", goodFor, err)
	}
	// Some clients compare the header's case.
	c, err := net.Dial("tcp", d.base)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "POST /api/v1/authTokens HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\nConnection: close\r\n\r\n",
		base64.StdEncoding.EncodeToString([]byte("script:right"))); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || !strings.Contains(string(b), "\r\nX-Cisco-CMS-Auth-Token: ") {
		t.Errorf("want the header as clients spell it, got %q, %v", b, err)
	}
	for path, want := range map[string]int{"/events": 404, "/events/v2?authToken=x": 404, "/events/v1": 401} {
		answer, err := http.Get("http://" + d.base + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: want %d, got %d", path, want, answer.StatusCode)
		}
	}
	log := d.log.String()
	for _, line := range []string{`API user \"script\" created a token for events`, `events client of user \"script\" connected`, "events client refused"} {
		if !strings.Contains(log, line) {
			t.Errorf("want %s in the log, got\n%s", line, log)
		}
	}
	if strings.Contains(log, token) {
		t.Error("the log has a token")
	}
}

func TestTokensAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := tokens{now: func() time.Time { return now }}
	first := s.give("a")
	other := s.give("b")
	for range maxOfUser - 1 {
		s.give("a")
	}
	if _, ok := s.check(first); !ok {
		t.Errorf("want %d tokens of one user", maxOfUser)
	}
	s.give("a")
	if _, ok := s.check(first); ok {
		t.Errorf("want the oldest of more than %d gone", maxOfUser)
	}
	if user, ok := s.check(other); !ok || user != "b" {
		t.Errorf("want the token of another user to stay, got %q, %v", user, ok)
	}
	for i := range 2 * maxTokens {
		s.give(fmt.Sprint("user ", i))
	}
	if len(s.all) > maxTokens || len(s.order) != len(s.all) {
		t.Errorf("want at most %d tokens, got %d and %d", maxTokens, len(s.all), len(s.order))
	}
	now = now.Add(goodFor)
	s.give("c")
	if len(s.all) != 1 || len(s.order) != 1 {
		t.Errorf("want expired tokens gone, got %d and %d", len(s.all), len(s.order))
	}
}

func TestWrongMessagesAreToldWhatIsWrong(t *testing.T) {
	d := newDesk(t, &meetings{})
	c := d.connect()
	for _, wrong := range []struct{ send, id, why string }{
		{`{`, "null", "not JSON"},
		{`[]`, "null", "not JSON"},
		{`{"type":"hello"}`, "null", `type is \"hello\"`},
		{`{"type":"message"}`, "null", "message is missing"},
		{`{"type":"message","message":{"type":"subscribeRequest","subscriptions":[]}}`, "null", "messageId is missing"},
		{`{"type":"message","message":{"messageId":7,"type":"unsubscribe"}}`, "7", `use subscribeRequest`},
		{`{"type":"message","message":{"messageId":8,"type":"subscribeRequest"}}`, "8", "subscriptions is missing"},
		{`{"type":"message","message":{"messageId":9,"type":"subscribeRequest","subscriptions":5}}`, "9", "not JSON"},
		{`{"type":"message","message":{"messageId":10,"type":"subscribeRequest","subscriptions":[{"type":"calls"}]}}`, "10", "subscription 1: index is missing"},
		{`{"type":"message","message":{"messageId":11,"type":"subscribeRequest","subscriptions":[{"index":1,"type":"legs"}]}}`, "11", "use calls, callInfo or callRoster"},
		{`{"type":"message","message":{"messageId":12,"type":"subscribeRequest","subscriptions":[{"index":1,"type":"callInfo","call":"x"}]}}`, "12", "use the ID of a call"},
		{`{"type":"message","message":{"messageId":13,"type":"subscribeRequest","subscriptions":[{"index":1,"type":"calls","elements":["name","uri"]}]}}`, "13",
			`element \"uri\" is unknown in calls: use name, participants,`},
		{`{"type":"messageAck","messageAck":{}}`, "null", "needs messageAck.messageId"},
	} {
		c.say(wrong.send)
		got := c.hear()
		if !strings.HasPrefix(got, `{"type":"messageAck","messageAck":{"messageId":`+wrong.id+`,"status":"failure","reason":"`) || !strings.Contains(got, wrong.why) ||
			!json.Valid([]byte(got)) {
			t.Errorf("%s: want a failure of message %s with %q, got %s", wrong.send, wrong.id, wrong.why, got)
		}
	}
	// What was subscribed to before stays after a request that was wrong, and 0 is a number too.
	c.say(`{"type":"message","message":{"messageId":0,"type":"subscribeRequest","subscriptions":[{"index":1,"type":"calls","elements":["name"]}]}}`)
	c.want(`{"type":"messageAck","messageAck":{"messageId":0,"status":"success"}}`,
		`{"type":"message","message":{"messageId":1,"type":"subscriptionUpdate","subscriptions":[{"index":1,"state":"active"}]}}`)
	c.say(`{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[{"index":1,"type":"x"}]}}`)
	if got := c.hear(); !strings.Contains(got, "failure") {
		t.Fatalf("want a failure, got %s", got)
	}
	d.put(meeting.CallInfo{ID: call(1), Name: "still"})
	c.want(`{"type":"message","message":{"messageId":2,"type":"callListUpdate","subscriptionIndex":1,"updates":[{"call":"` + one + `","updateType":"add","name":"still"}]}}`)
}

func TestMessagesAreTracedWhileTracingIsOn(t *testing.T) {
	var on atomic.Bool
	d := newDesk(t, &meetings{}, func(s *Service) { s.tracing = on.Load })
	c := d.connect()
	c.subscribe(`{"index":41,"type":"calls"}`)
	c.hear()
	on.Store(true)
	c.subscribe(`{"index":42,"type":"calls"}`)
	on.Store(false)
	c.hear()
	c.subscribe(`{"index":43,"type":"calls"}`)
	log := d.log.String()
	for want, times := range map[string]int{`events trace: received" source=127.0.0.1 `: 1, `\"index\":42,\"type\"`: 1, `\"index\":41`: 0, `\"index\":43`: 0} {
		if got := strings.Count(log, want); got < times || times == 0 && got > 0 {
			t.Errorf("want %d lines with %s, got %d in\n%s", times, want, got, log)
		}
	}
}

func TestAbuseEndsTheConnectionWithAReason(t *testing.T) {
	d := newDesk(t, &meetings{}, func(s *Service) { s.times.request = 0 })
	for name, abuse := range map[string]struct {
		do   func(c *tester)
		code websocket.StatusCode
	}{
		"binary": {func(c *tester) { _ = c.conn.Write(c.ctx, websocket.MessageBinary, []byte("{}")) }, websocket.StatusUnsupportedData},
		"large": {func(c *tester) {
			_ = c.conn.Write(c.ctx, websocket.MessageText, []byte(strings.Repeat(" ", maxMessage+1)))
		}, websocket.StatusMessageTooBig},
		"wrong": {func(c *tester) {
			for range maxWrong + 1 {
				c.say("{")
			}
		}, websocket.StatusPolicyViolation},
	} {
		c := d.connect()
		abuse.do(c)
		if code, reason := c.ended(); code != abuse.code {
			t.Errorf("%s: want code %v, got %v, %s", name, abuse.code, code, reason)
		}
	}
	await(t, "all are gone", func() bool {
		d.service.mu.Lock()
		defer d.service.mu.Unlock()
		return d.service.clients == 0
	})
	h := d.service.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.lists)+len(h.waiting) != 0 {
		t.Errorf("want no subscriptions left, got %d and %d", len(h.lists), len(h.waiting))
	}
}

func TestNotAcknowledgedMeansNoMoreIsSentAndThenTheEnd(t *testing.T) {
	d := newDesk(t, &meetings{}, func(s *Service) { s.times.look = 5 * time.Millisecond })
	c := d.connect()
	c.subscribe(`{"index":1,"type":"calls","elements":["name","participants"]}`)
	c.lazy = true
	c.want(`{"type":"message","message":{"messageId":1,"type":"subscriptionUpdate","subscriptions":[{"index":1,"state":"active"}]}}`)
	info := meeting.CallInfo{ID: call(1), Name: "name 0"}
	d.put(info)
	for i := 1; i < window; i++ {
		if got := c.hear(); !strings.Contains(got, fmt.Sprintf(`"messageId":%d,`, i+1)) || !strings.Contains(got, fmt.Sprintf(`"name":"name %d"`, i-1)) {
			t.Fatalf("want message %d, got %s", i+1, got)
		}
		info.Name = fmt.Sprint("name ", i)
		d.put(info)
	}
	// The window is full: what changes is remembered as one change.
	for i := range 500 {
		info.Name = fmt.Sprint("later ", i)
		d.put(info)
		d.put(meeting.CallInfo{ID: call(2), Name: "short"})
		d.finish(call(2))
	}
	h := d.service.hub
	h.mu.Lock()
	for s := range h.lists {
		if s.changed.len() != 1 || len(s.changed.order) > 64 || len(s.told) != 1 {
			t.Errorf("want one change remembered, got %d in %d places, and %d told", s.changed.len(), len(s.changed.order), len(s.told))
		}
	}
	h.mu.Unlock()
	c.say(`{"type":"messageAck","messageAck":{"messageId":3,"status":"success"}}`)
	c.want(fmt.Sprintf(`{"type":"message","message":{"messageId":%d,"type":"callListUpdate","subscriptionIndex":1,"updates":[{"call":"%s","updateType":"update","name":"later 499"}]}}`,
		window+1, one))
	d.pass(2 * usualTimes.acknowledge)
	code, reason := c.ended()
	if code != websocket.StatusPolicyViolation || !strings.Contains(reason, "message 1 was not acknowledged within 1m0s") {
		t.Errorf("want a reason, got %v, %s", code, reason)
	}
	await(t, "the log says why", func() bool { return strings.Contains(d.log.String(), "message 1 was not acknowledged") })
}

func TestARequestReplacesTheSetAndStatesFollowTheCall(t *testing.T) {
	m := &meetings{late: map[meeting.ID]bool{}}
	m.calls = []meeting.CallInfo{{ID: call(1), Name: "one"}}
	m.people = []meeting.ParticipantInfo{{ID: people(1), Call: call(1), Name: "Anna"}, {ID: people(2), Call: call(1), Name: "Bert"}}
	d := newDesk(t, m)
	c := d.connect()
	// Two subscriptions with one index, as a deployed client has them.
	c.subscribe(`{"index":1,"type":"callRoster","call":"`+one+`","elements":["name"]}`, `{"index":1,"type":"callRoster","call":"`+call(2).String()+`"}`)
	c.want(`{"type":"message","message":{"messageId":1,"type":"subscriptionUpdate","subscriptions":[{"index":1,"state":"active"},{"index":1,"state":"deactivated"}]}}`,
		`{"type":"message","message":{"messageId":2,"type":"rosterUpdate","subscriptionIndex":1,"updates":[`+
			`{"participant":"`+anna+`","updateType":"add","name":"Anna"},{"participant":"`+people(2).String()+`","updateType":"add","name":"Bert"}]}}`)
	// A call that the API has just made, and that nobody has been told of.
	m.mu.Lock()
	m.late[call(3)] = true
	m.mu.Unlock()
	c.subscribe(`{"index":5,"type":"callInfo","call":"` + call(3).String() + `","elements":["name","name","participants"]}`)
	c.want(`{"type":"message","message":{"messageId":3,"type":"subscriptionUpdate","subscriptions":[{"index":5,"state":"pending"}]}}`)
	d.put(meeting.CallInfo{ID: call(1), Name: "nobody asks"})
	d.put(meeting.CallInfo{ID: call(3), Name: "three"})
	c.want(`{"type":"message","message":{"messageId":4,"type":"subscriptionUpdate","subscriptions":[{"index":5,"state":"active"}]}}`,
		`{"type":"message","message":{"messageId":5,"type":"callInfoUpdate","subscriptionIndex":5,"callInfo":{"name":"three","participants":0}}}`)
	// Somebody is moved from one call to the other.
	d.join(meeting.ParticipantInfo{ID: people(1), Call: call(3), Name: "Anna"})
	c.want(`{"type":"message","message":{"messageId":6,"type":"callInfoUpdate","subscriptionIndex":5,"callInfo":{"participants":1}}}`)
	c.subscribe(`{"index":6,"type":"callRoster","call":"`+one+`","elements":["name"]}`, `{"index":7,"type":"callRoster","call":"`+call(3).String()+`","elements":[]}`)
	c.want(`{"type":"message","message":{"messageId":7,"type":"subscriptionUpdate","subscriptions":[{"index":6,"state":"active"},{"index":7,"state":"active"}]}}`,
		`{"type":"message","message":{"messageId":8,"type":"rosterUpdate","subscriptionIndex":6,"updates":[{"participant":"`+people(2).String()+`","updateType":"add","name":"Bert"}]}}`,
		`{"type":"message","message":{"messageId":9,"type":"rosterUpdate","subscriptionIndex":7,"updates":[{"participant":"`+anna+`","updateType":"add"}]}}`)
	d.join(meeting.ParticipantInfo{ID: people(1), Call: call(1), Name: "Anna"})
	c.want(`{"type":"message","message":{"messageId":10,"type":"rosterUpdate","subscriptionIndex":7,"updates":[{"participant":"`+anna+`","updateType":"remove"}]}}`,
		`{"type":"message","message":{"messageId":11,"type":"rosterUpdate","subscriptionIndex":6,"updates":[{"participant":"`+anna+`","updateType":"add","name":"Anna"}]}}`)
	c.subscribe()
	d.finish(call(1))
	d.finish(call(3))
	c.subscribe(`{"index":9,"type":"calls"}`)
	c.want(`{"type":"message","message":{"messageId":12,"type":"subscriptionUpdate","subscriptions":[{"index":9,"state":"active"}]}}`)
}

// TestAClientKnowsWhatIsWhateverHappens lets things change at random while clients read at their own pace, and compares in the end.
func TestAClientKnowsWhatIsWhateverHappens(t *testing.T) {
	d := newDesk(t, &meetings{})
	d.put(meeting.CallInfo{ID: call(1), Name: "room"})
	type seen struct {
		mu     sync.Mutex
		people map[string]map[string]any
		count  float64
	}
	var group sync.WaitGroup
	var all []*seen
	for i := range 3 {
		c := d.connect()
		s := &seen{people: map[string]map[string]any{}}
		all = append(all, s)
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			c.say(`{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[{"index":1,"type":"callRoster","call":"` + one +
				`","elements":["name","activeSpeaker"]},{"index":2,"type":"callInfo","call":"` + one + `","elements":["participants","name"]}]}}`)
			done := false
			for {
				_, b, err := c.conn.Read(c.ctx)
				if err != nil {
					t.Error(err)
					return
				}
				var m struct {
					Message struct {
						ID      int64            `json:"messageId"`
						Updates []map[string]any `json:"updates"`
						Info    map[string]any   `json:"callInfo"`
					} `json:"message"`
				}
				if err := json.Unmarshal(b, &m); err != nil {
					t.Errorf("%s: %v", b, err)
					return
				}
				s.mu.Lock()
				for _, u := range m.Message.Updates {
					id := u["participant"].(string)
					switch u["updateType"] {
					case "add":
						if s.people[id] != nil || len(u) != 4 {
							t.Errorf("%s is added, and was known as %v", b, s.people[id])
						}
						s.people[id] = u
					case "update":
						if s.people[id] == nil || len(u) < 3 {
							t.Errorf("%s is an update without a change, or of somebody unknown", b)
							break
						}
						for k, v := range u {
							s.people[id][k] = v
						}
					case "remove":
						if s.people[id] == nil || len(u) != 2 {
							t.Errorf("%s removes somebody unknown", b)
						}
						delete(s.people, id)
					}
				}
				if n, ok := m.Message.Info["participants"]; ok {
					s.count = n.(float64)
				}
				done = done || m.Message.Info["name"] == "done"
				s.mu.Unlock()
				if m.Message.ID != 0 {
					if random.IntN(3) == 0 {
						// Acknowledged twice, and one that was never sent.
						c.say(`{"type":"messageAck","messageAck":{"messageId":99999,"status":"failure"}}`)
						c.say(fmt.Sprintf(`{"type":"messageAck","messageAck":{"messageId":%d,"status":"success"}}`, m.Message.ID))
					}
					c.say(fmt.Sprintf(`{"type":"messageAck","messageAck":{"messageId":%d,"status":"success"}}`, m.Message.ID))
				}
				if done {
					s.mu.Lock()
					whole := s.count == float64(len(s.people)) && len(s.people) == 40
					s.mu.Unlock()
					if whole {
						return
					}
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(7, 7))
	here := map[int]bool{}
	for range 5000 {
		n := random.IntN(80)
		switch {
		case here[n] && random.IntN(3) == 0:
			d.part(people(n))
			here[n] = false
		default:
			d.join(meeting.ParticipantInfo{ID: people(n), Call: call(1), Name: fmt.Sprint("name ", random.IntN(3)), Speaking: random.IntN(2) == 0})
			here[n] = true
		}
	}
	for n := range 80 {
		if n < 40 {
			d.join(meeting.ParticipantInfo{ID: people(n), Call: call(1), Name: fmt.Sprint("at last ", n), Speaking: n == 7})
		} else if here[n] {
			d.part(people(n))
		}
	}
	d.put(meeting.CallInfo{ID: call(1), Name: "done"})
	group.Wait()
	for i, s := range all {
		for n := range 40 {
			got := s.people[people(n).String()]
			if got["name"] != fmt.Sprint("at last ", n) || got["activeSpeaker"] != (n == 7) {
				t.Errorf("client %d: participant %d: want its last state, got %v", i, n, got)
			}
		}
	}
}

func TestClientsAreBoundedAndEndWithTheService(t *testing.T) {
	d := newDesk(t, &meetings{})
	token, _ := d.token("right")
	var all []*tester
	for range maxClients {
		c, _, err := d.dial(token)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if _, answer, err := d.dial(token); err == nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: want 503, got %v, %v", answer, err)
	}
	_ = all[0].conn.Close(websocket.StatusNormalClosure, "bye")
	await(t, "there is room again", func() bool {
		c, _, err := d.dial(token)
		if err == nil {
			all[0] = c
		}
		return err == nil
	})
	var group sync.WaitGroup
	codes := make([]websocket.StatusCode, len(all))
	for i, c := range all {
		group.Go(func() { codes[i], _ = c.ended() })
	}
	d.end()
	group.Wait()
	for i, code := range codes {
		if code != websocket.StatusGoingAway {
			t.Fatalf("client %d: want code %v, got %v", i, websocket.StatusGoingAway, code)
		}
	}
}

func TestAClientThatFollowsTooMuchIsEnded(t *testing.T) {
	m := &meetings{}
	for i := range 400 {
		m.calls = append(m.calls, meeting.CallInfo{ID: call(i), Name: "call"})
	}
	d := newDesk(t, m)
	c := d.connect()
	c.lazy = true
	var all []string
	for i := range maxEntries/400 + 1 {
		all = append(all, fmt.Sprintf(`{"index":%d,"type":"calls"}`, i))
	}
	c.say(`{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[` + strings.Join(all, ",") + `]}}`)
	if code, reason := c.ended(); code != websocket.StatusPolicyViolation || !strings.Contains(reason, "follow more than 200000 objects") {
		t.Errorf("want a reason, got %v, %s", code, reason)
	}
}

func TestASilentFarEndIsNoticed(t *testing.T) {
	d := newDesk(t, &meetings{}, func(s *Service) { s.times.ping, s.times.pong = 10*time.Millisecond, 50*time.Millisecond })
	c := d.connect()
	// Nobody reads at this end, so pings have no answer.
	await(t, "the service gives up", func() bool { return strings.Contains(d.log.String(), "no answer to a ping") })
	if code, _ := c.ended(); code != websocket.StatusPolicyViolation {
		t.Errorf("want code %v, got %v", websocket.StatusPolicyViolation, code)
	}
}

// guard is the shell, which ends sessions when an account is gone.
type guard struct {
	mu         sync.Mutex
	gone       bool
	kept, left map[string]int
	wrong      []admission.Session
}

func (g *guard) Keep(_ context.Context, s admission.Session) (time.Time, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	made := time.Unix(1, 0)
	if s.User != "script" || s.Source.Addr().String() != "127.0.0.1" || g.kept[s.ID] > 0 && !s.Account.Equal(made) {
		g.wrong = append(g.wrong, s)
	}
	g.kept[s.ID]++
	if g.gone {
		return time.Time{}, admission.ErrEnded
	}
	return made, nil
}

func (g *guard) Leave(_ context.Context, id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left[id]++
	return nil
}

func TestConnectionsEndWithTheirAccount(t *testing.T) {
	g := &guard{kept: map[string]int{}, left: map[string]int{}}
	d := newDesk(t, &meetings{}, func(s *Service) { s.keeper, s.times.ping = g, 10*time.Millisecond })
	token, _ := d.token("right")
	c, _, err := d.dial(token)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 1)
	go func() {
		code, reason := c.ended()
		ended <- fmt.Sprint(code, " ", reason)
	}()
	await(t, "the session is kept", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, n := range g.kept {
			if n > 2 {
				g.gone = true
			}
		}
		return g.gone
	})
	if got := <-ended; !strings.Contains(got, "an administrator ended the session, or deleted its account") {
		t.Errorf("want a reason, got %s", got)
	}
	if _, answer, err := d.dial(token); err == nil || answer == nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token of an account that is gone: want 401, got %v", err)
	}
	await(t, "both are off the list", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.left) == 1 && len(g.kept) == 2
	})
	if len(g.wrong) > 0 {
		t.Errorf("want the account, the address and what was answered, got %+v", g.wrong)
	}
}
