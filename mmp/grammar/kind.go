package grammar

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is a type of argument.
type Kind struct {
	// Name is what a [Command]'s Syntax calls it.
	Name string
	// Help says what to type, for "?" and for error lines: "an IPv4 address, for example 192.0.2.1".
	Help string
	// Check returns nil if the word is one of the kind. Its error says what is wrong in a few words, or is empty text
	// when Help says it all. A nil Check takes every word but blanks, which none takes.
	Check func(word string) error
	// Spell returns the one spelling of a word that may be typed in any case, which Check and the command get; nil where case
	// means something. See [Spelling].
	Spell func(word string) string
	// Complete lists values for tab completion; nil if there is nothing to list.
	Complete func(*Caller) []string
	// Secret keeps the word out of the audit line and out of the history.
	Secret bool
}

// errBlank refuses a word without anything in it: nothing that a command takes may be empty, and what should be empty has a
// word for that, such as none or del.
var errBlank = errors.New("it is empty")

// errKind is for a Check whose Kind.Help already says what would be right.
var errKind = errors.New("")

// words returns a Complete function for a fixed list.
func words(list ...string) func(*Caller) []string {
	return func(*Caller) []string { return list }
}

// Spelling returns a [Kind.Spell] for words of a list, as the list has them.
func Spelling(list ...string) func(string) string {
	return func(word string) string {
		for _, w := range list {
			if strings.EqualFold(w, word) {
				return w
			}
		}
		return word
	}
}

// spell is Spell, or nothing where the kind has none.
func (k *Kind) spell(word string) string {
	if k.Spell == nil {
		return word
	}
	return k.Spell(word)
}

// Kinds are the kinds that every tree has. [NewTree] takes more, and takes a kind of the same name instead of one of
// these, so that for example "file" can list the files there are.
func Kinds() []Kind {
	return []Kind{
		{Name: "interface", Help: "an interface: a, b, c or d", Check: checkInterface, Spell: strings.ToLower, Complete: words("a", "b", "c", "d")},
		{Name: "address", Help: "an IPv4 or IPv6 address, for example 192.0.2.1", Check: checkAddress(0)},
		{Name: "ipv4", Help: "an IPv4 address, for example 192.0.2.1", Check: checkAddress(4)},
		{Name: "ipv6", Help: "an IPv6 address, for example 2001:db8::1", Check: checkAddress(6)},
		{Name: "prefix", Help: "an address with its prefix length, for example 192.0.2.0/24", Check: checkPrefix(0)},
		{Name: "ipv4prefix", Help: "an IPv4 address with its prefix length, for example 192.0.2.1/24", Check: checkPrefix(4)},
		{Name: "ipv6prefix", Help: "an IPv6 address with its prefix length, for example 2001:db8::1/64", Check: checkPrefix(6)},
		{Name: "host", Help: "a host name or an address", Check: checkHost},
		{Name: "hostname", Help: "a host name: letters, digits, hyphens and dots", Check: CheckHostname},
		{Name: "number", Help: "a whole number", Check: checkNumber(nil, nil)},
		{Name: "port", Help: "a port number from 1 to 65535", Check: checkRange(1, 65535)},
		{Name: "username", Help: "a user name: up to 64 letters, digits, dots, hyphens, underscores and at signs", Check: CheckUsername},
		{Name: "file", Help: "a file name: up to 255 characters, no slashes", Check: checkFile},
		{Name: "word", Help: "a word; blanks need double quotes"},
		{Name: "text", Help: "text; blanks need double quotes"},
		{Name: "secret", Help: "a secret, which is not written to the log", Secret: true},
	}
}

func checkInterface(w string) error {
	if len(w) == 1 && w[0] >= 'a' && w[0] <= 'd' {
		return nil
	}
	return errKind
}

func checkAddress(family int) func(string) error {
	return func(w string) error {
		a, err := netip.ParseAddr(w)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return errKind
		}
		if family == 4 && !a.Is4() || family == 6 && !a.Is6() {
			return errKind
		}
		return nil
	}
}

