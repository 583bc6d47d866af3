package callbridge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"

	"rotunda/init/config"
	"rotunda/mmp/pki/revocation"
	"rotunda/services/callbridge/sip"
)

// certificates are what "callbridge certs" and "tls sip" say, parsed once.
type certificates struct {
	mu     sync.Mutex
	parsed bool
	pair   *tls.Certificate // nil without one that can be used
	server *tls.Config      // nil without a certificate
	client *tls.Config
}

// read parses what the settings have. An error is about the pair, and leaves the one before: a new certificate may have been put by SFTP
// before its key. Verification does not depend on it.
func (c *certificates) read(s config.CallBridgeService) error {
	base := &tls.Config{MinVersion: s.SIP.Version(), CipherSuites: s.SIP.Suites()}
	var failed error
	c.mu.Lock()
	pair := c.pair
	c.mu.Unlock()
	if s.Key == "" || s.Chain == "" {
		pair = nil
	} else if now, err := tls.X509KeyPair([]byte(s.Chain), []byte(s.Key)); err != nil {
		failed = err
	} else {
		pair = &now
	}
	if pair != nil {
		base.Certificates = []tls.Certificate{*pair}
	}
	client := base.Clone()
	verify := s.SIP.Verify != config.VerifyOff
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.SIP.Trust))
	if !verify {
		client.InsecureSkipVerify = true // "tls sip verify disable"
	} else {
		client.RootCAs = roots
		if s.SIP.Verify == config.VerifyOCSP {
			client.VerifyConnection = revocation.Asker{}.Connection
		}
	}
	var server *tls.Config
	if len(base.Certificates) > 0 {
		server = base
		if verify {
			// Peers of SIP are servers on both sides: what they show may be made for either (RFC 5922 section 7).
			server.ClientAuth = tls.RequireAnyClientCert
			server.VerifyConnection = verifyPeer(roots, s.SIP.Verify == config.VerifyOCSP)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pair, c.server, c.client, c.parsed = pair, server, client, true
	return failed
}

// verifyPeer checks who connects: the chain of the certificate, whatever it was made for.
func verifyPeer(roots *x509.CertPool, revoked bool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the far end shows no certificate")
		}
		between := x509.NewCertPool()
		for _, one := range state.PeerCertificates[1:] {
			between.AddCert(one)
		}
		chains, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err != nil {
			return err
		}
		if state.VerifiedChains = chains; revoked {
			return revocation.Asker{}.Connection(state)
		}
		return nil
	}
}

// serverTLS is for incoming connections; nil while there is no certificate.
func (b *bridge) serverTLS() *tls.Config {
	b.certificates.mu.Lock()
	defer b.certificates.mu.Unlock()
	return b.certificates.server
}

// clientTLS is for connections to a target. The name that was looked up is the one that its certificate must have (RFC 5922 section 4).
func (b *bridge) clientTLS(t sip.Target) *tls.Config {
	b.certificates.mu.Lock()
	c := b.certificates.client
	b.certificates.mu.Unlock()
	if c == nil {
		c = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	}
	c = c.Clone()
	c.ServerName = t.Host
	if c.ServerName == "" {
		c.ServerName = t.Address.Addr().String()
	}
	return c
}

// brandingTLS is for web servers with prompts ("callbridge trust branding"); nil for those that the system trusts.
func (b *bridge) brandingTLS() *tls.Config {
	trust := b.current().TrustBranding
	if trust == "" {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(trust))
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
}
