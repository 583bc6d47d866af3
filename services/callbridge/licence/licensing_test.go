package licence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"rotunda/init/durable/powercut"
	"rotunda/init/licence"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))

// world is licensing with a clock that the test turns.
type world struct {
	*Licensing
	t   *testing.T
	now time.Time
}

func day(s string) time.Time {
	t, err := time.Parse(licence.DateLayout, s)
	if err != nil {
		panic(err)
	}
	return t
}

func newWorld(t *testing.T, shelf Shelf, grants ...string) *world {
	t.Helper()
	w := &world{t: t, now: day("2026-Nov-22").Add(13 * time.Hour)}
	o := Options{Keys: []ed25519.PublicKey{testKey.Public().(ed25519.PublicKey)}, Hosts: []string{"host-1"}, Shelf: shelf, Now: func() time.Time { return w.now }}
	if grants != nil {
		o.File = file(t, nil, grants...)
	}
	w.Licensing = Open(o)
	return w
}

func file(t *testing.T, hosts []string, grants ...string) []byte {
	t.Helper()
	l := &licence.Licence{Hosts: hosts}
	for _, g := range grants {
		grant, err := licence.ParseGrant(g)
		if err != nil {
			t.Fatal(err)
		}
		l.Features = append(l.Features, grant)
	}
	b, err := l.Sign(testKey)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *world) at(days int) { w.now = day("2026-Nov-22").AddDate(0, 0, days).Add(13 * time.Hour) }

// said has "callBridge activated 2026-Nov-22" for every feature that has a licence.
func said(states []licence.State) string {
	var all []string
	for _, s := range states {
		if s.Status == licence.NoLicense {
			continue
		}
		one := s.API + " " + string(s.Status)
		if !s.Expiry.IsZero() {
			one += " " + s.Expiry.Format(licence.DateLayout)
		}
		all = append(all, one)
	}
	return strings.Join(all, ", ")
}

func (w *world) wantCluster(want string) {
	w.t.Helper()
	if got := said(w.Cluster()); got != want {
		w.t.Errorf("the cluster has %q, want %q", got, want)
	}
}

func (w *world) wantAlarm(want Alarm) Enforcement {
	w.t.Helper()
	e := w.Enforcement()
	if e.Alarm != want {
		w.t.Errorf("on %s the alarm is %d, want %d", w.now.Format(licence.DateLayout), e.Alarm, want)
	}
	return e
}

func TestWithoutAnyLicenceEverythingIsOpen(t *testing.T) {
	w := newWorld(t, FileShelf{powercut.New()})
	w.at(100_000)
	for _, s := range w.Features() {
		if (s.Status == licence.Activated) == (s.API == "callBridgeNoEncryption") || !s.Expiry.IsZero() || s.ShellOnly {
			t.Errorf("%s is %s until %v", s.API, s.Status, s.Expiry)
		}
	}
	if n := len(w.Features()); n != 12 {
		t.Errorf("%d features, want the 12 of the API", n)
	}
	w.wantCluster("callBridge activated, recording activated, customizations activated")
	e := w.wantAlarm(NoAlarm)
	if want := (Enforcement{Customizations: true, Recording: true, Streaming: true, Recordings: Unlimited, Streams: Unlimited}); e != want {
		t.Errorf("what is enforced is %+v, want %+v", e, want)
	}
	if len(w.Problems()) > 0 {
		t.Errorf("problems %v", w.Problems())
	}
}

// Table 17 of guide chapter 17.1.2.
func TestWhatHappensWhenCallBridgeExpires(t *testing.T) {
	w := newWorld(t, nil, "callBridge expiry: 2026-Nov-30 grace: 5", "customizations expiry: 2026-Nov-30", "recording expiry: 2026-Nov-30")
	w.at(8) // 30 November, the last day
	if e := w.wantAlarm(NoAlarm); !e.Customizations || !e.Recording || !e.Streaming || e.Message != "" {
		t.Errorf("on the last day %+v", e)
	}
	w.at(9)
	if e := w.wantAlarm(NoAlarm); e.Customizations || e.Recording || e.Streaming {
		t.Errorf("the day after %+v, want neither layouts nor recordings nor streams", e)
	}
	w.at(13)
	w.wantAlarm(NoAlarm) // the last day of grace
	w.at(14)
	e := w.wantAlarm(ExpiredAlarm)
	if e.MessageTime != 30*time.Second || e.Message == "" || e.Prompt == "" || e.RefuseEncrypted {
		t.Errorf("expired: %+v", e)
	}
	w.at(14 + 89)
	w.wantAlarm(ExpiredAlarm)
	w.at(14 + 90)
	e = w.wantAlarm(UnlicensedAlarm)
	if e.MessageTime != 0 || e.Message == "" || !e.RefuseEncrypted ||
		e.Prompt != "Your deployment is out of licensing compliance, please contact your administrator" {
		t.Errorf("expired long ago: %+v", e)
	}
}

