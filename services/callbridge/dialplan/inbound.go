package dialplan

import (
	"errors"

	"rotunda/services/callbridge/store"
)

type inboundRule struct {
	InboundRule
	targets []Target
}

// Target is what the user part of an incoming call may name.
type Target string

// The targets, in the order in which they are asked (reference section 5.1; guide chapter 8.7 puts spaces before Lync).
const (
	IVR            Target = "IVR"
	User           Target = "user"
	Space          Target = "space"
	LyncConference Target = "Lync conference"
	LyncSimplejoin Target = "Lync simple join"
)

// Candidate is something that an incoming call may be for.
type Candidate struct {
	// Rule is the zero ID when the table is empty.
	Rule   store.ID
	Target Target
	// User is the user part as it was called; it is looked up without regard to case.
	User string
	// Tenant is the only one whose objects count; the zero ID allows all.
	Tenant store.ID
}

// Verdict is what becomes of an incoming call.
type Verdict uint8

// The verdicts.
const (
	// Refused calls end: nothing matched, or a rule says so.
	Refused Verdict = iota
	// Answered calls are for something here: Candidate and whatever the look-up found.
	Answered
	// Forwarded calls become a new call by Forward.
	Forwarded
)

// Incoming is what becomes of an incoming call and why.
type Incoming struct {
	Verdict   Verdict
	Candidate Candidate
	Forward   Forward
	// Why is a clause for the log.
	Why string
}

// withoutRules are the targets of every domain when the call matching table is empty: those that a new rule has.
var withoutRules = []Target{IVR, User, Space}

func (p *Plan) compileInbound(rules []InboundRule) {
	p.byDomain = map[string][]int{}
	for _, r := range inOrder(rules, func(r InboundRule) place { return at(r.Priority, r.Domain, r.ID) }) {
		c := inboundRule{InboundRule: r}
		c.Domain = canonical(r.Domain)
		switch {
		case r.Domain == "":
			p.advise(Inbound, r.ID, "domain", "a rule without a domain refuses every call that comes to it")
		default:
			if err := checkDomain(r.Domain, false); err != nil {
				p.ignore(Inbound, r.ID, &fault{"domain", err})
				continue
			}
		}
		for _, t := range []struct {
			on bool
			Target
		}{{r.IVRs, IVR}, {r.Users, User}, {r.Spaces, Space}, {r.LyncConferences, LyncConference}, {r.LyncSimplejoin, LyncSimplejoin}} {
			if t.on {
				c.targets = append(c.targets, t.Target)
			}
		}
		if c.targets == nil && c.Domain != "" {
			p.advise(Inbound, r.ID, "domain", "the rule has no target, so no call to "+c.Domain+" finds anything by it")
		}
		if c.Domain != "" {
			p.byDomain[c.Domain] = append(p.byDomain[c.Domain], len(p.inbound))
		}
		p.inbound = append(p.inbound, c)
	}
	// A table of nothing but rules that cannot be understood is not an empty one: it must not open every domain.
	p.blank = len(p.inbound)
	for i, r := range p.inbound {
		if r.Domain == "" {
			p.blank = i
			break
		}
	}
	p.closed = len(rules) > 0
}

// Incoming decides on an incoming call. find is asked for one candidate after the other until it knows one; only it may take time.
// What the user part of a matching rule does not find goes on to the next rule of the domain, then to the forwarding rules.
func (p *Plan) Incoming(to Address, find func(Candidate) bool, t *Trace) Incoming {
	if !p.closed {
		t.add(Inbound, store.ID{}, "", true, "the table is empty, so every domain matches")
		if c, ok := ask(to.User, store.ID{}, store.ID{}, withoutRules, find, t, ""); ok {
			return Incoming{Verdict: Answered, Candidate: c, Why: "the call matching table is empty and there is such " + article(c.Target)}
		}
		return p.forward(to, t)
	}
	if t != nil {
		p.tracePassed(to, t)
	}
	blank := p.blank
	for _, i := range p.byDomain[to.Domain] {
		if i > blank {
			break
		}
		r := &p.inbound[i]
		t.add(Inbound, r.ID, r.Domain, true, "the domain is the same, priority %d", r.Priority)
		if c, ok := ask(to.User, r.ID, r.Tenant, r.targets, find, t, r.Domain); ok {
			return Incoming{Verdict: Answered, Candidate: c, Why: "a call matching rule for " + r.Domain + " found " + article(c.Target)}
		}
	}
	if blank < len(p.inbound) {
		t.add(Inbound, p.inbound[blank].ID, "", true, "the rule has no domain, so the call is refused")
		return Incoming{Why: "a call matching rule without a domain refuses every call"}
	}
	return p.forward(to, t)
}

// tracePassed takes down the rules of other domains, which matching never looks at.
func (p *Plan) tracePassed(to Address, t *Trace) {
	for _, r := range p.inbound {
		if r.Domain != "" && r.Domain != to.Domain {
			t.add(Inbound, r.ID, r.Domain, false, "the call is to %s", domainOf(to))
		}
	}
}

func domainOf(a Address) string {
	if a.Domain == "" {
		return "a number without a domain"
	}
	return a.Domain
}

func ask(user string, rule, tenant store.ID, targets []Target, find func(Candidate) bool, t *Trace, name string) (Candidate, bool) {
	for _, target := range targets {
		c := Candidate{Rule: rule, Target: target, User: user, Tenant: tenant}
		if user != "" && find(c) {
			t.add(Inbound, rule, name, true, "there is such %s", article(target))
			return c, true
		}
		t.add(Inbound, rule, name, false, "there is no such %s", target)
	}
	return Candidate{}, false
}

func article(t Target) string {
	if t == IVR {
		return "an IVR"
	}
	return "a " + string(t)
}

// InvitationDomain is the domain of addresses in invitations to spaces of a tenant, of no tenant for the zero ID: that of the first rule that
// targets spaces and does not belong to another tenant. It is false where no rule does.
func (p *Plan) InvitationDomain(tenant store.ID) (string, bool) {
	for _, r := range p.inbound {
		if r.Domain != "" && r.Spaces && (r.Tenant == store.ID{} || r.Tenant == tenant) {
			return r.Domain, true
		}
	}
	return "", false
}

var errBlankDomain = errors.New("give the domain that is called, for example meetings.example.com: a rule without one refuses every call")
