package directory

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	ocspPatience = 5 * time.Second
	// mostOCSP bounds an answer; real ones are about 2 KiB.
	mostOCSP = 64 << 10
)

// NotRevoked asks whether a server's certificate was revoked (`tls ldap verify ocsp`, `tls sip verify ocsp`): by the answer that it
// sent along, or from the responder that its certificate names. No answer refuses the connection.
func NotRevoked(state tls.ConnectionState) error {
	if len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) < 2 {
		return errors.New("the certificate has no issuer that could say whether it was revoked")
	}
	leaf, issuer := state.VerifiedChains[0][0], state.VerifiedChains[0][1]
	if len(state.OCSPResponse) > 0 {
		return judge(state.OCSPResponse, leaf, issuer, time.Now())
	}
	if len(leaf.OCSPServer) == 0 {
		return errors.New("the certificate names no OCSP responder: verify without ocsp (`tls ldap verify enable`, `tls sip verify enable`) where it is used")
	}
	ctx, cancel := context.WithTimeout(context.Background(), ocspPatience)
	defer cancel()
	answer, err := ask(ctx, leaf.OCSPServer[0], leaf, issuer)
	if err != nil {
		return fmt.Errorf("ask the OCSP responder %s: %w", leaf.OCSPServer[0], err)
	}
	return judge(answer, leaf, issuer, time.Now())
}

func ask(ctx context.Context, responder string, leaf, issuer *x509.Certificate) ([]byte, error) {
	question, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, responder, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, mostOCSP))
}

func judge(answer []byte, leaf, issuer *x509.Certificate, now time.Time) error {
	r, err := ocsp.ParseResponseForCert(answer, leaf, issuer)
	if err != nil {
		return fmt.Errorf("OCSP: %w", err)
	}
	switch {
	case r.Status == ocsp.Revoked:
		return fmt.Errorf("the certificate was revoked on %s", r.RevokedAt.UTC().Format(time.DateOnly))
	case r.Status != ocsp.Good:
		return errors.New("the OCSP responder does not know the certificate")
	case !r.NextUpdate.IsZero() && now.After(r.NextUpdate):
		return errors.New("the answer about the certificate's revocation is out of date")
	}
	return nil
}
