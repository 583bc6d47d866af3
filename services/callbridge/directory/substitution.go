package directory

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
)

// substitution is the part of an expression between quotes.
type substitution struct {
	regex *regexp.Regexp
	// replacement is literal text, and the number of a group where group is not negative.
	replacement []piece
	all         bool
}

type piece struct {
	literal string
	group   int
}

// apply replaces the first match, or every one. What it makes is bounded: see mostMapped.
func (s *substitution) apply(value string) string {
	most := 1
	if s.all {
		most = -1
	}
	var b strings.Builder
	from := 0
	for _, at := range s.regex.FindAllStringSubmatchIndex(value, most) {
		b.WriteString(value[from:at[0]])
		for _, p := range s.replacement {
			if p.group < 0 {
				b.WriteString(p.literal)
			} else if at[2*p.group] >= 0 {
				b.WriteString(value[at[2*p.group]:at[2*p.group+1]])
			}
		}
		from = at[1]
		if b.Len() > mostMapped {
			return b.String()
		}
	}
	b.WriteString(value[from:])
	return b.String()
}

// component is the regex or the replacement as it stands between separators. Every character knows where it came from and
// whether a backslash stood before the separator there, which makes it literal.
type component []char

type char struct {
	r       rune
	at      int // in the expression, from 0
	literal bool
}

func (c component) String() string {
	var b strings.Builder
	for _, x := range c {
		b.WriteRune(x.r)
	}
	return b.String()
}

// substitution reads '/regex/replacement/option'.
func (s *scanner) substitution() (*substitution, error) {
	if s.peek() != '\'' {
		return nil, s.wrong("behind | comes a substitution in single quotes, such as '/@.*//'")
	}
	quote := s.at
	s.at++
	separator := s.peek()
	if s.end() {
		s.at = quote
		return nil, s.wrong("this quote is not closed")
	}
	if separator == '\'' || separator == '\\' || isDigit(separator) {
		return nil, s.wrong("%s cannot separate: use any character but a single quote, a backslash or a digit, such as /", show(separator))
	}
	s.at++

	from := s.at
	regex, closed, err := s.component(quote, separator)
	if err != nil {
		return nil, err
	}
	if !closed {
		return nil, s.wrong("%s is missing behind the regular expression: write '%[1]sregex%[1]sreplacement%[1]s'", show(separator))
	}
	if len(regex) == 0 {
		s.at = from
		return nil, s.wrong("the regular expression is empty")
	}
	replacement, closed, err := s.component(quote, separator)
	if err != nil {
		return nil, err
	}
	var option component
	if closed {
		if option, closed, err = s.component(quote, separator); err != nil {
			return nil, err
		}
		if closed {
			s.at--
			return nil, s.wrong("one %s too many: put \\ before it where it is literal", show(separator))
		}
	} else if len(replacement) > 0 {
		return nil, s.wrong("%s is missing behind the replacement: write '%[1]sregex%[1]sreplacement%[1]s'", show(separator))
	}
	x := &substitution{}
	switch option.String() {
	case "":
	case "g":
		x.all = true
	default:
		s.at = option[0].at
		return nil, s.wrong("the option is %q: use g to replace every match, or nothing", clip(option.String()))
	}
	s.at++ // the closing quote
	if x.regex, err = compile(regex); err != nil {
		return nil, err
	}
	x.replacement, err = replace(replacement, x.regex.NumSubexp())
	return x, err
}

// component reads up to a separator, which it takes, or to the closing quote, which it leaves: then closed is false.
// Backslashes go here from before quotes, backslashes and separators; before everything else they stay, so that \d and \\d
// are one, and \1 and \\1, too.
func (s *scanner) component(quote int, separator rune) (c component, closed bool, err error) {
	for !s.end() {
		at := s.at
		switch r := s.next(); r {
		case '\'':
			s.at--
			return c, false, nil
		case separator:
			return c, true, nil
		case '\\':
			switch e := s.peek(); {
			case s.end():
			case e == separator:
				c = append(c, char{e, at, true})
				s.at++
				continue
			case e == '\'' || e == '\\':
				c = append(c, char{e, at, false})
				s.at++
				continue
			}
			c = append(c, char{r, at, false})
		default:
			c = append(c, char{r, at, false})
		}
	}
	s.at = quote
	return nil, false, s.wrong("this quote is not closed")
}

