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
		"Words are typed as they stand, in any case; `<name>` is an argument, `(x|y)` one of several words, `[…]` may be left out,\n" +
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
			if f.cmd.Needs != "" {
				fmt.Fprintf(&b, " Takes effect after: `%s`.", f.cmd.Needs)
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

// Table writes every form with its roles as a Markdown table, the forms of a verb together.
func (t *Tree) Table(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| command | what it does | roles | takes effect |\n|---|---|---|---|\n")
	// A bar would end the cell, in code as well.
	cell := strings.NewReplacer("|", `\|`)
	seen := map[string]bool{}
	for _, first := range t.forms {
		verb := first.verb()
		if seen[verb] {
			continue
		}
		seen[verb] = true
		for _, f := range t.prefixed(verb) {
			roles, effect := "every role", ""
			if f.cmd.Roles != nil {
				names := make([]string, len(f.cmd.Roles))
				for i, r := range f.cmd.Roles {
					names[i] = string(r)
				}
				roles = strings.Join(names, ", ")
			}
			if f.cmd.Needs != "" {
				effect = "after `" + f.cmd.Needs + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", cell.Replace(f.text), cell.Replace(f.cmd.Help), roles, effect)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
