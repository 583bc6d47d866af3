package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rotunda/services/media/control"
)

// TestHistories lets two sides do whatever sides do, in any order: offer, hold, want more and less, refuse, lose a worker. After each exchange they
// agree, and what must never change has not.
func TestHistories(t *testing.T) {
	agreed := 0
	defer func() {
		if agreed < 1000 && !t.Failed() {
			t.Errorf("both sides were looked at %d times only", agreed)
		}
	}()
	for seed := range uint64(300) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { agreed += history(t, seed) })
	}
}

// history gives how often both sides were found to agree.
func history(t *testing.T, seed uint64) (agreed int) {
	r := rand.New(rand.NewPCG(seed, 1))
	policy := func() Policy {
		p := Policy{Encryption: []Encryption{Optional, Optional, Required, Prohibited}[r.IntN(4)], Video: r.IntN(4) > 0, Presentation: r.IntN(3) > 0, Camera: r.IntN(2) > 0,
			Floor: []FloorMode{NoFloor, ServerOnly, ServerAndClient}[r.IntN(3)], FloorTCP: r.IntN(2) > 0, OfferDTLS: r.IntN(4) == 0, BasicH264: r.IntN(2) > 0}
		if r.IntN(3) == 0 {
			p.Suites = []string{suites[r.IntN(4)].name, control.SuiteAESCM80}
		}
		if r.IntN(3) == 0 {
			p.Audio = []string{[]string{control.PCMA, control.G722, control.Opus}[r.IntN(3)], control.PCMU}
		}
		return p
	}
	a, b := newSide(t, policy(), four), newSide(t, policy(), netip.MustParseAddr("198.51.100.20"))
	b.Session = New(b.policy, rand.NewChaCha8([32]byte{2}))
	var said []string // last description of each side
	tell := func(from *side, d string) {
		if i := slices.Index([]*side{a, b}, from); len(said) < 2 {
			said = []string{"", ""}
			said[i] = d
		} else {
			if said[i] != "" {
				was, _ := strconv.Atoi(version(t, said[i]))
				now, _ := strconv.Atoi(version(t, d))
				if same := body(said[i]) == body(d); now < was || (now == was) != same && !same {
					t.Fatalf("version %d after %d:\n%s\n%s", now, was, said[i], d)
				}
			}
			said[i] = d
		}
	}
	lines := 0 // of the last exchange
	// exchange is one offer and its answer; false when it came to nothing.
	exchange := func(from, to *side, all bool) bool {
		if all {
			from.PrepareAll()
		} else {
			from.Prepare()
		}
		from.put()
		o, err := from.WriteOffer(from.media, from.sockets())
		if err != nil {
			from.Rollback() // nothing is left that the policy wants
			from.put()
			return false
		}
		check(t, o)
		tell(from, string(o))
		if err := to.ReadOffer(o); err != nil {
			if !errors.As(err, new(*Refused)) {
				t.Fatalf("read offer: %v\n%s", err, o)
			}
			from.Rollback()
			from.put()
			return false
		}
		to.put()
		answer, err := to.WriteAnswer(to.media, to.sockets())
		if err != nil {
			t.Fatalf("write answer: %v", err)
		}
		check(t, answer)
		answersFit(t, o, answer)
		tell(to, string(answer))
		if err := from.ReadAnswer(answer); err != nil {
			t.Fatalf("read answer: %v\n%s\n%s", err, o, answer)
		}
		from.put()
		if n := strings.Count(string(answer), "\r\nm="); n < lines {
			t.Fatalf("there are %d m-lines, there were %d\n%s", n, lines, answer)
		} else {
			lines = n
		}
		return true
	}
	agree := func() {
		t.Helper()
		for _, s := range [][2]*side{{a, b}, {b, a}} {
			x, y := s[0], s[1]
			if (x.leg.Audio == nil) != (y.leg.Audio == nil) || (x.leg.Video == nil) != (y.leg.Video == nil) || (x.leg.Presentation == nil) != (y.leg.Presentation == nil) {
				t.Fatalf("streams differ: %+v and %+v", x.leg, y.leg)
			}
			stream := func(name string, tx, ty int, send control.Format, receive []control.Format, dx, dy control.Direction) {
				if x.leg.Transports[tx].Remote != y.media.Transports[ty].RTP[0] {
					t.Fatalf("%s goes to %v, and the far end is at %v", name, x.leg.Transports[tx].Remote, y.media.Transports[ty].RTP[0])
				}
				if i := slices.IndexFunc(receive, func(f control.Format) bool { return f.PayloadType == send.PayloadType }); i < 0 || receive[i].Codec != send.Codec {
					t.Fatalf("%s is sent as %+v, and the far end takes %+v", name, send, receive)
				}
				if mirror := map[control.Direction]control.Direction{"": "", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}; dx != mirror[dy] {
					t.Fatalf("%s is %q here and %q there", name, dx, dy)
				}
				kx, ky := x.leg.Transports[tx], y.leg.Transports[ty]
				if kx.Security != ky.Security || kx.RTCPMux != ky.RTCPMux {
					t.Fatalf("%s: transports are %+v and %+v", name, kx, ky)
				}
				if kx.Security == control.SDES && (kx.Keys.Suite != ky.Keys.Suite || !bytes.Equal(kx.Keys.Local, ky.Keys.Remote) || bytes.Equal(kx.Keys.Local, kx.Keys.Remote)) {
					t.Fatalf("%s: keys do not fit", name)
				}
				if kx.Security == control.DTLS && kx.Handover.Active == ky.Handover.Active {
					t.Fatalf("%s: both have the same role in the handshake", name)
				}
			}
			if p, q := x.leg.Audio, y.leg.Audio; p != nil {
				stream("sound", p.Transport, q.Transport, p.Send, q.Receive, p.Direction, q.Direction)
				if p.DTMF != q.DTMF || p.DTMFClock != q.DTMFClock {
					t.Fatalf("keys are %d/%d here and %d/%d there", p.DTMF, p.DTMFClock, q.DTMF, q.DTMFClock)
				}
			}
			if p, q := x.leg.Video, y.leg.Video; p != nil {
				stream("main video", p.Transport, q.Transport, p.Send, q.Receive, p.Direction, q.Direction)
			}
			if p, q := x.leg.Presentation, y.leg.Presentation; p != nil {
				stream("presentation", p.Transport, q.Transport, p.Send, q.Receive, p.Direction, q.Direction)
			}
			p, q := x.Agreed(), y.Agreed()
			if (p.Floor == nil) != (q.Floor == nil) || p.Floor != nil && (p.Floor.Server == q.Floor.Server || p.Floor.Transport != q.Floor.Transport || p.Floor.Transport == "tcp" && p.Floor.Active == q.Floor.Active) {
				t.Fatalf("floors are %s and %s\n%s\n%s", floorText(p.Floor), floorText(q.Floor), said[0], said[1])
			}
			if (p.Camera == nil) != (q.Camera == nil) || p.Camera != nil && (p.Camera.Keys == nil) != (q.Camera.Keys == nil) {
				t.Fatalf("cameras are %+v and %+v", p.Camera, q.Camera)
			}
			if p.Encrypted != q.Encrypted || p.Unencrypted != q.Unencrypted || p.Cipher != q.Cipher {
				t.Fatalf("encryption is %+v and %+v", p, q)
			}
		}
	}
	if !exchange(a, b, false) {
		return 0
	}
	for step := range 12 {
		from, to := a, b
		if r.IntN(2) > 0 {
			from, to = b, a
		}
		all := false
		switch r.IntN(6) {
		case 0:
			from.Hold(r.IntN(2) > 0)
		case 1:
			from.SetPolicy(policy())
			all = true
		case 2:
			from.Presenting(r.IntN(2) > 0)
			from.put()
		case 3: // another worker
			for i := range from.ports {
				from.ports[i] = from.next
				from.next += 2
			}
			from.put()
		case 4:
			from.Prepare()
			from.put()
			from.Rollback()
			from.put()
		}
		ports := fmt.Sprint(a.ports, b.ports)
		moved := false
		for n := 0; ; n++ {
			done := exchange(from, to, all)
			moved = false
			if !done {
				break
			}
			// What had to be opened anew while an answer was taken, the far end has to be told.
			if now := fmt.Sprint(a.ports, b.ports); now == ports {
				break
			} else if ports = now; n == 4 {
				t.Fatalf("step %d: ports move for ever: %s", step, now)
			}
			moved, all = true, false
		}
		if !moved && len(a.leg.Transports) == len(b.leg.Transports) && a.synchronous(b) {
			agree()
			agreed++
		}
	}
	return agreed
}

// synchronous: both sides have heard the same last exchange; one that was refused because of new ports leaves the far end with the old ones.
func (s *side) synchronous(o *side) bool {
	for _, p := range [][2]*side{{s, o}, {o, s}} {
		for _, l := range p[0].now.lines {
			if l.on && l.role.streamed() && l.remote.IsValid() && !slices.Contains(p[1].ports, l.remote.Port()) {
				return false
			}
		}
	}
	return true
}
