package route

import (
	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/store"
)

// Explained is what would become of a call and why, for the admin pages. Nothing is called.
type Explained struct {
	// Verdict is answered, forwarded or refused; What is what it is for, Why a clause.
	Verdict, What, Why string
	// Rule is the one that decided, the zero ID for none.
	Rule  store.ID
	Trace dialplan.Trace
	// Attempts are the ways of an outgoing or a forwarded call, in their order.
	Attempts []dialplan.Attempt
}

// ExplainIncoming says what would become of a call that comes in for an address. It gives [dialplan.SyntaxError] for one that is none.
func (r *Router) ExplainIncoming(v store.View, called string) (Explained, error) {
	to, err := dialplan.ParseAddress(unescape(called))
	if err != nil {
		return Explained{}, err
	}
	plan := r.o.Plan()
	var e Explained
	f := finder{r: r, v: v, to: to}
	in := plan.Incoming(to, f.find, &e.Trace)
	e.Verdict, e.Why, e.Rule = "refused", in.Why, in.Forward.Rule
	switch in.Verdict {
	case dialplan.Answered:
		e.Verdict, e.What, e.Rule = "answered", string(in.Candidate.Target), in.Candidate.Rule
	case dialplan.Forwarded:
		e.Verdict, e.What = "forwarded", in.Forward.To.String()
		out := plan.Outgoing(dialplan.Call{To: in.Forward.To.String(), Forwarded: true, CallBridge: r.o.Machine}, &e.Trace)
		e.Attempts = out.Attempts
		if len(out.Attempts) == 0 {
			e.Verdict, e.Why = "refused", out.Why
		}
	case dialplan.Refused:
		if f.away {
			e.Why += "; there is such a user, who has no app that can be called"
		}
	}
	return e, nil
}

// ExplainOutgoing says how a call to what is dialled would be made.
func (r *Router) ExplainOutgoing(dialled string) Explained {
	var e Explained
	out := r.o.Plan().Outgoing(dialplan.Call{To: dialled, CallBridge: r.o.Machine}, &e.Trace)
	e.Verdict, e.What, e.Why, e.Rule, e.Attempts = "dialled", out.Dialled.Text, out.Why, out.Dialled.Rule, out.Attempts
	if len(out.Attempts) == 0 {
		e.Verdict = "refused"
	}
	return e
}
