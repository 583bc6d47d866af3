package sdp

import (
	"errors"
	"io"
	"net/netip"

	"rotunda/services/media/control"
)

// Refused says that a description was understood and there is nothing to agree on: the answer of SIP and the text of its Warning header
// (RFC 3261, 20.43). Any other error of ReadOffer and ReadAnswer says that the bytes are no session description (400).
type Refused struct {
	Code    int    // 488
	Warn    int    // the code of the Warning: 301, 304, 305, 399 …
	Warning string // what is wrong and what would be right; printable ASCII without quotes
}

func (r *Refused) Error() string { return r.Warning }

// Session is one leg's negotiation. Its zero value is not ready; see [New].
type Session struct {
	policy Policy
	random io.Reader
}

// New makes a session. random is where keys come from: [crypto/rand.Reader], but in tests.
func New(p Policy, random io.Reader) *Session { return &Session{policy: p, random: random} }

// SetPolicy changes what is wanted from the next description on. Streams that are no longer wanted are rejected by it; new ones need
// [Session.PrepareAll].
func (s *Session) SetPolicy(p Policy) { s.policy = p }

// Hold has our next description say that no media shall flow (on: a=inactive) or that it shall again.
func (s *Session) Hold(on bool) {}

// Presenting says whether a presentation is being sent or received now: main video and presentation share the bandwidth while it is, and main
// video has it all while it is not. It counts from the next Apply and needs no new description.
func (s *Session) Presenting(on bool) {}

// ReadOffer takes an offer, the first one or a later one. What comes of it is in force from WriteAnswer on.
func (s *Session) ReadOffer(b []byte) error { return errUnwritten }

// ReadAnswer takes the answer to what WriteOffer wrote last. After an error that offer still stands; Rollback gives it up.
func (s *Session) ReadAnswer(b []byte) error { return errUnwritten }

// Prepare decides what our next offer has: everything that the policy wants when there is no session yet, otherwise what was agreed on (with
// Hold and the policy's refusals). Call it before the Apply of an offer.
func (s *Session) Prepare() {}

// PrepareAll is Prepare, but also offers again what was refused or not there: for a re-INVITE without a body (RFC 3261, 14.2), and when
// the policy has more than before.
func (s *Session) PrepareAll() {}

// Rollback forgets an offer of either side that came to nothing; what was agreed on before is in force again.
func (s *Session) Rollback() {}

// Reopens tells that the next Apply needs new ports: an open transport cannot change its kind of security, nor begin or end ICE, nor leave
// rtcp-mux. Ask before Apply. If so, put the leg with Transports, Audio, Video and Presentation empty first, and Apply and put then; and when
// that was because of an answer (we offered SDES as an option, the far end took plain RTP), the far end has to be told
// the new ports by another offer.
func (s *Session) Reopens() bool { return false }

// Apply writes what is offered or agreed on into a wanted state: Transports, and of Audio, Video and Presentation everything but Muted, Deaf,
// Gain, Blind, RIDs and Slots, which stay. local are the addresses of this machine that the far end may reach, the best first; they must be
// the same from one Apply to the next, as open ports cannot move.
func (s *Session) Apply(l *control.Leg, local []netip.Addr) {}

// Ports are the local addresses of what does not run in the media engine. An invalid one leaves out what it is for: its m-line is not
// offered, and rejected when offered.
type Ports struct {
	// Floor is that of BFCP, over UDP or TCP as [Agreed] tells; Camera that of H.224 over RTP.
	Floor, Camera netip.AddrPort
}

// WriteOffer writes the offer that Prepare decided on. st is the answer of the media engine to the put after Apply. The error is that of a
// state that does not fit: it was made from another Apply.
func (s *Session) WriteOffer(st control.LegState, p Ports) ([]byte, error) { return nil, errUnwritten }

// WriteAnswer writes the answer to the offer that was read last, and puts it into force. *Refused when the far end has no address of a family
// that we have.
func (s *Session) WriteAnswer(st control.LegState, p Ports) ([]byte, error) { return nil, errUnwritten }

// Wants tells which ports the description about to be written has a use for: open them between Apply and WriteOffer or WriteAnswer.
func (s *Session) Wants() (floor, camera bool) { return false, false }

// Agreed tells what is offered by the far end and would be taken (after ReadOffer), what we offer (after Prepare), or what was agreed on.
func (s *Session) Agreed() Agreed { return Agreed{} }

var errUnwritten = errors.New("not written")
