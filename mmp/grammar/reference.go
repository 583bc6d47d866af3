package grammar

import (
	"fmt"
	"io"
	"strings"
)

// Reference writes the reference page of all commands as Markdown: a section a verb, a paragraph a form.
func (t *Tree) Reference(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Commands of the management shell\n\n" +
		"This page is made from the declarations of the commands; a test fails when the two differ.\n\n" +
		"Words are typed as they stand, `<name>` is an argument, `(x|y)` one of several words, `[…]` may be left out,\n" +
		"and `…` after an argument means that it may be given more than once. An argument with blanks goes in double\n" +
		"quotes. A command without a list of roles may be run by every role.\n")
	seen := map[string]bool{}
	for _, first := range t.forms {
		verb := first.verb()
		if seen[verb] {
			continue
		}
		seen[verb] = true
		fmt.Fprintf(&b, "\n## %s\n", verb)
		lastDetail := ""
		for _, f := range t.prefixed(verb) {
			fmt.Fprintf(&b, "\n`%s`  \n%s.", f.text, f.cmd.Help)
			if f.cmd.Roles != nil {
				names := make([]string, len(f.cmd.Roles))
				for i, r := range f.cmd.Roles {
					names[i] = string(r)
				}
				fmt.Fprintf(&b, " Roles: %s.", strings.Join(names, ", "))
			}
			b.WriteString("\n")
			if d := f.cmd.Detail; d != "" && d != lastDetail {
				fmt.Fprintf(&b, "\n%s\n", d)
				lastDetail = d
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
