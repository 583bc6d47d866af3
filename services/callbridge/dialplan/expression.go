package dialplan

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// MaxExpression is the longest match or transform expression in bytes.
const MaxExpression = 4096

// condition is one ($n/regex/) of a match expression.
type condition struct {
	component int
	re        *regexp.Regexp
	text      string
}

// piece is a part of a transform: literal text, or a component with replacements.
type piece struct {
	literal   string
	component int // 0 for literal text
	edits     []edit
}

// edit is one {/regex/replacement/}.
type edit struct {
	re   *regexp.Regexp
	with []replacement
}

// replacement is a part of what replaces: text, or a group of the match when group is not negative.
type replacement struct {
	text  string
	group int
}

// reader walks through an expression.
type reader struct {
	s  string
	at int
}

func (r *reader) fail(at int, format string, a ...any) error {
	return &SyntaxError{position(r.s, at), fmt.Sprintf(format, a...)}
}

func (r *reader) done() bool { return r.at == len(r.s) }

func (r *reader) take(text string) bool {
	if strings.HasPrefix(r.s[r.at:], text) {
		r.at += len(text)
		return true
	}
	return false
}

// component reads the digits after a $.
func (r *reader) component(components int) (int, error) {
	begin := r.at
	n := 0
	for !r.done() && r.s[r.at] >= '0' && r.s[r.at] <= '9' {
		n = min(n*10+int(r.s[r.at]-'0'), 1000)
		r.at++
	}
	switch {
	case r.at == begin:
		return 0, r.fail(begin-1, `a $ needs the number of a component after it, for example $1; write \$ for itself`)
	case n > 9 && r.at-begin > 1:
		return 0, r.fail(begin, "there is no component $%s; where digits follow a component, write {} between them: $%c{}%s",
			r.s[begin:r.at], r.s[begin], r.s[begin+1:r.at])
	case n > components && components == 1:
		return 0, r.fail(begin, "there is no component $%d: types raw and strip make one, $1", n)
	case n < 1 || n > components:
		return 0, r.fail(begin, "there is no component $%d: type phone makes two, the country code $1 and the number $2", n)
	}
	return n, nil
}

// expression reads a regular expression up to the / that ends it. In a class a / stands for itself; elsewhere \/ does.
func (r *reader) expression() (*regexp.Regexp, string, error) {
	begin := r.at
	inClass := false
	for !r.done() {
		switch {
		case r.s[r.at] == '\\' && r.at+1 < len(r.s):
			r.at += 2
			continue
		case r.s[r.at] == '/' && !inClass:
			text := r.s[begin:r.at]
			r.at++
			re, err := compileRegexp(text)
			if e, ok := err.(*SyntaxError); ok {
				return nil, "", &SyntaxError{e.At - 1 + position(r.s, begin), e.Why}
			}
			return re, text, err
		}
		r.at += max(classStep(r.s, r.at, &inClass), 1)
	}
	if inClass {
		return nil, "", r.fail(begin, "the regular expression that begins here has a [ that is never closed by ], so no / ends it")
	}
	return nil, "", r.fail(begin, "the regular expression that begins here needs a / at its end")
}

// parseMatch reads ($1/regex/)($2/regex/)…; an empty one has no condition.
func parseMatch(s string, components int) ([]condition, error) {
	r, err := newReader(s)
	if err != nil {
		return nil, err
	}
	var all []condition
	for {
		for r.take(" ") {
		}
		if r.done() {
			return all, nil
		}
		if !r.take("($") {
			return nil, r.fail(r.at, "a condition begins with ($ and the number of a component, for example ($1/^44$/)")
		}
		n, err := r.component(components)
		if err != nil {
			return nil, err
		}
		if !r.take("/") {
			return nil, r.fail(r.at, "a / begins the regular expression, for example ($1/^44$/)")
		}
		re, text, err := r.expression()
		if err != nil {
			return nil, err
		}
		if !r.take(")") {
			return nil, r.fail(r.at, `a ) ends the condition; write \/ for a / within the regular expression`)
		}
		all = append(all, condition{n, re, text})
	}
}

