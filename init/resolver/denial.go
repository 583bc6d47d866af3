package resolver

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxIterations of the hash of NSEC3 that are computed; a zone that wants more counts as not signed (RFC 9276 section 3.2).
const maxIterations = 100

var errNoProof = errors.New("nothing that is signed says that there is no such record")

// denials are the signed records of a zone that say what is not there (RFC 4035 section 5.4, RFC 5155 section 8).
type denials struct {
	zone  string
	plain []*dns.NSEC
	hash  []*dns.NSEC3
	err   error
}

// denials keeps those of the records beside an answer that the zone has signed.
func (p *proof) denials(around []dns.RR, z *zoneKeys) *denials {
	d := &denials{zone: z.zone}
	for _, s := range setsOf(around) {
		if s.kind != dns.TypeNSEC && s.kind != dns.TypeNSEC3 || !dns.IsSubDomain(z.zone, s.name) {
			continue
		}
		labels, err := p.verify(s, z)
		if err != nil {
			d.err = err
			continue
		}
		if labels < dns.CountLabel(s.name) && !strings.HasPrefix(s.name, "*.") {
			continue // no wildcard makes such a record
		}
		for _, r := range s.records {
			switch r := r.(type) {
			case *dns.NSEC:
				d.plain = append(d.plain, r)
			case *dns.NSEC3:
				if r.Hash != dns.SHA1 || r.Iterations > maxIterations {
					d.err = errInsecure
					continue
				}
				d.hash = append(d.hash, r)
			}
		}
	}
	return d
}

// fail says why there is no proof.
func (d *denials) fail() error {
	if d.err != nil {
		return d.err
	}
	return fmt.Errorf("%w (zone %s)", errNoProof, d.zone)
}

// noName: the name does not exist, and no wildcard stands for it.
func (d *denials) noName(name string) error {
	for _, n := range d.plain {
		if !covers(n, name) {
			continue
		}
		wild := wildcardOf(encloser(n, name))
		if slices.ContainsFunc(d.plain, func(n *dns.NSEC) bool { return covers(n, wild) }) {
			return nil
		}
	}
	if above, next := d.closest(name); next != nil {
		if next.Flags&1 != 0 {
			return errInsecure // between signed names there may be zones that are not (RFC 5155 section 6)
		}
		wild := wildcardOf(above)
		if slices.ContainsFunc(d.hash, func(n *dns.NSEC3) bool { return n.Cover(wild) }) {
			return nil
		}
	}
	return d.fail()
}

// noType: the name is there, or a wildcard stands for it, without records of the type.
func (d *denials) noType(name string, kind uint16) error {
	for _, n := range d.plain {
		switch owner := dns.CanonicalName(n.Hdr.Name); {
		case owner == name:
			if lacks(n.TypeBitMap, kind) {
				return nil
			}
		case covers(n, name) && dns.IsSubDomain(name, dns.CanonicalName(n.NextDomain)):
			return nil // there are names below it only
		case covers(n, name):
			wild := wildcardOf(encloser(n, name))
			if slices.ContainsFunc(d.plain, func(n *dns.NSEC) bool { return dns.CanonicalName(n.Hdr.Name) == wild && lacks(n.TypeBitMap, kind) }) {
				return nil
			}
		}
	}
	if n := d.match(name); n != nil {
		if lacks(n.TypeBitMap, kind) {
			return nil
		}
		return d.fail()
	}
	if above, next := d.closest(name); next != nil {
		if n := d.match(wildcardOf(above)); n != nil && lacks(n.TypeBitMap, kind) {
			return nil
		}
		if next.Flags&1 != 0 {
			return errInsecure
		}
	}
	return d.fail()
}

