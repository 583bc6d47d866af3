// Package invitation writes the text of invitations to a space, for people to paste into a message: a subject and a body.
//
// The text comes from a template: one that an administrator keeps on a web server (invitationTemplate of a call branding
// profile), or one of ours, in the language that was asked for. Templates are the language of reference section 5.9:
//
//	Subject: Meeting %name%
//	#if hyperlink
//	Join here: %hyperlink%{% if passcode %} with the passcode %passcode%{% endif %}
//	#else
//	…
//	#endif
//	#for wba in web_bridge_addresses
//	%wba.label%: %wba.hyperlink%
//	#endfor
//
// Invariants: [Compose] always gives a message; a template that cannot be fetched, read or carried out is replaced by ours, and
// the error says why. Templates come from outside, so parsing and carrying out are bounded in size, depth and steps. The values
// put in never hold a line break, so a space's name cannot forge a line of the text. There is no state, so a crash loses nothing.
package invitation

import (
	"errors"
	"fmt"
	"strings"
)

// Bounds of a template.
const (
	// MaxTemplate is the size of a template in bytes. The longest deployed ones, with legal text, have some 10 KB.
	MaxTemplate = 64 << 10
	// maxDepth bounds blocks within blocks, and parentheses within parentheses.
	maxDepth = 16
	// maxOutput and maxSteps bound what loops within loops make of a short template.
	maxOutput = 256 << 10
	maxSteps  = 50_000
)

// Template is a text that was read and found to be well formed.
type Template struct{ nodes []node }

// node is one of text, variable, *choice and *loop.
type node any

type (
	// text is written as it is.
	text string
	// variable is a value; raw is how it stood in the template, percent signs included.
	variable struct {
		path path
		raw  string
	}
	// choice is an #if with its #elseif and #else: the first arm whose condition holds is carried out.
	choice struct{ arms []arm }
	arm    struct {
		when condition // nil for #else
		then []node
	}
	// loop is a #for: body once for every item of a list.
	loop struct {
		name string
		over path
		body []node
	}
)

// Parse reads a template. The error names the line.
func Parse(s string) (*Template, error) {
	if len(s) > MaxTemplate {
		return nil, fmt.Errorf("the template has more than %d bytes", MaxTemplate)
	}
	s = strings.TrimPrefix(s, "\ufeff")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	p := &parser{}
	for number := 1; s != ""; number++ {
		line := s
		if end := strings.IndexByte(s, '\n'); end >= 0 {
			line, s = s[:end+1], s[end+1:]
		} else {
			s = ""
		}
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if len(p.open) > 0 {
		return nil, fmt.Errorf("the last %s has no end", p.open[len(p.open)-1].word)
	}
	return &Template{nodes: p.nodes}, nil
}

// parser keeps the blocks that are open; nodes belong to the innermost.
type parser struct {
	nodes []node
	open  []block
}

// block is an #if or #for whose end was not yet seen.
type block struct {
	word   string
	choice *choice
	loop   *loop
	outer  []node
	// last says that #else was seen.
	last bool
}

// line reads one line with its line break. A directive has its line for itself, and leaves nothing of it.
func (p *parser) line(line string) error {
	if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "#") {
		word, rest, _ := strings.Cut(trimmed[1:], " ")
		if directives[word] {
			return p.directive(word, strings.TrimSpace(rest))
		}
	}
	for line != "" {
		at := strings.IndexAny(line, "{%")
		if at < 0 {
			p.add(text(line))
			return nil
		}
		if at > 0 {
			p.add(text(line[:at]))
			line = line[at:]
		}
		switch {
		case strings.HasPrefix(line, "{%") && strings.Contains(line, "%}"):
			end := strings.Index(line, "%}")
			word, rest, _ := strings.Cut(strings.TrimSpace(line[2:max(end, 2)]), " ")
			if !directives[word] {
				return fmt.Errorf("{%% %s %%}: use if, elseif, else, endif, for or endfor", clip(word))
			}
			if err := p.directive(word, strings.TrimSpace(rest)); err != nil {
				return err
			}
			line = line[end+2:]
		case line[0] == '%':
			raw, where := leadingVariable(line)
			if raw == "" {
				p.add(text("%"))
				line = line[1:]
				break
			}
			p.add(variable{path: where, raw: raw})
			line = line[len(raw):]
		default:
			p.add(text(line[:1]))
			line = line[1:]
		}
	}
	return nil
}

