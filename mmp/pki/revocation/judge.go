package revocation

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	// clockSkew is how far a responder's clock may be ahead, unbounded how old an answer may be that does not say until when it is true.
	clockSkew = 5 * time.Minute
	unbounded = 24 * time.Hour
)

// Judge reads an answer about a certificate.
func Judge(answer []byte, leaf, issuer *x509.Certificate, now time.Time) Finding {
	// Who has signed is checked here: the library takes any certificate of the issuer for a responder's, that of whoever was revoked too,
	// and none of an issuer that is no root and answers itself.
	r, err := ocsp.ParseResponseForCert(answer, leaf, nil)
	if err == nil {
		err = signedFor(r, issuer, now)
	}
	if err != nil {
		return unanswered("the OCSP responder's answer does not count: %v", err)
	}
	f := Finding{Since: r.ThisUpdate, Until: r.NextUpdate}
	switch {
	case r.Status == ocsp.Revoked:
		f.Status, f.At, f.Reason = Revoked, r.RevokedAt, reasons[r.RevocationReason]
	case r.Status != ocsp.Good:
		f.Status = Unknown
	case r.ThisUpdate.After(now.Add(clockSkew)):
		return unanswered("the OCSP responder's answer is of the future: check ntp status")
	case !r.NextUpdate.IsZero() && now.After(r.NextUpdate), r.NextUpdate.IsZero() && now.Sub(r.ThisUpdate) > unbounded:
		return unanswered("the OCSP responder's answer is out of date")
	default:
		f.Status = Good
	}
	return f
}

// signedFor says whether an answer is by the issuer, or by somebody whom it has named for this. That the certificate within an answer, if
// there is one, is whose key has signed it was checked before.
func signedFor(r *ocsp.Response, issuer *x509.Certificate, now time.Time) error {
	by := r.Certificate
	switch {
	case by == nil:
		return r.CheckSignatureFrom(issuer)
	case by.Equal(issuer):
		return nil
	}
	if err := by.CheckSignatureFrom(issuer); err != nil {
		return fmt.Errorf("it is signed by a stranger: %w", err)
	}
	if !slices.Contains(by.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return errors.New("it is signed with a certificate that is not for OCSP")
	}
	if now.After(by.NotAfter) || now.Before(by.NotBefore) {
		return errors.New("the certificate that it is signed with is not valid now")
	}
	return nil
}
