package invitation

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOursTellAllThatIsThereAndNothingElse(t *testing.T) {
	if l := strings.Join(Languages(), " "); l != "de en es fr it nl pt" {
		t.Errorf("languages are %s", l)
	}
	for _, language := range Languages() {
		m := Ours(language, full)
		if m.Language != language || !strings.Contains(m.Subject, "Weekly") {
			t.Errorf("%s: language %q, subject %q", language, m.Language, m.Subject)
		}
		for _, want := range []string{"Weekly", "weekly@example.com", "123456789", "4711", "Inside", full.WebBridges[1].Hyperlink, "Oslo", "+44 456"} {
			if !strings.Contains(m.Body, want) {
				t.Errorf("%s: %q is missing in\n%s", language, want, m.Body)
			}
		}
		if strings.ContainsAny(m.Body, "%#{}") {
			t.Errorf("%s: markup is left in\n%s", language, m.Body)
		}
		bare := Ours(language, Meeting{Name: "Weekly"})
		if n := strings.Count(bare.Body, "\n"); n > 2 {
			t.Errorf("%s: a space without addresses has %d lines:\n%s", language, n, bare.Body)
		}
	}
	one := Ours("de_AT", Meeting{Name: "W", NumericID: "1", Hyperlink: "https://a/meeting/1", WebBridges: []WebBridge{{Hyperlink: "https://a/meeting/1"}}})
	if want := "Sie sind zur Besprechung „W“ eingeladen.\n\nTeilnahme im Browser: https://a/meeting/1\nBesprechungs-ID: 1\n"; one.Body != want || one.Language != "de" {
		t.Errorf("de_AT is %q in %q; want %q", one.Body, one.Language, want)
	}
	if m := Ours("xx", full); m.Language != "en" {
		t.Errorf("xx is answered in %q; want en", m.Language)
	}
}

func TestLanguages(t *testing.T) {
	for in, want := range map[string]string{"": "en_US", "de": "de", "de_AT": "de_AT", "DE-at": "de_AT", "zh-Hant-tw": "zh_Hant_TW"} {
		if got, err := ParseLanguage(in); got != want || err != nil {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"x", "english", "de_", "de/../x", "de&x=1", "de_AT_x_y", "dé"} {
		if got, err := ParseLanguage(in); err == nil {
			t.Errorf("%q is %q; want an error", in, got)
		}
	}
}

func TestTemplatesAreFetchedInTheLanguageOrOursAreUsed(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		switch r.URL.Path {
		case "/good":
			w.Write([]byte("Subject: Own %name%\nOwn %numeric_id%\n"))
		case "/nosubject":
			w.Write([]byte("Own\n"))
		case "/broken":
			w.Write([]byte("#if uri\n"))
		case "/binary":
			w.Write([]byte{0xff, 0xfe})
		case "/endless":
			for range 100 {
				w.Write([]byte(strings.Repeat("x", 1000)))
			}
		case "/moved":
			http.Redirect(w, r, "/good?"+r.URL.RawQuery, http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	ours := Ours("de_DE", full)
	for _, c := range []struct{ path, subject, body, why string }{
		{"/good", "Own Weekly", "Own 123456789\n", ""},
		{"/good?site=1", "Own Weekly", "Own 123456789\n", ""},
		{"/nosubject", ours.Subject, "Own\n", ""},
		{"/moved", "Own Weekly", "Own 123456789\n", ""},
		{"/none", ours.Subject, ours.Body, ""},
		{"/broken", ours.Subject, ours.Body, "#if has no end"},
		{"/binary", ours.Subject, ours.Body, "not UTF-8"},
		{"/endless", ours.Subject, ours.Body, "more than 65536 bytes"},
		{"/round", ours.Subject, ours.Body, "redirections"},
		{"/busy", ours.Subject, ours.Body, "503"},
	} {
		m, err := Compose(context.Background(), NewHTTP(nil), server.URL+c.path, "de_DE", full)
		if m.Subject != c.subject || m.Body != c.body {
			t.Errorf("%s: %q %q; want %q %q", c.path, m.Subject, m.Body, c.subject, c.body)
		}
		if (err != nil) != (c.why != "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v; want %q", c.path, err, c.why)
		}
		if c.path == "/good?site=1" && asked != "/good?language=de_DE&site=1" {
			t.Errorf("asked for %s", asked)
		}
	}
}

func TestAServerThatIsNotThereLeavesNoAddressInTheError(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := strings.Replace(server.URL, "http://", "http://user:hidden@", 1)
	server.Close()
	m, err := Compose(context.Background(), NewHTTP(nil), address, "en", full)
	if err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("the error is %v; want one without the password", err)
	}
	if m.Body == "" {
		t.Error("there is no invitation")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewHTTP(nil).Fetch(ctx, address, "en"); !errors.Is(err, context.Canceled) {
		t.Errorf("a fetch that nobody waits for ends with %v", err)
	}
	if _, err := NewHTTP(nil).Fetch(context.Background(), "file:///etc/passwd", "en"); err == nil {
		t.Error("a file was fetched")
	}
}
