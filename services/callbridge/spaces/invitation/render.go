package invitation

import (
	"strconv"
	"strings"
	"unicode"
)

// Meeting is what an invitation tells. Fields that are empty are left out by #if.
type Meeting struct {
	// Name of the space.
	Name string
	// URI is the whole address, user@domain.
	URI string
	// NumericID is the call ID.
	NumericID string
	Passcode  string
	// Hyperlink is the link of the first web bridge address.
	Hyperlink string
	// WebBridges and Numbers are those of the web bridge profile, in its order.
	WebBridges []WebBridge
	Numbers    []Number
}

// WebBridge is one address of the web app, and the link by which the meeting is joined there.
type WebBridge struct{ Label, Address, Hyperlink string }

// Number is a telephone number of an IVR.
type Number struct{ Label, Number string }

// Message is an invitation.
type Message struct {
	// Subject is one line; Body lines that end with "\n".
	Subject, Body string
	// Language of the template that was used ("de"); that of a fetched one is what was asked for.
	Language string
}

// item is what a list holds.
type item map[string]string

// value is a text or a list.
type value struct {
	text  string
	list  bool
	items []item
}

// scope is what names stand for: the loops around, the innermost last, and the meeting.
type scope struct {
	names []string
	items []item
	top   map[string]value
	steps int
	out   strings.Builder
}

// at returns the value at a path, and whether the name is one of ours.
func (s *scope) at(p path) (value, bool) {
	for i := len(s.names) - 1; i >= 0; i-- {
		if s.names[i] == p[0] {
			if len(p) != 2 {
				return value{}, false
			}
			v, ok := s.items[i][p[1]]
			return value{text: v}, ok
		}
	}
	v, ok := s.top[p[0]]
	if !ok || len(p) == 1 {
		return v, ok
	}
	n, err := strconv.Atoi(p[1])
	if !v.list || len(p) != 3 || err != nil {
		return value{}, false
	}
	if n >= len(v.items) {
		return value{}, true
	}
	t, ok := v.items[n][p[2]]
	return value{text: t}, ok
}

// Render carries the template out.
func (t *Template) Render(m Meeting) (Message, error) {
	s := &scope{top: map[string]value{
		"name": {text: oneLine(m.Name)}, "uri": {text: oneLine(m.URI)}, "numeric_id": {text: oneLine(m.NumericID)},
		"passcode": {text: oneLine(m.Passcode)}, "hyperlink": {text: oneLine(m.Hyperlink)},
	}}
	bridges, numbers := value{list: true}, value{list: true}
	for _, b := range m.WebBridges {
		bridges.items = append(bridges.items, item{"label": oneLine(b.Label), "address": oneLine(b.Address), "hyperlink": oneLine(b.Hyperlink)})
	}
	for _, n := range m.Numbers {
		numbers.items = append(numbers.items, item{"label": oneLine(n.Label), "number": oneLine(n.Number)})
	}
	s.top["web_bridge_addresses"], s.top["ivr_numbers"] = bridges, numbers
	if err := s.run(t.nodes); err != nil {
		return Message{}, err
	}
	return split(s.out.String()), nil
}

func (s *scope) run(nodes []node) error {
	for _, n := range nodes {
		if s.steps++; s.steps > maxSteps {
			return errTooMuch
		}
		var write string
		switch n := n.(type) {
		case text:
			write = string(n)
		case variable:
			v, ok := s.at(n.path)
			write = v.text
			if !ok {
				// A name that is not ours stays as it is: most often it is a part of a web address, such as %E2%82%AC, and where it is a
				// slip, whoever tries the template sees it.
				write = n.raw
			}
		case *choice:
			for _, a := range n.arms {
				if a.when == nil || a.when.holds(s) {
					if err := s.run(a.then); err != nil {
						return err
					}
					break
				}
			}
		case *loop:
			v, _ := s.at(n.over)
			for _, it := range v.items {
				if s.steps++; s.steps > maxSteps {
					return errTooMuch
				}
				s.names, s.items = append(s.names, n.name), append(s.items, it)
				err := s.run(n.body)
				s.names, s.items = s.names[:len(s.names)-1], s.items[:len(s.items)-1]
				if err != nil {
					return err
				}
			}
		}
		if s.out.Len()+len(write) > maxOutput {
			return errTooMuch
		}
		s.out.WriteString(write)
	}
	return nil
}

// split takes the subject off the first line that has something on it; without "Subject:" there is none.
func split(s string) Message {
	s = strings.TrimLeft(s, "\n")
	first, rest, _ := strings.Cut(s, "\n")
	const mark = "subject:"
	if len(first) < len(mark) || !strings.EqualFold(first[:len(mark)], mark) {
		return Message{Body: tidy(s)}
	}
	return Message{Subject: strings.TrimSpace(oneLine(first[len(mark):])), Body: tidy(rest)}
}

// tidy ends the text with one line break.
func tidy(s string) string {
	s = strings.Trim(s, "\n")
	if s == "" {
		return ""
	}
	return s + "\n"
}

// oneLine replaces line breaks and other control characters by spaces.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}
