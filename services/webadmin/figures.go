package webadmin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"rotunda/init/metrics"
)

// figures count what metrics.Table declares of the Web Admin.
type figures struct {
	classes     [5]atomic.Uint64
	nanoseconds atomic.Int64
	in, refused atomic.Uint64
}

var classNames = [5]string{"1xx", "2xx", "3xx", "4xx", "5xx"}

// counted counts the requests of a handler.
func (f *figures) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		begin := time.Now()
		defer func() {
			f.nanoseconds.Add(int64(time.Since(begin)))
			if i := c.status/100 - 1; i >= 0 && i < len(f.classes) {
				f.classes[i].Add(1)
			}
		}()
		h.ServeHTTP(c, r)
	})
}

// statusWriter remembers how a request was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController], which hands over connections that are upgraded.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Check implements [Accounts], and counts.
func (c countingAccounts) Check(ctx context.Context, by Door, user, password, source string) ([]string, error) {
	roles, err := c.Accounts.Check(ctx, by, user, password, source)
	if err != nil {
		c.figures.refused.Add(1)
	} else {
		c.figures.in.Add(1)
	}
	return roles, err
}

type countingAccounts struct {
	Accounts
	figures *figures
}

// count fills a page of figures.
func (s *Server) count(_ context.Context, p *metrics.Page) {
	for i := range s.figures.classes {
		p.Set("rotunda_webadmin_requests_total", float64(s.figures.classes[i].Load()), classNames[i])
	}
	p.Set("rotunda_webadmin_seconds_total", time.Duration(s.figures.nanoseconds.Load()).Seconds())
	p.Set("rotunda_webadmin_logins_total", float64(s.figures.in.Load()), "ok")
	p.Set("rotunda_webadmin_logins_total", float64(s.figures.refused.Load()), "refused")
	s.sessions.mu.Lock()
	n := len(s.sessions.list)
	s.sessions.mu.Unlock()
	p.Set("rotunda_webadmin_sessions", float64(n))
}

const (
	// maxFigures bounds what is passed on of the gatherer's text, figuresWithin how long it may take.
	maxFigures    = 8 << 20
	figuresWithin = 10 * time.Second
	roleAPI       = "api"
)

// figuresRoles may read them: they say who is in which alarm and how much goes on, which is not for everybody.
var (
	figuresRoles = []string{roleAdmin, roleAPI}
	figuresDoor  = Door{"metrics", figuresRoles, true}
)

// metrics is GET /metrics: the figures of the whole machine, for a monitoring system with an account of the shell (HTTP Basic).
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	user, password, ok := r.BasicAuth()
	if !ok || len(user) > maxName || len(password) > maxName {
		w.Header().Set("WWW-Authenticate", `Basic realm="metrics", charset="UTF-8"`)
		http.Error(w, "an account of the role api or admin is needed", http.StatusUnauthorized)
		return
	}
	select {
	case s.logins <- struct{}{}:
		defer func() { <-s.logins }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many logins at this moment", http.StatusServiceUnavailable)
		return
	}
	roles, err := s.options.Accounts.Check(r.Context(), figuresDoor, user, password, r.RemoteAddr)
	if err != nil {
		s.options.Audit("login for metrics refused, source " + peer(r))
		w.Header().Set("WWW-Authenticate", `Basic realm="metrics", charset="UTF-8"`)
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if !slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(figuresRoles, role) }) {
		http.Error(w, "metrics are for the roles api and admin", http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), figuresWithin)
	defer cancel()
	if err := s.pass(ctx, w); err != nil {
		s.options.Log.Warn("the figures of the machine cannot be had", slog.Any("error", err))
		http.Error(w, "the figures cannot be had at the moment", http.StatusBadGateway)
	}
}

// pass fetches the text, and passes it on once it is whole.
func (s *Server) pass(ctx context.Context, w http.ResponseWriter) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.options.Gatherer+"/metrics", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}
	a, err := client.Do(q)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, maxFigures+1))
	if err == nil && (a.StatusCode != http.StatusOK || len(text) > maxFigures) {
		err = errors.New("the gatherer says " + a.Status)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", metrics.ContentType)
	_, _ = w.Write(text)
	return nil
}