func TestAFileWithoutCallBridgeIsAnAlarmAtOnce(t *testing.T) {
	e := newWorld(t, nil, "turn expiry: never").wantAlarm(UnlicensedAlarm)
	if !e.RefuseEncrypted || e.Customizations || e.Recording {
		t.Errorf("%+v", e)
	}
}

// Guide appendix D: the key for unencrypted media.
func TestUnencryptedMedia(t *testing.T) {
	if e := newWorld(t, nil, "callBridgeNoEncryption expiry: 2027-Nov-22").wantAlarm(NoAlarm); !e.UnencryptedMedia {
		t.Error("media is encrypted with the key for unencrypted media")
	}
	if e := newWorld(t, nil, "callBridgeNoEncryption expiry: never", "callBridge expiry: never").Enforcement(); e.UnencryptedMedia {
		t.Error("media is not encrypted although there is the other key")
	}
	w := newWorld(t, nil, "callBridgeNoEncryption expiry: never", "callBridge expiry: 2026-Nov-21")
	if e := w.wantAlarm(NoAlarm); !e.UnencryptedMedia {
		t.Error("one of the two is enough to prevent the alarm")
	}
	if e := newWorld(t, nil).Enforcement(); e.UnencryptedMedia {
		t.Error("an open machine does not encrypt media")
	}
}

func TestFilesThatDoNotCount(t *testing.T) {
	w := newWorld(t, nil)
	good := file(t, []string{"host1"}, "callBridge expiry: never")
	for name, b := range map[string][]byte{
		"changed":         bytes.Replace(good, []byte("never"), []byte("2099-Jan-01"), 1),
		"another machine": file(t, []string{"host2"}, "callBridge expiry: never"),
		"nonsense":        []byte("nonsense"),
	} {
		w.SetFile(b)
		if p := w.Problems(); len(p) != 1 || !strings.HasPrefix(p[0], "cms.lic is not used: ") {
			t.Errorf("%s: problems %v", name, p)
		}
		w.wantAlarm(NoAlarm)
	}
	w.SetFile(good)
	if len(w.Problems()) != 0 || said(w.Features()) != "callBridge activated" {
		t.Errorf("the good file: %v, %s", w.Problems(), said(w.Features()))
	}
	w.SetFile(nil)
	if w.Features()[5].Status != licence.Activated {
		t.Error("without the file the machine is not open again")
	}
}