// compile makes a regular expression of RE2 out of one in the Perl syntax that administrators know. What the two do
// differently is refused rather than matched otherwise: see [refuse].
func compile(c component) (*regexp.Regexp, error) {
	var b strings.Builder
	// where says which character of the component a byte came from.
	var where []int
	for i, x := range c {
		text := string(x.r)
		if x.literal {
			text = regexp.QuoteMeta(text)
		}
		b.WriteString(text)
		for range len(text) {
			where = append(where, i)
		}
	}
	if err := refuse(c); err != nil {
		return nil, err
	}
	// s: a dot matches a line break, too.
	regex, err := regexp.Compile("(?s)" + b.String())
	if err == nil {
		return regex, nil
	}
	wrong := &MappingError{c[0].at + 1, err.Error()}
	var se *syntax.Error
	if errors.As(err, &se) {
		wrong.Why = se.Code.String() + ": " + clip(strings.TrimPrefix(se.Expr, "(?s)"))
		if at := strings.Index(b.String(), se.Expr); at >= 0 && at < len(where) {
			wrong.At = c[where[at]].at + 1
		}
	}
	return nil, wrong
}

// refuse finds what RE2 does not have, so that the error names it and where it stands, and what RE2 would take to mean
// something else: \< is a word's beginning and not <, [[.a.]] is a collating element and no set of characters.
func refuse(c component) error {
	at := func(i int) rune {
		if i < 0 || i >= len(c) || c[i].literal {
			return 0
		}
		return c[i].r
	}
	wrong := func(i int, why string) error { return &MappingError{c[i].at + 1, why} }
	set := false    // between [ and ]
	first := 0      // where in a set a ] is literal
	quoted := false // between \Q and \E
	for i := 0; i < len(c); i++ {
		if quoted {
			if at(i) == '\\' && at(i+1) == 'E' {
				quoted = false
				i++
			}
			continue
		}
		switch r := at(i); {
		case r == '\\':
			next := at(i + 1)
			i++
			switch {
			case set:
			case '1' <= next && next <= '9':
				return wrong(i-1, "a regular expression cannot refer back to a group; \\"+string(next)+" works in the replacement")
			case next == '<' || next == '>':
				return wrong(i-1, "\\"+string(next)+" is not known: use \\b for the edge of a word")
			case next == '`':
				return wrong(i-1, "\\` is not known: use \\A for the beginning")
			case next == 'Q':
				quoted = true
			}
		case set && r == '[' && (at(i+1) == '.' || at(i+1) == '='):
			return wrong(i, "collating elements are not known: list the characters themselves")
		case set && r == '[' && at(i+1) == ':':
			for i += 2; i < len(c) && at(i) != ']'; i++ {
			}
		case set && r == ']' && i > first:
			set = false
		case set:
		case r == '[':
			set = true
			first = i + 1
			if at(first) == '^' {
				first++
				i++
			}
		case r == '(' && at(i+1) == '?':
			switch group := at(i + 2); {
			case group == '=' || group == '!' || group == '<' && (at(i+3) == '=' || at(i+3) == '!'):
				return wrong(i, "a regular expression cannot look ahead or back: match the surroundings, too, in a group, and put it back with \\1")
			case group == '>':
				return wrong(i, "groups that do not go back, (?>…), are not known: use (?:…)")
			case group == '(' || group == 'R' || group == '&' || isDigit(group) || group == '|' || group == '#':
				return wrong(i, "(?"+show(group)+" is not known: use groups (…) and (?:…)")
			}
		case r == '{' && at(i+1) == ',':
			return wrong(i, "write {0,n} for up to n")
		case (r == '*' || r == '+' || r == '?' || r == '}') && at(i+1) == '+':
			return wrong(i+1, "repetitions that do not go back, such as "+string(r)+"+, are not known")
		}
	}
	return nil
}

// replace reads the replacement.
func replace(c component, groups int) ([]piece, error) {
	var pieces []piece
	literal := func(r rune) {
		if n := len(pieces); n > 0 && pieces[n-1].group < 0 {
			pieces[n-1].literal += string(r)
			return
		}
		pieces = append(pieces, piece{literal: string(r), group: -1})
	}
	for i := 0; i < len(c); i++ {
		if c[i].r != '\\' || c[i].literal || i+1 == len(c) {
			literal(c[i].r)
			continue
		}
		switch e := c[i+1]; {
		case e.literal:
			literal('\\')
		case isDigit(e.r):
			group := int(e.r - '0')
			if group > groups {
				return nil, &MappingError{c[i].at + 1, "\\" + string(e.r) + " has no group: enclose that part of the regular expression in ( )"}
			}
			pieces = append(pieces, piece{group: group})
			i++
		case e.r == '\\':
			literal('\\')
			i++
		default:
			literal('\\')
		}
	}
	return pieces, nil
}

// clip shortens what came from outside for a message.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
