package snmp

import (
	"crypto/subtle"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/init/config"
	"rotunda/init/snmp/usm"
)

const (
	// maxMessage is the longest answer: what goes through an Ethernet in one piece, by IPv6 too. It is the bound of what a forged
	// question can make us send to somebody.
	maxMessage = 1452
	// leastMessage is what everybody takes (RFC 3412 section 6).
	leastMessage = 484
	// window is how old a message may be (RFC 3414 section 2.2.3), in seconds.
	window = 150
	// lastBoots is where boots stop, for good (RFC 3414 section 2.2.2).
	lastBoots = 1<<31 - 1
)

const (
	version2c = 1
	version3  = 3

	flagAuth       = 1
	flagPrivacy    = 2
	flagReportable = 4

	userSecurity = 3
)

// counters of the agent, which it also shows.
type counters struct {
	in, badVersions, badCommunity, badUses, parse, drops          atomic.Uint64
	badModels, invalid, unhandled, contexts                       atomic.Uint64
	levels, windows, users, engines, digests, decryption, limited atomic.Uint64
}

// keyed is a user with what the names in the settings mean.
type keyed struct {
	config.SNMPUser
	auth    usm.Auth
	privacy usm.Privacy
}

// agent answers messages. It knows no socket.
type agent struct {
	counters
	boots   int32
	started time.Time
	// look returns the tree of the machine.
	look func() *tree
	// refused is told of whom was not let in, for the trap.
	refused func(source netip.Addr)
	limit   *limiter
	salt    atomic.Uint64

	mu          sync.Mutex
	engine      []byte
	communities []config.SNMPCommunity
	people      map[string]keyed
	// first is the user that traps are sent as.
	first *keyed
}

func newAgent(boots int32, started time.Time, look func() *tree) *agent {
	a := &agent{boots: boots, started: started, look: look, refused: func(netip.Addr) {}, limit: newLimiter(), people: map[string]keyed{}}
	// With the boots, which never come again, no salt of a key does either (RFC 3414 section 8.1.1.1).
	a.salt.Store(rand.Uint64())
	return a
}

