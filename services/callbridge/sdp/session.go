package sdp

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
)

// Refused says that a description was understood and there is nothing to agree on: the answer of SIP and the text of its Warning header
// (RFC 3261, 20.43). Any other error of ReadOffer and ReadAnswer says that the bytes are no session description (400).
type Refused struct {
	Code    int    // 488
	Warn    int    // the code of the Warning: 301, 304, 305, 399 …
	Warning string // what is wrong and what would be right; printable ASCII without quotes
}

func (r *Refused) Error() string { return r.Warning }

// refuse makes a refusal. Words of the far end in its text lose what a header cannot have.
func refuse(warn int, format string, args ...any) *Refused {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, fmt.Sprintf(format, args...))
	return &Refused{488, warn, text}
}

// Session is one leg's negotiation. Its zero value is not ready; see [New].
type Session struct {
	policy Policy
	random io.Reader

	now *state
	// next is what is being negotiated, nil for nothing. offering: our offer waits for its answer.
	next     *state
	offering bool
	// held and presenting are what the caller said.
	held, presenting bool

	// flows are the transports in the order of the leg.
	flows []flow

	id, version uint64
	// last is the hash of what was written last, without o=.
	last [sha256.Size]byte
	// broken is why no key could be made.
	broken error
}

// New makes a session. random is where keys come from: [crypto/rand.Reader], but in tests.
func New(p Policy, random io.Reader) *Session {
	s := &Session{policy: p, random: random, now: &state{}}
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		s.broken = fmt.Errorf("make a session id: %w", err)
	}
	// Some read it as a signed number of 64 bits, some as one of 53.
	s.id = binary.BigEndian.Uint64(b[:])>>12 | 1
	return s
}

// SetPolicy changes what is wanted from the next description on. Streams that are no longer wanted are rejected by it; new ones need
// [Session.PrepareMore].
func (s *Session) SetPolicy(p Policy) { s.policy = p }

// Concerns tells whether another policy makes a difference to what a new description would be about. What it says of pictures makes none to a far
// end that has shown to have no use for any.
func (s *Session) Concerns(p Policy) bool {
	relevant := func(p Policy) Policy {
		if s.now.lacks[mainRole] && s.now.find(mainRole) == nil {
			p.Video, p.Presentation, p.Camera, p.Floor, p.FloorTCP = false, false, false, "", false
			p.VideoCodecs, p.Main, p.Screen, p.H264PayloadType, p.BasicH264 = nil, Quality{}, Quality{}, 0, false
		}
		return p
	}
	return !reflect.DeepEqual(relevant(s.policy), relevant(p))
}

// Hold has our next description say that no media shall flow (on: a=inactive) or that it shall again.
func (s *Session) Hold(on bool) { s.held = on }

// Presenting says whether a presentation is being sent or received now: main video and presentation share the bandwidth while it is, and main
// video has it all while it is not. It counts from the next Apply and needs no new description.
func (s *Session) Presenting(on bool) { s.presenting = on }

// current is what is being negotiated, or else in force.
func (s *Session) current() *state {
	if s.next != nil {
		return s.next
	}
	return s.now
}

// Near is the local address that the far end can reach: the first of its family, as far as that is known, or else the first. It is where the
// sockets of [Ports] belong.
func (s *Session) Near(local []netip.Addr) netip.Addr {
	st := s.current()
	for i := range st.lines {
		if l := &st.lines[i]; l.on && l.agreed {
			for _, a := range local {
				if a.Unmap().Is6() == l.six {
					return a
				}
			}
		}
	}
	if len(local) == 0 {
		return netip.Addr{}
	}
	return local[0]
}

// Ports are the local addresses of what does not run in the media engine. An invalid one leaves out what it is for: its m-line is not
// offered, and rejected when offered.
type Ports struct {
	// Floor is that of BFCP, over UDP or TCP as [Agreed] tells; Camera that of H.224 over RTP.
	Floor, Camera netip.AddrPort
}

// Wants tells which ports the description about to be written has a use for: open them between Apply and WriteOffer or WriteAnswer.
func (s *Session) Wants() (floor, camera bool) {
	st := s.current()
	return st.find(floorRole) != nil, st.find(cameraRole) != nil
}
