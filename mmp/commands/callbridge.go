package commands

import (
	"fmt"
	"strconv"
	"strings"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

const callBridgeService = "callbridge"

// callBridgeCommands are the commands of the Call Bridge (guide chapters 4.3 and 4.6).
func (d Deps) callBridgeCommands() []grammar.Command {
	set := func(edit func(*grammar.Call, *config.CallBridge)) func(*grammar.Call) error {
		return func(c *grammar.Call) error {
			return d.changeCallBridge(c, func(b *config.CallBridge) error {
				edit(c, b)
				return nil
			})
		}
	}
	const later = " Files of the same name that are put later count after callbridge restart."
	return []grammar.Command{
		{
			Syntax: "callbridge", Roles: readers,
			Help: "Show the Call Bridge's settings",
			Run:  d.showCallBridge,
		},
		{
			Syntax: "callbridge listen <interface>…", Roles: admins,
			Help:   "Choose the interfaces on which the Call Bridge takes and makes SIP calls",
			Detail: "For example callbridge listen a. There must be no NAT between it and SIP endpoints.",
			Run:    set(func(c *grammar.Call, b *config.CallBridge) { b.Listen = c.Rest() }),
		},
		{
			Syntax: "callbridge listen none", Roles: admins,
			Help:   "Let the Call Bridge listen nowhere, which leaves ports 5060 and 5061 to the recorder and the streamer",
			Detail: "The API goes on.",
			Run:    set(func(_ *grammar.Call, b *config.CallBridge) { b.Listen = nil }),
		},
		{
			Syntax: "callbridge prefer (<interface>|none)", Roles: admins,
			Help: "Choose the interface that is taken where several would do",
			Run:  set(func(c *grammar.Call, b *config.CallBridge) { b.Prefer = c.Arg("interface") }),
		},
		{
			Syntax: "callbridge certs <key:file> <certificate:file> [<bundle:file>]", Roles: cryptos,
			Help: "Choose the key and certificate of the Call Bridge, with a bundle of intermediate certificates",
			Detail: "For example callbridge certs callbridge.key callbridge.crt ca-bundle.crt; the files are put by SFTP. It shows them to SIP proxies and " +
				"to Web Bridges." + later,
			Run: d.certifyCallBridge,
		},
		{
			Syntax: "callbridge certs none", Roles: cryptos,
			Help: "Take the certificates away; there is no TLS without them",
			Run:  set(func(_ *grammar.Call, b *config.CallBridge) { b.Certificates = config.Certificates{} }),
		},
		{
			Syntax: "callbridge trust (c2w|cluster|branding) (<bundle:file>|none)", Roles: cryptos,
			Help: "Choose the certificates that are trusted in Web Bridges, in other Call Bridges, or in servers with branding",
			Detail: "For example callbridge trust c2w webbridges.crt. A bundle with the very certificates of the Web Bridges trusts them and nobody " +
				"else." + later,
			Run: d.trustCallBridge(func(c *grammar.Call, b *config.CallBridge, bundle string) {
				switch {
				case c.Has("c2w"):
					b.TrustC2W = bundle
				case c.Has("cluster"):
					b.TrustCluster = bundle
				default:
					b.TrustBranding = bundle
				}
			}),
		},
		{
			Syntax: "callbridge (ucm|imps) certs (<bundle:file>|none)", Roles: cryptos,
			Help:   "Choose the certificates that are trusted in Unified Communications Manager, or in the IM and Presence service",
			Detail: "They count while verification is enabled." + later,
			Run:    d.trustCallBridge(func(c *grammar.Call, b *config.CallBridge, bundle string) { peerOf(c, b).Trust = bundle }),
		},
		{
			Syntax: "callbridge (ucm|imps) verify (enable|disable)", Roles: cryptos,
			Help: "Verify the certificates of Unified Communications Manager, or of the IM and Presence service, or take any",
			Run:  set(func(c *grammar.Call, b *config.CallBridge) { peerOf(c, b).Verify = c.Has("enable") }),
		},
		{
			Syntax: fmt.Sprintf("callbridge wc3jwt expiry <hours:1..%d>", config.MaxJWTHours), Roles: admins,
			Help: "Set how many hours a sign-in to the web app lasts",
			Run:  set(func(c *grammar.Call, b *config.CallBridge) { b.JWTHours = c.Int("hours") }),
		},
		{
			Syntax: "callbridge restart", Roles: admins,
			Help:   "Stop the Call Bridge and start it anew",
			Detail: "It reads its certificates and the licence again. Calls end.",
			Run:    d.restartCallBridge,
		},
	}
}

// peerOf is the kind of server that the call names.
func peerOf(c *grammar.Call, b *config.CallBridge) *config.Peer {
	if c.Has("ucm") {
		return &b.UCM
	}
	return &b.IMPS
}

func (d Deps) changeCallBridge(c *grammar.Call, edit func(*config.CallBridge) error) error {
	return d.change(c, func(doc *config.Document) error { return edit(&doc.CallBridge) })
}

func (d Deps) certifyCallBridge(c *grammar.Call) error {
	files := config.Certificates{Key: c.Arg("key"), Certificate: c.Arg("certificate"), Bundle: c.Arg("bundle")}
	if err := d.judgePair(c, files, both); err != nil {
		return err
	}
	return d.changeCallBridge(c, func(b *config.CallBridge) error {
		b.Certificates = files
		return nil
	})
}

func (d Deps) trustCallBridge(edit func(c *grammar.Call, b *config.CallBridge, bundle string)) func(*grammar.Call) error {
	return func(c *grammar.Call) error {
		bundle := c.Arg("bundle")
		if bundle != "" {
			if err := d.judgeBundle(c, bundle); err != nil {
				return err
			}
		}
		return d.changeCallBridge(c, func(b *config.CallBridge) error {
			edit(c, b, bundle)
			return nil
		})
	}
}

// restartCallBridge looks at the files first: a Call Bridge that comes back without its certificate is worse than one that keeps the old.
func (d Deps) restartCallBridge(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	b := running.Document.CallBridge
	if len(b.Listen) > 0 {
		c.Printf("SUCCESS: listen interface configured\n")
	}
	if b.Certificates.Key != "" {
		if err := d.succeedPair(c, b.Certificates, both); err != nil {
			return err
		}
	}
	for _, bundle := range []string{b.TrustC2W, b.TrustCluster, b.TrustBranding, b.UCM.Trust, b.IMPS.Trust} {
		if bundle == "" {
			continue
		}
		if err := d.judgeBundle(c, bundle); err != nil {
			return fmt.Errorf("FAILURE: %w", err)
		}
	}
	if err := d.Machine.Restart(c.Context, callBridgeService); err != nil {
		return fmt.Errorf("FAILURE: %w", err)
	}
	if err := d.awaitService(c, callBridgeService); err != nil {
		return err
	}
	c.Printf("SUCCESS: callbridge restarted\n")
	return nil
}

func (d Deps) showCallBridge(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	b := running.Document.CallBridge
	row := func(width int) func(name, value string) {
		return func(name, value string) { c.Printf("%-*s: %s\n", width, name, orNone(value)) }
	}
	// The reference's capture has three widths.
	narrow, wide, middle := row(22), row(36), row(26)
	narrow("Listening interfaces", strings.Join(b.Listen, " "))
	narrow("Preferred interface", b.Prefer)
	narrow("Key file", b.Certificates.Key)
	narrow("Certificate file", b.Certificates.Certificate)
	// No command sets it.
	narrow("Address", "")
	if b.Certificates.Bundle != "" {
		narrow("CA Bundle file", b.Certificates.Bundle)
	}
	wide("C2W trusted certs", b.TrustC2W)
	wide("Callbridge cluster trusted certs", b.TrustCluster)
	wide("Callbridge trust branding certs", b.TrustBranding)
	middle("UCM trusted certs", b.UCM.Trust)
	middle("UCM verification mode", enabledWord(b.UCM.Verify))
	middle("IMPS trusted certs", b.IMPS.Trust)
	middle("IMPS verification mode", enabledWord(b.IMPS.Verify))
	middle("WC3 JWT Expiry in hours", strconv.Itoa(b.ExpiryHours()))
	return nil
}
