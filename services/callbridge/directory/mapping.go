package directory

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mapping is a field mapping expression (guide 5.2 and appendix F), compiled: literal text with the values of attributes
// between dollar signs, as in
//
//	$sAMAccountName$@example.com
//	$mail|'/@.*//'$.space
//
// The second form is
//
//	$<attribute>|'/<regex>/<replacement>/<option>'$
//
// The option is g, or nothing to replace the first match alone. \0 to \9 in the replacement stand for the match and its
// groups. Any character but a quote, a backslash and a digit may stand in place of the slash. A quote, a backslash and the
// separator are literal behind a backslash. As in the guide's own "$mail|'/@test/'$", the third separator may be left out
// behind an empty replacement.
//
// A Mapping is never changed and may be used by many goroutines.
type Mapping struct {
	parts []part
}

// part is literal text, or an attribute's value.
type part struct {
	literal    string
	attribute  string
	substitute *substitution // nil takes the value as it is
}

// MappingError says what is wrong with an expression, and where.
type MappingError struct {
	// At counts characters from 1.
	At  int
	Why string
}

func (e *MappingError) Error() string { return fmt.Sprintf("character %d: %s", e.At, e.Why) }

// mostMapped bounds what one expression makes of one entry, in bytes: more than any field takes. A replacement that
// repeats \0 would otherwise multiply what a directory sends.
const mostMapped = 4096

// ParseMapping compiles an expression. The error is a [*MappingError].
func ParseMapping(expression string) (*Mapping, error) {
	if !utf8.ValidString(expression) {
		return nil, &MappingError{1, "the expression is not valid UTF-8 text"}
	}
	s := &scanner{text: []rune(expression)}
	m := &Mapping{}
	for !s.end() {
		if s.peek() != '$' {
			m.parts = append(m.parts, part{literal: s.literal()})
			continue
		}
		p, err := s.field()
		if err != nil {
			return nil, err
		}
		m.parts = append(m.parts, p)
	}
	return m, nil
}

// Attributes are the names of those that the expression reads, in its order; one may be there twice.
func (m *Mapping) Attributes() []string {
	var names []string
	for _, p := range m.parts {
		if p.attribute != "" {
			names = append(names, p.attribute)
		}
	}
	return names
}

// Expand makes the text for one entry. Value returns that of an attribute, "" where the entry has none. Complete is false
// when one was missing (the text then has nothing in its place) or when the text is longer than 4096 bytes (it is then
// cut off).
func (m *Mapping) Expand(value func(attribute string) string) (text string, complete bool) {
	complete = true
	var b strings.Builder
	for _, p := range m.parts {
		piece := p.literal
		if p.attribute != "" {
			piece = value(p.attribute)
			if piece == "" {
				complete = false
				continue
			}
			if p.substitute != nil {
				piece = p.substitute.apply(piece)
			}
		}
		if b.Len()+len(piece) > mostMapped {
			return b.String(), false
		}
		b.WriteString(piece)
	}
	return b.String(), complete
}

// scanner reads an expression by characters.
type scanner struct {
	text []rune
	at   int
}

func (s *scanner) end() bool { return s.at >= len(s.text) }

// peek returns the next character, 0 at the end: a NUL in the text is taken by no rule either.
func (s *scanner) peek() rune {
	if s.end() {
		return 0
	}
	return s.text[s.at]
}

func (s *scanner) next() rune {
	r := s.peek()
	s.at++
	return r
}

// wrong is an error at the next character.
func (s *scanner) wrong(format string, a ...any) error {
	return &MappingError{s.at + 1, fmt.Sprintf(format, a...)}
}

func (s *scanner) literal() string {
	from := s.at
	for !s.end() && s.peek() != '$' {
		s.at++
	}
	return string(s.text[from:s.at])
}

// field reads from one dollar sign to the one that closes it.
func (s *scanner) field() (part, error) {
	opening := s.at
	s.at++
	name, err := s.attribute(opening)
	if err != nil {
		return part{}, err
	}
	p := part{attribute: name}
	if s.peek() == '|' {
		s.at++
		if p.substitute, err = s.substitution(); err != nil {
			return part{}, err
		}
	}
	if s.end() {
		s.at = opening
		return part{}, s.wrong("this $ is not closed: put another $ behind the attribute's name or the substitution")
	}
	if s.next() != '$' {
		s.at--
		if p.substitute != nil {
			return part{}, s.wrong("%s does not belong here: put $ behind the closing quote", show(s.peek()))
		}
		return part{}, s.wrong("%s does not belong into the name of an attribute", show(s.peek()))
	}
	return p, nil
}

// attribute reads a name as of RFC 4512, 2.5: a short name or numbers with dots, and options behind semicolons.
func (s *scanner) attribute(opening int) (string, error) {
	from := s.at
	for !s.end() && (isLetter(s.peek()) || isDigit(s.peek()) || strings.ContainsRune("-.;", s.peek())) {
		s.at++
	}
	name := string(s.text[from:s.at])
	if name == "" {
		s.at = opening
		return "", s.wrong("behind this $ comes the name of an attribute, such as $mail$")
	}
	if !attributeName.MatchString(name) {
		s.at = from
		return "", s.wrong("%q is not the name of an attribute: use one such as mail, sAMAccountName or cn;lang-de", name)
	}
	return name, nil
}

var attributeName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)(;[A-Za-z0-9-]+)*$`)

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
func isDigit(r rune) bool  { return '0' <= r && r <= '9' }

// show writes a character so that it can be read in an error.
func show(r rune) string {
	if unicode.IsPrint(r) {
		return string(r)
	}
	return fmt.Sprintf("%U", r)
}