// noDS says whether a name without DS record is a zone of its own, which then is not signed.
func (d *denials) noDS(name string) (cut bool, err error) {
	var types []uint16
	for _, n := range d.plain {
		if dns.CanonicalName(n.Hdr.Name) == name {
			types = n.TypeBitMap
		}
	}
	if n := d.match(name); n != nil {
		types = n.TypeBitMap
	}
	if types != nil {
		if slices.Contains(types, dns.TypeDS) || slices.Contains(types, dns.TypeSOA) {
			return false, d.fail()
		}
		return slices.Contains(types, dns.TypeNS), nil
	}
	switch err := d.noType(name, dns.TypeDS); {
	case errors.Is(err, errInsecure):
		return true, nil
	default:
		return false, err
	}
}

// wildcard: nothing is nearer to a name than the wildcard with this many labels.
func (d *denials) wildcard(name string, labels int) error {
	if slices.ContainsFunc(d.plain, func(n *dns.NSEC) bool { return covers(n, name) }) {
		return nil
	}
	next := name
	for dns.CountLabel(next) > labels+1 {
		next = parent(next)
	}
	if slices.ContainsFunc(d.hash, func(n *dns.NSEC3) bool { return n.Cover(next) }) {
		return nil
	}
	return d.fail()
}

// lacks says whether a name has neither the type nor an alias; above a cut only the DS record is known.
func lacks(types []uint16, kind uint16) bool {
	if slices.Contains(types, kind) || slices.Contains(types, dns.TypeCNAME) && kind != dns.TypeCNAME {
		return false
	}
	if kind == dns.TypeDS {
		return !slices.Contains(types, dns.TypeSOA)
	}
	return !isCut(types)
}

func isCut(types []uint16) bool {
	return slices.Contains(types, dns.TypeNS) && !slices.Contains(types, dns.TypeSOA)
}

// covers says whether a name lies between the two names of the record. One above a cut knows nothing of what is below it.
func covers(n *dns.NSEC, name string) bool {
	owner, next := dns.CanonicalName(n.Hdr.Name), dns.CanonicalName(n.NextDomain)
	if dns.IsSubDomain(owner, name) && owner != name && (isCut(n.TypeBitMap) || slices.Contains(n.TypeBitMap, dns.TypeDNAME)) {
		return false
	}
	before, after := order(owner, name) < 0, order(name, next) < 0
	if order(owner, next) < 0 {
		return before && after
	}
	return before && dns.IsSubDomain(next, name) // the last of a zone, whose next is the zone itself
}

// order compares names as RFC 4034 section 6.1 does: label by label from the end.
func order(a, b string) int {
	x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
	for i := 1; i <= min(len(x), len(y)); i++ {
		if c := strings.Compare(x[len(x)-i], y[len(y)-i]); c != 0 {
			return c
		}
	}
	return len(x) - len(y)
}

// encloser is the longest name above another that the record shows to be there.
func encloser(n *dns.NSEC, name string) string {
	labels := max(dns.CompareDomainName(n.Hdr.Name, name), dns.CompareDomainName(n.NextDomain, name))
	for dns.CountLabel(name) > labels {
		name = parent(name)
	}
	return name
}

func wildcardOf(name string) string {
	if name == "." {
		return "*."
	}
	return "*." + name
}

func (d *denials) match(name string) *dns.NSEC3 {
	for _, n := range d.hash {
		if n.Match(name) {
			return n
		}
	}
	return nil
}

// closest finds the longest name above another that is there, and the record that denies the next longer one (RFC 5155 section 8.3).
func (d *denials) closest(name string) (above string, next *dns.NSEC3) {
	if len(d.hash) == 0 {
		return "", nil
	}
	for longer := name; longer != d.zone && longer != "."; longer = parent(longer) {
		n := d.match(parent(longer))
		if n == nil {
			continue
		}
		if isCut(n.TypeBitMap) || slices.Contains(n.TypeBitMap, dns.TypeDNAME) {
			break
		}
		for _, c := range d.hash {
			if c.Cover(longer) {
				return parent(longer), c
			}
		}
		break
	}
	return "", nil
}