func checkPrefix(family int) func(string) error {
	return func(w string) error {
		p, err := netip.ParsePrefix(w)
		if err != nil {
			if a, err := netip.ParseAddr(w); err == nil && a.Zone() == "" {
				return errors.New("the prefix length is missing")
			}
			return errKind
		}
		if p.Addr().Is4In6() || family == 4 && !p.Addr().Is4() || family == 6 && !p.Addr().Is6() {
			return errKind
		}
		return nil
	}
}

func checkHost(w string) error {
	if a, err := netip.ParseAddr(w); err == nil && a.Zone() == "" {
		return nil
	}
	return CheckHostname(w)
}

// CheckHostname returns nil for a host name. It follows RFC 1123 section 2.1: labels of 1 to 63 letters, digits and hyphens, 253 characters in all.
// A name of digits and dots only is a mistyped address.
func CheckHostname(w string) error {
	name := strings.TrimSuffix(w, ".")
	if name == "" || len(name) > 253 {
		return errKind
	}
	if strings.Trim(name, "0123456789.") == "" {
		return errKind
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errKind
		}
		for _, r := range label {
			if !isLetterOrDigit(r) && r != '-' {
				return errKind
			}
		}
	}
	return nil
}

func isLetterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// CheckUsername returns nil for what may be the name of a user. "<name>.pub" is a file, so the name begins with neither a
// dot nor a hyphen.
func CheckUsername(w string) error {
	if w == "" || len(w) > 64 || w[0] == '-' || w[0] == '.' {
		return errKind
	}
	for _, r := range w {
		if !isLetterOrDigit(r) && !strings.ContainsRune("._-@", r) {
			return errKind
		}
	}
	return nil
}

func checkFile(w string) error {
	if w == "" || w == "." || w == ".." || len(w) > 255 || strings.ContainsAny(w, "/\x00") || !utf8.ValidString(w) {
		return errKind
	}
	return nil
}

// checkNumber takes whole numbers; a nil bound is open.
func checkNumber(low, high *int) func(string) error {
	return func(w string) error {
		n, err := strconv.Atoi(w)
		// Atoi also takes "+5", which no reply of ours would print.
		if err != nil || w[0] == '+' || low != nil && n < *low || high != nil && n > *high {
			return errKind
		}
		return nil
	}
}

func checkRange(low, high int) func(string) error { return checkNumber(&low, &high) }

// rangeKind makes the kind of "576..9000", "1.." or "..10"; ok is false if the text is no range.
func rangeKind(text string) (k Kind, ok bool) {
	from, to, found := strings.Cut(text, "..")
	if !found || from == "" && to == "" {
		return Kind{}, false
	}
	var low, high *int
	if from != "" {
		n, err := strconv.Atoi(from)
		if err != nil {
			return Kind{}, false
		}
		low = &n
	}
	if to != "" {
		n, err := strconv.Atoi(to)
		if err != nil {
			return Kind{}, false
		}
		high = &n
	}
	k = Kind{Name: text, Check: checkNumber(low, high)}
	switch {
	case low == nil:
		k.Help = fmt.Sprintf("a whole number up to %d", *high)
	case high == nil:
		k.Help = fmt.Sprintf("a whole number from %d", *low)
	default:
		k.Help = fmt.Sprintf("a whole number from %d to %d", *low, *high)
	}
	return k, true
}

// choiceKind makes the kind of "(admin|crypto)"; ok is false if the text is no choice.
func choiceKind(text string) (k Kind, ok bool) {
	if !strings.HasPrefix(text, "(") || !strings.HasSuffix(text, ")") {
		return Kind{}, false
	}
	list := strings.Split(text[1:len(text)-1], "|")
	for _, w := range list {
		if w == "" {
			return Kind{}, false
		}
	}
	return Kind{
		Name: text,
		Help: "one of " + strings.Join(list, ", "),
		Check: func(w string) error {
			for _, x := range list {
				if x == w {
					return nil
				}
			}
			return errKind
		},
		Spell:    Spelling(list...),
		Complete: words(list...),
	}, true
}
