package dialplan

import (
	"regexp/syntax"
	"strings"
	"testing"
)

// The worst expressions that are taken, on the longest string that is looked at. A backtracking engine would not come to an end.
func BenchmarkWorstExpressions(b *testing.B) {
	for _, expression := range []string{
		`($1/(a?){100}(a){100}$/)`,
		`($1/(a*)*(a*)*(a*)*(a*)*b/)`,
		`($1/((a|aa)+(a|aa)+)+b/)`,
		`($1/(x+x+)+y/)`,
		`($1/([\w.]{1,100}@){2}/)`,
	} {
		p := one(Raw, expression, "")
		if len(p.Problems()) > 0 {
			b.Fatal(p.Problems())
		}
		for _, s := range []string{strings.Repeat("a", MaxAddress), strings.Repeat("x", MaxAddress)} {
			b.Run(expression, func(b *testing.B) {
				for b.Loop() {
					p.Transform(s, nil)
				}
			})
		}
	}
}

// Expressions beyond the bound are refused before they are compiled: some take gigabytes.
func TestExpressionsThatAreTooLargeAreRefused(t *testing.T) {
	for _, s := range []string{`((\pL{31}){32})`, `(\pL\pN){600}`, strings.Repeat(`\pL{1000}`, 400), `((((a{9}){9}){9}){1})(b{999})`} {
		if _, err := compileRegexp(s); err == nil || !strings.Contains(err.Error(), "repeats too much") {
			t.Errorf("%.40s: %v, want it refused", s, err)
		}
	}
	if _, err := compileRegexp(`^(\+|00)?\d{6,15}(;ext=\d{1,8})?@[\w.-]{1,100}$`); err != nil {
		t.Errorf("a usual one: %v", err)
	}
}

// The estimate is near what the compiler makes of it, so that the bound means what it says.
func TestSizesAreEstimatedWell(t *testing.T) {
	for _, s := range []string{`^(a?){100}(a){100}$`, `([\w.]{1,100}@){2}`, `abc|def|x*y+z?`, `(\d){6,}`, `a{0,50}b{7}`, `^(\+|00)?\d{6,15}(;ext=\d{1,8})?@[\w.-]{1,100}$`} {
		tree, err := syntax.Parse(s, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		estimate := size(tree)
		program, err := syntax.Compile(tree.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		// A program has three instructions more, and may share some.
		if real := len(program.Inst); estimate < real*3/4-3 || estimate > real*5/4+3 {
			t.Errorf("%s is estimated at %d instructions and has %d", s, estimate, real)
		}
	}
}
