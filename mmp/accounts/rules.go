package accounts

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// RuleKind is the type of a rule's value.
type RuleKind int

// The kinds of rule.
const (
	// Count is a number from 1 to the rule's Max, or none.
	Count RuleKind = iota
	// Flag is true or false.
	Flag
)

// Rule declares one "user rule". Command, help, stored form and list are made from it.
type Rule struct {
	Name string
	Kind RuleKind
	// Max of a Count.
	Max int
	// Default of a machine as delivered; 0 is none or false.
	Default int
	Help    string
	// broken tests a new password, for rules about its text; it returns what is wrong with it, "" if nothing is.
	broken func(n int, p candidate) string
}

// candidate is a password that somebody wants to set.
type candidate struct {
	user, text string
	// current is the present password, "" if it is not known because somebody else sets the new one.
	current string
}

// maxHistory is the most old hashes kept for an account. Each costs a hash when a password is changed: 24 take under
// a second on a server.
const maxHistory = 24

// maxPassword in bytes. argon2 takes any length; a bound keeps a login cheap.
const maxPassword = 256

// special are the characters that min_special counts.
const special = `!@#$%^&*()_+=?><,."\/`

// RuleTable lists every rule in the order of "user rule".
var RuleTable = []Rule{
	{Name: "max_history", Kind: Count, Max: maxHistory,
		Help: "Number of former passwords that may not be set again"},
	{Name: "password_age", Kind: Count, Max: 3650, Default: 180,
		Help: "Days after which a password has to be changed"},
	{Name: "min_password_age", Kind: Count, Max: 365,
		Help: "Days that must pass before a password may be changed again"},
	{Name: "min_length", Kind: Count, Max: 64, Default: 8,
		Help: "Least number of characters of a password", broken: func(n int, p candidate) string {
			return below(utf8.RuneCountInString(p.text), n, "characters")
		}},
	{Name: "min_special", Kind: Count, Max: 32,
		Help: "Least number of special characters out of " + special, broken: func(n int, p candidate) string {
			return below(countRunes(p.text, func(r rune) bool { return strings.ContainsRune(special, r) }), n, "special characters")
		}},
	{Name: "min_uppercase", Kind: Count, Max: 32,
		Help: "Least number of uppercase letters of a password", broken: func(n int, p candidate) string {
			return below(countRunes(p.text, unicode.IsUpper), n, "uppercase letters")
		}},
	{Name: "min_lowercase", Kind: Count, Max: 32,
		Help: "Least number of lowercase letters of a password", broken: func(n int, p candidate) string {
			return below(countRunes(p.text, unicode.IsLower), n, "lowercase letters")
		}},
	{Name: "min_digits", Kind: Count, Max: 32,
		Help: "Least number of digits of a password", broken: func(n int, p candidate) string {
			return below(countRunes(p.text, unicode.IsDigit), n, "digits")
		}},
	{Name: "longest_digits_run", Kind: Count, Max: 64,
		Help: "Most digits in a row", broken: func(n int, p candidate) string {
			return above(longestRun(p.text, func(a, b rune) bool { return unicode.IsDigit(b) }, unicode.IsDigit), n, "digits in a row")
		}},
	{Name: "max_repeated_char", Kind: Count, Max: 64,
		Help: "Most equal characters in a row", broken: func(n int, p candidate) string {
			return above(longestRun(p.text, func(a, b rune) bool { return a == b }, func(rune) bool { return true }), n,
				"equal characters in a row")
		}},
	{Name: "min_changed_characters", Kind: Count, Max: 64,
		Help: "Least number of positions at which a new password differs from the present one", broken: func(n int, p candidate) string {
			if p.current == "" {
				return ""
			}
			return below(changedPositions(p.current, p.text), n, "positions that differ from the present one")
		}},
	{Name: "only_ascii", Kind: Flag,
		Help: "Whether a password may only have ASCII characters", broken: func(_ int, p candidate) string {
			if countRunes(p.text, func(r rune) bool { return r > unicode.MaxASCII }) > 0 {
				return "the password has characters that are not ASCII"
			}
			return ""
		}},
	{Name: "no_username", Kind: Flag, Default: 1,
		Help: "Whether a password may not contain the user name", broken: func(_ int, p candidate) string {
			if strings.Contains(strings.ToLower(p.text), strings.ToLower(p.user)) {
				return "the password contains the user name"
			}
			return ""
		}},
	{Name: "no_palindrome", Kind: Flag,
		Help: "Whether a password may not read the same backwards", broken: func(_ int, p candidate) string {
			if isPalindrome(p.text) {
				return "the password reads the same backwards"
			}
			return ""
		}},
	{Name: "max_failed_logins", Kind: Count, Max: 100, Default: 10,
		Help: "Failed logins before the account is locked for 15 minutes for where they came from"},
	{Name: "max_idle", Kind: Count, Max: 3650,
		Help: "Days without a login after which an account is locked"},
	{Name: "max_sessions", Kind: Count, Max: 64,
		Help: "SSH sessions and SFTP sessions that an account may have at a time, beside one at the console"},
}

