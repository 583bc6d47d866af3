package dialplan

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// maxSize bounds a compiled expression in instructions. Matching takes at most that times the length of the address, which is bounded
// too: some 20 ms for the worst that fits, where usual ones take 0.2 µs (BenchmarkWorstExpressions).
const maxSize = 1000

// compileRegexp compiles what administrators write, in the dialect of Perl, with Go's engine, which never backtracks. What differs is
// translated where it can be; what the engine cannot do (back references, looking around) is refused. The error's position is that within s.
func compileRegexp(s string) (*regexp.Regexp, error) {
	translated, origin, err := translate(s)
	if err != nil {
		return nil, err
	}
	tree, err := syntax.Parse(translated, syntax.Perl)
	if err != nil {
		return nil, explain(s, translated, origin, err)
	}
	if n := size(tree); n > maxSize {
		return nil, &SyntaxError{1, "the expression repeats too much: simplify it or use smaller counts in {}"}
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return nil, explain(s, translated, origin, err)
	}
	return re, nil
}

// size estimates the instructions of an expression; what is larger than maxSize is maxSize+1.
func size(re *syntax.Regexp) int {
	total := 0
	for _, sub := range re.Sub {
		total = min(total+size(sub), maxSize+1)
	}
	switch re.Op {
	case syntax.OpLiteral:
		total = len(re.Rune)
	case syntax.OpCapture:
		total += 2
	case syntax.OpAlternate:
		total += len(re.Sub) - 1
	case syntax.OpConcat:
	case syntax.OpRepeat:
		// x{2,5} is xx(x(x(x)?)?)?, and x{2,} is xx+.
		if re.Max < 0 {
			total = total*max(re.Min, 1) + 1
		} else {
			total = total*re.Max + re.Max - re.Min
		}
	default:
		total++
	}
	return min(total, maxSize+1)
}

// translate returns the expression in Go's dialect, and for each of its bytes the offset in s that it comes from.
func translate(s string) (string, []int, error) {
	var b strings.Builder
	var origin []int
	write := func(text string, at int) {
		b.WriteString(text)
		for range len(text) {
			origin = append(origin, at)
		}
	}
	inClass := false
	for i := 0; i < len(s); {
		if s[i] == '\\' {
			text, width, err := translateEscape(s, i, inClass)
			if err != nil {
				return "", nil, err
			}
			write(text, i)
			i += width
			continue
		}
		if !inClass {
			if why := unsupportedGroup(s[i:]); why != "" {
				return "", nil, &SyntaxError{position(s, i), why}
			}
		}
		if n := classStep(s, i, &inClass); n > 0 {
			write(s[i:i+n], i)
			i += n
			continue
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		write(s[i:i+n], i)
		i += n
	}
	return b.String(), origin, nil
}

// classStep follows where a class in brackets begins and ends. It returns how many bytes at i belong together, 0 for no bracket.
func classStep(s string, i int, inClass *bool) int {
	switch {
	case !*inClass && s[i] == '[':
		*inClass = true
		n := 1
		if strings.HasPrefix(s[i+n:], "^") {
			n++
		}
		// A ] that comes first stands for itself.
		if strings.HasPrefix(s[i+n:], "]") {
			n++
		}
		return n
	case *inClass && strings.HasPrefix(s[i:], "[:"):
		if end := strings.Index(s[i:], ":]"); end > 0 {
			return end + 2
		}
	case *inClass && s[i] == ']':
		*inClass = false
		return 1
	}
	return 0
}

func translateEscape(s string, i int, inClass bool) (text string, width int, err error) {
	refuse := func(format string, a ...any) (string, int, error) {
		return "", 0, &SyntaxError{position(s, i), fmt.Sprintf(format, a...)}
	}
	if i+1 == len(s) {
		return refuse(`a backslash needs a character after it; write \\ for itself`)
	}
	c, n := utf8.DecodeRuneInString(s[i+1:])
	whole := s[i : i+1+n]
	switch {
	case c >= '1' && c <= '9':
		return refuse(`%s, a reference back to a group, is not supported in the expression; it is in the replacement`, whole)
	case c == 'Z' && !inClass:
		return `\z`, 2, nil
	case c == 'e':
		return `\x1b`, 2, nil
	case c == 'h' && inClass:
		return ` \t`, 2, nil
	case c == 'h':
		return `[ \t]`, 2, nil
	case c == 'u':
		if i+6 <= len(s) && strings.Trim(s[i+2:i+6], "0123456789abcdefABCDEF") == "" {
			return `\x{` + s[i+2:i+6] + `}`, 6, nil
		}
		return refuse(`\u needs four hexadecimal digits`)
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		if !strings.ContainsRune("abBdDfnprsStvwWxAzP", c) {
			return refuse(`%s is not supported`, whole)
		}
	case c >= utf8.RuneSelf:
		// An escaped letter of another script stands for itself; Go's syntax refuses it.
		return s[i+1 : i+1+n], 1 + n, nil
	}
	return whole, 1 + n, nil
}

// unsupportedGroup names what begins here and cannot be done.
func unsupportedGroup(s string) string {
	for _, g := range []struct{ begin, name string }{
		{"(?=", "looking ahead with (?="}, {"(?!", "looking ahead with (?!"}, {"(?<=", "looking back with (?<="}, {"(?<!", "looking back with (?<!"},
		{"(?>", "an atomic group"}, {"(?#", "a comment"}, {"(?(", "a condition"}, {"(?|", "a branch reset"}, {"(?R", "recursion"},
	} {
		if strings.HasPrefix(s, g.begin) {
			return g.name + " is not supported: write two conditions, or rules of different priorities"
		}
	}
	return ""
}

// explain turns an error of Go's parser into one with a position in s.
func explain(s, translated string, origin []int, err error) error {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return &SyntaxError{1, err.Error()}
	}
	at := 0
	// Expr is the rest or a part of the expression, or all of it.
	if i := strings.Index(translated, e.Expr); i > 0 && i < len(origin) {
		at = origin[i]
	}
	why := map[syntax.ErrorCode]string{
		syntax.ErrInvalidCharClass:      "this class is not valid",
		syntax.ErrInvalidCharRange:      "this range is not valid: its end comes before its begin",
		syntax.ErrInvalidEscape:         "this escape is not supported",
		syntax.ErrInvalidNamedCapture:   "this name of a group is not valid",
		syntax.ErrInvalidPerlOp:         "this kind of group is not supported",
		syntax.ErrInvalidRepeatOp:       "nothing can be repeated twice",
		syntax.ErrInvalidRepeatSize:     "this count is not valid: at most 1000, the smaller one first",
		syntax.ErrInvalidUTF8:           "this is not UTF-8",
		syntax.ErrMissingBracket:        "the [ that begins here is never closed by ]",
		syntax.ErrMissingParen:          "a ( is never closed by )",
		syntax.ErrMissingRepeatArgument: "there is nothing before this to repeat",
		syntax.ErrTrailingBackslash:     `a backslash needs a character after it; write \\ for itself`,
		syntax.ErrUnexpectedParen:       "a ) has no ( before it",
		syntax.ErrNestingDepth:          "the groups are nested too deeply",
		syntax.ErrLarge:                 "the expression is too large",
	}[e.Code]
	if why == "" {
		why = string(e.Code)
	}
	if e.Expr != "" && e.Expr != translated && len(e.Expr) <= 40 {
		why += ": " + e.Expr
	}
	return &SyntaxError{position(s, at), why}
}
