package live

import (
	"context"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/attendant"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// desk is the API over meetings whose far ends and media are made up.
type desk struct {
	*testing.T
	store    *store.Store
	engine   *controltest.Engine
	meetings *meeting.Calls
	live     *Live
	base     string

	mu      sync.Mutex
	stats   map[string]control.LegStats
	asked   int
	machine store.ID
	dialled chan *line
}

// line is a far end.
type line struct {
	mu     sync.Mutex
	told   []string
	caller meeting.Caller
	dial   meeting.Dial
}

func (l *line) say(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, what)
}

func (l *line) heard(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.told {
		if one == what {
			return true
		}
	}
	return false
}

func (l *line) Ring()                                {}
func (l *line) Accept()                              { l.say("accept") }
func (l *line) Hangup(r meeting.Reason)              { l.say("hangup " + string(r)) }
func (l *line) GrantFloor()                          { l.say("grant") }
func (l *line) RevokeFloor()                         {}
func (l *line) ShowPresentation(bool)                {}
func (l *line) Hold(bool)                            {}
func (l *line) Camera(pan, tilt, zoom, focus string) { l.say("camera " + pan + tilt + zoom + focus) }
func (l *line) Refer(string)                         {}

// anybody may log in.
type anybody struct{}

func (anybody) Check(context.Context, string, string, string) ([]string, error) {
	return []string{"api"}, nil
}

// figuresOf is the engine with figures of the desk.
func (d *desk) figuresOf(_ context.Context, legs ...string) (map[string]control.LegStats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	found := map[string]control.LegStats{}
	for _, id := range legs {
		if s, ok := d.stats[id]; ok {
			found[id] = s
		}
	}
	return found, nil
}

func open(t *testing.T) *desk {
	t.Helper()
	d := &desk{T: t, machine: uuid.New(), stats: map[string]control.LegStats{}, dialled: make(chan *line, 100)}
	var err error
	if d.store, err = store.Open(context.Background(), store.Options{Client: databasetest.Start(t), Machine: d.machine}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.store.Close)
	d.engine = controltest.New(control.WorkerStatus{Name: "0.0", Capacity: 1000, Used: 250, Busy: 0.1})
	m := mixer.New(mixer.Options{Service: d.engine.Owner("bridge")})
	view := func() store.View { return d.store }
	d.meetings = meeting.New(meeting.Options{Mixer: m, Dialer: dialer{d, m}, View: view})
	d.live = New(Options{Control: d.meetings, Stats: d.figuresOf, Modules: d.engine.Owner("bridge").Status, View: view,
		Bridge: func() *store.Record { return Self(d.store) }})
	t.Cleanup(d.live.Close)
	server := api.New(api.Options{Store: d.store, Accounts: anybody{}, Front: -1, Live: d.live, System: api.System{
		Diagnose: func(c *api.Call, space *store.Record, call store.ID) (api.Diagnostics, error) {
			var b strings.Builder
			var id store.ID
			if space != nil {
				id = space.ID()
			}
			correlator := d.live.Diagnose(c.Context(), &b, id, call)
			return api.Diagnostics{Label: "x", CallCorrelator: correlator, Contents: []byte(b.String())}, nil
		},
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	d.base = "http://" + l.Addr().String() + "/api/v1/"
	// What the test leaves is over before the parts below it are.
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		d.meetings.Close(ctx)
	})
	return d
}

// dialer makes calls whose far ends do what the test says.
type dialer struct {
	d *desk
	m *mixer.Mixer
}

func (x dialer) Dial(_ context.Context, to meeting.Dial, c meeting.Caller) (meeting.Line, *mixer.Leg) {
	l := &line{caller: c, dial: to}
	x.d.dialled <- l
	return l, x.m.Leg(to.Leg.String(), nil)
}

// put makes an object.
func (d *desk) put(o *schema.Object, parent store.ID, fields map[string]string) *store.Record {
	d.Helper()
	var id store.ID
	err := d.store.Write(context.Background(), func(tx *store.Tx) error {
		draft := tx.New(o, parent)
		if o.Singleton {
			draft = tx.Edit(tx.Only(o))
		}
		id = draft.ID()
		for name, v := range fields {
			draft.Set(name, v)
		}
		return tx.Put(draft)
	})
	if err != nil {
		d.Fatalf("put %s: %v", o.Name, err)
	}
	if o.Singleton {
		return d.store.Only(o)
	}
	return d.store.Get(o, id)
}

// media that far ends of tests agree on.
var video = meeting.MediaInfo{Audio: true, Video: true, Encrypted: true, Cipher: "AES_CM_128_HMAC_SHA1_80", Camera: true}
var audio = meeting.MediaInfo{Audio: true, Unencrypted: true}

// join brings somebody into the meeting of a space.
func (d *desk) join(space *store.Record, name string, media meeting.MediaInfo) (*line, meeting.LegInfo) {
	d.Helper()
	l := &line{}
	id := uuid.New()
	m := mixer.New(mixer.Options{Service: d.engine.Owner("bridge")})
	who := meeting.Identity{Name: name, Address: strings.ToLower(name) + "@example.com", SIPID: "call-of-" + name}
	l.caller = d.meetings.Arrive(meeting.Arrival{Line: l, Media: m.Leg(id.String(), nil), Identity: who, Kind: "sip", Called: "weekly@meet.example.com", Original: "weekly@example.com", Offer: media},
		meeting.Target{Entries: []attendant.Entry{{Space: space}}})
	d.until(name+" is accepted", func() bool { return l.heard("accept") })
	l.caller.Answered(who, media)
	d.until(name+" is connected", func() bool {
		g, ok := d.meetings.Leg(id)
		return ok && g.State == meeting.Connected
	})
	g, _ := d.meetings.Leg(id)
	return l, g
}

func (d *desk) until(what string, so func() bool) {
	d.Helper()
	for limit := time.Now().Add(10 * time.Second); !so(); {
		if time.Now().After(limit) {
			d.Fatalf("%s: it did not come to it", what)
		}
		<-time.After(time.Millisecond)
	}
}

// node is XML as clients read it.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []node     `xml:",any"`
}

