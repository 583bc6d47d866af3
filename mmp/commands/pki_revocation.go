package commands

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"rotunda/mmp/grammar"
	"rotunda/mmp/pki"
	"rotunda/mmp/pki/revocation"
)

// Revocation asks about all certificates of a chain but the last; [revocation.Process] is the real one.
type Revocation interface {
	Chain(ctx context.Context, chain []*x509.Certificate) ([]revocation.Finding, error)
}

// notRevoked asks and prints what was found. wrong says what is wrong, one sentence each. An authority that names no responder says with
// lists who was revoked, if at all, so that is no failure.
func (d Deps) notRevoked(c *grammar.Call, chain []*x509.Certificate) (wrong []string, err error) {
	if len(chain) < 2 {
		return nil, errors.New("FAILURE: the certificate is self-signed: there is nobody who could have revoked it")
	}
	if d.Revocation == nil {
		return nil, errors.New("FAILURE: there is nobody who could ask an OCSP responder")
	}
	found, err := d.Revocation.Chain(c.Context, chain)
	if err != nil {
		return nil, fmt.Errorf("FAILURE: %s", printable(err.Error()))
	}
	c.Printf("OCSP:\n")
	for i, f := range found {
		if i > 0 && f.Nobody() {
			c.Printf("%d  not asked: it names no responder\n", i)
			continue
		}
		c.Printf("%d  %s\n", i, findingText(f))
		if title := pki.Title(chain[i]); f.Status != revocation.Good {
			wrong = append(wrong, wrongText(title, f))
		}
	}
	return wrong, nil
}

// findingText is a row of the table.
func findingText(f revocation.Finding) string {
	by := pki.Printable(f.Responder)
	switch f.Status {
	case revocation.Good:
		text := "good since " + pki.TimeText(f.Since)
		if !f.Until.IsZero() {
			text += ", next answer " + pki.TimeText(f.Until)
		}
		return text + ", by " + by
	case revocation.Revoked:
		return revokedText(f) + ", by " + by
	case revocation.Unknown:
		return "unknown to " + by
	}
	return "no answer: " + pki.Printable(f.Trouble)
}

func revokedText(f revocation.Finding) string {
	text := "revoked on " + pki.TimeText(f.At)
	if f.Reason != "" {
		text += " (" + pki.Printable(f.Reason) + ")"
	}
	return text
}

// wrongText is a failure in a sentence.
func wrongText(title string, f revocation.Finding) string {
	switch f.Status {
	case revocation.Revoked:
		return title + " was " + revokedText(f)
	case revocation.Unknown:
		return "the OCSP responder does not know " + title + ": it may be one of another authority"
	}
	if f.Nobody() {
		return "nobody says whether " + title + " was revoked: neither it nor its issuer names an OCSP responder"
	}
	return "nobody says whether " + title + " was revoked: " + pki.Printable(f.Trouble)
}
