package dialplan

import (
	"strings"

	"rotunda/services/callbridge/store"
)

// TransformType is what is done to a dialled string before it is matched.
type TransformType string

// The types.
const (
	// Raw makes one component: $1, the string as it was dialled.
	Raw TransformType = "raw"
	// Strip takes dots, hyphens and spaces away; what is left is $1.
	Strip TransformType = "strip"
	// Phone is for international numbers alone: $1 is the country code, $2 the rest.
	Phone TransformType = "phone"
)

func (t TransformType) components() int {
	if t == Phone {
		return 2
	}
	return 1
}

// Action is what a transform that matches does.
type Action string

// The actions.
const (
	Accept Action = "accept"
	// AcceptPhone also says that the call is one to a telephone.
	AcceptPhone Action = "acceptPhone"
	// Deny ends the call.
	Deny Action = "deny"
)

// Dialled is what dial transforms made of a dialled string.
type Dialled struct {
	// Text is what the outbound rules are asked for.
	Text string
	// Rule is the transform that matched, the zero ID for none.
	Rule store.ID
	// Phone is set for a call to a telephone.
	Phone bool
	// Denied calls are not made; Why says why.
	Denied bool
	Why    string
}

type transformRule struct {
	TransformRule
	match   []condition
	replace []piece
}

func (p *Plan) compileTransforms(rules []TransformRule, compile func(TransformRule) (*transformRule, *fault)) {
	for _, r := range inOrder(rules, func(r TransformRule) place { return place{r.Priority, r.Match == "", r.Match, r.ID} }) {
		c, f := compile(r)
		if f != nil {
			p.ignore(Transforms, r.ID, f)
			continue
		}
		p.transforms = append(p.transforms, c)
	}
}

func compileTransform(r TransformRule) (*transformRule, *fault) {
	c := &transformRule{TransformRule: r}
	var err error
	if c.match, err = parseMatch(r.Match, r.Type.components()); err != nil {
		return nil, &fault{"match", err}
	}
	if c.replace, err = parseTransform(r.Replace, r.Type.components()); err != nil {
		return nil, &fault{"transform", err}
	}
	return c, nil
}

// Transform applies the dial transforms to what was dialled: the first that matches, by priority, makes the result. Where none does, the
// string stays as it is.
func (p *Plan) Transform(dialled string, t *Trace) Dialled {
	if len(dialled) > MaxAddress {
		// It is not left to the outbound rules: a transform might have denied it.
		return Dialled{Text: dialled, Denied: true, Why: "what was dialled is too long"}
	}
	// Scheme and number are different things: ^0 means the number's first digit.
	scheme, text := splitScheme(dialled)
	if scheme == "sips" {
		scheme = "sips:"
	} else {
		scheme = ""
	}
	in := components{dialled: text}
	for _, r := range p.transforms {
		parts := in.of(r.Type)
		if failed, ok := r.matches(parts); !ok {
			if t != nil {
				r.tracePassed(failed, t)
			}
			continue
		}
		d := Dialled{Text: dialled, Rule: r.ID, Phone: r.Action == AcceptPhone}
		if r.Action == Deny {
			d.Denied, d.Why = true, "a dial transform denies the call"
			t.add(Transforms, r.ID, r.name(), true, "priority %d; the rule denies the call", r.Priority)
			return d
		}
		made, ok := r.apply(parts, text)
		if !ok {
			d.Denied, d.Why = true, "a dial transform makes an address that is too long"
			t.add(Transforms, r.ID, r.name(), true, "what it makes is too long")
			return d
		}
		d.Text = scheme + made
		t.add(Transforms, r.ID, r.name(), true, "priority %d; %s becomes %s", r.Priority, text, made)
		return d
	}
	return Dialled{Text: dialled}
}

func (r *transformRule) name() string { return strings.TrimSpace(string(r.Type) + " " + r.Match) }

// components are a dialled string in the parts of each type, made when they are first asked for.
type components struct {
	dialled           string
	raw, strip, phone []string
	split             bool
}

func (c *components) of(t TransformType) []string {
	switch t {
	case Strip:
		if c.strip == nil {
			c.strip = []string{strings.NewReplacer(".", "", "-", "", " ", "").Replace(c.dialled)}
		}
		return c.strip
	case Phone:
		if !c.split {
			c.split = true
			if code, number, ok := phone(c.dialled); ok {
				c.phone = []string{code, number}
			}
		}
		return c.phone
	}
	if c.raw == nil {
		c.raw = []string{c.dialled}
	}
	return c.raw
}

// matches says whether all conditions hold for the components, and otherwise which does not; nil when there are no components of its
// type.
func (r *transformRule) matches(parts []string) (failed *condition, ok bool) {
	if parts == nil {
		return nil, false
	}
	for i := range r.match {
		if !r.match[i].holds(parts, r.Type) {
			return &r.match[i], false
		}
	}
	return nil, true
}

func (r *transformRule) tracePassed(failed *condition, t *Trace) {
	if failed == nil {
		t.add(Transforms, r.ID, r.name(), false, "it is no international telephone number")
		return
	}
	t.add(Transforms, r.ID, r.name(), false, "$%d does not match %s", failed.component, failed.text)
}

// holds says whether a condition is true. Country codes of one digit also match in the form with two: the guide's example writes 01 for the
// United States (chapter 6.3), and others write ^1$.
func (c *condition) holds(parts []string, t TransformType) bool {
	s := parts[c.component-1]
	return c.re.MatchString(s) || t == Phone && c.component == 1 && len(s) == 1 && c.re.MatchString("0"+s)
}

// apply makes the new string; without a transform expression it stays as it was dialled. It fails when the result is longer than an
// address may be.
func (r *transformRule) apply(parts []string, dialled string) (string, bool) {
	if r.replace == nil {
		return dialled, true
	}
	var out strings.Builder
	for _, p := range r.replace {
		text := p.literal
		if p.component > 0 {
			text = parts[p.component-1]
		}
		for _, e := range p.edits {
			var ok bool
			if text, ok = e.apply(text); !ok {
				return "", false
			}
		}
		if out.Len()+len(text) > MaxAddress {
			return "", false
		}
		out.WriteString(text)
	}
	return out.String(), true
}

// apply replaces every match.
func (e edit) apply(s string) (string, bool) {
	matches := e.re.FindAllStringSubmatchIndex(s, -1)
	if matches == nil {
		return s, true
	}
	var out strings.Builder
	done := 0
	for _, m := range matches {
		out.WriteString(s[done:m[0]])
		for _, r := range e.with {
			if r.group < 0 {
				out.WriteString(r.text)
			} else if from, to := m[2*r.group], m[2*r.group+1]; from >= 0 {
				out.WriteString(s[from:to])
			}
			if out.Len() > MaxAddress {
				return "", false
			}
		}
		done = m[1]
	}
	out.WriteString(s[done:])
	return out.String(), out.Len() <= MaxAddress
}
