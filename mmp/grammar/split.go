package grammar

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a command line. The longest legitimate ones are a quoted DNS record or a list of file names.
const (
	MaxLine  = 4096
	maxWords = 256
)

// splitter is what a line looks like up to its end, which for completion may be in the middle of a word.
type splitter struct {
	words []string
	// open is true if the line ends within the last word, so that this word could still go on.
	open bool
	// quoted is true if the line ends within double quotes.
	quoted bool
	// start is where the last word begins in the line, or the line's length if open is false.
	start int
}

// Split cuts a line into words at blanks. Double quotes keep blanks in a word and may stand anywhere in it, as in
// OU:"My Desk"; inside them \" is a quote and \\ a backslash. Characters that do not print are refused: a line ends up
// in the audit log and on other people's terminals.
func Split(line string) ([]string, error) {
	s, err := split(line)
	if err != nil {
		return nil, err
	}
	if s.quoted {
		return nil, fmt.Errorf("a double quote is not closed: %s", clip(line[s.start:]))
	}
	return s.words, nil
}

// InQuotes reports whether what is typed after this line is inside double quotes.
func InQuotes(line string) bool {
	s, err := split(line)
	return err == nil && s.quoted
}

func split(line string) (splitter, error) {
	var s splitter
	if len(line) > MaxLine {
		return s, fmt.Errorf("the line is %d bytes long; the limit is %d", len(line), MaxLine)
	}
	if !utf8.ValidString(line) {
		return s, fmt.Errorf("the line is not valid UTF-8")
	}
	var word strings.Builder
	escaped := false
	end := func() {
		s.words = append(s.words, word.String())
		word.Reset()
		s.open = false
	}
	for i, r := range line {
		if r == '\t' {
			r = ' '
		}
		if !unicode.IsGraphic(r) {
			return s, fmt.Errorf("character U+%04X at position %d may not be part of a command", r, i+1)
		}
		if r != ' ' && !s.open {
			s.open, s.start = true, i
		}
		switch {
		case escaped:
			if r != '"' && r != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case s.quoted && r == '\\':
			escaped = true
		case r == '"':
			s.quoted = !s.quoted
		case r == ' ' && !s.quoted:
			if s.open {
				end()
			}
		default:
			word.WriteRune(r)
		}
		if len(s.words) > maxWords {
			return s, fmt.Errorf("the line has more than %d words", maxWords)
		}
	}
	if escaped {
		word.WriteByte('\\')
	}
	if s.open {
		open := s.open
		end()
		s.open = open
	} else {
		s.start = len(line)
	}
	return s, nil
}

// quote writes a word so that [Split] gives it back.
func quote(word string) string {
	if word != "" && !strings.ContainsAny(word, " \"\t") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

// join is the opposite of Split.
func join(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = quote(w)
	}
	return strings.Join(q, " ")
}

// clip keeps error lines to one line of a terminal.
func clip(s string) string {
	const limit = 60
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
