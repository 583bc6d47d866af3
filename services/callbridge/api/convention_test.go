package api

import (
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

func TestPathsAreTakenAsClientsSpellThem(t *testing.T) {
	d := newDesk(t, openStore(t))
	one := d.make("coSpaces", url.Values{"name": {"Room"}})
	for _, path := range []string{"/api/v1/coSpaces", "/api/v1/coSpaces/", "/api/v1/cospaces", "/API/V1/COSPACES/?offset=0", "//api//v1//coSpaces", "/api/v1/coSpaces?filter=&tenantFilter="} {
		if a := d.do(http.MethodGet, path, ""); a.status != http.StatusOK || !strings.Contains(a.body, `<coSpaces total="1">`) {
			t.Errorf("%s: want the list, got %d %s", path, a.status, a.body)
		}
	}
	if a := d.do(http.MethodPut, "/api/v1/COSPACES/"+strings.ToUpper(id(one))+"/", "NAME=Hall"); a.status != http.StatusOK || a.location != "/api/v1/"+one {
		t.Errorf("want 200 and the Location in our spelling, got %d %q", a.status, a.location)
	}
	for path, want := range map[string]string{
		"/": "unrecognizedObject", "/api": "unrecognizedObject", "/api/v1": "unrecognizedObject", "/api/v1/": "unrecognizedObject",
		"/api/v2/coSpaces": "invalidVersion", "/api/1": "invalidVersion", "/api/v1/rooms": "unrecognizedObject", "/api/v1/system": "unrecognizedObject",
		"/api/v1/coSpaces/7d2c": "coSpaceDoesNotExist", "/api/v1/coSpaces/00000000-0000-0000-0000-000000000000": "coSpaceDoesNotExist",
		"/api/v1/" + one + "/rooms": "unrecognizedObject", "/api/v1/" + one + "/accessMethods/x": "accessMethodDoesNotExist",
		"/internal/callSettings": "unrecognizedObject", "/api/v1/callSettings": "unrecognizedObject",
		"/api/v1/" + strings.Repeat("x", 2000): "unrecognizedObject", "/api/v1/%2e%2e/coSpaces": "unrecognizedObject",
	} {
		d.fails(d.do(http.MethodGet, path, ""), http.StatusNotFound, want)
	}
}

func TestFormsAreReadWhateverTheirTypeSays(t *testing.T) {
	d := newDesk(t, openStore(t))
	for _, kind := range []string{"", "application/json", "x-www-form-urlencoded", "text/plain; charset=utf-8", ";;;"} {
		r, err := http.NewRequest(http.MethodPost, d.base+"/api/v1/coSpaces", strings.NewReader("name=%C3%9Cber+100%&nonmemberaccess=False&cdrTag=old&CDRTAG=new&irrelevant=1"))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("script", "right")
		r.Header["Content-Type"] = []string{kind}
		a := d.send(r)
		if a.status != http.StatusOK {
			t.Fatalf("%q: want 200, got %d %s", kind, a.status, a.body)
		}
		root := d.read(strings.TrimPrefix(a.location, "/api/v1/"), nil)
		for name, want := range map[string]string{"name": "Über 100%", "nonMemberAccess": "false", "cdrTag": "new"} {
			if have, _ := root.get(name); have != want {
				t.Errorf("%q: %s: want %q, got %q", kind, name, want, have)
			}
		}
	}
	// Nothing at all makes an empty profile; parameters in the query count, and those of the body go before them.
	if a := d.do(http.MethodPost, "/api/v1/callLegProfiles", ""); a.status != http.StatusOK {
		t.Errorf("no body: want 200, got %d %s", a.status, a.body)
	}
	a := d.do(http.MethodPost, "/api/v1/callLegProfiles?name=query&needsActivation=on", "name=body")
	root := d.read(strings.TrimPrefix(a.location, "/api/v1/"), nil)
	for name, want := range map[string]string{"name": "body", "needsActivation": "true"} {
		if have, _ := root.get(name); have != want {
			t.Errorf("%s: want %q, got %q", name, want, have)
		}
	}
	d.fails(d.do(http.MethodPost, "/api/v1/coSpaces", `{"name":"Room"}`), http.StatusBadRequest, "*:invalidValue")
	if a := d.do(http.MethodPost, "/api/v1/callProfiles", "{}"); a.status != http.StatusOK {
		t.Errorf("an empty document: want 200, got %d %s", a.status, a.body)
	}
}

func TestMethods(t *testing.T) {
	d := newDesk(t, openStore(t))
	a := d.do(http.MethodPatch, "/api/v1/coSpaces", "")
	d.fails(a, http.StatusMethodNotAllowed, "invalidOperation")
	if allow := a.header.Get("Allow"); allow != "GET, HEAD, POST" {
		t.Errorf("Allow: want GET, HEAD, POST, got %q", allow)
	}
	d.fails(d.do(http.MethodPut, "/api/v1/coSpaces", ""), http.StatusBadRequest, "invalidOperation")
	if a := d.do(http.MethodHead, "/api/v1/coSpaces", ""); a.status != http.StatusOK || a.body != "" || a.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: want the header of GET, got %d %q %v", a.status, a.body, a.header)
	}
	user := d.user("fred@example.com")
	d.fails(d.do(http.MethodDelete, "/api/v1/users/"+user.String(), ""), http.StatusBadRequest, "invalidOperation")
}

