package revocation

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	// Patience is how long a question takes at most.
	Patience = 8 * time.Second
	// mostAnswer bounds an answer; real ones are about 2 KiB.
	mostAnswer = 64 << 10
)

// Asker asks responders. The zero value asks the one that a certificate names, or else the one that its issuer names.
type Asker struct {
	// Responder is asked in the place of those.
	Responder string
	// TLS is how one with https is reached.
	TLS *tls.Config
	// Within is how long it may take; 0 stands for [Patience].
	Within time.Duration
}

func (a Asker) responder(leaf, issuer *x509.Certificate) string {
	switch {
	case a.Responder != "":
		return a.Responder
	case len(leaf.OCSPServer) > 0:
		return leaf.OCSPServer[0]
	case len(issuer.OCSPServer) > 0:
		return issuer.OCSPServer[0]
	}
	return ""
}

// Ask asks about a certificate.
func (a Asker) Ask(ctx context.Context, leaf, issuer *x509.Certificate, now time.Time) Finding {
	responder := a.responder(leaf, issuer)
	if responder == "" {
		return unanswered("the certificate names no OCSP responder")
	}
	within := a.Within
	if within == 0 {
		within = Patience
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	f := Finding{Status: Unanswered}
	switch answer, err := a.post(ctx, responder, leaf, issuer); {
	case err == nil:
		f = Judge(answer, leaf, issuer, now)
	case errors.Is(err, context.DeadlineExceeded):
		f.Trouble = fmt.Sprintf("the OCSP responder %s is unreachable: no answer within %v", responder, within)
	default:
		f.Trouble = fmt.Sprintf("the OCSP responder %s is unreachable: %v", responder, err)
	}
	f.Responder = responder
	return f
}

func (a Asker) post(ctx context.Context, responder string, leaf, issuer *x509.Certificate) ([]byte, error) {
	question, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, responder, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	// Each question has a connection of its own: they are rare enough, and settings change between them.
	client := http.Client{
		Transport:     &http.Transport{TLSClientConfig: a.TLS, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		// The address is told anyway.
		if e := (*url.Error)(nil); errors.As(err, &e) {
			err = e.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", response.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer+1))
	if err == nil && len(answer) > mostAnswer {
		err = fmt.Errorf("its answer is longer than %d bytes", mostAnswer)
	}
	return answer, err
}

// Connection is for VerifyConnection of a [tls.Config] (`tls ldap verify ocsp`, `tls sip verify ocsp`): it goes by the answer that the far
// end has sent along, or asks. Without an answer the connection is refused.
func (a Asker) Connection(state tls.ConnectionState) error {
	if len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) < 2 {
		return errors.New("the certificate has no issuer that could say whether it was revoked")
	}
	leaf, issuer := state.VerifiedChains[0][0], state.VerifiedChains[0][1]
	if len(state.OCSPResponse) > 0 {
		return Judge(state.OCSPResponse, leaf, issuer, time.Now()).Err()
	}
	f := a.Ask(context.Background(), leaf, issuer, time.Now())
	if f.Nobody() {
		return fmt.Errorf("%w: verify without ocsp (`tls ldap verify enable`, `tls sip verify enable`) where it is used", f.Err())
	}
	return f.Err()
}
