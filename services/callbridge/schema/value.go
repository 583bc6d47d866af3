package schema

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Check looks at the form of a text that is not empty. Name is for the reference page ("URI user part").
type Check struct {
	Name string
	Look func(string) error
}

// unset is the word for no value.
const unset = "unset"

// Parse brings what a client sent into the form that is stored. An empty string is no value: it unsets, and so does the word unset, which
// references of the API list among the values of choices (panePlacementSelfPaneMode, chatAllowed). Blanks and line ends around what is no text come
// from scripts that read lines of files. The error says what would be right.
func (f *Field) Parse(s string) (string, error) {
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%s is not valid UTF-8 text", f.Name)
	}
	if s == "" {
		return "", nil
	}
	sent := s
	switch f.Kind {
	case Number, Bool, Choice, Reference, GUID:
		s = strings.TrimSpace(s)
	}
	switch f.Kind {
	case Number:
		return f.number(s)
	case Bool:
		if strings.EqualFold(s, unset) {
			return "", nil
		}
		switch strings.ToLower(s) {
		// "on" and "off" are sent by deployed clients for mutes.
		case "true", "on", "1", "yes":
			return "true", nil
		case "false", "off", "0", "no":
			return "false", nil
		}
		return "", fmt.Errorf("%s is %s: use true or false", f.Name, clip(sent))
	case Reference, GUID:
		id, err := uuid.Parse(s)
		if err != nil || len(s) != 36 {
			return "", fmt.Errorf("%s is %s: use an ID such as 7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11", f.Name, clip(s))
		}
		return id.String(), nil
	case Choice:
		i := slices.IndexFunc(f.Values, func(v string) bool { return strings.EqualFold(v, s) })
		if i < 0 && strings.EqualFold(s, unset) {
			return "", nil
		}
		if i < 0 {
			return "", fmt.Errorf("%s is %s: use %s", f.Name, clip(s), strings.Join(f.Values, ", "))
		}
		return f.Values[i], nil
	case URL:
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || !slices.Contains(f.Values, strings.ToLower(u.Scheme)) {
			return "", fmt.Errorf("%s is %s: use an address that begins with %s://", f.Name, clip(s), strings.Join(f.Values, ":// or "))
		}
	}
	most := f.Max
	if most == 0 {
		most = MaxText
	}
	if int64(len(s)) > most || int64(len(s)) < f.Min {
		return "", fmt.Errorf("%s has %d bytes: use %d to %d", f.Name, len(s), f.Min, most)
	}
	if f.Check.Look != nil {
		if err := f.Check.Look(s); err != nil {
			return "", fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return s, nil
}

func (f *Field) number(s string) (string, error) {
	most := f.Max
	if most == 0 {
		most = MaxNumber
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < f.Min || n > most {
		return "", fmt.Errorf("%s is %s: use a number from %d to %d", f.Name, clip(s), f.Min, most)
	}
	return strconv.FormatInt(n, 10), nil
}

// clip quotes what came from outside, at a length that fits a message.
func clip(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "…"
	}
	return strconv.Quote(s)
}