var directives = map[string]bool{"if": true, "elseif": true, "elif": true, "else": true, "endif": true, "for": true, "endfor": true}

func (p *parser) directive(word, rest string) error {
	switch word {
	case "if":
		when, err := parseCondition(rest)
		if err != nil {
			return err
		}
		return p.begin(block{word: "#if", choice: &choice{arms: []arm{{when: when}}}})
	case "for":
		name, list, ok := strings.Cut(rest, " in ")
		name, list = strings.TrimSpace(name), strings.TrimSpace(list)
		over, good := parsePath(list)
		if !ok || !good || !isName(name) {
			return fmt.Errorf("#for %s: use #for NAME in LIST", clip(rest))
		}
		return p.begin(block{word: "#for", loop: &loop{name: name, over: over}})
	}
	if len(p.open) == 0 {
		return fmt.Errorf("#%s without a beginning", word)
	}
	b := &p.open[len(p.open)-1]
	if (word == "endfor") != (b.loop != nil) {
		return fmt.Errorf("#%s within %s", word, b.word)
	}
	switch word {
	case "endfor":
		b.loop.body = p.nodes
		p.end(b.loop)
		return nil
	case "endif":
		b.finishArm(p.nodes)
		p.end(b.choice)
		return nil
	}
	if b.last {
		return fmt.Errorf("#%s after #else", word)
	}
	var when condition
	if word == "else" {
		b.last = true
	} else {
		var err error
		if when, err = parseCondition(rest); err != nil {
			return err
		}
	}
	b.finishArm(p.nodes)
	p.nodes = nil
	b.choice.arms = append(b.choice.arms, arm{when: when})
	return nil
}

func (b *block) finishArm(nodes []node) { b.choice.arms[len(b.choice.arms)-1].then = nodes }

func (p *parser) begin(b block) error {
	if len(p.open) == maxDepth {
		return fmt.Errorf("more than %d blocks within each other", maxDepth)
	}
	b.outer = p.nodes
	p.open = append(p.open, b)
	p.nodes = nil
	return nil
}

func (p *parser) end(n node) {
	p.nodes = append(p.open[len(p.open)-1].outer, n)
	p.open = p.open[:len(p.open)-1]
}

// add joins neighbouring texts, so that a template full of braces is no list of single letters.
func (p *parser) add(n node) {
	if t, ok := n.(text); ok && len(p.nodes) > 0 {
		if before, ok := p.nodes[len(p.nodes)-1].(text); ok {
			p.nodes[len(p.nodes)-1] = before + t
			return
		}
	}
	p.nodes = append(p.nodes, n)
}

// leadingVariable returns the variable that a text begins with, percent signs included; "" when it begins with none, as in
// "100 % sure" or in the escapes of a web address.
func leadingVariable(s string) (raw string, where path) {
	end := strings.IndexByte(s[1:], '%')
	if end < 0 {
		return "", nil
	}
	where, ok := parsePath(s[1 : 1+end])
	if !ok {
		return "", nil
	}
	return s[:end+2], where
}

// path is a name and what is below it: web_bridge_addresses.0.address.
type path []string

func parsePath(s string) (path, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 3 || !isName(parts[0]) {
		return nil, false
	}
	for _, part := range parts {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool { return !wordRune(r) }) {
			return nil, false
		}
	}
	return parts, true
}

func isName(s string) bool {
	return s != "" && (s[0] < '0' || s[0] > '9') && !strings.ContainsFunc(s, func(r rune) bool { return !wordRune(r) })
}

func wordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
}

var errTooMuch = errors.New("the template makes more text, or goes through more loops, than an invitation has")

// clip shortens what came from outside for a message.
func clip(s string) string {
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
