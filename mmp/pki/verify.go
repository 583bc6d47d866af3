package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Question is what [Verify] is asked.
type Question struct {
	// Certificates are those of the file in question: the certificate, perhaps with some of its chain, in any order.
	Certificates []*x509.Certificate
	// Bundle are certificates of authorities, in any order.
	Bundle []*x509.Certificate
	// Roots are those that the chain has to end at; empty means that any root of Bundle will do.
	Roots []*x509.Certificate
	// Host is a name or an address that the certificate has to be for; empty means any.
	Host string
	// Usages that the certificate has to allow.
	Usages []x509.ExtKeyUsage
	Now    time.Time
}

// Finding is the answer.
type Finding struct {
	// Path is as much of the chain as was found, from the certificate to the root.
	Path []*x509.Certificate
	// Wrong says what is wrong, one sentence each, the worst first; empty means that the certificate is good.
	Wrong []string
}

// maxSteps bounds the search of a path among certificates that cross-sign each other.
const maxSteps = 200

// Verify finds the chain of a certificate and says what is wrong with it, by RFC 5280 section 6.1. Revocation is not asked for.
func Verify(q Question) Finding {
	own, _ := Sort(q.Certificates, nil)
	if len(own) == 0 {
		return Finding{Wrong: []string{"there is no certificate"}}
	}
	s := search{q: q, all: unique(slices.Concat(q.Certificates, q.Bundle, q.Roots)), steps: maxSteps}
	path := s.path([]*x509.Certificate{own[0]})
	f := Finding{Path: path}
	if end := s.end(path); end != "" {
		f.Wrong = append(f.Wrong, end)
	}
	for i, c := range path {
		f.Wrong = append(f.Wrong, checkLink(c, i, q.Now)...)
	}
	leaf := path[0]
	for _, u := range q.Usages {
		for i, c := range path {
			if !Serves(c, u) {
				what := map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "servers", x509.ExtKeyUsageClientAuth: "clients"}[u]
				whose := ""
				if i > 0 {
					whose = ", and neither is what it issues"
				}
				f.Wrong = append(f.Wrong, fmt.Sprintf("%s is not for %s, by its extended key usage (%s)%s", Title(c), what, usageText(c), whose))
			}
		}
	}
	if q.Host != "" && leaf.VerifyHostname(q.Host) != nil {
		f.Wrong = append(f.Wrong, fmt.Sprintf("%s is not for %s; its names: %s", Title(leaf), Printable(q.Host),
			Names(leaf.DNSNames, leaf.IPAddresses, nil, nil)))
	}
	if len(f.Wrong) == 0 {
		// What a verifier of the services says has the last word: name constraints, policies, critical extensions.
		if err := standard(path, q.Now); err != nil {
			f.Wrong = append(f.Wrong, reason(err).Error())
		}
	}
	return f
}

func standard(path []*x509.Certificate, now time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(path[len(path)-1])
	for _, c := range path[1:] {
		between.AddCert(c)
	}
	_, err := path[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

// Serves reports whether a certificate may be used so. One without extended key usage is good for everything (guide 4.6).
func Serves(c *x509.Certificate, use x509.ExtKeyUsage) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 || slices.Contains(c.ExtKeyUsage, use) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// search looks for the way to a root.
type search struct {
	q     Question
	all   []*x509.Certificate
	steps int
}

// path extends one as far as it goes, and prefers ways that end at a root that is trusted and that have not expired.
func (s *search) path(sofar []*x509.Certificate) []*x509.Certificate {
	last := sofar[len(sofar)-1]
	s.steps--
	if s.steps < 0 || len(sofar) == maxPath || selfSigned(last) {
		return sofar
	}
	best := sofar
	for _, c := range s.all {
		if slices.Contains(sofar, c) || !issued(last, c) || signedBy(last, c) != nil {
			continue
		}
		if way := s.path(append(slices.Clone(sofar), c)); s.rank(way) > s.rank(best) {
			best = way
		}
	}
	return best
}

// rank is higher the better a path is.
func (s *search) rank(path []*x509.Certificate) int {
	rank := len(path)
	if s.trusted(path[len(path)-1]) {
		rank += 4 * maxPath
	}
	if !slices.ContainsFunc(path, func(c *x509.Certificate) bool { return s.q.Now.After(c.NotAfter) || s.q.Now.Before(c.NotBefore) }) {
		rank += 2 * maxPath
	}
	return rank
}

func (s *search) trusted(c *x509.Certificate) bool {
	if len(s.q.Roots) > 0 {
		return slices.ContainsFunc(s.q.Roots, c.Equal)
	}
	return selfSigned(c) && slices.ContainsFunc(s.q.Bundle, c.Equal)
}

// end says why a path does not end at a root that is trusted, "" if it does.
func (s *search) end(path []*x509.Certificate) string {
	last := path[len(path)-1]
	if s.trusted(last) {
		return ""
	}
	if selfSigned(last) {
		if len(path) == 1 {
			return fmt.Sprintf("%s is self-signed, and not in the bundle itself", Title(last))
		}
		return fmt.Sprintf("the chain ends at %s, which is not among those that are trusted", Title(last))
	}
	for _, c := range s.all {
		if c.Equal(last) || !issued(last, c) {
			continue
		}
		if err := signedBy(last, c); err != nil {
			var weak x509.InsecureAlgorithmError
			if errors.As(err, &weak) {
				return fmt.Sprintf("%s is signed with %s, which can be forged and is not taken", Title(last), last.SignatureAlgorithm)
			}
			var constraint x509.ConstraintViolationError
			if errors.As(err, &constraint) {
				return fmt.Sprintf("%s may not issue certificates, and %s says that it is from it", Title(c), Title(last))
			}
			return fmt.Sprintf("%s is not signed by the %s that is there, though it says so: that one may be older or newer", Title(last), Title(c))
		}
	}
	if s.steps < 0 || len(path) == maxPath {
		return fmt.Sprintf("the chain is longer than %d certificates or too entangled to follow", maxPath)
	}
	return fmt.Sprintf("a certificate is missing: %s, which issued %s", NameText(last.Issuer), Title(last))
}

// signedBy checks a signature, and that who signed may do so.
func signedBy(c, issuer *x509.Certificate) error { return c.CheckSignatureFrom(issuer) }

// checkLink says what is wrong with one certificate of a chain; depth is 0 for the leaf.
func checkLink(c *x509.Certificate, depth int, now time.Time) []string {
	var wrong []string
	switch {
	case now.After(c.NotAfter):
		wrong = append(wrong, fmt.Sprintf("%s has expired on %s", Title(c), TimeText(c.NotAfter)))
	case now.Before(c.NotBefore):
		wrong = append(wrong, fmt.Sprintf("%s is not valid before %s", Title(c), TimeText(c.NotBefore)))
	}
	if depth > 1 && c.BasicConstraintsValid && (c.MaxPathLen > 0 || c.MaxPathLenZero) && depth-1 > c.MaxPathLen {
		wrong = append(wrong, fmt.Sprintf("%s allows %d authorities below it, and there are %d", Title(c), c.MaxPathLen, depth-1))
	}
	if err := Usable(c.PublicKey); err != nil && depth == 0 {
		wrong = append(wrong, fmt.Sprintf("%s has %s", Title(c), err))
	}
	return wrong
}
