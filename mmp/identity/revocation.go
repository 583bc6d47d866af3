package identity

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
	ocspPatience = 8 * time.Second
	// mostOCSP bounds an answer; real ones are about 2 KiB.
	mostOCSP = 64 << 10
	// clockSkew is how far a responder's clock may be ahead, unbounded how old an answer may be that does not say.
	clockSkew = 5 * time.Minute
	unbounded = 24 * time.Hour
)

// responder is asked whether certificates were revoked.
type responder struct {
	// url is empty for the one that a certificate names; secure is how one with https is reached.
	url    string
	secure *tls.Config
}

// check returns nil if the certificate is good now. No answer is an error, too: a thief would only have to cut the line.
func (r responder) check(ctx context.Context, leaf, issuer *x509.Certificate, now time.Time) error {
	url := r.url
	if url == "" {
		if len(leaf.OCSPServer) == 0 {
			return fmt.Errorf("%w: the certificate names no OCSP responder, and none is set (cac ocsp responder <URL>)", ErrUnavailable)
		}
		url = leaf.OCSPServer[0]
	}
	answer, err := r.ask(ctx, url, leaf, issuer)
	if err != nil {
		return fmt.Errorf("%w: ask the OCSP responder %s: %w", ErrUnavailable, url, err)
	}
	return judge(answer, leaf, issuer, now)
}

func (r responder) ask(ctx context.Context, url string, leaf, issuer *x509.Certificate) ([]byte, error) {
	question, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	// Each question has a connection of its own: one a login is rare enough, and settings change between them.
	transport := &http.Transport{TLSClientConfig: r.secure, DisableKeepAlives: true}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, mostOCSP))
}

// judge reads an answer, whose signature is by the issuer or by somebody whom it has named for this (RFC 6960 section 4.2.2.2).
func judge(answer []byte, leaf, issuer *x509.Certificate, now time.Time) error {
	r, err := ocsp.ParseResponseForCert(answer, leaf, issuer)
	if err != nil {
		return fmt.Errorf("%w: answer of the OCSP responder: %w", ErrUnavailable, err)
	}
	if by := r.Certificate; by != nil && (now.After(by.NotAfter) || now.Before(by.NotBefore)) {
		return fmt.Errorf("%w: the certificate of the OCSP responder is not valid now", ErrUnavailable)
	}
	switch {
	case r.Status == ocsp.Revoked:
		return fmt.Errorf("%w: the certificate was revoked on %s", ErrWrong, r.RevokedAt.UTC().Format(time.DateOnly))
	case r.Status != ocsp.Good:
		return fmt.Errorf("%w: the OCSP responder does not know the certificate", ErrWrong)
	case r.ThisUpdate.After(now.Add(clockSkew)):
		return fmt.Errorf("%w: %w", ErrUnavailable, errors.New("the OCSP responder's answer is of the future: check ntp status"))
	case !r.NextUpdate.IsZero() && now.After(r.NextUpdate), r.NextUpdate.IsZero() && now.Sub(r.ThisUpdate) > unbounded:
		return fmt.Errorf("%w: %w", ErrUnavailable, errors.New("the OCSP responder's answer is out of date"))
	}
	return nil
}
