package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"rotunda/init/callers"
	"rotunda/mmp/shell"
)

const (
	// maxBody has room for the certificates of a card.
	maxBody = 64 << 10
	// connectionsEach bounds the connections of a service: it asks one at a time for each login under way.
	connectionsEach = 64
	// Scripts log in anew with every request. Such a login is noted in the log and in the account once in every noteEvery, unless
	// others failed before it, and maxNoted logins are remembered for that.
	noteEvery = 10 * time.Minute
	maxNoted  = 4096
)

// Accounts are those of the shell ([shell.Accounts]).
type Accounts interface {
	CheckPassword(ctx context.Context, user, password string, from shell.Source) (*shell.Login, error)
	CheckCard(ctx context.Context, chain [][]byte, from shell.Source) (*shell.Login, error)
	LoggedIn(login *shell.Login)
	// Standing is the login of an account that was made at a time, or of any of the name for the zero time.
	Standing(user string, added time.Time) (*shell.Login, error)
	Begin(login *shell.Login, kind shell.SessionKind, evict func()) (end func(), err error)
}

// Server answers services.
type Server struct {
	Accounts Accounts
	// Services are the users that may ask.
	Services map[uint32]bool
	Log      func(p syslog.Priority, tag, text string)

	mu    sync.Mutex
	noted map[notedLogin]time.Time
	kept  kept
}

type notedLogin struct {
	user, service, means string
	from                 netip.Addr
}

// Serve answers until the context ends. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	defer s.kept.close()
	question(mux, s, "POST /check", s.check)
	question(mux, s, "POST /keep", s.keep)
	question(mux, s, "POST /leave", s.leave)
	if err := callers.Serve(ctx, l, connectionsEach, &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10,
	}); err != nil {
		return fmt.Errorf("admission socket: %w", err)
	}
	return nil
}

// question serves one kind of question, which services alone may ask.
func question[Q Question | Session](mux *http.ServeMux, s *Server, pattern string, f func(http.ResponseWriter, *http.Request, Q)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if uid, ok := callers.User(r.Context()); !ok || !s.Services[uid] {
			s.Log(syslog.LOG_WARNING, "cli", fmt.Sprintf("user %d of this machine asked about a login and may not", uid))
			http.Error(w, "only services may ask", http.StatusForbidden)
			return
		}
		var q Q
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil {
			err = json.Unmarshal(b, &q)
		}
		if err != nil {
			http.Error(w, "question: "+err.Error(), http.StatusBadRequest)
			return
		}
		f(w, r, q)
	})
}

func (s *Server) check(w http.ResponseWriter, r *http.Request, q Question) {
	if !q.Source.IsValid() {
		http.Error(w, "question: no source", http.StatusBadRequest)
		return
	}
	a, reason, err := s.admit(r.Context(), q)
	switch {
	case err != nil:
		s.Log(syslog.LOG_ERR, "cli", fmt.Sprintf("check of a login: %v", err))
		http.Error(w, "not now", http.StatusServiceUnavailable)
	case reason != "":
		answer(w, http.StatusUnauthorized, refusal{reason})
	default:
		answer(w, http.StatusOK, a)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// admit returns the account, or why not.
func (s *Server) admit(ctx context.Context, q Question) (a Account, reason string, err error) {
	source := netip.AddrPortFrom(q.Source.Addr().Unmap(), q.Source.Port())
	from := shell.Source{Addr: source, Service: q.Service}
	var login *shell.Login
	if len(q.Certificates) > 0 {
		login, err = s.Accounts.CheckCard(ctx, q.Certificates, from)
	} else {
		login, err = s.Accounts.CheckPassword(ctx, q.User, q.Password, from)
	}
	if errors.Is(err, shell.ErrRefused) {
		return Account{}, refused, nil
	}
	if err != nil {
		return Account{}, "", err
	}
	if login.MustChange != "" {
		return Account{}, password, nil
	}
	if len(q.Roles) > 0 && !slices.Contains(q.Roles, string(login.Role)) {
		// The service says so to the far end, which has shown that it knows the password.
		text := fmt.Sprintf("Failed login from %s: the role %s does not open the %s", from, login.Role, q.Service)
		s.Log(syslog.LOG_AUTH|syslog.LOG_WARNING, "login", text)
		s.Log(syslog.LOG_LOCAL0|syslog.LOG_WARNING, "login", text)
		return Account{User: login.User, Role: string(login.Role)}, "", nil
	}
	if !q.Scripts || s.note(notedLogin{login.User, q.Service, login.Means, source.Addr()}, time.Now()) || login.FailedLogins > 0 {
		s.Accounts.LoggedIn(login)
	}
	return Account{User: login.User, Role: string(login.Role)}, "", nil
}

// note says whether a login is the first one in a while.
func (s *Server) note(l notedLogin, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.noted[l]; ok && now.Sub(last) < noteEvery {
		return false
	}
	if s.noted == nil || len(s.noted) >= maxNoted {
		s.noted = map[notedLogin]time.Time{}
	}
	s.noted[l] = now
	return true
}