// parseTransform reads literal text mixed with $n, $n{} and $n{/regex/replacement/}{/regex/replacement/}….
func parseTransform(s string, components int) ([]piece, error) {
	r, err := newReader(s)
	if err != nil {
		return nil, err
	}
	var all []piece
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			all = append(all, piece{literal: literal.String()})
			literal.Reset()
		}
	}
	for !r.done() {
		switch {
		case r.take("$"):
			flush()
			p, err := r.piece(components)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		case r.s[r.at] == '\\':
			if r.at+1 == len(r.s) || !strings.ContainsRune(`\$/{}`, rune(r.s[r.at+1])) {
				return nil, r.fail(r.at, `outside of {} a backslash stands before $, {, } or another backslash alone`)
			}
			literal.WriteByte(r.s[r.at+1])
			r.at += 2
		case r.s[r.at] == '{' || r.s[r.at] == '}':
			return nil, r.fail(r.at, "a { comes right after a component, for example $1{/a/b/}")
		case badRune(r.s[r.at:]) == 0:
			return nil, r.fail(r.at, "an address has no white space, control characters, quotes or angle brackets")
		default:
			literal.WriteByte(r.s[r.at])
			r.at++
		}
	}
	flush()
	return all, nil
}

func (r *reader) piece(components int) (piece, error) {
	n, err := r.component(components)
	if err != nil {
		return piece{}, err
	}
	p := piece{component: n}
	for r.take("{") {
		if r.take("}") {
			continue
		}
		if !r.take("/") {
			return piece{}, r.fail(r.at, "what stands in {} is /regular expression/replacement/, or nothing")
		}
		re, _, err := r.expression()
		if err != nil {
			return piece{}, err
		}
		with, err := r.replacement(re.NumSubexp())
		if err != nil {
			return piece{}, err
		}
		if !r.take("}") {
			return piece{}, r.fail(r.at, `a } ends the replacement; write \/ for a / within it`)
		}
		p.edits = append(p.edits, edit{re, with})
	}
	return p, nil
}

// replacement reads up to the / that ends it. Groups are \1 or $1, the whole match \0, $0 or $&.
func (r *reader) replacement(groups int) ([]replacement, error) {
	begin := r.at
	var all []replacement
	var text strings.Builder
	group := func(at, n int) error {
		if n > groups {
			return r.fail(at, "there is no group %d: the regular expression has %d", n, groups)
		}
		if text.Len() > 0 {
			all = append(all, replacement{text: text.String(), group: -1})
			text.Reset()
		}
		all = append(all, replacement{group: n})
		return nil
	}
	for !r.done() {
		c := r.s[r.at]
		if c == '/' {
			r.at++
			if text.Len() > 0 {
				all = append(all, replacement{text: text.String(), group: -1})
			}
			return all, nil
		}
		if c != '\\' && c != '$' {
			if badRune(r.s[r.at:]) == 0 {
				return nil, r.fail(r.at, "an address has no white space, control characters, quotes or angle brackets")
			}
			text.WriteByte(c)
			r.at++
			continue
		}
		if r.at+1 == len(r.s) {
			break
		}
		next := r.s[r.at+1]
		switch {
		case next >= '0' && next <= '9':
			if err := group(r.at, int(next-'0')); err != nil {
				return nil, err
			}
		case c == '$' && next == '&':
			if err := group(r.at, 0); err != nil {
				return nil, err
			}
		case c == '$' && next != '$':
			return nil, r.fail(r.at, `a $ needs the number of a group after it; write \$ for itself`)
		case c == '\\' && (next >= 'a' && next <= 'z' || next >= 'A' && next <= 'Z'):
			return nil, r.fail(r.at, `\%c means nothing in a replacement; groups are \1 to \9, and \\ is a backslash`, next)
		default:
			_, n := utf8.DecodeRuneInString(r.s[r.at+1:])
			text.WriteString(r.s[r.at+1 : r.at+1+n])
			r.at += n - 1
		}
		r.at += 2
	}
	return nil, r.fail(begin, "the replacement that begins here needs a / at its end")
}

func newReader(s string) (*reader, error) {
	if len(s) > MaxExpression {
		return nil, fmt.Errorf("the expression has %d bytes: at most %d are taken", len(s), MaxExpression)
	}
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("the expression is not UTF-8 text")
	}
	return &reader{s: s}, nil
}
