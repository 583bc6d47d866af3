package dialplan

import (
	"fmt"
	"strings"

	"rotunda/services/callbridge/store"
)

// Trace says why a call went where it went, for the admin pages and the log. A nil *Trace takes nothing down and costs nothing.
type Trace struct{ Steps []Step }

// Step is one rule that was looked at.
type Step struct {
	Table Table
	// Rule is the zero ID where a whole table is meant.
	Rule store.ID
	// Name is what an administrator knows the rule by: its domain, pattern or match expression.
	Name string
	// Matched rules had their say; the others were passed over.
	Matched bool
	// Why is a clause for people: "the domain is example.com".
	Why string
}

// mostSteps bounds a trace: nobody reads more, and a plan may have thousands of rules.
const mostSteps = 2000

func (t *Trace) add(table Table, rule store.ID, name string, matched bool, format string, a ...any) {
	if t == nil || len(t.Steps) >= mostSteps {
		return
	}
	t.Steps = append(t.Steps, Step{Table: table, Rule: rule, Name: name, Matched: matched, Why: fmt.Sprintf(format, a...)})
}

// String has a line for each step.
func (t *Trace) String() string {
	var b strings.Builder
	for _, s := range t.Steps {
		verdict := "passed over"
		if s.Matched {
			verdict = "matches"
		}
		name := s.Name
		if name == "" {
			name = "(all)"
		}
		fmt.Fprintf(&b, "%s %s %s: %s\n", s.Table, name, verdict, s.Why)
	}
	return b.String()
}
