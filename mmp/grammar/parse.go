package grammar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ErrDenied answers a command that exists and that the role may not run.
var ErrDenied = errors.New("permission denied")

// masked stands for a secret wherever a line is shown or stored.
const masked = "********"

// Match is what a line is.
type Match struct {
	// Command is nil for an empty line and for a line that is no command.
	Command *Command
	// Audit is the line as it may be written to a log: words of the syntax have one spelling, secrets are masked, and from the first word on that is not
	// part of any command it reads "…", since that word may be a password that was typed at the wrong prompt.
	Audit string
	// Secret is true if the line holds a secret or may do so: it is no command at all, or the command that went wrong
	// takes a secret. Other lines with a mistake are worth remembering, to be corrected.
	Secret bool

	tree  *Tree
	words []string
	args  map[string]string
	rest  []string
}

// Call makes the call that runs the match.
func (m *Match) Call(ctx context.Context, caller *Caller, out io.Writer) *Call {
	return &Call{Context: ctx, Caller: caller, Words: m.words, Out: out, tree: m.tree, args: m.args, rest: m.rest}
}

// Parse finds the command that a line is. The match is never nil; if the error is not, it is one line that names the
// word that is wrong and what would be right, or [ErrDenied]. An empty line is a match without a command.
func (t *Tree) Parse(role Role, line string) (*Match, error) {
	words, err := Split(line)
	if err != nil {
		return &Match{Audit: "…", Secret: true}, err
	}
	m := &Match{tree: t, words: words}
	if len(words) == 0 {
		return m, nil
	}
	set := closure(t.begins(words[0]))
	shown := make([]string, 0, len(words))
	for i, w := range words {
		next, spelt, secret, why := advance(set, w)
		if len(next) == 0 {
			m.Secret = m.Secret || i == 0 || slices.ContainsFunc(set, func(s state) bool { return s.form.takesSecret() })
			m.Audit = join(append(slices.Clone(shown), "…"))
			return m, wrongWord(set, role, shown, w, i == 0, why)
		}
		if secret {
			m.Secret = true
			spelt = masked
		}
		shown = append(shown, spelt)
		set = next
	}
	m.Audit = join(shown)
	var refused []state
	for _, s := range set {
		if s.pos != len(s.form.steps) {
			continue
		}
		if !s.form.cmd.Allows(role) {
			refused = append(refused, s)
			continue
		}
		m.Command = s.form.cmd
		m.args, m.rest = s.values()
		return m, nil
	}
	seen := visible(set, role)
	switch {
	case len(refused) > 0:
		return m, denied(refused, shown)
	case len(seen) == 0:
		return m, denied(set, shown)
	}
	return m, fmt.Errorf("%s: a word is missing; next is %s", clip(join(shown)), expected(seen))
}

// denied says which roles may run what the words lead to.
func denied(set []state, words []string) error {
	var roles []string
	for _, s := range set {
		for _, r := range s.form.cmd.Roles {
			if !slices.Contains(roles, string(r)) {
				roles = append(roles, string(r))
			}
		}
	}
	return fmt.Errorf("%s: %w; it takes role %s", clip(join(words)), ErrDenied, strings.Join(roles, " or "))
}

// wrongWord makes the error line for a word that leads nowhere.
func wrongWord(set []state, role Role, before []string, word string, first bool, why error) error {
	seen := visible(set, role)
	if first {
		text := fmt.Sprintf("Unknown command %q", clip(word))
		if near := closest(word, literals(seen)); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		} else {
			text += `; "help" lists the commands`
		}
		return errors.New(text)
	}
	if len(seen) == 0 {
		return denied(set, before)
	}
	lead := fmt.Sprintf("%s %s", clip(join(before)), clip(quote(word)))
	free := slices.ContainsFunc(seen, endsWithText)
	more := slices.DeleteFunc(seen, func(s state) bool { return s.pos == len(s.form.steps) })
	if len(more) == 0 {
		text := fmt.Sprintf("%s: unexpected word %q; the command ends before it", lead, clip(word))
		if free {
			text += ". Text with blanks needs double quotes"
		}
		return errors.New(text)
	}
	what := "unknown word"
	if slices.ContainsFunc(more, func(s state) bool {
		return slices.ContainsFunc(s.form.steps[s.pos].alts, func(a atom) bool { return a.isArg() && !a.isChoice() })
	}) {
		what = "wrong word"
	}
	text := fmt.Sprintf("%s: %s %q", lead, what, clip(word))
	if why != nil {
		text += ": " + why.Error()
	}
	if want := expected(more); strings.HasPrefix(want, "one of ") {
		text += "; " + want
	} else {
		text += "; want " + want
	}
	if near := closest(word, literals(more)); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return errors.New(text)
}

// endsWithText says whether the last word of a command that is complete is text of the person's own.
func endsWithText(s state) bool {
	n := len(s.form.steps)
	return s.pos == n && n > 0 && slices.ContainsFunc(s.form.steps[n-1].alts, func(a atom) bool { return a.isArg() && a.kind.Name == "text" })
}

// literals lists the words that may come next, sorted.
func literals(set []state) []string {
	var list []string
	for _, s := range set {
		if s.pos == len(s.form.steps) {
			continue
		}
		for _, a := range s.form.steps[s.pos].alts {
			if !a.isArg() {
				list = append(list, a.literal)
			} else if a.isChoice() {
				list = append(list, a.kind.Complete(nil)...)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// expected says what may come next: "one of add, del" or "an IPv4 address" or both.
func expected(set []state) string {
	var parts []string
	switch list := literals(set); len(list) {
	case 0:
	case 1:
		parts = append(parts, fmt.Sprintf("%q", list[0]))
	default:
		parts = append(parts, "one of "+strings.Join(list, ", "))
	}
	for _, s := range set {
		if s.pos == len(s.form.steps) {
			continue
		}
		for _, a := range s.form.steps[s.pos].alts {
			if a.isArg() && !a.isChoice() && !slices.Contains(parts, a.kind.Help) {
				parts = append(parts, a.kind.Help)
			}
		}
	}
	return strings.Join(parts, ", or ")
}

// Few joins names for an error line that says what there is. Of many the first will do.
func Few(names []string) string {
	const most = 8
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// closest returns the word of the list that is a typing mistake or two away from word, "" if there is none.
func closest(word string, list []string) string {
	// A longer word is not worth its quadratic cost, and no word of a command has more letters. A number is as near to any other.
	if len(word) > 40 || word != "" && word[0] >= '0' && word[0] <= '9' {
		return ""
	}
	best, limit := "", min(2, len(word)/2)
	for _, w := range list {
		if d := distance(strings.ToLower(word), strings.ToLower(w)); d <= limit {
			if d == 0 {
				continue
			}
			best, limit = w, d-1
		}
	}
	return best
}

// distance counts insertions, deletions, replacements and swaps of neighbours (Damerau, 1964) in bytes.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
