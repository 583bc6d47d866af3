package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"rotunda/init/callers"
	"rotunda/init/config"
)

// connections the shell may have: one for each login under way.
const connections = 64

// server answers the shell.
type server struct {
	settings atomic.Pointer[config.IdentityService]
	// allowed may ask.
	allowed uint32
	log     func(string)
}

// serve answers until the context ends. It closes l.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /password", answering(s, func(ctx context.Context, q credentials) (struct{}, error) {
		return struct{}{}, s.directory().check(ctx, q.User, q.Password)
	}))
	mux.HandleFunc("POST /certificate", answering(s, func(ctx context.Context, q presented) (Holder, error) {
		return newIssuer(s.settings.Load()).check(ctx, q.Chain, time.Now())
	}))
	mux.HandleFunc("POST /test", answering(s, func(ctx context.Context, q credentials) (report, error) {
		return report{s.directory().test(ctx, q.User, q.Password)}, nil
	}))
	if err := callers.Serve(ctx, l, connections, &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10,
	}); err != nil {
		return fmt.Errorf("identity socket: %w", err)
	}
	return nil
}

func (s *server) directory() directory {
	now := s.settings.Load()
	return directory{now.LDAP, now.TLS}
}

// answering makes a handler of a question. A panic ends the request alone: net/http recovers.
func answering[Q, A any](s *server, answer func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if uid, ok := callers.User(r.Context()); !ok || uid != s.allowed {
			s.log(fmt.Sprintf("user %d of this machine asked about a person and may not", uid))
			http.Error(w, "only the shell may ask", http.StatusForbidden)
			return
		}
		var q Q
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil {
			err = json.Unmarshal(b, &q)
		}
		if err != nil {
			tell(w, http.StatusBadRequest, failure{"question: " + err.Error()})
			return
		}
		a, err := answer(r.Context(), q)
		if err != nil {
			tell(w, statusOf(err), failure{err.Error()})
			return
		}
		tell(w, http.StatusOK, a)
	}
}

func tell(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
