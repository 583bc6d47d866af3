package grammar

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Hint is one thing that may come next.
type Hint struct {
	// Text is a word, an argument in angle brackets, or "<return>" where the line is complete.
	Text string
	Help string
}

// endHint is the hint for a line that may end where it is.
const endHint = "<return>"

// follow leads the words through the tree. After "help" the words are those of the command that is asked about.
func (t *Tree) follow(role Role, words []string) []state {
	if len(words) > 0 && strings.EqualFold(words[0], "help") && len(t.prefixed("help")) > 0 {
		words = words[1:]
	}
	set := visible(closure(t.begin()), role)
	for _, w := range words {
		set, _, _, _ = advance(set, w)
	}
	return set
}

// Next lists what may follow the line, for "?". If the line ends within a word, it lists what this word may become.
func (t *Tree) Next(caller *Caller, line string) []Hint {
	s, err := split(line)
	if err != nil {
		return nil
	}
	words, partial := s.words, ""
	if s.open {
		words, partial = s.words[:len(s.words)-1], s.words[len(s.words)-1]
	}
	var hints []Hint
	add := func(text, help string) {
		if !slices.ContainsFunc(hints, func(h Hint) bool { return h.Text == text }) {
			hints = append(hints, Hint{text, help})
		}
	}
	ends := ""
	for _, st := range t.follow(caller.Role, words) {
		if st.pos == len(st.form.steps) {
			if ends == "" {
				ends = st.form.cmd.Help
			}
			continue
		}
		for _, a := range st.form.steps[st.pos].alts {
			switch {
			case !a.isArg():
				if a.begins(partial, a.literal) {
					add(a.literal, st.form.cmd.Help)
				}
			case a.isChoice():
				for _, w := range a.kind.Complete(caller) {
					if a.begins(partial, w) {
						add(w, st.form.cmd.Help)
					}
				}
			default:
				add(a.label(), a.kind.Help)
			}
		}
	}
	slices.SortStableFunc(hints, func(a, b Hint) int { return strings.Compare(a.Text, b.Text) })
	if ends != "" && partial == "" {
		hints = append(hints, Hint{endHint, ends})
	}
	return hints
}

// Question reports whether the line asks what may come next: its last word is a question mark. before is the line
// without it.
func Question(line string) (before string, ok bool) {
	before, ok = strings.CutSuffix(strings.TrimRight(line, " \t"), "?")
	// Behind a letter it is part of a word, as in an address with a query.
	if ok && (before == "" || strings.HasSuffix(before, " ") || strings.HasSuffix(before, "\t")) && !InQuotes(before) {
		return before, true
	}
	return line, false
}

// Help writes the list of commands, or every form of the command that the words name.
func (t *Tree) Help(w io.Writer, role Role, words []string) error {
	if len(words) == 0 {
		var rows []Hint
		for _, verb := range t.verbs(role) {
			rows = append(rows, Hint{verb, t.visibleForms(role, verb)[0].cmd.Help})
		}
		WriteHints(w, rows)
		fmt.Fprintln(w, `"help <command>" shows every form of a command, "?" what may come next.`)
		return nil
	}
	if len(t.prefixed(words[0])) > 0 && len(t.visibleForms(role, words[0])) == 0 {
		_, err := t.Parse(role, quote(words[0]))
		return err
	}
	var found []*form
	for _, f := range t.forms {
		if f.cmd.Allows(role) && f.about(words) {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		// The parser's error line says which word is wrong.
		if _, err := t.Parse(role, join(words)); err != nil {
			return err
		}
		return fmt.Errorf("help %s: there is no such command", clip(join(words)))
	}
	rows := make([]Hint, len(found))
	for i, f := range found {
		rows[i] = Hint{f.text, f.cmd.Help}
	}
	WriteHints(w, rows)
	var details []string
	for _, f := range found {
		if d := f.cmd.Detail; d != "" && !slices.Contains(details, d) {
			details = append(details, d)
		}
	}
	switch {
	case len(details) == 1:
		fmt.Fprintf(w, "\n%s\n", details[0])
	case len(details) > 1:
		fmt.Fprintf(w, "More words after \"help %s\" show the details of a form.\n", join(words))
	}
	return nil
}

// about reports whether the words name the form. Arguments may be left out, so that "help ipv4 route" finds
// "ipv4 <interface> route …".
func (f *form) about(words []string) bool {
	i := 0
	for _, s := range f.steps {
		if i == len(words) {
			return true
		}
		literal, argument := false, false
		for _, a := range s.alts {
			_, ok, _ := a.matches(words[i])
			literal = literal || ok && !a.isArg()
			argument = argument || ok && a.isArg() && a.kind.Check != nil
		}
		switch {
		case literal || argument:
			i++
		case slices.ContainsFunc(s.alts, func(a atom) bool { return a.isArg() || a.records }):
		default:
			return false
		}
	}
	return i == len(words)
}

// verbs lists the first words that the role may use, sorted.
func (t *Tree) verbs(role Role) []string {
	var list []string
	for _, f := range t.forms {
		if f.cmd.Allows(role) {
			list = append(list, f.verb())
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (t *Tree) prefixed(verb string) []*form {
	return slices.DeleteFunc(slices.Clone(t.forms), func(f *form) bool { return !strings.EqualFold(f.verb(), verb) })
}

func (t *Tree) visibleForms(role Role, verb string) []*form {
	return slices.DeleteFunc(t.prefixed(verb), func(f *form) bool { return !f.cmd.Allows(role) })
}

// WriteHints writes two columns. The first is at most 40 wide; a longer text gets a line of its own.
func WriteHints(w io.Writer, hints []Hint) {
	width := 0
	for _, h := range hints {
		if n := utf8.RuneCountInString(h.Text); n <= 40 {
			width = max(width, n)
		}
	}
	for _, h := range hints {
		n := utf8.RuneCountInString(h.Text)
		if n > width {
			fmt.Fprintf(w, "%s\n%s  %s\n", h.Text, strings.Repeat(" ", width), h.Help)
			continue
		}
		fmt.Fprintf(w, "%s%s  %s\n", h.Text, strings.Repeat(" ", width-n), h.Help)
	}
}
