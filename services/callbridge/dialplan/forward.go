package dialplan

import (
	"rotunda/services/callbridge/store"
)

type forwardingRule struct {
	ForwardingRule
	pattern pattern
	domain  Host // that replaces; zero for none
}

// Forward is how an incoming call goes on as a new one. Dial transforms do not apply to it ([Call.Forwarded]).
type Forward struct {
	Rule store.ID
	// To is where it goes: the address that was called, with the domain rewritten and the parameters kept or not.
	To Address
	// PreserveCaller keeps the caller's address.
	PreserveCaller bool
	// Tenant is whose call it becomes; the zero ID is nobody's.
	Tenant store.ID
}

func (p *Plan) compileForwarding(rules []ForwardingRule) {
	for _, r := range inOrder(rules, func(r ForwardingRule) place { return at(r.Priority, r.Pattern, r.ID) }) {
		if err := checkForwardingPattern(r.Pattern); err != nil {
			p.ignore(Forwarding, r.ID, &fault{"matchPattern", err})
			continue
		}
		c := forwardingRule{ForwardingRule: r, pattern: compilePattern(r.Pattern)}
		if r.Domain != "" && !r.Reject {
			h, err := ParseHost(r.Domain)
			if err != nil {
				p.ignore(Forwarding, r.ID, &fault{"destinationDomain", err})
				continue
			}
			c.domain = h
		}
		p.forwarding = append(p.forwarding, c)
	}
}

// forward decides on a call that is for nobody here.
func (p *Plan) forward(to Address, t *Trace) Incoming {
	for i := range p.forwarding {
		r := &p.forwarding[i]
		if to.Domain == "" || !r.pattern.match(to.Domain) {
			if t != nil {
				t.add(Forwarding, r.ID, r.Pattern, false, "the call is to %s", domainOf(to))
			}
			continue
		}
		if r.Reject {
			t.add(Forwarding, r.ID, r.Pattern, true, "the domain fits, priority %d; the rule rejects the call", r.Priority)
			return Incoming{Forward: Forward{Rule: r.ID}, Why: "a forwarding rule for " + r.Pattern + " rejects it"}
		}
		next := to
		if r.domain.Name != "" {
			next.Domain, next.Port = r.domain.Name, r.domain.Port
		}
		if !r.KeepParameters {
			next.Parameters = ""
		}
		t.add(Forwarding, r.ID, r.Pattern, true, "the domain fits, priority %d; the call goes on to %s", r.Priority, next)
		return Incoming{Verdict: Forwarded, Why: "a forwarding rule for " + r.Pattern + " applies",
			Forward: Forward{Rule: r.ID, To: next, PreserveCaller: r.PreserveCaller, Tenant: r.Tenant}}
	}
	return Incoming{Why: "no call matching rule and no forwarding rule applies"}
}
