package invitation

import (
	"fmt"
	"strconv"
	"strings"
)

// condition is one of the types below.
type condition interface{ holds(s *scope) bool }

type (
	either  [2]condition
	both    [2]condition
	not     struct{ condition }
	present struct{ operand }
	compare struct {
		left, right operand
		sign        string
	}
)

func (c either) holds(s *scope) bool  { return c[0].holds(s) || c[1].holds(s) }
func (c both) holds(s *scope) bool    { return c[0].holds(s) && c[1].holds(s) }
func (c not) holds(s *scope) bool     { return !c.condition.holds(s) }
func (c present) holds(s *scope) bool { return c.value(s) != "" && c.value(s) != "0" }

func (c compare) holds(s *scope) bool {
	left, right := c.left.value(s), c.right.value(s)
	order := strings.Compare(left, right)
	a, err := strconv.ParseInt(left, 10, 64)
	b, err2 := strconv.ParseInt(right, 10, 64)
	if err == nil && err2 == nil {
		switch {
		case a < b:
			order = -1
		case a > b:
			order = 1
		default:
			order = 0
		}
	}
	switch c.sign {
	case "=", "==":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// operand is a value that is there (literal), the value at a path, or the length of a list at a path.
type operand struct {
	literal string
	path    path
	length  bool
}

// value is a text; of a list, the number of its items.
func (o operand) value(s *scope) string {
	if o.path == nil {
		return o.literal
	}
	v, _ := s.at(o.path)
	if o.length || v.list {
		if v.list {
			return strconv.Itoa(len(v.items))
		}
		return strconv.Itoa(len([]rune(v.text)))
	}
	return v.text
}

// parseCondition reads X, not X, length(X) > 0, X == "text", and these with and, or and parentheses.
func parseCondition(s string) (condition, error) {
	tokens, err := tokenize(s)
	if err != nil {
		return nil, err
	}
	p := conditionParser{tokens: tokens}
	c, err := p.either()
	if err != nil {
		return nil, fmt.Errorf("#if %s: %w", clip(s), err)
	}
	if p.peek() != "" {
		return nil, fmt.Errorf("#if %s: %s is left over", clip(s), clip(p.peek()))
	}
	return c, nil
}

// tokenize splits into words, signs and quoted texts; these begin with their quote.
func tokenize(s string) ([]string, error) {
	var tokens []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		n := 1
		switch c := s[0]; {
		case c == '"' || c == '\'':
			end := strings.IndexByte(s[1:], c)
			if end < 0 {
				return nil, fmt.Errorf("#if: a quote has no end in %s", clip(s))
			}
			n = end + 2
		case strings.IndexByte("=!<>", c) >= 0:
			if len(s) > 1 && s[1] == '=' {
				n = 2
			}
		case strings.HasPrefix(s, "&&"), strings.HasPrefix(s, "||"):
			n = 2
		case c == '(' || c == ')':
		default:
			end := strings.IndexFunc(s, func(r rune) bool { return !wordRune(r) && r != '.' })
			if end == 0 {
				return nil, fmt.Errorf("#if: %s is no condition", clip(s))
			}
			n = end
			if end < 0 {
				n = len(s)
			}
		}
		tokens = append(tokens, s[:n])
		s = s[n:]
	}
	return tokens, nil
}

type conditionParser struct {
	tokens []string
	depth  int
}

func (p *conditionParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

// take removes the next token when it is one of these.
func (p *conditionParser) take(any ...string) string {
	for _, t := range any {
		if p.peek() == t {
			p.tokens = p.tokens[1:]
			return t
		}
	}
	return ""
}

func (p *conditionParser) either() (condition, error) {
	left, err := p.both()
	for err == nil && p.take("or", "||") != "" {
		var right condition
		right, err = p.both()
		left = either{left, right}
	}
	return left, err
}

func (p *conditionParser) both() (condition, error) {
	left, err := p.single()
	for err == nil && p.take("and", "&&") != "" {
		var right condition
		right, err = p.single()
		left = both{left, right}
	}
	return left, err
}

func (p *conditionParser) single() (condition, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("more than %d parentheses within each other", maxDepth)
	}
	defer func() { p.depth-- }()
	if p.take("not", "!") != "" {
		c, err := p.single()
		return not{c}, err
	}
	if p.take("(") != "" {
		c, err := p.either()
		if err == nil && p.take(")") == "" {
			err = fmt.Errorf("a parenthesis has no end")
		}
		return c, err
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	sign := p.take("==", "=", "!=", "<=", "<", ">=", ">")
	if sign == "" {
		return present{left}, nil
	}
	right, err := p.operand()
	return compare{left: left, right: right, sign: sign}, err
}

func (p *conditionParser) operand() (operand, error) {
	t := p.peek()
	if t == "" {
		return operand{}, fmt.Errorf("a name is missing")
	}
	p.tokens = p.tokens[1:]
	if t == "length" && p.take("(") != "" {
		where, ok := parsePath(p.peek())
		if !ok {
			return operand{}, fmt.Errorf("length(%s): use the name of a list", clip(p.peek()))
		}
		p.tokens = p.tokens[1:]
		if p.take(")") == "" {
			return operand{}, fmt.Errorf("length( has no end")
		}
		return operand{path: where, length: true}, nil
	}
	if t[0] == '"' || t[0] == '\'' {
		return operand{literal: t[1 : len(t)-1]}, nil
	}
	if _, err := strconv.ParseInt(t, 10, 64); err == nil {
		return operand{literal: t}, nil
	}
	where, ok := parsePath(t)
	if !ok {
		return operand{}, fmt.Errorf("%s is no name", clip(t))
	}
	return operand{path: where}, nil
}
