package revocation

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Status is what is known of a certificate.
type Status string

const (
	Good    Status = "good"
	Revoked Status = "revoked"
	// Unknown: the responder does not know the certificate.
	Unknown Status = "unknown"
	// Unanswered: there is no answer that counts.
	Unanswered Status = "unanswered"
)

// Finding is the outcome of a question.
type Finding struct {
	Status Status `json:"status"`
	// Responder is the address of who was asked, empty if there was nobody to ask or if the answer came by itself.
	Responder string `json:"responder,omitempty"`
	// At is when the certificate was revoked, Reason why, empty if that is not said.
	At     time.Time `json:"at,omitzero"`
	Reason string    `json:"reason,omitempty"`
	// Since is from when on the answer was true, Until when there is a newer one, zero if that is not said.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Trouble says why no answer counts.
	Trouble string `json:"trouble,omitempty"`
}

// Err is nil for a certificate that is good.
func (f Finding) Err() error {
	switch f.Status {
	case Good:
		return nil
	case Revoked:
		reason := ""
		if f.Reason != "" {
			reason = " (" + f.Reason + ")"
		}
		return fmt.Errorf("the certificate was revoked on %s%s", f.At.UTC().Format(time.DateOnly), reason)
	case Unknown:
		return errors.New("the OCSP responder does not know the certificate")
	}
	return errors.New(f.Trouble)
}

// Nobody tells that there was nobody to ask.
func (f Finding) Nobody() bool { return f.Status == Unanswered && f.Responder == "" }

func unanswered(format string, args ...any) Finding {
	return Finding{Status: Unanswered, Trouble: fmt.Sprintf(format, args...)}
}

// reasons of RFC 5280 section 5.3.1. Unspecified is none.
var reasons = map[int]string{
	ocsp.KeyCompromise: "key compromise", ocsp.CACompromise: "compromise of the authority", ocsp.AffiliationChanged: "affiliation changed",
	ocsp.Superseded: "superseded", ocsp.CessationOfOperation: "cessation of operation", ocsp.CertificateHold: "on hold",
	ocsp.RemoveFromCRL: "removed from the list", ocsp.PrivilegeWithdrawn: "privilege withdrawn", ocsp.AACompromise: "compromise of the attribute authority",
}
