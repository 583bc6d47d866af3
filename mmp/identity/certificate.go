package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"rotunda/init/config"
	"rotunda/mmp/pki/revocation"
)

// issuer vouches for cards.
type issuer struct {
	roots   *x509.CertPool
	trouble error
	ocsp    bool
	asked   revocation.Asker
}

// newIssuer reads the settings. Each certificate of the bundle is trusted to issue, a root or not: agencies give out bundles of either.
func newIssuer(s *config.IdentityService) issuer {
	i := issuer{roots: x509.NewCertPool(), ocsp: s.CAC.OCSP.Enabled, asked: revocation.Asker{Responder: s.CAC.OCSP.Responder}}
	if !s.CAC.Enabled {
		i.trouble = errors.New("logins by cards are not enabled: use cac enable")
		return i
	}
	if !i.roots.AppendCertsFromPEM([]byte(s.Issuer)) {
		i.trouble = errors.New("there are no certificates that issue cards: use cac issuer <bundle>")
		return i
	}
	i.asked.TLS = &tls.Config{RootCAs: i.roots, MinVersion: tls.VersionTLS12}
	if s.Key != "" {
		pair, err := tls.X509KeyPair([]byte(s.Chain), []byte(s.Key))
		if err != nil {
			i.trouble = fmt.Errorf("key and certificate of cac ocsp certs: %w", err)
			return i
		}
		i.asked.TLS.Certificates = []tls.Certificate{pair}
	}
	return i
}

// keepPair leaves the key and certificate from before in the place of two that do not belong together, and says why: a new certificate may
// have been put by SFTP before its key.
func keepPair(next, before *config.IdentityService) error {
	if next.Key == "" || before.Key == "" {
		return nil
	}
	_, err := tls.X509KeyPair([]byte(next.Chain), []byte(next.Key))
	if err != nil {
		next.Key, next.Chain = before.Key, before.Chain
	}
	return err
}

// check says whose a certificate is. The error wraps [ErrWrong] or [ErrUnavailable].
func (i issuer) check(ctx context.Context, chain [][]byte, now time.Time) (Holder, error) {
	if i.trouble != nil {
		return Holder{}, fmt.Errorf("%w: %w", ErrUnavailable, i.trouble)
	}
	if len(chain) == 0 || len(chain) > maxChain {
		return Holder{}, fmt.Errorf("%w: %d certificates were presented, want 1 to %d", ErrWrong, len(chain), maxChain)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return Holder{}, fmt.Errorf("%w: the certificate cannot be read: %w", ErrWrong, err)
	}
	h := Holder{Names: names(leaf), Title: title(leaf)}
	between := x509.NewCertPool()
	for _, der := range chain[1:] {
		// One that cannot be read is one that does not help.
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	paths, err := leaf.Verify(x509.VerifyOptions{Roots: i.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return h, fmt.Errorf("%w: %s: %s", ErrWrong, h.Title, strings.TrimPrefix(err.Error(), "x509: "))
	}
	if leaf.IsCA {
		return h, fmt.Errorf("%w: %s is an authority and no person", ErrWrong, h.Title)
	}
	if i.ocsp {
		if len(paths[0]) < 2 {
			return h, fmt.Errorf("%w: %s is in the bundle itself, and there is no issuer to ask", ErrWrong, h.Title)
		}
		if err := i.notRevoked(ctx, leaf, paths[0][1], now); err != nil {
			return h, fmt.Errorf("%w (%s)", err, h.Title)
		}
	}
	return h, nil
}

// notRevoked asks the responder. No answer is an error, too.
func (i issuer) notRevoked(ctx context.Context, leaf, by *x509.Certificate, now time.Time) error {
	f := i.asked.Ask(ctx, leaf, by, now)
	switch {
	case f.Status == revocation.Good:
		return nil
	case f.Nobody():
		return fmt.Errorf("%w: %w, and none is set (cac ocsp responder <URL>)", ErrUnavailable, f.Err())
	case f.Status == revocation.Unanswered:
		return fmt.Errorf("%w: %w", ErrUnavailable, f.Err())
	}
	return fmt.Errorf("%w: %w", ErrWrong, f.Err())
}

// title is a certificate in a line of the log.
func title(c *x509.Certificate) string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, c.Subject.String())
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("certificate %X of %s", c.SerialNumber, text)
}

// Certificates reads the certificates of a file in PEM or DER, at most so many.
func Certificates(file []byte, most int) (list []*x509.Certificate) {
	if c, err := x509.ParseCertificate(file); err == nil {
		return []*x509.Certificate{c}
	}
	for len(list) < most {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			return list
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			list = append(list, c)
		}
	}
	return list
}
