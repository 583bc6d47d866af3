package webadmin

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"rotunda/init/config"
	"rotunda/services/callbridge/schema"
)

func TestNamesOfTheAPIBecomeWords(t *testing.T) {
	for name, want := range map[string]string{"callLegProfile": "Call leg profile", "uri": "URI", "secondaryUri": "Secondary URI", "coSpace": "Space", "defaultLayout": "Default layout",
		"numLdapSourcesComplete": "Num LDAP sources complete", "cdrConnectionFailure": "CDR connection failure", "baseDn": "Base DN", "": ""} {
		if got := spaced(name); got != want {
			t.Errorf("spaced(%q): want %q, got %q", name, want, got)
		}
	}
}

func TestTimesAndRatesAreToldAsPeopleSayThem(t *testing.T) {
	for seconds, want := range map[int64]string{0: "0 seconds", 1: "1 second", 61: "1 minute, 1 second", 3600: "1 hour", 86400 + 7200 + 5: "1 day, 2 hours", 600: "10 minutes", -5: "0 seconds", 86401: "1 day"} {
		if got := lasted(seconds); got != want {
			t.Errorf("lasted(%d): want %q, got %q", seconds, want, got)
		}
	}
	for bits, want := range map[int64]string{0: "0 bit/s", 64000: "64 kbit/s", 2_500_000: "2.5 Mbit/s"} {
		if got := rate(bits); got != want {
			t.Errorf("rate(%d): want %q, got %q", bits, want, got)
		}
	}
}

func TestALineOfTheJournalIsTakenApart(t *testing.T) {
	got := parseLine("Feb  3 09:02:21.588 daemon.warning rotunda callbridge: unable to connect: refused")
	want := line{Time: "Feb  3 09:02:21.588", Facility: "daemon", Level: "warning", Severity: 4, Host: "rotunda", Tag: "callbridge", Text: "unable to connect: refused"}
	if got != want {
		t.Errorf("want %+v, got %+v", want, got)
	}
	for _, s := range []string{"", "x", "not a line of the journal at all", "Feb 33 09:02:21.588 daemon.warning h t: x", "Feb  3 09:02:21.588 daemon.odd h t: x"} {
		if got := parseLine(s); got.Text != s || got.Severity != 6 {
			t.Errorf("parseLine(%q): want the whole text, got %+v", s, got)
		}
	}
}

