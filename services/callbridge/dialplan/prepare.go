package dialplan

import (
	"errors"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// Prepare refuses rules that no call could match or that would do harm. It has the shape of the API's hook of that name, and serves
// all four types.
func Prepare(_ *store.Tx, d *store.Draft, _ map[string]string) error {
	switch d.Object() {
	case schema.InboundDialPlanRule:
		return checkInbound(inboundOf(d))
	case schema.ForwardingDialPlanRule:
		return checkForwarding(forwardingOf(d))
	case schema.OutboundDialPlanRule:
		return checkOutboundRule(outboundOf(d))
	case schema.DialTransform:
		return checkTransform(transformOf(d))
	}
	return nil
}

// Objects are the types that [Prepare] is for.
var Objects = []*schema.Object{schema.InboundDialPlanRule, schema.ForwardingDialPlanRule, schema.OutboundDialPlanRule, schema.DialTransform}

func parameter(f *fault) error {
	if f == nil {
		return nil
	}
	return &failure.Parameter{Name: f.field, Fault: failure.Invalid, Why: f.err.Error()}
}

func checkInbound(r InboundRule) error {
	if r.Domain == "" {
		return &failure.Parameter{Name: "domain", Fault: failure.Missing, Why: errBlankDomain.Error()}
	}
	if err := checkDomain(r.Domain, false); err != nil {
		return parameter(&fault{"domain", err})
	}
	return nil
}

func checkForwarding(r ForwardingRule) error {
	if r.Pattern == "" {
		return &failure.Parameter{Name: "matchPattern", Fault: failure.Missing, Why: "give the domain, or a part of it with *, for example exa*.com"}
	}
	if err := checkForwardingPattern(r.Pattern); err != nil {
		return parameter(&fault{"matchPattern", err})
	}
	if r.Domain != "" {
		if _, err := ParseHost(r.Domain); err != nil {
			return parameter(&fault{"destinationDomain", err})
		}
	}
	return nil
}

func checkOutboundRule(r OutboundRule) error {
	// A scope that names no Call Bridge yet is taken: clients set one after the other. Until then no call uses the rule.
	return parameter(checkOutbound(r))
}

func checkTransform(r TransformRule) error {
	_, f := compileTransform(r)
	return parameter(f)
}

// CheckMatch says what is wrong with a match expression and at which character; nil when nothing is. Pages call it while somebody types.
func CheckMatch(t TransformType, s string) error {
	_, err := parseMatch(s, t.components())
	return err
}

// CheckTransform is [CheckMatch] for a transform expression.
func CheckTransform(t TransformType, s string) error {
	_, err := parseTransform(s, t.components())
	return err
}

// At is the character of a [SyntaxError], from 1; 0 for an error without one.
func At(err error) int {
	var e *SyntaxError
	if errors.As(err, &e) {
		return e.At
	}
	return 0
}
