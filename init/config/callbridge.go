package config

import (
	"fmt"
	"slices"
	"strings"
)

// DefaultJWTHours is how long a sign-in to the web app lasts where nothing else is set, MaxJWTHours the longest.
const (
	DefaultJWTHours = 24
	MaxJWTHours     = 24
)

// CallBridge is the Call Bridge, which always runs; this is what the shell sets of it (guide 4.3).
type CallBridge struct {
	// Listen are names of interfaces that SIP listens on. Empty leaves ports 5060 and 5061 to the recorder and the streamer.
	Listen []string `json:"listen,omitempty"`
	// Prefer is the interface of which an address is chosen where several would do.
	Prefer       string       `json:"prefer,omitempty"`
	Certificates Certificates `json:"certificates,omitzero"`
	// The trusted certificates of Web Bridges, of other Call Bridges, and of servers with branding: names of files.
	TrustC2W      string `json:"trustC2W,omitempty"`
	TrustCluster  string `json:"trustCluster,omitempty"`
	TrustBranding string `json:"trustBranding,omitempty"`
	UCM           Peer   `json:"ucm,omitzero"`
	IMPS          Peer   `json:"imps,omitzero"`
	// JWTHours is 0 for [DefaultJWTHours].
	JWTHours int `json:"jwtHours,omitempty"`
}

// Peer is a kind of server that the Call Bridge connects to.
type Peer struct {
	// Trust is the name of a file with the certificates that are trusted; they count when Verify is on.
	Trust  string `json:"trust,omitempty"`
	Verify bool   `json:"verify,omitempty"`
}

// CallBridgeService is what PID 1 gives the service callbridge, in /run/rotunda/callbridge/settings.json, which it alone may read. At
// SIGHUP it has changed.
type CallBridgeService struct {
	Hostname string `json:"hostname"`
	// Timezone is an IANA name.
	Timezone string `json:"timezone"`
	// Listen and Prefer are the administrator's names of interfaces; Devices are the kernel's, by those.
	Listen  []string          `json:"listen,omitempty"`
	Prefer  string            `json:"prefer,omitempty"`
	Devices map[string]string `json:"devices"`
	// Key and Chain are in PEM, Chain the certificate and the bundle behind it. Both are empty when there are none.
	Key   string `json:"key,omitempty"`
	Chain string `json:"chain,omitempty"`
	// Trusted certificates in PEM, empty for none.
	TrustC2W      string      `json:"trustC2W,omitempty"`
	TrustCluster  string      `json:"trustCluster,omitempty"`
	TrustBranding string      `json:"trustBranding,omitempty"`
	UCM           PeerService `json:"ucm,omitzero"`
	IMPS          PeerService `json:"imps,omitzero"`
	// SIP and LDAP say how those connections are secured; MinDTLS the oldest version of DTLS, "1.0" or "1.2".
	SIP     TLSKindService `json:"sip,omitzero"`
	LDAP    TLSKindService `json:"ldap,omitzero"`
	MinDTLS string         `json:"minDTLS"`
	// JWTHours is how long a sign-in to the web app lasts.
	JWTHours int `json:"jwtHours"`
	// Licence is the content of cms.lic, empty when there is none.
	Licence []byte `json:"licence,omitempty"`
	// DSCP is how media of calls are marked.
	DSCP DSCP `json:"dscp,omitzero"`
}

// PeerService is a [Peer] with the file's content.
type PeerService struct {
	Trust  string `json:"trust,omitempty"`
	Verify bool   `json:"verify,omitempty"`
}

// ExpiryHours is how long a sign-in to the web app lasts.
func (c CallBridge) ExpiryHours() int {
	if c.JWTHours == 0 {
		return DefaultJWTHours
	}
	return c.JWTHours
}

func (c CallBridge) validate() error {
	for n, name := range c.Listen {
		if !slices.Contains(InterfaceNames, name) {
			return fmt.Errorf("callbridge cannot listen on %q: use %s", clip(name), strings.Join(InterfaceNames, ", "))
		}
		if slices.Contains(c.Listen[:n], name) {
			return fmt.Errorf("callbridge listens on %s twice", name)
		}
	}
	if c.Prefer != "" && !slices.Contains(InterfaceNames, c.Prefer) {
		return fmt.Errorf("callbridge cannot prefer %q: use %s", clip(c.Prefer), strings.Join(InterfaceNames, ", "))
	}
	if err := c.Certificates.validate("callbridge", "callbridge certs"); err != nil {
		return err
	}
	for _, name := range []string{c.TrustC2W, c.TrustCluster, c.TrustBranding, c.UCM.Trust, c.IMPS.Trust} {
		if err := validateFile(name); err != nil {
			return fmt.Errorf("callbridge trust bundle %w", err)
		}
	}
	for _, p := range []struct {
		name string
		peer Peer
	}{{"ucm", c.UCM}, {"imps", c.IMPS}} {
		if p.peer.Verify && p.peer.Trust == "" {
			return fmt.Errorf("callbridge %s verification needs certificates to trust: use callbridge %s certs <bundle> first", p.name, p.name)
		}
	}
	if c.JWTHours < 0 || c.JWTHours > MaxJWTHours {
		return fmt.Errorf("%d hours are out of range: use 1 to %d", c.JWTHours, MaxJWTHours)
	}
	return nil
}
