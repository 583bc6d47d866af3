package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// DefaultWebAdminPort is the port of the Web Admin where none is set (guide 4.4).
const DefaultWebAdminPort = 443

// WebAdmin is the Web Admin: pages and API over HTTPS.
type WebAdmin struct {
	Enabled bool `json:"enabled"`
	// Interface is one of [InterfaceNames], empty for none.
	Interface string `json:"interface,omitempty"`
	// Port is 0 for [DefaultWebAdminPort].
	Port         int          `json:"port,omitempty"`
	Certificates Certificates `json:"certificates,omitzero"`
	// HTTPRedirect opens port 80 and sends browsers on to Port.
	HTTPRedirect bool `json:"httpRedirect,omitempty"`
}

// WebAdminService is what PID 1 gives the service webadmin, in /run/rotunda/webadmin/settings.json, which it alone may read. At SIGHUP it
// has changed.
type WebAdminService struct {
	Hostname string `json:"hostname"`
	// Timezone is an IANA name.
	Timezone string `json:"timezone"`
	// Interface is the administrator's name of the interface ("a"), Device the kernel's, whose addresses are served. Device is
	// empty while the machine has no such interface.
	Interface string `json:"interface"`
	Device    string `json:"device,omitempty"`
	Port      int    `json:"port"`
	// HTTPRedirect serves port 80 of the same addresses, with nothing but a redirection.
	HTTPRedirect bool `json:"httpRedirect,omitempty"`
	// Key and Chain are in PEM, Chain the certificate and the bundle behind it. Both are empty when the files cannot be read.
	Key   string `json:"key,omitempty"`
	Chain string `json:"chain,omitempty"`
	// TLS says which versions and ciphers are taken.
	TLS TLSKindService `json:"tls,omitzero"`
	// Cards are who may sign in by a certificate.
	Cards Cards `json:"cards,omitzero"`
}

// Cards is what a service that people reach by TLS has to know of [CAC].
type Cards struct {
	Enabled bool `json:"enabled"`
	Strict  bool `json:"strict,omitempty"`
	// Issuer are the certificates that issue cards, in PEM.
	Issuer string `json:"issuer,omitempty"`
}

// ListenPort is the port that counts.
func (w WebAdmin) ListenPort() int {
	if w.Port == 0 {
		return DefaultWebAdminPort
	}
	return w.Port
}

func (w WebAdmin) validate() error {
	if w.Interface != "" && !slices.Contains(InterfaceNames, w.Interface) {
		return fmt.Errorf("webadmin cannot listen on %q: use %s", clip(w.Interface), strings.Join(InterfaceNames, ", "))
	}
	if w.Port < 0 || w.Port > 65535 {
		return fmt.Errorf("webadmin port %d is out of range: use 1 to 65535", w.Port)
	}
	switch w.Port {
	case 22:
		return errors.New("webadmin port 22 belongs to SSH: use 443 or 445")
	case 80:
		return errors.New("webadmin port 80 is that of plain HTTP: use 443 or 445")
	case 8080, 8081:
		// The API is there on loopback for the other services (guide appendix B).
		return fmt.Errorf("webadmin port %d belongs to the API inside the machine: use 443 or 445", w.Port)
	}
	if err := w.Certificates.validate("webadmin", "webadmin certs"); err != nil {
		return err
	}
	if !w.Enabled {
		return nil
	}
	if missing := w.Missing(); missing != "" {
		return fmt.Errorf("webadmin cannot be enabled: %s", missing)
	}
	return nil
}

// Missing says what is still needed before it can be enabled; empty if nothing.
func (w WebAdmin) Missing() string {
	switch {
	case w.Interface == "":
		return "no interface to listen on, use webadmin listen <interface> [<port>]"
	case w.Certificates.Key == "":
		return "no certificate, use webadmin certs <key> <certificate> [<bundle>]"
	}
	return ""
}

// validatePorts refuses two services on one TCP port of an interface: the second would never start.
func (d *Document) validatePorts() error {
	w, t := d.WebAdmin, d.TURN
	if !w.Enabled || !t.Enabled || t.TLSPort == 0 || !slices.Contains(t.Listen, w.Interface) {
		return nil
	}
	taken := []int{w.ListenPort()}
	if w.HTTPRedirect {
		taken = append(taken, 80)
	}
	// With a port for TCP, the TURN server takes 3478 as well.
	for _, port := range []int{t.TLSPort, 3478} {
		if slices.Contains(taken, port) {
			return fmt.Errorf("webadmin and TURN both take TCP port %d of interface %s: use webadmin listen %s 445, or another port of turn tls",
				port, w.Interface, w.Interface)
		}
	}
	return nil
}
