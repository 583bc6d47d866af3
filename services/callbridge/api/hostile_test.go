package api

import (
	"bufio"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// bad requests, each with the status that is right for it.
func badRequests(one string) []struct {
	method, path, body string
	status             int
} {
	long := strings.Repeat("%41", 4000)
	return []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/api/v1/coSpaces/7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11", "", 404},
		{"GET", "/api/v1/" + strings.Repeat("a/", 300), "", 404},
		{"GET", "/api/v9/coSpaces", "", 404},
		{"GET", "/api/v1/coSpaces?offset=-1", "", 400},
		{"GET", "/api/v1/coSpaces?limit=99999999999999999999", "", 400},
		{"GET", "/api/v1/coSpaces?tenantFilter=x%27%20or%201", "", 400},
		{"GET", "/api/v1/coSpaces?" + strings.Repeat("a=b&", maxParams+1), "", 400},
		{"POST", "/api/v1/coSpaces", "name=" + long, 400},
		{"POST", "/api/v1/coSpaces", "uri=a@b&callId=x&tenant=1&nonMemberAccess=2&streamUrl=3", 400},
		{"POST", "/api/v1/coSpaces", "tenant=7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11", 400},
		{"POST", "/api/v1/coSpaces", "name=%00%01%ff", 400},
		{"POST", "/api/v1/coSpaces", `[{"name":1}]`, 400},
		{"POST", "/api/v1/coSpaces", strings.Repeat("a=b&", maxParams+1), 400},
		{"POST", "/api/v1/coSpaces", strings.Repeat("x", maxBody+1), 413},
		{"POST", "/api/v1/ldapServers", "", 400},
		{"PUT", "/api/v1/" + one, "callLegProfile=no", 400},
		{"PUT", "/api/v1/coSpaces", "name=x", 400},
		{"DELETE", "/api/v1/system/profiles", "", 400},
		{"PATCH", "/api/v1/coSpaces", "", 405},
		{"BREW", "/api/v1/coSpaces", "", 405},
		{"GET", "/api/v1/calls/7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11/participants", "", 404},
		{"PUT", "/api/v1/layoutTemplates/7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11/template", "{", 404},
		{"GET", "/api/v1/system/MPLicenseUsage?startTime=yesterday", "", 400},
		{"PUT", "/api/v1/system/timedLogging", "sip=-1", 400},
	}
}

func TestTenThousandBadRequests(t *testing.T) {
	d := newDesk(t, openStore(t))
	one := d.make("coSpaces", url.Values{"name": {"Room"}})
	bad := badRequests(one)
	// The requests come from some clients at once, each of which begins at another one.
	const clients = 4
	do := func(name string, n int) {
		t.Run(name, func(t *testing.T) {
			for first := range clients {
				t.Run("client", func(t *testing.T) {
					t.Parallel()
					d := *d
					d.t = t
					for i := first; i < n; i += clients {
						b := bad[(i/clients+first*len(bad)/clients)%len(bad)]
						a := d.do(b.method, b.path, b.body)
						if a.status != b.status {
							t.Fatalf("%s %.80s %.80s: want %d, got %d %s", b.method, b.path, b.body, b.status, a.status, a.body)
						}
						if root := parse(t, a.body); root.XMLName.Local != "failureDetails" || len(root.Children) == 0 {
							t.Fatalf("%s %.80s: got %s", b.method, b.path, a.body)
						}
					}
				})
			}
		})
	}
	// What a server needs at all is there after some.
	do("some", 500)
	goroutines, heap := runtime.NumGoroutine(), heapInUse()
	do("ten thousand", 10_000)
	if t.Failed() {
		return
	}
	// A connection on which too much came lingers for half a second, so that its client reads the answer.
	for until := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > goroutines+10; runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatalf("want about %d goroutines, got %d", goroutines, runtime.NumGoroutine())
		}
	}
	// The journal of the test itself holds nothing of bad requests, so growth would be the server's.
	if now := heapInUse(); now > heap+4<<20 {
		t.Errorf("want about %d KiB in use, got %d", heap>>10, now>>10)
	}
	if total := d.read("coSpaces", nil).attr("total"); total != "1" {
		t.Errorf("want the one space, got %s", total)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func TestBytesThatAreNoRequests(t *testing.T) {
	d := newDesk(t, nil)
	address := strings.TrimPrefix(d.base, "http://")
	for text, want := range map[string]string{
		"\x00\x01\x02\r\n\r\n":                 "HTTP/1.1 400",
		"GET\r\n\r\n":                          "HTTP/1.1 400",
		"GET / HTTP/9.9\r\n\r\n":               "HTTP/1.1 505",
		"GET / HTTP/1.1\r\n\r\n":               "HTTP/1.1 400",
		"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n": "HTTP/1.1 400",
		"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 40) + "\r\n":                         "HTTP/1.1 431",
		"POST /api/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n":                                                            "HTTP/1.1 400",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":                                                                  "HTTP/1.1 200",
		"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic !!!\r\nConnection: close\r\n\r\n":                                          "HTTP/1.1 401",
		"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc\r\nConnection: close\r\n\r\n":                                         "HTTP/1.1 401",
		"POST /api/v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nConnection: close\r\n\r\n0\r\n\r\n": "HTTP/1.1 401",
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			t.Errorf("%.60q: want %s, got %q %v", text, want, line, err)
		}
		c.Close()
	}
}

