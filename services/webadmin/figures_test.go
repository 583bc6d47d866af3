package webadmin

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rotunda/init/metrics"
)

func TestMonitoringSystemsGetTheFiguresWithAnAccount(t *testing.T) {
	gatherer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" || r.Header.Get("Authorization") != "" {
			t.Errorf("want the figures asked for without a password, got %s %v", r.URL, r.Header)
		}
		_, _ = io.WriteString(w, "rotunda_alarms 0\n")
	}))
	var audited []string
	s := New(Options{Accounts: new(people), Gatherer: strings.TrimPrefix(gatherer.URL, "http://"), Audit: func(text string) { audited = append(audited, text) },
		Log: slog.New(slog.DiscardHandler)})
	ask := func(user, given string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "https://cms1.example.com/metrics", nil)
		if user != "" {
			r.SetBasicAuth(user, given)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w
	}
	for _, one := range []struct {
		user, password string
		status         int
	}{{"", "", 401}, {"api", "wrong", 401}, {"audit", password, 403}, {"crypto", password, 403}, {"appadmin", password, 403}, {"admin", password, 200}, {"api", password, 200}} {
		w := ask(one.user, one.password)
		if w.Code != one.status || (w.Body.String() == "rotunda_alarms 0\n") != (one.status == 200) {
			t.Errorf("%s: want %d, got %d %q", one.user, one.status, w.Code, w.Body)
		}
		if one.status == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("want a client asked for its account, got %v", w.Header())
		}
	}
	if w := ask("api", password); w.Header().Get("Content-Type") != metrics.ContentType || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("want the type of the text, got %v", w.Header())
	}
	if len(audited) != 1 || !strings.HasPrefix(audited[0], "login for metrics refused") || strings.Contains(audited[0], "wrong") {
		t.Errorf("want the one refusal audited, got %q", audited)
	}
	gatherer.Close()
	if w := ask("api", password); w.Code != http.StatusBadGateway {
		t.Errorf("want the trouble told, got %d", w.Code)
	}
	p := metrics.NewPage("webadmin")
	s.count(context.Background(), p)
	var text strings.Builder
	if err := p.Write(&text); err != nil || len(p.Wrong()) > 0 {
		t.Fatalf("want what is declared alone, got %v, %q", err, p.Wrong())
	}
	for _, want := range []string{`rotunda_webadmin_requests_total{class="2xx"} 3`, `{class="4xx"} 5`, `{class="5xx"} 1`, `rotunda_webadmin_logins_total{result="refused"} 1`, `{result="ok"} 7`, "rotunda_webadmin_sessions 0"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("want %q in\n%s", want, &text)
		}
	}
}
