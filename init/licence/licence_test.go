package licence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func day(s string) time.Time {
	t, err := time.Parse(DateLayout, s)
	if err != nil {
		panic(err)
	}
	return t
}

func example() *Licence {
	return &Licence{
		IssuedTo: "Example Ltd, Zürich", Serial: "A-1", Issued: day("2026-Nov-22"), Hosts: []string{Host("00:50:56:AB:CD:EF")},
		Features: []Grant{
			{Feature: "callBridge", Expiry: day("2027-Nov-22")},
			{Feature: "recording", Limit: 10, Expiry: day("2026-Dec-01"), Grace: 30},
			{Feature: "branding", Level: "full"},
			{Feature: "ofTheFuture", Limit: 3},
		},
	}
}

// signed signs any text, as somebody with the key but without our program might.
func signed(k ed25519.PrivateKey, text string) []byte {
	return []byte(text + "Signature: " + base64.StdEncoding.EncodeToString(ed25519.Sign(k, []byte(text))) + "\n")
}

func TestALicenceIsReadAsItWasWritten(t *testing.T) {
	file, err := example().Sign(key(1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(file, public(key(2)), public(key(1)))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(example(), got); d != "" {
		t.Errorf("written and read (-want +got):\n%s", d)
	}
	want := `Rotunda licence 1
Issued to: Example Ltd, Zürich
Serial: A-1
Issued: 2026-Nov-22
Host: 005056abcdef
Feature: callBridge expiry: 2027-Nov-22
Feature: recording limit: 10 expiry: 2026-Dec-01 grace: 30
Feature: branding level: full expiry: never
Feature: ofTheFuture limit: 3 expiry: never
`
	if text, _, _ := strings.Cut(string(file), "Signature:"); text != want {
		t.Errorf("the file is\n%swant\n%s", text, want)
	}
}

func TestTransportsOfTextDoNoHarm(t *testing.T) {
	file, err := example().Sign(key(1))
	if err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string]string{
		"CRLF":           strings.ReplaceAll(string(file), "\n", "\r\n"),
		"trailing blank": strings.ReplaceAll(string(file), "\n", " \t\n"),
		"blank lines":    string(file) + "\n\r\n  ",
		"byte order":     "\ufeff" + string(file),
		"no last end":    strings.TrimSuffix(string(file), "\n"),
	} {
		if _, err := Parse([]byte(changed), public(key(1))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryOtherChangeIsRefused(t *testing.T) {
	file, err := example().Sign(key(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(file, public(key(2))); !errors.Is(err, ErrSignature) {
		t.Errorf("another key: %v, want %v", err, ErrSignature)
	}
	if _, err := Parse(file); !errors.Is(err, ErrSignature) {
		t.Errorf("no key: %v, want %v", err, ErrSignature)
	}
	text, _, _ := strings.Cut(string(file), "Signature:")
	for i := range text {
		changed := bytes.Clone(file)
		changed[i] ^= 1
		if _, err := Parse(changed, public(key(1))); err == nil {
			t.Fatalf("byte %d changed, %q is taken", i, changed)
		}
	}
	for n := range len(file) - 1 {
		if _, err := Parse(file[:n], public(key(1))); err == nil {
			t.Fatalf("%d of %d bytes are taken", n, len(file))
		}
	}
}

func TestErrorsSayWhichLine(t *testing.T) {
	k := key(1)
	const head = "Rotunda licence 1\n"
	for _, c := range []struct{ text, want string }{
		{"Cisco licence\n", "line 1: a licence begins with"},
		{"Rotunda licence 2\n", `line 1: the licence has format "2"`},
		{head + "Owner: x\n", `line 2: there is no "Owner"`},
		{head + "Owner\n", "line 2: a line is Name: value"},
		{head + "Issued: 2026-11-22\n", "line 2: \"2026-11-22\" is no day: write it as 2027-Nov-22"},
		{head + "Serial: a\nSerial: b\n", "line 3: Serial is there twice"},
		{head + "Feature: turn\n", "line 2: say when the feature ends"},
		{head + "Feature: turn expiry: never limit:\n", "line 2: a value is missing after limit:"},
		{head + "Feature: turn limit: 0 expiry: never\n", "line 2: limit: 0: use a number from 1"},
		{head + "Feature: turn grace: 91 expiry: never\n", "line 2: grace: 91: use a number from 0 to 90"},
		{head + "Feature: turn until: x\n", "line 2: there is no until:, use"},
		{head + "Feature: turn expiry: never expiry: never\n", "line 2: expiry: is there twice"},
		{head + "Feature: turn expiry: never\n\nFeature: TURN expiry: never\n", "line 4: the feature turn is there twice"},
		{head + strings.Repeat("Host: 1\n", maxHosts+1), "line 66: there are more than 64 hosts"},
	} {
		if _, err := Parse(signed(k, c.text), public(k)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
	for file, want := range map[string]string{
		"":                                     "no line Signature",
		strings.Repeat("x", MaxSize+1):         "more than 65536 bytes",
		"\xff\n":                               "not text",
		head + "Signature: abc\n":              "line 2: the signature is not 64 bytes",
		head + "a\x1b[2J\n":                    "line 2: it has a control character",
		head + strings.Repeat("y", 600) + "\n": "line 2: it has 600 bytes",
		string(signed(k, head)) + "Feature: x expiry: never": "line 3: nothing may follow",
	} {
		if _, err := Parse([]byte(file), public(k)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", file, err, want)
		}
	}
	bad := example()
	bad.IssuedTo = "two\nlines"
	if _, err := bad.Sign(k); err == nil {
		t.Error("a licence that cannot be read is signed")
	}
}

func TestStates(t *testing.T) {
	l := example()
	status := func(name, at string) State {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range l.States(now) {
			if s.API == name {
				return s
			}
		}
		t.Fatalf("no state of %s", name)
		return State{}
	}
	for _, c := range []struct {
		name, at string
		want     Status
	}{
		{"callBridge", "2026-11-22T00:00:00Z", Activated},
		{"callBridge", "2027-11-22T23:59:59Z", Activated},
		{"callBridge", "2027-11-23T00:00:00Z", Expired},
		{"recording", "2026-12-01T23:59:59Z", Activated},
		{"recording", "2026-12-02T00:00:00Z", Grace},
		{"recording", "2026-12-31T23:59:59Z", Grace},
		{"recording", "2027-01-01T00:00:00Z", Expired},
		{"branding", "2999-01-01T00:00:00Z", Activated},
		{"turn", "2026-12-01T00:00:00Z", NoLicense},
	} {
		got := status(c.name, c.at)
		if got.Status != c.want || got.InForce() != (c.want == Activated || c.want == Grace) {
			t.Errorf("%s at %s is %s, in force %v; want %s", c.name, c.at, got.Status, got.InForce(), c.want)
		}
	}
	if got := status("recording", "2027-06-01T00:00:00Z"); got.Limit != 10 || !got.Ended.Equal(day("2027-Jan-01")) || !got.Expiry.Equal(day("2026-Dec-01")) {
		t.Errorf("the expired feature is %+v", got)
	}
	for now, want := range map[string]int{"2026-11-22T18:00:00Z": 365, "2027-11-22T23:00:00Z": 0, "2027-11-24T01:00:00Z": -2} {
		at, _ := time.Parse(time.RFC3339, now)
		if got := Days(day("2027-Nov-22"), at); got != want {
			t.Errorf("at %s %d days remain, want %d", now, got, want)
		}
	}
}

// Without a file everything is there, but nothing that has to be asked for: unencrypted media (guide appendix D).
func TestWithoutAFileEverythingIsOpen(t *testing.T) {
	var none *Licence
	for _, s := range none.States(time.Now()) {
		want := Activated
		if s.API == "callBridgeNoEncryption" || s.API == "localLicenseMode" {
			want = NoLicense
		}
		if s.Status != want || !s.Expiry.IsZero() || s.Limit != 0 {
			t.Errorf("%s is %+v, want %s without expiry and limit", s.API, s, want)
		}
	}
}

func TestHosts(t *testing.T) {
	l := example()
	for _, h := range []string{"00:50:56:AB:CD:EF", "00-50-56-ab-cd-ef", "0050.56ab.cdef"} {
		if err := l.CheckHost("", h); err != nil {
			t.Errorf("%s: %v", h, err)
		}
	}
	var e *ErrHost
	if err := l.CheckHost("", "00:50:56:ab:cd:ee"); !errors.As(err, &e) {
		t.Errorf("another machine: %v, want an ErrHost", err)
	}
	l.Hosts = nil
	if err := l.CheckHost(); err != nil {
		t.Errorf("a licence without hosts: %v", err)
	}
}

func TestKeys(t *testing.T) {
	keys, err := Keys(t.TempDir())
	if err != nil || len(keys) != 1 || !keys[0].Equal(public(DevelopmentKey())) {
		t.Fatalf("without a key of its own the image has %v, %v; want the development key's", keys, err)
	}
	folder := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("release.pub", base64.StdEncoding.EncodeToString(public(key(3)))+"\n")
	if keys, err := Keys(folder); err != nil || len(keys) != 1 || !keys[0].Equal(public(key(3))) {
		t.Errorf("the image's key is %v, %v", keys, err)
	}
	put("second.pub", "nonsense")
	if keys, err := Keys(folder); err == nil {
		t.Errorf("a key that cannot be read leaves %v", keys)
	}
}

func TestPrivateKeys(t *testing.T) {
	der, err := x509.MarshalPKCS8PrivateKey(key(4))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"PEM":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"seed": []byte(base64.StdEncoding.EncodeToString(key(4).Seed()) + "\n"),
	} {
		if k, err := ParsePrivate(text); err != nil || !k.Equal(key(4)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParsePrivate([]byte("abc")); err == nil {
		t.Error("nonsense is a key")
	}
}

func FuzzLicence(f *testing.F) {
	file, err := example().Sign(key(1))
	if err != nil {
		f.Fatal(err)
	}
	text, _, _ := strings.Cut(string(file), "Signature:")
	f.Add(text)
	f.Add("Rotunda licence 1\nFeature: turn expiry: never\r\n\n")
	f.Add("Rotunda licence 1\nFeature:\n")
	f.Fuzz(func(t *testing.T, text string) {
		// What somebody without the key sends never verifies.
		if l, err := Parse([]byte(text), public(key(1))); err == nil && !strings.HasPrefix(string(file), text) && l.Text() != example().Text() {
			t.Errorf("%q verifies", text)
		}
		// What somebody with the key signs is read, or refused in words, and what is read can be written and read again.
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		l, err := Parse(signed(key(1), text), public(key(1)))
		if err != nil {
			return
		}
		again, err := l.Sign(key(1))
		if err != nil {
			t.Fatalf("%q is read and cannot be written: %v", text, err)
		}
		got, err := Parse(again, public(key(1)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(l, got); d != "" {
			t.Errorf("%q is written differently:\n%s", text, d)
		}
		l.States(time.Now())
	})
}
