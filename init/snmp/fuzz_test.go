package snmp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"rotunda/init/observe"
	"rotunda/init/snmp/usm"
)

// still is an agent over a machine that does not change.
func still(t testing.TB) *agent {
	w := &watch{pid1: newStandIn(), root: proc, hostname: "meet1"}
	a := newAgent(3, time.Now(), w.look)
	w.agent = a
	grown := w.grow(observe.Look(t.Context(), w.pid1, w.root))
	a.look = func() *tree { return grown }
	s := settings(t)
	s.Users = append(s.Users, user(t, "old", "MD5", "DES"))
	a.configure(s)
	return a
}

var here = netip.MustParseAddr("127.0.0.1")

// question is a message of version 2c.
func question(p pdu) []byte {
	m := signed(nil, tagInteger, version2c)
	m = element(m, tagOctets, []byte("watchers"))
	return element(nil, tagSequence, p.append(m))
}

// sealed is a question of a user, in the agent's own time.
func sealed(a *agent, name string, level byte, p pdu) []byte {
	person := a.people[name]
	return a.seal(time.Now(), engine, 77, level|flagReportable, []byte(name), &person, p)
}

// FuzzPacket is the whole way from a datagram to its answer.
func FuzzPacket(f *testing.F) {
	a := still(f)
	root := binding{name: oid{1, 3}, value: value{tag: tagNull}}
	for _, kind := range []byte{tagGet, tagGetNext, tagGetBulk, tagSet, tagInform, tagResponse} {
		p := pdu{kind: kind, id: 5, status: 0, index: 20, bindings: []binding{root, root}}
		f.Add(question(p), byte(0))
		f.Add(sealed(a, "monitor", flagAuth|flagPrivacy, p), byte(1))
		f.Add(sealed(a, "old", flagAuth, p), byte(2))
		f.Add(sealed(a, "old", flagAuth|flagPrivacy, p), byte(3))
	}
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, byte(0))
	f.Fuzz(func(t *testing.T, message []byte, sign byte) {
		// Half of them are signed as they are, so that what comes after the signature is reached as well.
		if sign%2 == 1 {
			message = resign(a, message)
		}
		a.limit = newLimiter()
		m := a.answer(time.Now(), here, append([]byte(nil), message...))
		if len(m) > maxMessage {
			t.Fatalf("want at most %d bytes, got %d", maxMessage, len(m))
		}
		if m == nil {
			return
		}
		r := reader{m}
		body, err := r.inner(tagSequence)
		if err != nil || len(r.rest) > 0 {
			t.Fatalf("want one message as the answer, got %v, %x", err, m)
		}
		if version, err := body.integer(); err != nil || version != version2c && version != version3 {
			t.Fatalf("want an answer of a version that is spoken, got %d, %v", version, err)
		}
	})
}

// resign puts the right signature, engine and time into a message of version 3 that can be read at all.
func resign(a *agent, message []byte) []byte {
	r := reader{append([]byte(nil), message...)}
	body, err := r.inner(tagSequence)
	if err != nil {
		return message
	}
	if version, err := body.integer(); err != nil || version != version3 {
		return message
	}
	h, err := readHeader(&body)
	if err != nil {
		return message
	}
	person, ok := a.people[string(h.user)]
	if !ok {
		return message
	}
	h.engine, h.boots, h.time, h.signature = engine, a.boots, a.seconds(time.Now()), make([]byte, person.auth.Signature)
	if len(body.rest) > 4000 {
		return message
	}
	out, at := h.append(body.rest)
	copy(out[at:], person.auth.Sign(person.Key, out))
	return out
}

func TestAnswersAreBoundedAndCutWhereTheyMayBe(t *testing.T) {
	a := still(t)
	root := binding{name: oid{1, 3}, value: value{tag: tagNull}}
	// A million repetitions are as many as fit.
	m := a.answer(time.Now(), here, question(pdu{kind: tagGetBulk, index: 1 << 20, bindings: []binding{root}}))
	if len(m) > maxMessage || len(m) < maxMessage/2 {
		t.Errorf("want a full datagram, got %d bytes", len(m))
	}
	// What was asked for by name cannot be left out.
	long := ownColumn("rotundaAlarmText", "crash-loop:turn")
	var many []binding
	for range 100 {
		many = append(many, binding{name: long, value: value{tag: tagNull}})
	}
	m = a.answer(time.Now(), here, question(pdu{kind: tagGet, id: 9, bindings: many}))
	p := inner(t, m)
	if p.status != tooBig || len(p.bindings) != 0 || p.id != 9 {
		t.Errorf("want tooBig, got %+v", p)
	}
	// More names than a datagram has are no question.
	for range 100 {
		many = append(many, many[0])
	}
	if m := a.answer(time.Now(), here, question(pdu{kind: tagGet, bindings: many})); m != nil {
		t.Errorf("want no answer, got %x", m)
	}
	// Nothing follows the last object, and negative numbers are none.
	m = a.answer(time.Now(), here, question(pdu{kind: tagGetBulk, status: -5, index: -1, bindings: []binding{{name: oid{2, 100}, value: value{tag: tagNull}}}}))
	if p := inner(t, m); len(p.bindings) != 0 || p.status != noError {
		t.Errorf("want nothing, got %+v", p)
	}
}

