package turn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"sync"
	"time"

	"github.com/pion/stun/v4"
)

// EVEN-PORT and RESERVATION-TOKEN (RFC 8656 sections 7.1 and 7.2) ask for neighbouring ports for RTP and RTCP. pion knows a
// token only in the one of its servers that gave it, and a client's two sockets may be on two of our cores. So the front
// keeps the reservations: it hides the attributes from pion, hands out the ports, and puts the token into pion's answer.

// reservationTime is how long the second port waits for its client (RFC 8656 section 7.2).
const reservationTime = 30 * time.Second

type token [8]byte

// reservations hold ports that nobody has yet.
type reservations struct {
	mu    sync.Mutex
	ports map[token]uint16
}

// hold keeps a port under a new token until somebody takes it, or gives it back.
func (r *reservations) hold(port uint16, giveBack func(uint16)) token {
	var t token
	_, _ = rand.Read(t[:])
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ports == nil {
		r.ports = map[token]uint16{}
	}
	r.ports[t] = port
	time.AfterFunc(reservationTime, func() {
		if port, ok := r.take(t); ok {
			giveBack(port)
		}
	})
	return t
}

func (r *reservations) has(t token) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.ports[t]
	return ok
}

func (r *reservations) take(t token) (uint16, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	port, ok := r.ports[t]
	delete(r.ports, t)
	return port, ok
}

// wish is what a request says about its port.
type wish struct {
	// even asks for an even port, reserve also for the one above it.
	even, reserve bool
	// token stands for a port that was reserved.
	token *token
	// extra is what the answer is to say besides.
	extra []stun.RawAttribute
}

// wishes takes the attributes that pion does not know, or not as they are meant here, out of an authenticated Allocate request.
// It returns false after refusing it.
func (f *front) wishes(m *message) bool {
	if code := f.families(m); code != 0 {
		f.refuse(m, code)
		return false
	}
	switch {
	case m.even != 0 && m.token != 0, m.even == 0 && m.token == 0:
		return true // nothing to do, or nonsense that pion refuses
	case m.even != 0:
		f.wish.even, f.wish.reserve = true, m.raw[m.even+4]&0x80 != 0
		m.hide(m.even, f.granted.key)
	default:
		t := token(m.raw[m.token+4 : m.token+12])
		if !f.server.reservations.has(t) {
			f.refuse(m, stun.CodeInsufficientCapacity)
			return false
		}
		f.wish.token = &t
		m.hide(m.token, f.granted.key)
	}
	return true
}

// hide turns an attribute into one that nobody looks at (SOFTWARE) and signs the message anew, without what followed.
func (m *message) hide(at int, key []byte) {
	const software = 0x8022
	binary.BigEndian.PutUint16(m.raw[at:], software)
	m.raw = m.raw[:m.integrity+4+integritySize]
	binary.BigEndian.PutUint16(m.raw[2:], uint16(len(m.raw)-headerLength))
	mac := hmac.New(sha1.New, key)
	mac.Write(m.raw[:m.integrity])
	copy(m.raw[m.integrity+4:], mac.Sum(nil))
}

// take takes a port as wished for.
func (f *front) take(a *allocation, bind func(uint16) error) error {
	ports, w := f.server.ports, f.wish
	switch {
	case w.token != nil:
		port, ok := f.server.reservations.take(*w.token)
		if !ok {
			return errNoPort
		}
		err := bind(port)
		if err != nil {
			ports.giveBack(port)
		}
		return err
	case w.even:
		port, err := ports.takeEven(w.reserve, bind, portTaken)
		if err == nil && w.reserve {
			t := f.server.reservations.hold(port+1, ports.giveBack)
			a.extra = append(a.extra, stun.RawAttribute{Type: stun.AttrReservationToken, Value: t[:]})
		}
		return err
	}
	return ports.take(bind, portTaken)
}

// families judges what a request says about the family of its relay. There is one relay an allocation: who wants one of
// either family gets IPv4 and hears that there is no second, which sends clients for another allocation (RFC 8656 section 7.2).
func (f *front) families(m *message) stun.ErrorCode {
	const v4, v6 = 1, 2
	o := f.server.own.Load()
	switch {
	case m.additional != 0 && (m.additional != v6 || m.family != 0 || m.token != 0 || m.even != 0 && m.raw[m.even+4]&0x80 != 0):
		return stun.CodeBadRequest
	case m.family == v4 && !o.relay4.IsValid(), m.family == v6 && !o.relay6.IsValid():
		return stun.CodeAddrFamilyNotSupported
	case m.additional != 0:
		const reason = "Address Family not Supported"
		f.wish.extra = append(f.wish.extra, stun.RawAttribute{Type: attrAddressErrorCode, Value: append([]byte{v6, 0, 4, 40}, reason...)})
	}
	return 0
}

// withExtra adds attributes to an answer of pion's.
func withExtra(raw []byte, extra []stun.RawAttribute, key []byte) []byte {
	in, out := &stun.Message{Raw: raw}, &stun.Message{}
	if in.Decode() != nil {
		return raw
	}
	out.TransactionID, out.Type = in.TransactionID, in.Type
	out.WriteHeader()
	for _, a := range in.Attributes {
		if a.Type != stun.AttrMessageIntegrity {
			out.Add(a.Type, a.Value)
		}
	}
	for _, a := range extra {
		out.Add(a.Type, a.Value)
	}
	if stun.MessageIntegrity(key).AddTo(out) != nil {
		return raw
	}
	return out.Raw
}