func TestTheNewestLinesComeFirstAcrossAChangeOfFile(t *testing.T) {
	s := newSite(t, silent(t))
	write := func(name string, lines ...string) {
		if err := os.WriteFile(filepath.Join(s.logs, name), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stamp := "Nov 22 09:02:21.588 "
	write("messages.1", stamp+"user.info h a: one", stamp+"daemon.err h a: two")
	write("messages", stamp+"user.debug h a: three", stamp+"daemon.warning h a: <b>four</b>")
	v := s.signedIn("audit")
	p := v.get("/logs/events?level=debug")
	text := p.main()
	last := -1
	for _, word := range []string{"<b>four</b>", "three", "two", "one"} {
		at := strings.Index(text, word)
		if at <= last {
			t.Errorf("want the newest line first, got %s", text)
		}
		last = at
	}
	if text := v.get("/logs/events?level=warning").main(); !strings.Contains(text, "four") || !strings.Contains(text, "two") || strings.Contains(text, "three") || strings.Contains(text, "one") {
		t.Errorf("errors and warnings: got %s", text)
	}
	if text := v.get("/logs/events?level=debug&filter=THREE").main(); strings.Contains(text, "two") || !strings.Contains(text, "three") {
		t.Errorf("a filter: got %s", text)
	}
	p = v.get("/logs/download?log=messages")
	if want := stamp + "user.info h a: one\n"; !strings.HasPrefix(p.text, want) || strings.Count(p.text, "\n") != 4 || !strings.Contains(p.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the download: want the oldest line first, got %q, %v", p.text, p.header)
	}
	for _, name := range []string{"../../etc/passwd", "messages.1", "", "live.json"} {
		if p := v.get("/logs/download?log=" + name); p.status != 404 {
			t.Errorf("download of %q: want 404, got %d", name, p.status)
		}
	}
}

func TestThePlacesOfTheExplorerAreThoseOfTheAPI(t *testing.T) {
	const id = "7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11"
	for path, want := range map[string]string{
		"coSpaces": "coSpaces", "coSpaces/" + id: "coSpaces/" + id, "coSpaces/" + id + "/accessMethods": "coSpaces/" + id + "/accessMethods",
		"cdrReceivers": "system/cdrReceivers", "coSpaces/" + id + "/accessMethods/" + id: "coSpaces/" + id + "/accessMethods/" + id,
		"calls/" + id + "/callLegs": "calls/" + id + "/callLegs", "callLegs": "callLegs",
		"": "", "accessMethods": "", "coSpaces/x": "", "coSpaces/" + id + "/turnServers": "", "callSettings": "", "timedLogging/" + id: "", "coSpaces/../users": "",
	} {
		p, ok := parsePlace(path)
		got := ""
		if ok {
			got = p.API()
		}
		if got != want {
			t.Errorf("parsePlace(%q): want %q, got %q", path, want, got)
		}
	}
}

func TestEveryReportHasItsPlace(t *testing.T) {
	const id = "7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11"
	for _, r := range reports {
		o := schema.Of(r.of)
		path := viewSegment + r.path
		switch {
		case r.of == "":
		case o == nil:
			t.Errorf("%s: there is no type %s", r.path, r.of)
			continue
		default:
			p := &place{Object: o, ID: id}
			if o.Singleton {
				p.ID = ""
			}
			if o.Parent != nil {
				p.Above = &place{Object: o.Parent, ID: id}
			}
			path = strings.TrimPrefix(p.Path(), explorerPath+"/") + "/" + path
		}
		if _, got := reportOf(path); got == nil || got.path != r.path || got.of != r.of {
			t.Errorf("%s: want the report %s of %q, got %+v", path, r.path, r.of, got)
		}
	}
	for _, path := range []string{"view/", "view/coSpaces", "view/../users", "coSpaces/view/meetingEntryDetail", "coSpaces/x/view/usage", "coSpaces/" + id + "/view/usage", "system/status"} {
		if _, got := reportOf(path); got != nil {
			t.Errorf("%s: want nothing, got %+v", path, got)
		}
	}
}

func TestFailuresFindTheirFields(t *testing.T) {
	all := func(string) bool { return true }
	r := &refusal{Status: 400, Failures: []fault{{Code: "parameterError", Parameter: "streamurl", Error: "invalidValue", Detail: "use rtmp://"}, {Code: "duplicateCoSpaceId"}, {Code: "tenantDoesNotExist"}, {Code: "somethingNew"}}}
	fields, others := r.place(schema.CoSpace, all)
	want := map[string]string{"streamUrl": "Use rtmp://", "callId": sentences["duplicateCoSpaceId"], "tenant": "The tenant that this names does not exist any more."}
	if !reflect.DeepEqual(fields, want) {
		t.Errorf("fields: want %v, got %v", want, fields)
	}
	if len(others) != 1 || !strings.Contains(others[0], "Something new") {
		t.Errorf("others: got %v", others)
	}
	// What the form does not show is told above it.
	_, others = r.place(schema.CoSpace, func(string) bool { return false })
	if len(others) != 4 || !strings.Contains(others[0], "rtmp") {
		t.Errorf("without fields: got %v", others)
	}
}

func TestAnErrorBelowAFieldIsInTheWordsOfThePage(t *testing.T) {
	page := newForm(schema.CoSpace, "", true, row{name: "callId", label: "Call ID"}, row{name: "passcode", label: "Passcode"}).fields
	explorer := newForm(schema.CoSpace, "", true).field("tenant")
	for _, c := range []struct {
		field      *Field
		said, want string
	}{
		{page[0], "callId: use the digits 0 to 9 alone", "Use the digits 0 to 9 alone."},
		{page[0], "CallId has 30 bytes: use 0 to 24", "Call ID has 30 bytes: use 0 to 24."},
		{page[0], "callIdentifier is none", "CallIdentifier is none."},
		{page[0], "Another space already uses this call ID.", "Another space already uses this call ID."},
		{page[1], "passcode", "Passcode."},
		{page[1], "", "."},
		{explorer, `tenant is "x": use an ID`, `tenant is "x": use an ID.`},
	} {
		if got := c.field.says(c.said); got != c.want {
			t.Errorf("%q: want %q, got %q", c.said, c.want, got)
		}
	}
}

func FuzzParseNode(f *testing.F) {
	f.Add(`<?xml version="1.0"?><coSpaces total="1"><coSpace id="x"><name>a &amp; b</name></coSpace></coSpaces>`)
	f.Add(`<failureDetails><parameterError parameter="uri" error="invalidValue" /></failureDetails>`)
	f.Add(strings.Repeat("<a>", 40))
	f.Add("<a/><b/>")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseNode(strings.NewReader(s))
		if (n == nil) == (err == nil) {
			t.Fatalf("%q: want either, got %v and %v", s, n, err)
		}
		if n != nil {
			_ = n.total()
			_ = n.Find("a")
			_ = n.Get("name", "name")
		}
	})
}

func FuzzParseLine(f *testing.F) {
	f.Add("Feb  3 09:02:21.588 daemon.warning rotunda callbridge: text")
	f.Add("Feb  3 ")
	f.Fuzz(func(t *testing.T, s string) {
		l := parseLine(s)
		if l.Severity < 0 || l.Severity > 7 || len(l.Text) > len(s) {
			t.Fatalf("%q: got %+v", s, l)
		}
	})
}

func FuzzParsePlace(f *testing.F) {
	f.Add("coSpaces/7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11/accessMethods")
	f.Add("///")
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := parsePlace(s)
		if !ok {
			return
		}
		again, ok := parsePlace(strings.TrimPrefix(p.Path(), explorerPath+"/"))
		if !ok || again.API() != p.API() {
			t.Fatalf("%q: %s leads elsewhere", s, p.Path())
		}
		if strings.ContainsAny(p.API(), "?#% \\") || strings.Contains(p.API(), "..") {
			t.Fatalf("%q: %s is no path of the API", s, p.API())
		}
	})
}

func FuzzWithin(f *testing.F) {
	f.Add("/status?x=//y")
	f.Add(`/\x`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := within(s); got != "" && (got[0] != '/' || len(got) > 1 && (got[1] == '/' || got[1] == '\\')) {
			t.Fatalf("%q leads to %q", s, got)
		}
	})
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"hostname":"cms","interface":"a","device":"eth0","port":445,"key":"x","chain":"y","tls":{"minVersion":"1.3"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var from config.WebAdminService
		if json.Unmarshal(b, &from) != nil {
			return
		}
		if s, err := prepare(from); err == nil && (s.Port < 1 || s.Port > 65535 || s.certificate == nil && s.trouble == nil) {
			t.Fatalf("%q: got %+v", b, s)
		}
	})
}

func TestThousandthsAreShownAsPercent(t *testing.T) {
	for n, want := range map[int64]string{0: "0.0 %", 91: "9.1 %", 1000: "100.0 %"} {
		if got := percent(n); got != want {
			t.Errorf("%d: want %s, got %s", n, want, got)
		}
	}
}