// inner is the PDU of an answer of version 2c.
func inner(t *testing.T, message []byte) pdu {
	t.Helper()
	r := reader{message}
	body, err := r.inner(tagSequence)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = body.integer()
	_, _ = body.want(tagOctets)
	p, err := readPDU(&body)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestASourceGetsSoManyAnswersASecond(t *testing.T) {
	a := still(t)
	now := time.Now()
	ask := question(pdu{kind: tagGet, bindings: []binding{{name: oid{1, 3, 6, 1, 2, 1, 1, 5, 0}, value: value{tag: tagNull}}}})
	n := 0
	for range 3 * answersAtOnce {
		if a.answer(now, here, ask) != nil {
			n++
		}
	}
	if n != answersAtOnce || a.limited.Load() != 2*answersAtOnce {
		t.Errorf("want %d answers, got %d, and %d too many", answersAtOnce, n, a.limited.Load())
	}
	if a.answer(now, netip.MustParseAddr("127.0.0.2"), ask) == nil {
		t.Error("want another source answered")
	}
	if a.answer(now.Add(time.Second), here, ask) == nil {
		t.Error("want it answered again a second later")
	}
	// One /64 is one source, and beyond so many sources all share.
	l := newLimiter()
	for range reportsAtOnce {
		l.allow(now, netip.MustParseAddr("2001:db8::1"), reporting)
	}
	if l.allow(now, netip.MustParseAddr("2001:db8::2"), reporting) {
		t.Error("want a /64 to be one source")
	}
	for i := range 3 * maxSources {
		l.allow(now, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), answering)
	}
	if len(l.sources) > maxSources+1 {
		t.Errorf("want at most %d sources remembered, got %d", maxSources+1, len(l.sources))
	}
}

func TestOldMessagesAreNotPlayedAgain(t *testing.T) {
	a := still(t)
	p := pdu{kind: tagGet, id: 5, bindings: []binding{{name: oid{1, 3, 6, 1, 2, 1, 1, 5, 0}, value: value{tag: tagNull}}}}
	good := sealed(a, "monitor", flagAuth|flagPrivacy, p)
	now := time.Now()
	if m := a.answer(now, here, good); m == nil || a.windows.Load() != 0 {
		t.Fatalf("want an answer, got %x", m)
	}
	// Later than the window, and after a restart, it is answered by a report that the manager can trust.
	if m := a.answer(now.Add((window+5)*time.Second), here, good); m == nil || a.windows.Load() != 1 {
		t.Errorf("want a report of the time window, got %x", m)
	}
	a.boots++
	if m := a.answer(now, here, good); m == nil || a.windows.Load() != 2 {
		t.Errorf("want a report of the boots, got %x", m)
	}
	a.boots = lastBoots
	if a.answer(now, here, sealed(a, "monitor", flagAuth|flagPrivacy, p)); a.windows.Load() != 3 {
		t.Error("want nobody trusted once the boots have come to their end")
	}
	a.boots = 3
	// A single bit changed.
	for _, at := range []int{len(good) - 1, len(good) / 2} {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		before := a.digests.Load()
		if a.answer(now, here, bad); a.digests.Load() != before+1 {
			t.Errorf("bit at %d: want a wrong digest", at)
		}
	}
}

func TestKeysAreThoseOfTheStandard(t *testing.T) {
	// RFC 3414 appendix A.3.
	engine := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}
	for name, want := range map[string]string{"MD5": "526f5eed9fcce26f8964c2930787d82b", "SHA": "6695febc9288e36282235fc7151f128497b38f3f"} {
		auth, _ := usm.AuthByName(name)
		if key, err := auth.Localize("maplesyrup", engine); err != nil || want != hex.EncodeToString(key) {
			t.Errorf("%s: want %s, got %x, %v", name, want, key, err)
		}
	}
	auth, _ := usm.AuthByName("SHA")
	if _, err := auth.Localize("short", engine); err == nil {
		t.Error("want a short password refused")
	}
}
