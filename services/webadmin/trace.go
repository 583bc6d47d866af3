package webadmin

import (
	"net/url"

	"rotunda/services/callbridge/schema"
)

// tracePage is Configuration > Trace a call: which rule of the dial plan takes an address, and why.
type tracePage struct {
	URI, Direction string
	// Error stands beside the address.
	Error string
	// Verdict is a sentence, Good whether the call would be made; Steps are the rules that were looked at.
	Verdict, Why string
	Good         bool
	Steps        []traceStep
	Attempts     []traceAttempt
}

type traceStep struct {
	Table, Name, Link, Verdict, Why string
	Matched                         bool
}

type traceAttempt struct{ To, Next, Transport, From, Link string }

// traceCall asks the dial plan about an address that somebody typed; nothing is called.
func (v *visit) traceCall() {
	query := v.r.URL.Query()
	p := &tracePage{URI: query.Get("uri"), Direction: query.Get("direction")}
	if p.Direction != "outgoing" {
		p.Direction = "incoming"
	}
	if !query.Has("uri") {
		v.show("trace", "Trace a call", p)
		return
	}
	n, err := v.get(pagePrefix+"dialPlanTrace", url.Values{"uri": {p.URI}, "direction": {p.Direction}})
	if r, ok := err.(*refusal); ok && len(r.Failures) > 0 {
		p.Error = upper(r.Failures[0].Detail)
		if p.Error == "" {
			p.Error = "Type the address of a call, such as sales@example.com."
		}
		v.show("trace", "Trace a call", p)
		return
	}
	if err != nil {
		v.fail(err)
		return
	}
	what := n.Get("what")
	switch n.Get("verdict") {
	case "answered":
		p.Verdict, p.Good = "The call is answered here: "+what+".", true
	case "forwarded":
		p.Verdict, p.Good = "The call is forwarded to "+what+".", true
	case "dialled":
		p.Verdict, p.Good = "The call is made to "+what+".", true
	default:
		p.Verdict = "The call is refused."
	}
	p.Why = n.Get("why")
	for _, s := range n.Find("step") {
		step := traceStep{Table: spaced(s.Get("table")), Name: s.Get("name"), Verdict: s.Get("verdict"), Why: s.Get("why"), Matched: s.Get("verdict") == "matches"}
		if id := s.Get("rule"); id != "" {
			step.Link = explorerPath + "/" + s.Get("table") + "/" + id
		}
		if step.Name == "" {
			step.Name = "(all)"
		}
		p.Steps = append(p.Steps, step)
	}
	for _, a := range n.Find("attempt") {
		p.Attempts = append(p.Attempts, traceAttempt{To: a.Get("to"), Next: a.Get("next"), Transport: a.Get("transport"), From: a.Get("from"),
			Link: explorerPath + "/" + schema.OutboundDialPlanRule.Plural + "/" + a.Get("rule")})
	}
	v.show("trace", "Trace a call", p)
}