func TestTheClustersDocument(t *testing.T) {
	shelf := FileShelf{powercut.New()}
	w := newWorld(t, shelf)
	set := func(raw string) {
		t.Helper()
		if err := w.SetCluster([]byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	set(`{"features": {"callBridge": "2026-Dec-31", "recording": "2026-Nov-20"}}`)
	w.wantCluster("callBridge activated 2026-Dec-31, recording expired 2026-Nov-20")
	if e := w.wantAlarm(NoAlarm); e.Recording || e.Customizations {
		t.Errorf("the document binds nothing: %+v", e)
	}
	// The next start knows it.
	w.Licensing = Open(w.o)
	w.wantCluster("callBridge activated 2026-Dec-31, recording expired 2026-Nov-20")
	w.at(40)
	w.wantAlarm(ExpiredAlarm)
	// The file of the machine may say more; the better of the two counts.
	w.SetFile(file(t, nil, "callBridge expiry: never", "customizations expiry: 2026-Nov-01"))
	if e := w.wantAlarm(NoAlarm); e.Recording || e.Customizations {
		t.Errorf("with both: %+v", e)
	}
	w.SetFile(nil)
	set(`{"features": null}`)
	w.wantCluster("callBridge activated, recording activated, customizations activated")
	w.wantAlarm(NoAlarm)
	if err := w.StartTrial(); !errors.Is(err, ErrApplied) {
		t.Errorf("a trial after a document: %v, want %v", err, ErrApplied)
	}
	// A clock that was set back does not stretch it.
	w.at(90)
	set(`{"features": {"callBridge": "2027-May-21"}}`)
	w.at(0)
	w.wantCluster("callBridge activated 2027-Feb-20")
}

func TestDocumentsThatAreRefused(t *testing.T) {
	w := newWorld(t, FileShelf{powercut.New()})
	for raw, want := range map[string]string{
		`{"features": {"callBridge": "2027-Feb-21"}}`: "at most 90 days ahead, 2027-Feb-20",
		`{"features": {"turn": "2026-Dec-31"}}`:       `no feature "turn" of clusters: use callBridge, callBridgeNoEncryption, recording, customizations`,
		`{"features": {"callBridge": "2026-12-31"}}`:  "write it as 2026-Dec-31",
		`{"feature": {}}`:    "no JSON object with features",
		`{"features": {}} x`: "something follows",
		`[]`:                 "no JSON object",
		``:                   "no JSON object",
		`{"features": {}, "trial": "2026-Nov-22"}`: "no JSON object with features",
		`{"features": {}, "trial": true}`:          "not both",
		`{}`:                                       "no features",
		`{"trial": false}`:                         "no features",
		`null`:                                     "no features",
		`{"features": {}, "applied": true}`:        "no JSON object with features",
		`{"features":` + strings.Repeat(" ", 70000) + `{}}`: "bytes",
	} {
		if err := w.SetCluster([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", raw, err, want)
		}
	}
	w.wantCluster("callBridge activated, recording activated, customizations activated")
	if err := newWorld(t, nil).SetCluster([]byte(`{"features": {}}`)); err == nil {
		t.Error("a document is kept nowhere")
	}
}

func TestTrial(t *testing.T) {
	w := newWorld(t, FileShelf{powercut.New()})
	if err := w.SetCluster([]byte(`{"trial": true}`)); err != nil {
		t.Fatal(err)
	}
	w.wantCluster("callBridge activated 2027-Feb-20, recording activated 2027-Feb-20, customizations activated 2027-Feb-20")
	if began, ok := w.Trial(); !ok || !began.Equal(day("2026-Nov-22")) {
		t.Errorf("the trial began %v, %v", began, ok)
	}
	w.Licensing = Open(w.o)
	w.at(90)
	w.wantAlarm(NoAlarm)
	w.at(91)
	if e := w.wantAlarm(ExpiredAlarm); e.Recording {
		t.Errorf("after the trial: %+v", e)
	}
	if err := w.StartTrial(); !errors.Is(err, ErrApplied) {
		t.Errorf("a second trial: %v, want %v", err, ErrApplied)
	}
	if err := w.SetCluster([]byte(`{"features": {"callBridge": "2027-May-01"}}`)); err != nil {
		t.Fatal(err)
	}
	w.wantAlarm(NoAlarm)
	if _, ok := w.Trial(); ok {
		t.Error("a licence is still called a trial")
	}
}

type badShelf struct{ raw string }

func (s badShelf) Load() ([]byte, error) { return []byte(s.raw), nil }
func (s badShelf) Save([]byte) error     { return errors.New("disk full") }

func TestAShelfThatFailsEndsNothing(t *testing.T) {
	w := newWorld(t, badShelf{"{"})
	if p := w.Problems(); len(p) != 1 || !strings.Contains(p[0], "cluster") {
		t.Errorf("problems %v", p)
	}
	w.wantAlarm(NoAlarm)
	if err := w.SetCluster([]byte(`{"features": {}}`)); err == nil {
		t.Error("what was not kept is acknowledged")
	}
	w.wantAlarm(NoAlarm)
}

func TestRecordingLicencesAreCounted(t *testing.T) {
	w := newWorld(t, nil, "callBridge expiry: never", "recording limit: 2 expiry: never")
	for _, c := range []struct {
		grants              []string
		recordings, streams int
		recording, stream   bool
	}{
		{[]string{"recording limit: 2 expiry: never"}, 1, 0, true, true},
		{[]string{"recording limit: 2 expiry: never"}, 1, 1, false, false},
		{[]string{"recording limit: 2 expiry: never", "streaming limit: 1 expiry: never"}, 1, 1, true, true},
		{[]string{"recording limit: 2 expiry: never", "streaming limit: 1 expiry: never"}, 1, 2, false, false},
		{[]string{"recording limit: 1 expiry: never", "streaming limit: 9 expiry: never"}, 5, 1, false, true},
		{[]string{"streaming limit: 1 expiry: never"}, 0, 0, false, true},
		{[]string{"streaming limit: 1 expiry: never"}, 0, 1, false, false},
		{[]string{"streaming expiry: never"}, 0, 500, false, true},
		{[]string{"recording expiry: never"}, 500, 500, true, true},
		{[]string{"turn expiry: never"}, 0, 0, false, false},
		{[]string{"recording limit: 2 expiry: 2026-Nov-21"}, 0, 0, false, false},
	} {
		w.SetFile(file(t, nil, c.grants...))
		recording, stream := w.Enforcement().MayStart(c.recordings, c.streams)
		if recording != c.recording || stream != c.stream {
			t.Errorf("%v beside %d recordings and %d streams: %v, %v; want %v, %v", c.grants, c.recordings, c.streams, recording, stream, c.recording, c.stream)
		}
	}
	w.SetFile(file(t, nil, "shared limit: 7 expiry: never"))
	if got := w.Limit("shared"); got != 7 {
		t.Errorf("the limit of shared licences is %d, want 7", got)
	}
}

func FuzzDocument(f *testing.F) {
	for _, s := range []string{`{"features": {"callBridge": "2026-Dec-31"}}`, `{"features": null}`, `{"features":{},"applied":true,"trial":"2026-Nov-22"}`, `{}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := parse(raw)
		if err != nil {
			return
		}
		furthest := day("2026-Nov-22").AddDate(0, 0, MaxAhead)
		for _, s := range d.states(day("2026-Nov-22")) {
			if s.Expiry.After(furthest) || d.binds() && s.Status == licence.Activated && s.Expiry.IsZero() {
				t.Errorf("%s makes %s %s until %v", raw, s.API, s.Status, s.Expiry)
			}
		}
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(again); err != nil {
			t.Errorf("%s is written as %s, which is refused: %v", raw, again, err)
		}
	})
}
