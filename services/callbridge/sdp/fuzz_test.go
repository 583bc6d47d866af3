package sdp

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// policies that a fuzzer chooses from.
var policies = []Policy{
	{}, video,
	{Video: true, Presentation: true, Camera: true, Floor: ServerAndClient, Encryption: Required, ICE: &control.ICE{Lite: true}},
	{Video: true, Presentation: true, Floor: ServerOnly, Encryption: Prohibited, SendBandwidth: 384_000, ReceiveBandwidth: 64_000},
	{Video: true, Presentation: true, Camera: true, Floor: ServerOnly, ICE: &control.ICE{}, Main: MainQuality("max480p30"), Screen: PresentationQuality("max720p5"),
		SendBandwidth: 6_000_000, ReceiveBandwidth: 6_000_000, BasicH264: true, H264PayloadType: 109, FloorTCP: true},
}

func seeds(f *testing.F) {
	f.Add([]byte(strings.TrimLeft(phone, "\n")), uint8(1))
	names, err := filepath.Glob("testdata/*/*.sdp")
	if err != nil {
		f.Fatal(err)
	}
	for i, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint8(i))
	}
}

// answersFit checks what every answer has to be (RFC 3264, 6): the lines of the offer in their places, with their protocols and no payload type
// that was not offered.
func answersFit(t testing.TB, offer, answer []byte) {
	t.Helper()
	o, err := parse(offer)
	if err != nil {
		t.Fatal(err)
	}
	a, err := parse(answer)
	if err != nil {
		t.Fatalf("the answer does not parse: %v\n%s", err, answer)
	}
	if len(o.media) != len(a.media) {
		t.Fatalf("the answer has %d m-lines, the offer %d\n%s", len(a.media), len(o.media), answer)
	}
	for i, m := range a.media {
		if m.kind != o.media[i].kind || m.written != o.media[i].written {
			t.Errorf("m-line %d of the answer is %s %s, want %s %s", i, m.kind, m.written, o.media[i].kind, o.media[i].written)
		}
		for _, pt := range m.formats {
			if !slices.ContainsFunc(o.media[i].formats, func(f string) bool { return f == pt || strings.TrimLeft(f, "0") == strings.TrimLeft(pt, "0") }) {
				t.Errorf("m-line %d of the answer has format %s, which was not offered", i, pt)
			}
		}
		if m.port != 0 && o.media[i].port == 0 && !o.media[i].has("bundle-only") {
			t.Errorf("m-line %d was rejected and is answered with port %d", i, m.port)
		}
	}
}

func FuzzReadOffer(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte, choice uint8) {
		s := newSide(t, policies[int(choice)%len(policies)])
		began := time.Now()
		// An established session takes it as well as a new one.
		if choice >= 128 && s.policy.Encryption != Required {
			s.answer(text(phone))
		}
		before := s.Agreed()
		if err := s.ReadOffer(b); err != nil {
			if r := new(Refused); errors.As(err, &r) && (r.Warning == "" || strings.ContainsFunc(r.Warning, func(c rune) bool { return c < ' ' || c > '~' || c == '"' })) {
				t.Errorf("a warning that no header can have: %q", r.Warning)
			}
			if now := s.Agreed(); now.Audio != before.Audio || now.User != before.User {
				t.Errorf("a refused offer changed the session: %+v, was %+v", now, before)
			}
			return
		}
		s.put()
		a, err := s.WriteAnswer(s.media, s.sockets())
		if r := new(Refused); errors.As(err, &r) {
			return
		}
		if err != nil {
			t.Fatalf("write answer: %v", err)
		}
		answersFit(t, b, a)
		// What was agreed on can be offered again, and all the rest as well.
		s.Prepare()
		s.put()
		if _, err := s.WriteOffer(s.media, s.sockets()); err != nil && !errors.As(err, new(*Refused)) {
			t.Fatalf("write offer: %v", err)
		}
		s.Rollback()
		s.PrepareAll()
		s.put()
		o, err := s.WriteOffer(s.media, s.sockets())
		if err == nil {
			if _, err := parse(o); err != nil {
				t.Fatalf("the offer does not parse: %v\n%s", err, o)
			}
		} else if !errors.As(err, new(*Refused)) {
			t.Fatalf("write offer: %v", err)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("%v for %d bytes", d, len(b))
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	seeds(f)
	for i, p := range policies {
		a := newSide(f, p)
		b := newSide(f, video)
		if o := a.offer(); b.ReadOffer([]byte(o)) == nil {
			b.put()
			if answer, err := b.WriteAnswer(b.media, b.sockets()); err == nil {
				f.Add(answer, uint8(i))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, choice uint8) {
		s := newSide(t, policies[int(choice)%len(policies)])
		s.offer()
		if err := s.ReadAnswer(b); err != nil {
			if s.Reopens() {
				t.Error("a refused answer changed the session")
			}
			return
		}
		s.put()
		o := s.offer()
		if _, err := parse([]byte(o)); err != nil {
			t.Fatal(err)
		}
	})
}
