package grammar

import (
	"fmt"
	"slices"
	"strings"
)

// Tree is all commands together. It is never changed once built.
type Tree struct {
	forms []*form
	// byVerb has the forms that begin with a word in lower case, in the order of their declaration: most lines are of one of them, and need not be
	// compared with all.
	byVerb map[string][]state
}

// NewTree builds a tree. The kinds are added to [Kinds], or replace those of the same name. An error is a mistake in
// a declaration.
func NewTree(kinds []Kind, commands []Command) (*Tree, error) {
	known := map[string]Kind{}
	for _, k := range append(Kinds(), kinds...) {
		known[k.Name] = k
	}
	t := &Tree{byVerb: map[string][]state{}}
	seen := map[string]bool{}
	for i := range commands {
		cmd := commands[i]
		f, err := compile(&cmd, known)
		if err != nil {
			return nil, err
		}
		switch {
		case seen[f.text]:
			return nil, fmt.Errorf("command %q is declared twice", f.text)
		case cmd.Run == nil:
			return nil, fmt.Errorf("command %q has no Run", f.text)
		case cmd.Help == "":
			return nil, fmt.Errorf("command %q has no Help", f.text)
		}
		seen[f.text] = true
		t.forms = append(t.forms, f)
		verb := strings.ToLower(f.verb())
		t.byVerb[verb] = append(t.byVerb[verb], state{form: f})
	}
	return t, nil
}

// state is a place in a form that the words so far lead to, with what they bound on the way.
type state struct {
	form  *form
	pos   int
	bound *binding
	// started is true at the last step of a form with "…" once it has a value, so that it may end here.
	started bool
}

// binding is one value, linked to the ones before so that states can share them.
type binding struct {
	name, value string
	many        bool
	before      *binding
}

// begins is the state set before a first word: of the forms that begin with it, or of all if there are none.
func (t *Tree) begins(word string) []state {
	if set := t.byVerb[strings.ToLower(word)]; set != nil {
		return set
	}
	return t.begin()
}

// begin is the state set before the first word.
func (t *Tree) begin() []state {
	set := make([]state, 0, len(t.forms))
	for _, f := range t.forms {
		set = append(set, state{form: f})
	}
	return set
}

// closure adds the places that leaving out groups leads to. States of one form stay next to each other, in the order
// of declaration.
func closure(set []state) []state {
	out := make([]state, 0, len(set))
	var add func(s state)
	add = func(s state) {
		for i := len(out) - 1; i >= 0 && out[i].form == s.form; i-- {
			if out[i].pos == s.pos && out[i].started == s.started {
				return
			}
		}
		out = append(out, s)
		for _, p := range s.form.skips[s.pos] {
			add(state{form: s.form, pos: p, bound: s.bound})
		}
		if s.started {
			add(state{form: s.form, pos: s.pos + 1, bound: s.bound})
		}
	}
	for _, s := range set {
		add(s)
	}
	return out
}

// advance takes one word. A literal anywhere, in any case, wins over every argument. secret is true if the word is a secret in any
// place that it may have; spelt is the word as the syntax has it; why is a kind's objection if nothing matches.
func advance(set []state, word string) (next []state, spelt string, secret bool, why error) {
	var literal, argument []state
	var keyword string
	for _, s := range set {
		if s.pos == len(s.form.steps) {
			continue
		}
		st := &s.form.steps[s.pos]
		for i := range st.alts {
			a := &st.alts[i]
			value, ok, objection := a.matches(word)
			if !ok {
				if objection != nil && objection.Error() != "" && why == nil {
					why = objection
				}
				continue
			}
			n := state{form: s.form, pos: s.pos + 1, bound: s.bound}
			if a.isArg() {
				n.bound = &binding{name: a.name, value: value, many: st.many, before: s.bound}
				if st.many {
					n.pos, n.started = s.pos, true
				}
				secret = secret || a.kind.Secret
				spelt = value
				argument = append(argument, n)
				continue
			}
			if a.records {
				n.bound = &binding{name: a.literal, value: value, before: s.bound}
			}
			keyword = value
			literal = append(literal, n)
		}
	}
	if literal != nil {
		return closure(literal), keyword, false, nil
	}
	return closure(argument), spelt, secret, why
}

// visible keeps the states of forms that the role may run.
func visible(set []state, role Role) []state {
	return slices.DeleteFunc(slices.Clone(set), func(s state) bool { return !s.form.cmd.Allows(role) })
}

// values unlinks what a state bound.
func (s state) values() (args map[string]string, rest []string) {
	args = map[string]string{}
	for b := s.bound; b != nil; b = b.before {
		if b.many {
			rest = append(rest, b.value)
		}
		args[b.name] = b.value
	}
	slices.Reverse(rest)
	return args, rest
}
