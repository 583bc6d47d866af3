package resolver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rotunda/init/config"
)

const (
	// maxChecks signatures are verified for one question, and maxAsked further questions asked: what a hostile zone can make us do is
	// bounded (the attack called KeyTrap). A usual name takes six of each.
	maxChecks = 48
	maxAsked  = 32
)

// anchors are the keys that are believed, by zone.
type anchors map[string][]dns.RR

func newAnchors(list []string) (anchors, error) {
	a := anchors{}
	for _, s := range list {
		r, err := config.ParseAnchor(s)
		if err != nil {
			return nil, err
		}
		zone := dns.CanonicalName(r.Header().Name)
		a[zone] = append(a[zone], r)
	}
	return a, nil
}

// of returns the anchor that is nearest above a name.
func (a anchors) of(name string) (zone string, keys []dns.RR, ok bool) {
	if len(a) == 0 {
		return "", nil, false
	}
	for name = dns.CanonicalName(name); ; name = parent(name) {
		if keys, ok := a[name]; ok {
			return name, keys, true
		}
		if name == "." {
			return "", nil, false
		}
	}
}

// parent is the name without its first label.
func parent(name string) string {
	if i, end := dns.NextLabel(name, 0); !end {
		return name[i:]
	}
	return "."
}

// errInsecure ends a search where a zone has shown that what is below it is not signed. It is no failure.
var errInsecure = errors.New("not signed")

// proof follows the chain of keys from a trust anchor for one question (RFC 4035 section 5).
type proof struct {
	anchors anchors
	// look asks a question with signatures, and without anybody's judgement.
	look func(name string, kind uint16) *dns.Msg
	// now judges the periods of signatures; nil while nobody has set the clock.
	now func() time.Time

	zones         map[string]*zoneKeys
	asked, checks int
}

// zoneKeys are the keys of a zone as it was proved; err is errInsecure where it is not signed.
type zoneKeys struct {
	zone string
	keys []*dns.DNSKEY
	err  error
}

// secure says whether an answer is signed all the way down from an anchor. errInsecure says that it need not be, any other error that it should.
func (p *proof) secure(q dns.Question, m *dns.Msg) error {
	p.zones = map[string]*zoneKeys{}
	secure := true
	note := func(err error) error {
		if errors.Is(err, errInsecure) {
			secure = false
			return nil
		}
		return err
	}
	name := dns.CanonicalName(q.Name)
	sets := setsOf(m.Answer)
	for range maxAliases + 1 {
		if q.Qtype != dns.TypeANY {
			if s := sets.of(name, q.Qtype); s != nil {
				if err := note(p.set(s, m.Ns)); err != nil {
					return err
				}
				return verdict(secure)
			}
			if s := sets.of(name, dns.TypeCNAME); s != nil {
				if err := note(p.alias(s, sets, m.Ns)); err != nil {
					return err
				}
				name = dns.CanonicalName(s.records[0].(*dns.CNAME).Target)
				continue
			}
		} else if sets.has(name) {
			for _, s := range sets {
				if err := note(p.set(s, m.Ns)); err != nil {
					return err
				}
			}
			return verdict(secure)
		}
		if err := note(p.nothing(name, q.Qtype, m)); err != nil {
			return err
		}
		return verdict(secure)
	}
	return errors.New("there are too many aliases")
}

func verdict(secure bool) error {
	if secure {
		return nil
	}
	return errInsecure
}

// set checks one set of records. around are the records beside the answer, which show that a wildcard may be used.
func (p *proof) set(s *rrset, around []dns.RR) error {
	if _, _, covered := p.anchors.of(s.name); !covered {
		return errInsecure // an alias led out of what is signed
	}
	z, err := p.signer(s)
	if err != nil {
		return err
	}
	labels, err := p.verify(s, z)
	if err != nil {
		return err
	}
	if all := dns.CountLabel(s.name); labels < all {
		// It was made of a wildcard: there may be no nearer name (RFC 4035 section 5.3.4).
		d := p.denials(around, z)
		if err := d.wildcard(s.name, labels); err != nil {
			return fmt.Errorf("%s is made of a wildcard: %w", s.name, err)
		}
	}
	return nil
}

// alias checks a CNAME, which is not signed where a DNAME makes it (RFC 6672 section 5.3.1).
func (p *proof) alias(s *rrset, sets rrsets, around []dns.RR) error {
	if len(s.signatures) > 0 || len(s.records) != 1 {
		return p.set(s, around)
	}
	for above := parent(s.name); above != "."; above = parent(above) {
		d := sets.of(above, dns.TypeDNAME)
		if d == nil {
			continue
		}
		if err := p.set(d, around); err != nil {
			return err
		}
		target := dns.CanonicalName(d.records[0].(*dns.DNAME).Target)
		if want := strings.TrimSuffix(s.name, above) + strings.TrimPrefix(target, "."); dns.CanonicalName(s.records[0].(*dns.CNAME).Target) != want {
			return fmt.Errorf("the alias of %s is not what the DNAME of %s makes", s.name, above)
		}
		return nil
	}
	return p.set(s, around)
}

