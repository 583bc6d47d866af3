package grammar

import (
	"fmt"
	"slices"
	"strings"
)

// atom is one thing that a word may be: the literal itself, or an argument.
type atom struct {
	literal string
	// name and kind are set for an argument.
	name string
	kind *Kind
	// records is true for a literal that the handler can ask for: one of a choice or one that may be left out.
	records bool
}

func (a *atom) isArg() bool { return a.kind != nil }

// isChoice is true for an argument that is one of a few words.
func (a *atom) isChoice() bool { return a.isArg() && strings.HasPrefix(a.kind.Name, "(") }

// matches reports whether the word fits, and how it is spelt; why is the kind's own objection.
func (a *atom) matches(word string) (value string, ok bool, why error) {
	if !a.isArg() {
		return a.literal, strings.EqualFold(a.literal, word), nil
	}
	if strings.TrimSpace(word) == "" {
		return word, false, errBlank
	}
	value = a.kind.spell(word)
	if a.kind.Check == nil {
		return value, true, nil
	}
	err := a.kind.Check(value)
	return value, err == nil, err
}

// begins reports whether a word that is typed so far may become the candidate.
func (a *atom) begins(partial, candidate string) bool {
	if a.isArg() && a.kind.Spell == nil {
		return strings.HasPrefix(candidate, partial)
	}
	return len(partial) <= len(candidate) && strings.EqualFold(candidate[:len(partial)], partial)
}

// label is how help and completion name the atom.
func (a *atom) label() string {
	if a.isArg() {
		return "<" + a.name + ">"
	}
	return a.literal
}

// step is one word of a form.
type step struct {
	alts []atom
	many bool
}

// form is a compiled Command: its steps, and for each position the positions after the groups that begin there and
// may be left out. Position len(steps) is the end.
type form struct {
	cmd   *Command
	steps []step
	skips [][]int
	// text is the syntax as people read it, with kinds taken out of the brackets.
	text string
}

// verb is the first word.
func (f *form) verb() string { return f.steps[0].alts[0].literal }

func (f *form) takesSecret() bool {
	return slices.ContainsFunc(f.steps, func(s step) bool {
		return slices.ContainsFunc(s.alts, func(a atom) bool { return a.isArg() && a.kind.Secret })
	})
}

// compiler reads one Syntax.
type compiler struct {
	kinds map[string]Kind
	in    string
	pos   int
	form  *form
	text  strings.Builder
	depth int
}

func compile(cmd *Command, kinds map[string]Kind) (*form, error) {
	c := &compiler{kinds: kinds, in: cmd.Syntax, form: &form{cmd: cmd}}
	if err := c.sequence(); err != nil {
		return nil, fmt.Errorf("command %q: %w", cmd.Syntax, err)
	}
	f := c.form
	f.text = c.text.String()
	if len(f.steps) == 0 || len(f.steps[0].alts) != 1 || f.steps[0].alts[0].isArg() || f.skips[0] != nil {
		return nil, fmt.Errorf("command %q: does not begin with a word", cmd.Syntax)
	}
	names := map[string]bool{}
	for i, s := range f.steps {
		if s.many && i != len(f.steps)-1 {
			return nil, fmt.Errorf("command %q: an argument with … is not the last", cmd.Syntax)
		}
		for _, a := range s.alts {
			if !a.isArg() && !a.records {
				continue
			}
			name := a.name + a.literal
			if names[name] {
				return nil, fmt.Errorf("command %q: two parts are called %q", cmd.Syntax, name)
			}
			names[name] = true
		}
	}
	return f, nil
}

// sequence compiles up to the end of the input or of the group.
func (c *compiler) sequence() error {
	for {
		for c.pos < len(c.in) && c.in[c.pos] == ' ' {
			c.pos++
		}
		if c.pos == len(c.in) {
			if c.depth > 0 {
				return fmt.Errorf("a [ is not closed")
			}
			c.grow(len(c.form.steps))
			return nil
		}
		switch c.in[c.pos] {
		case '[':
			if err := c.group(); err != nil {
				return err
			}
		case ']':
			if c.depth == 0 {
				return fmt.Errorf("a ] was not opened")
			}
			return nil
		default:
			if err := c.step(); err != nil {
				return err
			}
		}
	}
}

