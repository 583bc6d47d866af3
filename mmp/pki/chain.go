package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"slices"
)

// issued reports whether a certificate says that the other one issued it. The signature is another question.
func issued(c, issuer *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, issuer.RawSubject) &&
		(len(c.AuthorityKeyId) == 0 || len(issuer.SubjectKeyId) == 0 || bytes.Equal(c.AuthorityKeyId, issuer.SubjectKeyId))
}

// selfSigned reports whether a certificate is a root, or stands for itself alone.
func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// Sort puts certificates in the order of a chain: the leaf, who issued it, and so on to the root. With a key the leaf is the
// certificate of that key; else the first that has issued none of the others. What is in no connection with the leaf comes back as
// extra. Double ones are dropped.
func Sort(list []*x509.Certificate, key crypto.PublicKey) (chain, extra []*x509.Certificate) {
	list = unique(list)
	if len(list) == 0 {
		return nil, nil
	}
	leaf := slices.IndexFunc(list, func(c *x509.Certificate) bool {
		if key != nil {
			return Same(key, c.PublicKey)
		}
		return !slices.ContainsFunc(list, func(o *x509.Certificate) bool { return o != c && issued(o, c) })
	})
	if leaf < 0 {
		if key != nil {
			return nil, list
		}
		leaf = 0
	}
	chain = []*x509.Certificate{list[leaf]}
	for len(chain) < maxPath {
		last := chain[len(chain)-1]
		if selfSigned(last) {
			break
		}
		next := nextOf(last, list, chain)
		if next == nil {
			break
		}
		chain = append(chain, next)
	}
	for _, c := range list {
		if !slices.Contains(chain, c) {
			extra = append(extra, c)
		}
	}
	return chain, extra
}

// nextOf is who issued a certificate, among those that are not in the chain yet. Of several of that name, such as one before and one after
// its renewal, it is one that has signed, and of these the one that is good for longest; nil if there is none.
func nextOf(last *x509.Certificate, list, chain []*x509.Certificate) *x509.Certificate {
	var best *x509.Certificate
	signed := false
	for _, c := range list {
		if slices.Contains(chain, c) || !issued(last, c) {
			continue
		}
		good := signedBy(last, c) == nil
		if best == nil || good && !signed || good == signed && c.NotAfter.After(best.NotAfter) {
			best, signed = c, good
		}
	}
	return best
}

func unique(list []*x509.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	for _, c := range list {
		if !slices.ContainsFunc(out, c.Equal) {
			out = append(out, c)
		}
	}
	return out
}