// nothing checks that a name has no records of a type, or does not exist.
func (p *proof) nothing(name string, kind uint16, m *dns.Msg) error {
	if _, _, covered := p.anchors.of(name); !covered {
		return errInsecure
	}
	at := name
	if kind == dns.TypeDS {
		at = parent(name) // the zone above a cut says what is below
	}
	z := p.zoneOf(at)
	if z.err != nil {
		return z.err
	}
	d := p.denials(m.Ns, z)
	if m.Rcode == dns.RcodeNameError {
		return d.noName(name)
	}
	return d.noType(name, kind)
}

// signer is the zone whose keys should have signed a set.
func (p *proof) signer(s *rrset) (*zoneKeys, error) {
	for _, sig := range s.signatures {
		zone := dns.CanonicalName(sig.SignerName)
		if !dns.IsSubDomain(zone, s.name) || s.kind == dns.TypeDS && zone == s.name {
			continue
		}
		if z := p.zoneOf(zone); z.err != nil || z.zone == zone {
			return z, z.err
		}
	}
	at := s.name
	if s.kind == dns.TypeDS {
		at = parent(at)
	}
	z := p.zoneOf(at)
	if z.err == nil {
		return nil, fmt.Errorf("%s %s has no signature of zone %s, which is signed", s.name, dns.TypeToString[s.kind], z.zone)
	}
	return nil, z.err
}

// verify checks the signatures of a set by the keys of a zone, and returns the labels of the name that was signed.
func (p *proof) verify(s *rrset, z *zoneKeys) (labels int, err error) {
	err = fmt.Errorf("%s %s has no signature of zone %s", s.name, dns.TypeToString[s.kind], z.zone)
	for _, sig := range s.signatures {
		if dns.CanonicalName(sig.SignerName) != z.zone {
			continue
		}
		for _, k := range z.keys {
			if k.Algorithm != sig.Algorithm || k.KeyTag() != sig.KeyTag {
				continue
			}
			if p.checks++; p.checks > maxChecks {
				return 0, fmt.Errorf("more than %d signatures would have to be checked", maxChecks)
			}
			if e := sig.Verify(k, s.records); e != nil {
				err = fmt.Errorf("a signature of %s %s is wrong", s.name, dns.TypeToString[s.kind])
				continue
			}
			if p.now != nil && !sig.ValidityPeriod(p.now()) {
				err = fmt.Errorf("the signature of %s %s holds from %s to %s, and it is %s", s.name, dns.TypeToString[s.kind],
					dns.TimeToString(sig.Inception), dns.TimeToString(sig.Expiration), p.now().UTC().Format("20060102150405"))
				continue
			}
			for _, r := range s.records {
				// No longer than was signed, also where somebody on the way says so (RFC 4035 section 5.3.3).
				r.Header().Ttl = min(r.Header().Ttl, sig.OrigTtl)
			}
			return int(sig.Labels), nil
		}
	}
	return 0, err
}

// zoneOf goes down from the anchor to the zone that a name is in.
func (p *proof) zoneOf(name string) *zoneKeys {
	if z := p.zones[name]; z != nil {
		return z
	}
	apex, trusted, _ := p.anchors.of(name)
	z := p.zones[apex]
	if z == nil {
		z = p.apex(apex, trusted)
		if errors.Is(z.err, errInsecure) {
			z.err = fmt.Errorf("none of the trust anchors of %s is of an algorithm that is known here", apex)
		}
		p.zones[apex] = z
	}
	// The labels between the anchor and the name, the uppermost first.
	var below []string
	for n := name; n != apex; n = parent(n) {
		below = append(below, n)
	}
	for _, n := range slices.Backward(below) {
		if z.err != nil {
			break
		}
		known := p.zones[n]
		if known == nil {
			known = p.below(z, n)
			p.zones[n] = known
		}
		z = known
	}
	return z
}

// below says which zone a name is in whose parent is in zone z: the same, or one of its own.
func (p *proof) below(z *zoneKeys, name string) *zoneKeys {
	fail := func(err error) *zoneKeys { return &zoneKeys{zone: name, err: err} }
	m, err := p.ask(name, dns.TypeDS)
	if err != nil {
		return fail(err)
	}
	sets := setsOf(m.Answer)
	if s := sets.of(name, dns.TypeDS); s != nil {
		if _, err := p.verify(s, z); err != nil {
			return fail(err)
		}
		return p.apex(name, s.records)
	}
	if s := sets.of(name, dns.TypeCNAME); s != nil {
		// What has an alias is no zone.
		if _, err := p.verify(s, z); err != nil {
			return fail(err)
		}
		return z
	}
	d := p.denials(m.Ns, z)
	if m.Rcode == dns.RcodeNameError {
		if err := d.noName(name); err != nil {
			return fail(err)
		}
		return z
	}
	cut, err := d.noDS(name)
	switch {
	case err != nil:
		return fail(err)
	case cut:
		return fail(errInsecure)
	}
	return z
}