// grow makes skips long enough to hold position n.
func (c *compiler) grow(n int) {
	for len(c.form.skips) <= n {
		c.form.skips = append(c.form.skips, nil)
	}
}

func (c *compiler) write(s string) {
	if t := c.text.String(); t != "" && !strings.HasSuffix(t, "[") {
		c.text.WriteByte(' ')
	}
	c.text.WriteString(s)
}

func (c *compiler) group() error {
	c.pos++
	c.depth++
	c.write("[")
	from := len(c.form.steps)
	if err := c.sequence(); err != nil {
		return err
	}
	c.pos++
	c.depth--
	c.text.WriteString("]")
	if len(c.form.steps) == from {
		return fmt.Errorf("a [ ] is empty")
	}
	c.grow(len(c.form.steps))
	c.form.skips[from] = append(c.form.skips[from], len(c.form.steps))
	return nil
}

func (c *compiler) step() error {
	begin := c.pos
	nested := 0
	for c.pos < len(c.in) {
		b := c.in[c.pos]
		if nested == 0 && (b == ' ' || b == '[' || b == ']') {
			break
		}
		switch b {
		case '(', '<':
			nested++
		case ')', '>':
			nested--
		}
		c.pos++
	}
	text := c.in[begin:c.pos]
	if nested != 0 {
		return fmt.Errorf("%q is not closed", text)
	}
	var s step
	text, s.many = strings.CutSuffix(text, "…")
	list := []string{text}
	choice := strings.HasPrefix(text, "(")
	if choice {
		if !strings.HasSuffix(text, ")") {
			return fmt.Errorf("%q is no choice", text)
		}
		list = splitChoice(text[1 : len(text)-1])
	}
	var shown []string
	for _, t := range list {
		a, err := c.atom(t)
		if err != nil {
			return err
		}
		a.records = !a.isArg() && (choice || c.depth > 0)
		s.alts = append(s.alts, a)
		if a.isChoice() {
			shown = append(shown, a.kind.Name)
		} else {
			shown = append(shown, a.label())
		}
	}
	display := strings.Join(shown, "|")
	if choice {
		display = "(" + display + ")"
	}
	if s.many {
		display += "…"
		if !s.alts[0].isArg() {
			return fmt.Errorf("%q: … follows a word", text)
		}
	}
	c.write(display)
	c.grow(len(c.form.steps))
	c.form.steps = append(c.form.steps, s)
	return nil
}

// splitChoice cuts at the bars that are not inside an argument's own choice.
func splitChoice(s string) []string {
	var list []string
	nested, from := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '(', '<':
			nested++
		case ')', '>':
			nested--
		case '|':
			if nested == 0 {
				list = append(list, s[from:i])
				from = i + 1
			}
		}
	}
	return append(list, s[from:])
}

func (c *compiler) atom(text string) (atom, error) {
	inner, isArg := strings.CutPrefix(text, "<")
	if !isArg {
		if text == "" || strings.ContainsAny(text, "<>()[]|\"") {
			return atom{}, fmt.Errorf("%q is no word", text)
		}
		return atom{literal: text}, nil
	}
	inner, isArg = strings.CutSuffix(inner, ">")
	name, kind, named := strings.Cut(inner, ":")
	if !named {
		kind = name
	}
	if !isArg || name == "" {
		return atom{}, fmt.Errorf("%q is no argument", text)
	}
	if k, ok := c.kinds[kind]; ok {
		return atom{name: name, kind: &k}, nil
	}
	if k, ok := rangeKind(kind); ok {
		return atom{name: name, kind: &k}, nil
	}
	if k, ok := choiceKind(kind); ok {
		return atom{name: name, kind: &k}, nil
	}
	return atom{}, fmt.Errorf("%q: there is no kind %q", text, kind)
}
