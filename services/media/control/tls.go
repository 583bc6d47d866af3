package control

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// Files are a machine's certificate, its key, and the certificates of those it trusts, all PEM. Control of media leaves a
// machine only with TLS 1.3 in which both sides show a certificate.
type Files struct {
	Certificate, Key, Trust string
}

// Config reads the files. The configuration serves both for listening and for dialling; what it is for must be allowed
// by the certificates' key usage, and the name that is dialled must be in the listener's certificate.
func (f Files) Config() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	pem, err := os.ReadFile(f.Trust)
	if err != nil {
		return nil, fmt.Errorf("read trusted certificates: %w", err)
	}
	trust := x509.NewCertPool()
	if !trust.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read trusted certificates: %s holds none", f.Trust)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		RootCAs:      trust, ClientCAs: trust,
		ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS13,
	}, nil
}

// Listen opens a listener. Without TLS it must be on a loopback address: whoever can connect rules the media.
func Listen(address string, config *tls.Config) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if config != nil {
		return tls.NewListener(l, config), nil
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		l.Close()
		return nil, errors.New("listen: " + address + " is not a loopback address, and there is no certificate for TLS")
	}
	return l, nil
}
