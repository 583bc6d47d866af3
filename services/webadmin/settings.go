package webadmin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"rotunda/init/config"
)

// settings are what PID 1 wrote, with the certificate made ready.
type settings struct {
	config.WebAdminService
	// certificate is nil when there is none that can be used; trouble says why, and HTTPS is closed.
	certificate *tls.Certificate
	trouble     error
	// issuers are those of cards.
	issuers *x509.CertPool
}

func readSettings(file string) (*settings, error) {
	s, err := config.ReadService[config.WebAdminService](file)
	if err != nil {
		return nil, err
	}
	return prepare(s)
}

// prepare parses the certificates.
func prepare(from config.WebAdminService) (*settings, error) {
	s := &settings{WebAdminService: from}
	if s.Port == 0 {
		s.Port = config.DefaultWebAdminPort
	}
	if s.Port < 1 || s.Port > 65535 {
		return nil, fmt.Errorf("read settings: port %d is out of range: use 1 to 65535", s.Port)
	}
	if s.Cards.Enabled {
		// Browsers offer the certificates of these alone.
		s.issuers = x509.NewCertPool()
		s.issuers.AppendCertsFromPEM([]byte(s.Cards.Issuer))
	}
	if s.Key == "" {
		s.trouble = errors.New("no certificate: HTTPS is closed until “webadmin certs” names a key and a certificate")
		return s, nil
	}
	pair, err := tls.X509KeyPair([]byte(s.Chain), []byte(s.Key))
	if err != nil {
		s.trouble = fmt.Errorf("HTTPS is closed: certificate: %w", err)
		return s, nil
	}
	s.certificate = &pair
	return s, nil
}

// keep leaves the certificate from before in the place of one that cannot be used, and says why: a new one may have been put by SFTP before
// its key.
func (s *settings) keep(before *settings) error {
	if s.Key == "" || s.certificate != nil || before.certificate == nil {
		return nil
	}
	err := errors.Unwrap(s.trouble)
	s.certificate, s.trouble = before.certificate, nil
	return err
}

// addresses are those to listen on. look gives those of all interfaces by the kernel's names.
func (s *settings) addresses(look func() (map[string][]netip.Addr, error)) ([]netip.Addr, error) {
	all, err := look()
	if err != nil {
		return nil, err
	}
	var list []netip.Addr
	for _, a := range all[s.Device] {
		// Nobody types a link-local address with its zone into a browser.
		if !a.IsLinkLocalUnicast() {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the Web Admin waits for an address on interface %s", s.Interface)
	}
	return list, nil
}

// interfaces are the addresses of this machine.
func interfaces() (map[string][]netip.Addr, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	all := map[string][]netip.Addr{}
	for _, i := range list {
		addresses, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", i.Name, err)
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok {
				if addr, ok := netip.AddrFromSlice(n.IP); ok {
					all[i.Name] = append(all[i.Name], addr.Unmap())
				}
			}
		}
	}
	return all, nil
}
