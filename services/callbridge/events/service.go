package events

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"rotunda/mmp/admission"
	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/meeting"
)

const (
	// maxClients are connected at a time. They come through the Web Admin's share of the API's connections, of which the API needs the rest.
	maxClients = 100
	// tokenHeader has the token in the answer to POST authTokens, spelled as clients know it.
	tokenHeader = "X-Cisco-CMS-Auth-Token"
)

// Options are what a Service needs.
type Options struct {
	// Control is listened to from [New] on.
	Control meeting.Control
	Log     *slog.Logger
	// Tracing says whether detailed tracing of events is on: messages are in the log then, both ways. Nil for never.
	Tracing func() bool
	// Now is the clock; nil for the machine's.
	Now func() time.Time
	// Keeper may be nil: connections then outlive their accounts.
	Keeper Keeper
}

// Keeper lists connections as sessions of their accounts, and says when they are to end: [admission.Client], the shell.
type Keeper interface {
	Keep(ctx context.Context, s admission.Session) (account time.Time, err error)
	Leave(ctx context.Context, id string) error
}

// keepTimeout is how long the shell is waited for, which answers in a millisecond.
const keepTimeout = 5 * time.Second

// Service is the server of events.
type Service struct {
	control meeting.Control
	hub     *hub
	deaf    func()
	keeper  Keeper
	tokens  tokens
	log     *slog.Logger
	tracing func() bool
	now     func() time.Time
	times   times

	mu      sync.Mutex
	clients int
	// stopped is closed when no client is to go on.
	stopped chan struct{}
	ended   bool
	group   sync.WaitGroup
	// refused is when the last refusal was logged, and silent how many were not since.
	refused time.Time
	silent  int
}

// New makes a Service that follows meetings from now on. [Service.Run] ends it.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tracing == nil {
		o.Tracing = func() bool { return false }
	}
	s := &Service{control: o.Control, keeper: o.Keeper, log: o.Log, tracing: o.Tracing, now: o.Now, times: usualTimes, stopped: make(chan struct{})}
	s.tokens.now = o.Now
	s.hub, s.deaf = newHub(o.Control)
	return s
}

// Route puts it onto the API: POST authTokens and /events/v1.
func (s *Service) Route(a *api.Server) {
	a.HandleAlone(http.MethodPost, "authTokens", func(c *api.Call) (api.Answer, error) {
		token := s.tokens.give(c.User)
		c.Audit("created a token for events")
		return api.Answer{Header: http.Header{tokenHeader: {token}}}, nil
	})
	a.Mount("/events", s.Serve)
}

// Run waits for the end of the context, and then ends all connections.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	s.deaf()
	s.mu.Lock()
	if !s.ended {
		s.ended = true
		close(s.stopped)
	}
	s.mu.Unlock()
	s.group.Wait()
	return nil
}

// Serve answers a request below /events; it is an [api.Mounted].
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, source string) {
	if path := strings.TrimSuffix(strings.ToLower(r.URL.Path), "/"); path != "/events/v1" {
		refuse(w, http.StatusNotFound, "events are at /events/v1")
		return
	}
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "connect with a WebSocket")
		return
	}
	user, ok := s.tokens.check(given(r))
	if !ok {
		s.unknown(source)
		refuse(w, http.StatusUnauthorized, "authToken is missing, wrong or expired: POST /api/v1/authTokens gives one")
		return
	}
	session := newSession(user, source)
	if !s.keeps(r.Context(), session) {
		s.unknown(source)
		refuse(w, http.StatusUnauthorized, "the account of the authToken is not there any more")
		return
	}
	defer s.left(session)
	if !s.enter() {
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("at most %d clients of events are connected at a time", maxClients))
		return
	}
	defer s.leave()
	// The token admits, and no page elsewhere has it: an Origin says nothing beyond that.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		// Accept has answered.
		return
	}
	conn.SetReadLimit(maxMessage)
	s.log.Info(source + `: events client of user "` + user + `" connected`)
	began := s.now()
	why := s.client(conn, source, session).run(s.stopped)
	s.log.Info(source+`: events client of user "`+user+`" disconnected`, "reason", why.reason, "after", s.now().Sub(began).Round(time.Second))
}

func newSession(user, source string) *admission.Session {
	address, err := netip.ParseAddr(source)
	if err != nil {
		// A program of this machine.
		address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return &admission.Session{ID: rand.Text(), User: user, Source: netip.AddrPortFrom(address, 0)}
}

// keeps says whether a session goes on. A shell that does not answer has deleted nobody meanwhile.
func (s *Service) keeps(ctx context.Context, session *admission.Session) bool {
	if s.keeper == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	account, err := s.keeper.Keep(ctx, *session)
	if err == nil {
		session.Account = account
	}
	return !errors.Is(err, admission.ErrEnded)
}

// left takes a session off the list of its account; one that the shell does not hear of, it forgets.
func (s *Service) left(session *admission.Session) {
	if s.keeper == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
	defer cancel()
	_ = s.keeper.Leave(ctx, session.ID)
}

// given is the token of a request.
func given(r *http.Request) string {
	for name, values := range r.URL.Query() {
		if strings.EqualFold(name, "authToken") && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(why + "\n"))
}

// enter says whether one more may come in.
func (s *Service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.clients >= maxClients {
		return false
	}
	s.clients++
	s.group.Add(1)
	return true
}

func (s *Service) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients--
	s.group.Done()
}

// unknown logs that a token was not taken, once a second at most.
func (s *Service) unknown(source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(s.refused) < time.Second {
		s.silent++
		return
	}
	s.log.Warn(source+": events client refused: its token is wrong or expired", "others", s.silent)
	s.refused, s.silent = now, 0
}