// configure takes settings. Users whose algorithms are not allowed are left out; their names are returned.
func (a *agent) configure(s config.SNMPService) (out []string) {
	people := map[string]keyed{}
	var first *keyed
	for _, u := range s.Users {
		auth, ok := usm.AuthByName(u.Auth)
		privacy, also := usm.PrivacyByName(u.Privacy)
		if !ok || !also || len(u.Key) != auth.Size() || s.Approved && !(auth.Approved && privacy.Approved) {
			out = append(out, u.Name)
			continue
		}
		people[u.Name] = keyed{u, auth, privacy}
		if first == nil {
			first = &keyed{u, auth, privacy}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.engine, a.communities, a.people, a.first = s.Engine, s.Communities, people, first
	return out
}

// seconds since the agent started: snmpEngineTime.
func (a *agent) seconds(now time.Time) int32 { return int32(now.Sub(a.started) / time.Second) }

// answer is the whole way of a datagram: nil is no answer. It holds for any bytes.
func (a *agent) answer(now time.Time, source netip.Addr, message []byte) []byte {
	a.in.Add(1)
	r := reader{message}
	body, err := r.inner(tagSequence)
	if err != nil {
		a.parse.Add(1)
		return nil
	}
	version, err := body.integer()
	if err != nil {
		a.parse.Add(1)
		return nil
	}
	switch version {
	case version2c:
		return a.community(now, source, body)
	case version3:
		return a.secured(now, source, message[:len(message)-len(r.rest)], body)
	}
	a.badVersions.Add(1)
	return nil
}

// community answers SNMPv2c (RFC 3584 section 5.2, RFC 1901).
func (a *agent) community(now time.Time, source netip.Addr, body reader) []byte {
	name, err := body.want(tagOctets)
	if err != nil {
		a.parse.Add(1)
		return nil
	}
	if !a.admits(source, name) {
		a.badCommunity.Add(1)
		a.refused(source)
		return nil
	}
	if !a.limit.allow(now, source, answering) {
		a.limited.Add(1)
		return nil
	}
	p, err := readPDU(&body)
	if err != nil {
		a.parse.Add(1)
		return nil
	}
	return a.fit(p, maxMessage, func(answer pdu) []byte {
		m := signed(nil, tagInteger, version2c)
		m = element(m, tagOctets, name)
		return element(nil, tagSequence, answer.append(m))
	})
}

// admits takes a community from where it may be used.
func (a *agent) admits(source netip.Addr, name []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.communities {
		if subtle.ConstantTimeCompare([]byte(c.Name), name) == 1 && (!c.From.IsValid() || c.From.Contains(source)) {
			return true
		}
	}
	return false
}

// fit runs a question and makes the message shorter until it fits: of a GetBulk by leaving out what is last, of others by saying that
// it is too big (RFC 3416 section 4.2).
func (a *agent) fit(p pdu, most int, wrap func(pdu) []byte) []byte {
	answer, ok := a.operate(p, most)
	if !ok {
		return nil
	}
	m := wrap(answer)
	for len(m) > most && p.kind == tagGetBulk && len(answer.bindings) > 1 {
		// What is too much, and what a binding takes at least, but one at least.
		fewer := max(1, (len(m)-most)/64)
		answer.bindings = answer.bindings[:max(1, len(answer.bindings)-fewer)]
		m = wrap(answer)
	}
	if len(m) > most {
		answer.status, answer.index, answer.bindings = tooBig, 0, nil
		if m = wrap(answer); len(m) > most {
			a.drops.Add(1)
			return nil
		}
	}
	return m
}

// operate is what was asked (RFC 3416 section 4.2). Only questions get an answer.
func (a *agent) operate(p pdu, most int) (answer pdu, ok bool) {
	answer = pdu{kind: tagResponse, id: p.id}
	switch p.kind {
	case tagGet:
		t := a.look()
		for _, b := range p.bindings {
			answer.bindings = append(answer.bindings, binding{b.name, t.get(b.name)})
		}
	case tagGetNext:
		t := a.look()
		for _, b := range p.bindings {
			answer.bindings = append(answer.bindings, t.next(b.name))
		}
	case tagGetBulk:
		answer.bindings = bulk(a.look(), p, most)
	case tagSet:
		// Nothing can be written: the view is empty (RFC 3416 section 4.2.5).
		answer.bindings = p.bindings
		if len(p.bindings) > 0 {
			answer.status, answer.index = noAccess, 1
		}
		a.badUses.Add(1)
	default:
		a.unhandled.Add(1)
		return answer, false
	}
	return answer, true
}

// leastBinding is the shortest that a binding can be: two tags and lengths in a sequence, and a name.
const leastBinding = 8

// bulk collects no more than can fit, however many are asked for.
func bulk(t *tree, p pdu, most int) (list []binding) {
	single := min(int(max(p.status, 0)), len(p.bindings))
	for _, b := range p.bindings[:single] {
		list = append(list, t.next(b.name))
	}
	row := slices.Clone(p.bindings[single:])
	if len(row) == 0 {
		return list
	}
	size := 0
	for range max(p.index, 0) {
		ended := true
		for i := range row {
			row[i] = t.next(row[i].name)
			ended = ended && row[i].value.tag == tagEndOfView
			size += leastBinding + len(row[i].name)
			list = append(list, row[i])
		}
		if ended || size > most {
			return list
		}
	}
	return list
}

// header is what a message of SNMPv3 says of itself.
type header struct {
	id, most    int32
	flags       byte
	engine      []byte
	boots, time int32
	user        []byte
	signature   []byte
	salt        []byte
}

// secured answers SNMPv3 (RFC 3412 section 7.2, RFC 3414 section 3.2).
func (a *agent) secured(now time.Time, source netip.Addr, message []byte, body reader) []byte {
	h, err := readHeader(&body)
	switch {
	case err == errModel:
		a.badModels.Add(1)
		return nil
	case err != nil:
		a.parse.Add(1)
		return nil
	case h.flags&(flagAuth|flagPrivacy) == flagPrivacy:
		a.invalid.Add(1)
		return nil
	}
	a.mu.Lock()
	engine := a.engine
	person, known := a.people[string(h.user)]
	a.mu.Unlock()
	// What is plain may be read, to know the number of the question.
	var id int32
	if h.flags&flagPrivacy == 0 {
		id = peek(body)
	}
	report := func(count *atomic.Uint64, name oid, sign *keyed) []byte {
		count.Add(1)
		if h.flags&flagReportable == 0 {
			return nil
		}
		// Anybody can ask for these.
		if !a.limit.allow(now, source, reporting) {
			a.limited.Add(1)
			return nil
		}
		p := pdu{kind: tagReport, id: id, bindings: []binding{{name.with(0), counter32(count.Load())}}}
		level := byte(0)
		if sign != nil {
			level = flagAuth
		}
		return a.seal(now, engine, h.id, level, h.user, sign, p)
	}
	if !slices.Equal(h.engine, engine) || len(engine) == 0 {
		return report(&a.engines, usmStats.with(4), nil)
	}
	if !known {
		a.refused(source)
		return report(&a.users, usmStats.with(3), nil)
	}
	if h.flags&flagAuth != 0 {
		if !genuine(person, message, h) {
			a.refused(source)
			return report(&a.digests, usmStats.with(5), nil)
		}
		mine := a.seconds(now)
		if a.boots == lastBoots || h.boots != a.boots || h.time < mine-window || h.time > mine+window {
			return report(&a.windows, usmStats.with(2), &person)
		}
		if !a.limit.allow(now, source, answering) {
			a.limited.Add(1)
			return nil
		}
	} else if !a.limit.allow(now, source, reporting) {
		a.limited.Add(1)
		return nil
	}
	if h.flags&flagPrivacy != 0 {
		encrypted, err := body.want(tagOctets)
		if err != nil {
			a.parse.Add(1)
			return nil
		}
		plain, err := person.privacy.Decrypt(person.Key, h.boots, h.time, h.salt, encrypted)
		if err != nil {
			return report(&a.decryption, usmStats.with(6), &person)
		}
		body = reader{plain}
	}
	scoped, err := body.inner(tagSequence)
	if err != nil {
		if h.flags&flagPrivacy != 0 {
			return report(&a.decryption, usmStats.with(6), &person)
		}
		a.parse.Add(1)
		return nil
	}
	if _, err = scoped.want(tagOctets); err != nil {
		a.parse.Add(1)
		return nil
	}
	context, err := scoped.want(tagOctets)
	if err != nil {
		a.parse.Add(1)
		return nil
	}
	p, err := readPDU(&scoped)
	if err != nil {
		a.parse.Add(1)
		return nil
	}
	id = p.id
	level := h.flags & (flagAuth | flagPrivacy)
	if len(context) != 0 {
		var sign *keyed
		if level != 0 {
			sign = &person
		}
		return report(&a.contexts, mustOID("1.3.6.1.6.3.12.1.5"), sign)
	}
	most := min(int(h.most), maxMessage)
	if level != flagAuth|flagPrivacy {
		// Users have both keys, and are let in with both alone (RFC 3415: no group has a view below authPriv).
		if p.kind < tagGet || p.kind > tagGetBulk || p.kind == tagResponse {
			a.unhandled.Add(1)
			return nil
		}
		m := a.seal(now, engine, h.id, level, h.user, &person, pdu{kind: tagResponse, id: p.id, status: authorizationError, bindings: p.bindings})
		if len(m) > most {
			a.drops.Add(1)
			return nil
		}
		return m
	}
	return a.fit(p, most, func(answer pdu) []byte { return a.seal(now, engine, h.id, level, h.user, &person, answer) })
}

// seal makes a message of this engine at a level.
func (a *agent) seal(now time.Time, engine []byte, id int32, level byte, user []byte, person *keyed, p pdu) []byte {
	seconds := a.seconds(now)
	scoped := element(nil, tagOctets, engine)
	scoped = element(scoped, tagOctets, nil)
	scoped = element(nil, tagSequence, p.append(scoped))
	var signature, salt []byte
	if level&flagAuth != 0 {
		signature = make([]byte, person.auth.Signature)
	}
	if level&flagPrivacy != 0 {
		var fresh [usm.SaltSize]byte
		n := a.salt.Add(1)
		binary.BigEndian.PutUint64(fresh[:], n)
		if person.privacy.Name == "DES" {
			// Boots and a number (RFC 3414 section 8.1.1.1).
			binary.BigEndian.PutUint32(fresh[:], uint32(a.boots))
			binary.BigEndian.PutUint32(fresh[4:], uint32(n))
		}
		salt = fresh[:]
		encrypted, err := person.privacy.Encrypt(person.Key, a.boots, seconds, fresh, scoped)
		if err != nil {
			return nil
		}
		scoped = element(nil, tagOctets, encrypted)
	}
	h := header{id: id, most: maxMessage, flags: level, engine: engine, boots: a.boots, time: seconds, user: user, signature: signature, salt: salt}
	m, at := h.append(scoped)
	if level&flagAuth != 0 {
		copy(m[at:], person.auth.Sign(person.Key, m))
	}
	return m
}
