package dialplan

import (
	"fmt"

	"rotunda/services/callbridge/store"
)

type outboundRule struct {
	OutboundRule
	pattern pattern
	proxy   Host
}

// Call is an outgoing call.
type Call struct {
	// To is what was dialled: an address, with or without its scheme, or a number.
	To string
	// Forwarded calls come from [Incoming.Forward]; dial transforms do not apply to them.
	Forwarded bool
	// From is the caller; PreserveCaller keeps it as it is, whatever the rule says.
	From           Address
	PreserveCaller bool
	// Tenant is whose call it is; the zero ID is nobody's.
	Tenant store.ID
	// CallBridge is the one that makes the call and Group its group; zero IDs where there are none.
	CallBridge, Group store.ID
}

// Transport is that of a SIP connection.
type Transport string

// The transports.
const (
	TLS Transport = "TLS"
	TCP Transport = "TCP"
)

// Attempt is one way to make a call.
type Attempt struct {
	Rule  store.ID
	Trunk Trunk
	// To is the request URI.
	To Address
	// Next is where the request is sent: the rule's proxy, or the domain itself, then Direct is set. Without a port, DNS SRV and then the
	// usual port of the transport count.
	Next   Host
	Direct bool
	// Transports in their order: the second is tried when no connection comes about by the first, never when the call was refused.
	Transports []Transport
	// From is the caller as the far end sees it.
	From Address
	// ContactDomain is that of the contact URI; empty for the Call Bridge's own address.
	ContactDomain string
	// Traversal sends media through a TURN server.
	Traversal bool
}

// Outgoing is how an outgoing call is made.
type Outgoing struct {
	Dialled Dialled
	// Attempts in their order: the next one when a call could not be made by the one before. Empty when the call cannot be made; Why says
	// why.
	Attempts []Attempt
	Why      string
}

func (p *Plan) compileOutbound(rules []OutboundRule) {
	for _, r := range inOrder(rules, func(r OutboundRule) place { return at(r.Priority, r.Domain, r.ID) }) {
		if f := checkOutbound(r); f != nil {
			p.ignore(Outbound, r.ID, f)
			continue
		}
		c := outboundRule{OutboundRule: r, pattern: compilePattern(r.Domain)}
		if r.Proxy != "" {
			c.proxy, _ = ParseHost(r.Proxy)
		}
		c.ContactDomain, c.FromDomain = canonical(r.ContactDomain), canonical(r.FromDomain)
		if c.FromDomain == "" {
			// Guide chapter 8.1.2, step 2 d.
			c.FromDomain = c.ContactDomain
		}
		if r.Trunk == Lync && r.Encryption == Auto {
			p.advise(Outbound, r.ID, "sipControlEncryption", "set Lync rules to encrypted: with auto, calls go on without TLS when no TLS connection comes about")
		}
		if r.Trunk != Lync && r.ContactDomain != "" {
			p.advise(Outbound, r.ID, "localContactDomain", "leave the local contact domain empty on a trunk that does not lead to Lync")
		}
		if r.Scope == OneCallBridge && r.CallBridge == (store.ID{}) {
			p.advise(Outbound, r.ID, "callBridge", "the rule is for one Call Bridge and names none, so no call uses it")
		}
		if r.Scope == CallBridgeGroup && r.Group == (store.ID{}) {
			p.advise(Outbound, r.ID, "callBridgeGroup", "the rule is for one Call Bridge group and names none, so no call uses it")
		}
		p.outbound = append(p.outbound, c)
	}
}

func checkOutbound(r OutboundRule) *fault {
	if r.Domain != "" {
		if err := checkDomain(r.Domain, true); err != nil {
			return &fault{"domain", err}
		}
	}
	if r.Proxy != "" {
		if _, err := ParseHost(r.Proxy); err != nil {
			return &fault{"sipProxy", err}
		}
	}
	for _, d := range []struct{ field, domain string }{{"localContactDomain", r.ContactDomain}, {"localFromDomain", r.FromDomain}} {
		if d.domain != "" {
			if err := checkDomain(d.domain, false); err != nil {
				return &fault{d.field, err}
			}
		}
	}
	return nil
}

