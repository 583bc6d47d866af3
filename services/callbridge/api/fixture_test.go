package api

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

// book is the accounts of tests: names to roles, with the password "right".
type book struct {
	mu    sync.Mutex
	asked int
	// hold, when it is not nil, keeps every check waiting until it is closed.
	hold chan struct{}
}

func (b *book) Check(ctx context.Context, user, password, _ string) ([]string, error) {
	b.mu.Lock()
	b.asked++
	hold := b.hold
	b.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	role, known := map[string]string{"admin": "admin", "clerk": "appadmin", "script": "api", "auditor": "audit", "keeper": "crypto"}[user]
	if !known || password != "right" {
		return nil, fmt.Errorf("%w: because", ErrRefused)
	}
	return []string{role}, nil
}

func (b *book) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

// journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// desk is a server with a client of it.
type desk struct {
	t      testing.TB
	server *Server
	store  *store.Store
	book   *book
	log    *journal
	base   string
	client *http.Client
}

// openStore is a store on a real database.
func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Client: databasetest.Start(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newDesk(t testing.TB, st *store.Store, change ...func(*Options)) *desk {
	t.Helper()
	d := &desk{t: t, store: st, book: &book{}, log: &journal{}}
	o := Options{Store: st, Accounts: d.book, Log: slog.New(slog.NewTextHandler(d.log, nil)), Front: -1}
	for _, f := range change {
		f(&o)
	}
	d.server = New(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.serve(l)
	d.base = "http://" + l.Addr().String()
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	d.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	return d
}

func (d *desk) serve(l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.server.Serve(ctx, l) }()
	d.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Error(err)
		}
	})
}

// reply is an answer of the API.
type reply struct {
	status   int
	header   http.Header
	body     string
	location string
}

// do makes a request in the name of script; path is below the host.
func (d *desk) do(method, path, body string) reply {
	d.t.Helper()
	r, err := http.NewRequest(method, d.base+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.SetBasicAuth("script", "right")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return d.send(r)
}

func (d *desk) send(r *http.Request) reply {
	d.t.Helper()
	answer, err := d.client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(text), answer.Header.Get("Location")}
}

// api makes a request below /api/v1.
func (d *desk) api(method, path string, values url.Values) reply {
	d.t.Helper()
	if method == http.MethodGet {
		if len(values) > 0 {
			path += "?" + values.Encode()
		}
		values = nil
	}
	return d.do(method, "/api/v1/"+path, values.Encode())
}

// tree is XML as tests look at it.
type tree struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []tree     `xml:",any"`
}

func parse(t testing.TB, text string) tree {
	t.Helper()
	if !strings.HasPrefix(text, `<?xml version="1.0"?><`) {
		t.Fatalf("want the declaration first, got %.80q", text)
	}
	var root tree
	if err := xml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatalf("%v in %.200q", err, text)
	}
	return root
}

func (n tree) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// get is the text of a child, and whether it is there.
func (n tree) get(name string) (string, bool) {
	for _, c := range n.Children {
		if c.XMLName.Local == name {
			return c.Text, true
		}
	}
	return "", false
}

// read gets an object or a list that must be there.
func (d *desk) read(path string, query url.Values) tree {
	d.t.Helper()
	a := d.api(http.MethodGet, path, query)
	if a.status != http.StatusOK {
		d.t.Fatalf("GET %s?%s: want 200, got %d %s", path, query.Encode(), a.status, a.body)
	}
	if kind := a.header.Get("Content-Type"); kind != "text/xml" {
		d.t.Fatalf("GET %s: want text/xml, got %q", path, kind)
	}
	return parse(d.t, a.body)
}

// make creates an object that must be taken, and returns its path below /api/v1.
func (d *desk) make(path string, values url.Values) string {
	d.t.Helper()
	a := d.api(http.MethodPost, path, values)
	if a.status != http.StatusOK || a.body != "" {
		d.t.Fatalf("POST %s %s: want 200 and no body, got %d %s", path, values.Encode(), a.status, a.body)
	}
	made, ok := strings.CutPrefix(a.location, "/api/v1/"+path+"/")
	if _, isID := store.ParseID(made); !ok || !isID {
		d.t.Fatalf("POST %s: want a Location /api/v1/%s/<id>, got %q", path, path, a.location)
	}
	return path + "/" + made
}

// fails wants a failure with a status and these failures in it: a code, or parameter:fault.
func (d *desk) fails(a reply, status int, want ...string) {
	d.t.Helper()
	if a.status != status {
		d.t.Fatalf("want %d, got %d %s", status, a.status, a.body)
	}
	root := parse(d.t, a.body)
	have := map[string]bool{}
	for _, c := range root.Children {
		name := c.XMLName.Local
		if name == "parameterError" {
			name = c.attr("parameter") + ":" + c.attr("error")
		}
		have[name] = true
	}
	for _, one := range want {
		if !have[one] {
			d.t.Errorf("want the failure %s, got %s", one, a.body)
		}
	}
	if root.XMLName.Local != "failureDetails" || len(have) != len(want) {
		d.t.Errorf("want failureDetails with %v, got %s", want, a.body)
	}
}

// user puts a user into the store, as an import does.
func (d *desk) user(jid string) store.ID {
	d.t.Helper()
	var id store.ID
	err := d.store.Write(d.t.Context(), func(tx *store.Tx) error {
		u := tx.New(schema.User, store.ID{})
		u.Set("userJid", jid)
		id = u.ID()
		return tx.Put(u)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return id
}

func id(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