func TestABodyThatEndsEarly(t *testing.T) {
	d := newDesk(t, openStore(t))
	c, err := net.Dial("tcp", strings.TrimPrefix(d.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	// "script:right"
	fmt.Fprint(c, "POST /api/v1/coSpaces HTTP/1.1\r\nHost: x\r\nAuthorization: Basic c2NyaXB0OnJpZ2h0\r\nContent-Length: 100\r\n\r\nname=Room")
	_ = c.(*net.TCPConn).CloseWrite()
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("want 400, got %d", answer.StatusCode)
	}
	if total := d.read("coSpaces", nil).attr("total"); total != "0" {
		t.Errorf("want no space of a request that did not come whole, got %s", total)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := bound(inner, 2)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	dial()
	dial()
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	third := make(chan error)
	go func() {
		_, err := l.Accept()
		third <- err
	}()
	select {
	case <-third:
		t.Fatal("the third came while two were open")
	default:
	}
	first.Close()
	first.Close()
	if err := <-third; err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := l.Accept()
		third <- err
	}()
	l.Close()
	if err := <-third; err == nil {
		t.Error("want an error after Close")
	}
}

func TestRequestsUnderWayAreBounded(t *testing.T) {
	s := New(Options{Accounts: &book{}, Front: -1})
	for range maxRunning {
		if err := s.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.enter(ctx); err == nil {
		t.Error("want no place")
	}
	<-s.slots
	if err := s.enter(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAPanicEndsOneRequest(t *testing.T) {
	d := newDesk(t, nil)
	d.server.handleAlone(http.MethodGet, "trouble", func(*Call) (Answer, error) { panic("secret thing") })
	a := d.do(http.MethodGet, "/api/v1/trouble", "")
	if a.status != http.StatusInternalServerError || strings.Contains(a.body, "secret") {
		t.Errorf("want 500 without the reason, got %d %s", a.status, a.body)
	}
	event := parse(t, a.body).Children[0].attr("event")
	if event == "" || !strings.Contains(d.log.String(), event) || !strings.Contains(d.log.String(), "secret thing") {
		t.Errorf("want event %q with the reason in the log, got %s", event, d.log)
	}
	d.read("system/status", nil)
}

func FuzzRequest(f *testing.F) {
	st := openStore(f)
	s := New(Options{Store: st, Accounts: &book{}, Log: slog.New(slog.DiscardHandler), Front: -1})
	var one string
	if err := st.Write(f.Context(), func(tx *store.Tx) error {
		d := tx.New(schema.CoSpace, store.ID{})
		one = "coSpaces/" + d.ID().String()
		return tx.Put(d)
	}); err != nil {
		f.Fatal(err)
	}
	for _, b := range badRequests(one) {
		path, query, _ := strings.Cut(b.path, "?")
		f.Add(b.method, path, query, b.body)
	}
	f.Add("POST", "/api/v1/"+one+"/accessMethods", "", "uri=x&passcode=1&scope=PUBLIC")
	f.Add("PUT", "/api/v1/system/profiles", "", "callLegProfile=")
	f.Add("GET", "/api/v1/callLegProfiles", "usageFilter=referenced", "")
	right := map[int]bool{200: true, 400: true, 404: true, 405: true, 413: true, 503: true}
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: path, RawQuery: query}
		r.SetBasicAuth("script", "right")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if !right[w.Code] {
			t.Fatalf("%q %q ? %q %q: status %d %s", method, path, query, body, w.Code, w.Body)
		}
		if method == http.MethodHead || w.Body.Len() == 0 || w.Header().Get("Content-Type") != "text/xml" {
			return
		}
		var root tree
		if err := xml.Unmarshal(w.Body.Bytes(), &root); err != nil {
			t.Fatalf("%q %q ? %q %q: %v in %s", method, path, query, body, err, w.Body)
		}
		if (w.Code != 200) != (root.XMLName.Local == "failureDetails") {
			t.Fatalf("%q %q: status %d with %s", method, path, w.Code, w.Body)
		}
	})
}