// Outgoing decides how an outgoing call is made: dial transforms first, then the outbound rules, on what the transforms made.
func (p *Plan) Outgoing(call Call, t *Trace) Outgoing {
	out := Outgoing{Dialled: Dialled{Text: call.To}}
	if call.Forwarded {
		t.add(Transforms, store.ID{}, "", false, "dial transforms do not apply to forwarded calls")
	} else {
		out.Dialled = p.Transform(call.To, t)
		if out.Dialled.Denied {
			out.Why = out.Dialled.Why
			return out
		}
	}
	to, err := ParseAddress(out.Dialled.Text)
	if err != nil {
		out.Why = fmt.Sprintf("the address cannot be called: %v", err)
		return out
	}
	for i := range p.outbound {
		r := &p.outbound[i]
		if why := r.passes(call, to); why != "" {
			if t != nil {
				t.add(Outbound, r.ID, r.Domain, false, "%s", why)
			}
			continue
		}
		a := r.attempt(call, to)
		out.Attempts = append(out.Attempts, a)
		then := "the next rule is tried when the call cannot be made"
		if r.Stop {
			then = "no further rule is tried"
		}
		t.add(Outbound, r.ID, r.Domain, true, "priority %d; the call goes to %s by %s %v; %s", r.Priority, a.Next, r.Trunk, a.Transports, then)
		if r.Stop {
			break
		}
	}
	if out.Attempts == nil {
		out.Why = "no outbound rule applies to " + domainOf(to)
	}
	return out
}

// passes says why a rule does not apply to a call, "" when it does.
func (r *outboundRule) passes(call Call, to Address) string {
	switch {
	case to.Domain == "" && !r.pattern.everything():
		return "the call is to a number without a domain"
	case to.Domain == "" && r.proxy.Name == "":
		return "the call is to a number without a domain, and the rule has no SIP proxy to send it to"
	case !r.pattern.everything() && !r.pattern.match(to.Domain):
		return "the call is to another domain"
	case r.Tenant != (store.ID{}) && r.Tenant != call.Tenant:
		return "the rule belongs to another tenant"
	case r.Scope == OneCallBridge && (r.CallBridge == store.ID{} || r.CallBridge != call.CallBridge):
		return "the rule is for another Call Bridge"
	case r.Scope == CallBridgeGroup && (r.Group == store.ID{} || r.Group != call.Group):
		return "the rule is for another Call Bridge group"
	case to.Secure && r.Encryption == Unencrypted:
		return "the address is a sips: one and the rule is unencrypted"
	}
	return ""
}

var (
	tlsThenTCP = []Transport{TLS, TCP}
	onlyTLS    = []Transport{TLS}
	onlyTCP    = []Transport{TCP}
)

func (r *outboundRule) attempt(call Call, to Address) Attempt {
	a := Attempt{Rule: r.ID, Trunk: r.Trunk, To: to, Next: r.proxy, From: call.From, ContactDomain: r.ContactDomain, Traversal: r.Traversal}
	if to.Domain == "" {
		// A number alone is an address at the proxy.
		a.To.Domain = r.proxy.Name
	}
	if a.Next.Name == "" {
		a.Next, a.Direct = Host{to.Domain, to.Port}, true
	}
	switch {
	case to.Secure || r.Encryption == Encrypted:
		a.Transports = onlyTLS
	case r.Encryption == Unencrypted:
		a.Transports = onlyTCP
	default:
		a.Transports = tlsThenTCP
	}
	if !call.PreserveCaller && r.FromDomain != "" {
		a.From.Domain, a.From.Port = r.FromDomain, 0
	}
	return a
}
