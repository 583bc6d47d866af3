package webadmin

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rotunda/services/freeport"
)

// echo is a Call Bridge that has a WebSocket below /events, which says its source and path and then what it hears.
func echo(t *testing.T) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "wa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "api.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/authTokens") {
			w.Header()["X-Cisco-CMS-Auth-Token"] = []string{"good"}
			return
		}
		if r.URL.Query().Get("authToken") != "good" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		said := []byte(r.Header.Get("Rotunda-Source") + " " + r.URL.Path + r.Header.Get("Cookie"))
		for {
			if c.Write(ctx, websocket.MessageText, said) != nil {
				return
			}
			if _, said, err = c.Read(ctx); err != nil {
				return
			}
		}
	})}}
	s.Start()
	t.Cleanup(s.Close)
	return socket
}

func TestEventsArePassedOnAndEndWithThePort(t *testing.T) {
	server := New(Options{Socket: echo(t)})
	key, chain := certificate(t, "cms.example.com")
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	secure := newPort("HTTPS", server.Handler(), &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: protocols}, slog.New(slog.DiscardHandler))
	inner := newPort("loopback", server.Loopback(), nil, slog.New(slog.DiscardHandler))
	t.Cleanup(secure.close)
	t.Cleanup(inner.close)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var open []*websocket.Conn
	tokenOf := func(c net.Conn, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "POST /api/v1/authTokens HTTP/1.1\r\nHost: cms\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		if err != nil || strings.Count(string(b), "\r\nX-Cisco-CMS-Auth-Token: good\r\n") != 1 || strings.Contains(string(b), "Cms") {
			t.Errorf("want the token's header as clients spell it, got %q, %v", b, err)
		}
	}
	for scheme, p := range map[string]*port{"wss": secure, "ws": inner} {
		a := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(freeport.For(t)))
		if err := p.follow([]netip.AddrPort{a}); err != nil {
			t.Fatal(err)
		}
		if scheme == "wss" {
			tokenOf(tls.Dial("tcp", a.String(), &tls.Config{InsecureSkipVerify: true}))
		} else {
			tokenOf(net.Dial("tcp", a.String()))
		}
		header := http.Header{"Rotunda-Source": {"192.0.2.99"}, "Cookie": {"session=x"}}
		_, answer, err := websocket.Dial(ctx, scheme+"://"+a.String()+"/events/v1?authToken=bad", &websocket.DialOptions{HTTPClient: client})
		if err == nil || answer == nil || answer.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%s with a bad token: want 401, got %v, %v", scheme, answer, err)
		}
		c, _, err := websocket.Dial(ctx, scheme+"://"+a.String()+"/Events/v1?authToken=good", &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
		if err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		defer c.CloseNow()
		open = append(open, c)
		if _, got, err := c.Read(ctx); err != nil || !strings.HasPrefix(string(got), "127.0.0.1:") || !strings.HasSuffix(string(got), " /Events/v1") {
			t.Errorf("%s: want the far end's own address and the path, got %q, %v", scheme, got, err)
		}
		if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
			t.Error(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != "hello" {
			t.Errorf("%s: want hello, got %q, %v", scheme, got, err)
		}
	}
	// A port that is not served any more leaves no client behind.
	for _, p := range []*port{secure, inner} {
		if err := p.follow(nil); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	for _, c := range open {
		if _, _, err := c.Read(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("want the connection cut, got %v after %v", err, time.Since(began))
		}
	}
}

// TestAScriptHearsOfACallThroughTheWebAdmin goes all the way: HTTPS, the Call Bridge's socket, meetings.
func TestAScriptHearsOfACallThroughTheWebAdmin(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	post := func(path, form string) *http.Response {
		t.Helper()
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, s.web.URL+path, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		q.SetBasicAuth("script", "Script-4711")
		answer, err := s.web.Client().Do(q)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("POST %s: want 200, got %d", path, answer.StatusCode)
		}
		return answer
	}
	token := post("/api/v1/authTokens", "").Header.Get(tokenHeader)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	c, _, err := websocket.Dial(ctx, "wss"+strings.TrimPrefix(s.web.URL, "https")+"/events/v1?authToken="+token, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.MessageText, []byte(`{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[`+
		`{"index":3,"type":"calls","elements":["name"]}]}}`)); err != nil {
		t.Fatal(err)
	}
	call := strings.TrimPrefix(post("/api/v1/calls", "name=Weekly").Header.Get("Location"), "/api/v1/calls/")
	for want := `{"call":"` + call + `","updateType":"add","name":"Weekly"}`; ; {
		_, got, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("want %s, got %v", want, err)
		}
		if strings.Contains(string(got), want) {
			break
		}
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
}