// Rules holds the value of each rule that is set; a missing one is none or false.
type Rules map[string]int

func defaultRules() Rules {
	r := Rules{}
	for _, rule := range RuleTable {
		if rule.Default != 0 {
			r[rule.Name] = rule.Default
		}
	}
	return r
}

func (r Rules) clone() Rules { return maps.Clone(r) }

// validate checks a stored set. A rule that this version does not know is refused like any other unknown field.
func (r Rules) validate() error {
	for name, n := range r {
		rule, ok := findRule(name)
		if !ok {
			return fmt.Errorf("unknown rule %.32q", name)
		}
		if n < 1 || n > rule.max() {
			return fmt.Errorf("rule %s is %d, out of bounds", name, n)
		}
	}
	return nil
}

func (r Rule) max() int {
	if r.Kind == Flag {
		return 1
	}
	return r.Max
}

func findRule(name string) (Rule, bool) {
	for _, rule := range RuleTable {
		if rule.Name == name {
			return rule, true
		}
	}
	return Rule{}, false
}

// Text returns a rule's value as "user rule" prints it.
func (r Rules) Text(rule Rule) string {
	n := r[rule.Name]
	switch {
	case rule.Kind == Flag:
		return fmt.Sprint(n == 1)
	case n == 0:
		return "none"
	}
	return fmt.Sprint(n)
}

// check returns the first rule about its text that a new password breaks.
func (r Rules) check(p candidate) error {
	switch {
	case p.text == "":
		return errors.New("the password is empty")
	case len(p.text) > maxPassword:
		return fmt.Errorf("the password is longer than %d bytes", maxPassword)
	case !utf8.ValidString(p.text) || countRunes(p.text, unicode.IsControl) > 0:
		return errors.New("the password has characters that cannot be typed everywhere")
	case p.current != "" && p.text == p.current:
		return errors.New("the password is the present one")
	}
	for _, rule := range RuleTable {
		n := r[rule.Name]
		if n == 0 || rule.broken == nil {
			continue
		}
		if what := rule.broken(n, p); what != "" {
			return fmt.Errorf("%s (user rule %s)", what, rule.Name)
		}
	}
	return nil
}

func below(have, want int, what string) string {
	if have >= want {
		return ""
	}
	return fmt.Sprintf("the password needs at least %d %s and has %d", want, what, have)
}

func above(have, most int, what string) string {
	if have <= most {
		return ""
	}
	return fmt.Sprintf("the password may have at most %d %s and has %d", most, what, have)
}

func countRunes(s string, is func(rune) bool) int {
	n := 0
	for _, r := range s {
		if is(r) {
			n++
		}
	}
	return n
}

// longestRun returns the most characters in a row that begin with one that starts a run and of which each continues
// the one before it.
func longestRun(s string, continues func(a, b rune) bool, starts func(rune) bool) int {
	longest, run := 0, 0
	var before rune
	for _, r := range s {
		switch {
		case run > 0 && continues(before, r):
			run++
		case starts(r):
			run = 1
		default:
			run = 0
		}
		longest, before = max(longest, run), r
	}
	return longest
}

// changedPositions counts the positions at which two passwords differ; what one has more counts as different.
func changedPositions(a, b string) int {
	x, y := []rune(a), []rune(b)
	n := max(len(x), len(y)) - min(len(x), len(y))
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			n++
		}
	}
	return n
}

func isPalindrome(s string) bool {
	r := []rune(strings.ToLower(s))
	for i := range len(r) / 2 {
		if r[i] != r[len(r)-1-i] {
			return false
		}
	}
	return true
}