// apex fetches the keys of a zone, which one of the trusted DS or DNSKEY records must vouch for.
func (p *proof) apex(zone string, trusted []dns.RR) *zoneKeys {
	fail := func(err error) *zoneKeys { return &zoneKeys{zone: zone, err: err} }
	if !slices.ContainsFunc(trusted, usable) {
		return fail(errInsecure) // RFC 4035 section 5.2: as if it were not signed
	}
	m, err := p.ask(zone, dns.TypeDNSKEY)
	if err != nil {
		return fail(err)
	}
	s := setsOf(m.Answer).of(zone, dns.TypeDNSKEY)
	if s == nil {
		return fail(fmt.Errorf("zone %s has no keys", zone))
	}
	z := &zoneKeys{zone: zone}
	for _, r := range s.records {
		k := r.(*dns.DNSKEY)
		if k.Flags&dns.ZONE == 0 || k.Flags&dns.REVOKE != 0 || k.Protocol != 3 {
			continue
		}
		if slices.ContainsFunc(trusted, func(t dns.RR) bool { return vouches(t, k) }) {
			z.keys = append(z.keys, k)
		}
	}
	if len(z.keys) == 0 {
		return fail(fmt.Errorf("zone %s has none of the keys that are trusted", zone))
	}
	if _, err := p.verify(s, z); err != nil {
		return fail(err)
	}
	z.keys = nil
	for _, r := range s.records {
		if k := r.(*dns.DNSKEY); k.Flags&dns.ZONE != 0 && k.Flags&dns.REVOKE == 0 && k.Protocol == 3 {
			z.keys = append(z.keys, k)
		}
	}
	return z
}

// usable says whether a trusted record is of algorithms that are known here.
func usable(r dns.RR) bool {
	switch r := r.(type) {
	case *dns.DS:
		return knownAlgorithm(r.Algorithm) && (r.DigestType == dns.SHA1 || r.DigestType == dns.SHA256 || r.DigestType == dns.SHA384)
	case *dns.DNSKEY:
		return knownAlgorithm(r.Algorithm)
	}
	return false
}

func knownAlgorithm(a uint8) bool {
	switch a {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519:
		return true
	}
	return false
}

func vouches(trusted dns.RR, k *dns.DNSKEY) bool {
	switch t := trusted.(type) {
	case *dns.DS:
		if !usable(t) || t.Algorithm != k.Algorithm || t.KeyTag != k.KeyTag() {
			return false
		}
		made := k.ToDS(t.DigestType)
		return made != nil && strings.EqualFold(made.Digest, t.Digest)
	case *dns.DNSKEY:
		return t.Algorithm == k.Algorithm && t.Flags|dns.SEP == k.Flags|dns.SEP && t.PublicKey == k.PublicKey
	}
	return false
}

func (p *proof) ask(name string, kind uint16) (*dns.Msg, error) {
	if p.asked++; p.asked > maxAsked {
		return nil, fmt.Errorf("more than %d questions would have to be asked", maxAsked)
	}
	m := p.look(name, kind)
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("%s %s cannot be looked up: %s", name, dns.TypeToString[kind], dns.RcodeToString[m.Rcode])
	}
	return m, nil
}

// rrset is the records of one name and type, with their signatures.
type rrset struct {
	name       string
	kind       uint16
	records    []dns.RR
	signatures []*dns.RRSIG
}

type rrsets []*rrset

func setsOf(list []dns.RR) rrsets {
	var sets rrsets
	find := func(name string, kind uint16) *rrset {
		name = dns.CanonicalName(name)
		if s := sets.of(name, kind); s != nil {
			return s
		}
		s := &rrset{name: name, kind: kind}
		sets = append(sets, s)
		return s
	}
	for _, r := range list {
		h := r.Header()
		if h.Class != dns.ClassINET {
			continue
		}
		if sig, ok := r.(*dns.RRSIG); ok {
			s := find(h.Name, sig.TypeCovered)
			s.signatures = append(s.signatures, sig)
			continue
		}
		s := find(h.Name, h.Rrtype)
		s.records = append(s.records, r)
	}
	// Signatures of nothing are no set.
	return slices.DeleteFunc(sets, func(s *rrset) bool { return len(s.records) == 0 })
}

func (s rrsets) of(name string, kind uint16) *rrset {
	for _, one := range s {
		if one.name == name && one.kind == kind {
			return one
		}
	}
	return nil
}

func (s rrsets) has(name string) bool {
	return slices.ContainsFunc(s, func(one *rrset) bool { return one.name == name })
}