func (n node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// flat are the texts by path; an attribute role belongs to the name, as in the tables.
func (n node) flat() map[string]string {
	all := map[string]string{}
	var walk func(prefix string, n node)
	walk = func(prefix string, n node) {
		for _, c := range n.Children {
			name := c.XMLName.Local
			if role := c.attr("role"); role != "" {
				name += " role=" + role
			}
			if len(c.Children) == 0 {
				all[prefix+name] = strings.TrimSpace(c.Text)
			}
			walk(prefix+name+"/", c)
		}
	}
	walk("", n)
	return all
}

// do makes a request; form is the body, or the query of GET.
func (d *desk) do(method, path string, form url.Values) (int, node, string) {
	d.Helper()
	body := io.Reader(nil)
	address := d.base + path
	if method == http.MethodGet {
		if len(form) > 0 {
			address += "?" + form.Encode()
		}
	} else {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, address, body)
	if err != nil {
		d.Fatal(err)
	}
	r.SetBasicAuth("script", "right")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.Fatal(err)
	}
	var n node
	if len(text) > 0 && strings.HasPrefix(answer.Header.Get("Content-Type"), "text/xml") {
		if err := xml.Unmarshal(text, &n); err != nil {
			d.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	} else {
		n.Text = string(text)
	}
	return answer.StatusCode, n, answer.Header.Get("Location")
}

// get wants 200.
func (d *desk) get(path string, query ...string) node {
	d.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		form.Set(query[i], query[i+1])
	}
	status, n, _ := d.do(http.MethodGet, path, form)
	if status != http.StatusOK {
		d.Fatalf("GET %s %v: want 200, got %d %+v", path, query, status, n)
	}
	return n
}

// ok wants 200 and returns the ID at the end of the Location.
func (d *desk) ok(method, path string, form ...string) string {
	d.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	status, n, location := d.do(method, path, values)
	if status != http.StatusOK {
		d.Fatalf("%s %s %v: want 200, got %d %+v", method, path, form, status, n)
	}
	return location[strings.LastIndex(location, "/")+1:]
}

// has wants these texts, "" for an element that is not there.
func (d *desk) has(what string, n node, want map[string]string) {
	d.Helper()
	got := n.flat()
	for path, text := range want {
		if got[path] != text {
			d.Errorf("%s: %s: want %q, got %q", what, path, text, got[path])
		}
	}
}

// names are the texts of an element in each row of a list.
func names(n node, element string) string {
	var all []string
	for _, c := range n.Children {
		all = append(all, c.flat()[element])
	}
	return strings.Join(all, " ")
}