func TestFailuresAreWrittenAsClientsCompareThem(t *testing.T) {
	d := newDesk(t, openStore(t))
	a := d.do(http.MethodGet, "/api/v1/coSpaces/7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11", "")
	if want := `<?xml version="1.0"?><failureDetails><coSpaceDoesNotExist /></failureDetails>`; a.body != want || a.header.Get("Content-Type") != "text/xml" {
		t.Errorf("want %s, got %s %s", want, a.header.Get("Content-Type"), a.body)
	}
	a = d.do(http.MethodPost, "/api/v1/coSpaces", "streamUrl=http://x&callId=12x")
	if !strings.Contains(a.body, `<parameterError parameter="streamUrl" error="invalidValue" `) || !strings.Contains(a.body, `<parameterError parameter="callId" error="invalidValue" `) {
		t.Errorf("want both parameters, got %s", a.body)
	}
	if a := d.do(http.MethodGet, "/api/v1/system/alarms", ""); !strings.HasSuffix(a.body, `<alarms total="0"/>`) {
		t.Errorf("an empty list: got %s", a.body)
	}
}

func TestTheDatabaseMayComeLater(t *testing.T) {
	d := newDesk(t, nil)
	for _, path := range []string{"coSpaces", "coSpaces/7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11", "system/profiles", "calls"} {
		a := d.api(http.MethodGet, path, nil)
		d.fails(a, http.StatusServiceUnavailable, "databaseNotReady")
		if a.header.Get("Retry-After") == "" {
			t.Error("want Retry-After")
		}
	}
	for _, path := range []string{"system/status", "system/alarms", "system/database", "system/load", "system/licensing", "clusterLicensing"} {
		d.read(path, nil)
	}
	d.store = openStore(t)
	d.server.Use(d.store)
	d.make("coSpaces", nil)
}

func TestHooksRunInTheWritesTransaction(t *testing.T) {
	d := newDesk(t, openStore(t))
	var orders map[string]string
	d.server.Hook(schema.CoSpace, Hooks{
		Prepare: func(tx *store.Tx, draft *store.Draft, o map[string]string) error {
			orders = o
			draft.Set("cdrTag", "prepared")
			return nil
		},
		Stored: func(tx *store.Tx, draft *store.Draft) error {
			return tx.Put(tx.New(schema.AccessMethod, draft.ID()))
		},
		Remove: func(tx *store.Tx, r *store.Record) error {
			if r.Text("name") == "kept" {
				return NotFound{"coSpaceUserDoesNotExist"}
			}
			return nil
		},
		Show: func(v store.View, r *store.Record, single bool) []Element {
			return []Element{Text("name", "shown"), Text("numAccessMethods", "7")}
		},
		Keep: func(_ store.View, p Params) (func(*store.Record) bool, error) {
			want := p.Get("tagFilter")
			return func(r *store.Record) bool { return want == "" || r.Text("cdrTag") == want }, nil
		},
	})
	one := d.make("coSpaces", url.Values{"name": {"kept"}, "requireCallId": {"true"}, "ownerJid": {""}, "regenerateSecret": {"true"}})
	if len(orders) != 2 || orders["requireCallId"] != "true" {
		t.Errorf("want the orders of POST, the empty one too, got %v", orders)
	}
	spaceID, _ := store.ParseID(id(one))
	if n := len(d.store.Below(schema.AccessMethod, spaceID)); n != 1 {
		t.Errorf("want the access method that Stored made, got %d", n)
	}
	root := d.read(one, nil)
	for name, want := range map[string]string{"name": "shown", "cdrTag": "prepared", "numAccessMethods": "7"} {
		if have, _ := root.get(name); have != want {
			t.Errorf("%s: want %q, got %q", name, want, have)
		}
	}
	for tag, want := range map[string]string{"prepared": "1", "other": "0", "": "1"} {
		if have := d.read("coSpaces", url.Values{"tagFilter": {tag}}).attr("total"); have != want {
			t.Errorf("tagFilter=%s: want %s, got %s", tag, want, have)
		}
	}
	d.fails(d.api(http.MethodDelete, one, nil), http.StatusNotFound, "coSpaceUserDoesNotExist")
}

func TestCurlIsAClient(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	d := newDesk(t, openStore(t))
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(curl, append([]string{"-sS", "--max-time", "20", "-u", "admin:right"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl %v: %v %s", args, err, out)
		}
		return string(out)
	}
	spaces := d.base + "/api/v1/coSpaces"
	head := run("-D", "-", "-d", "name=Sales & more", "--data-urlencode", "cdrTag=a&b", spaces)
	at := strings.Index(head, "Location: /api/v1/coSpaces/")
	if !strings.HasPrefix(head, "HTTP/1.1 200 OK") || at < 0 {
		t.Fatalf("want 200 with a relative Location, got %s", head)
	}
	location, _, _ := strings.Cut(head[at+len("Location: "):], "\r\n")
	got := run(d.base + location)
	for _, want := range []string{`<?xml version="1.0"?><coSpace id="`, "<name>Sales </name>", "<cdrTag>a&amp;b</cdrTag>", "<nonMemberAccess>true</nonMemberAccess>"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %s in %s", want, got)
		}
	}
	run("-X", "PUT", "-d", "name=", d.base+location)
	if got := run(d.base + location); strings.Contains(got, "<name>") {
		t.Errorf("want no name, got %s", got)
	}
	run("-X", "DELETE", d.base+location)
	if got := run("-w", "%{http_code}", d.base+location); got != `<?xml version="1.0"?><failureDetails><coSpaceDoesNotExist /></failureDetails>404` {
		t.Errorf("want 404, got %s", got)
	}
	if got := run("-u", "admin:wrong", "-w", "%{http_code}", "-o", "/dev/null", spaces); got != "401" {
		t.Errorf("want 401, got %s", got)
	}
	// A body of which only a part may be read first: curl asks with Expect: 100-continue.
	if got := run("-w", "%{http_code}", "-o", "/dev/null", "-d", "name="+strings.Repeat("x", 100_000), spaces); got != "400" {
		t.Errorf("want 400, got %s", got)
	}
}
