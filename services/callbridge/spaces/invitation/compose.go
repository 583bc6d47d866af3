package invitation

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Ours are a file a language, in the language of templates, so that they can be copied and changed.
//
//go:embed defaults/*.txt
var files embed.FS

// byLanguage are ours, parsed. One that cannot be parsed is a slip that the first test finds.
var byLanguage = func() map[string]*Template {
	m := map[string]*Template{}
	entries, err := files.ReadDir("defaults")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		b, err := files.ReadFile("defaults/" + e.Name())
		if err != nil {
			panic(err)
		}
		t, err := Parse(string(b))
		if err != nil {
			panic(fmt.Sprintf("invitation: %s: %v", e.Name(), err))
		}
		m[strings.TrimSuffix(e.Name(), ".txt")] = t
	}
	return m
}()

// Languages are those of our templates, in alphabetical order.
func Languages() []string {
	var l []string
	for name := range byLanguage {
		l = append(l, name)
	}
	slices.Sort(l)
	return l
}

// DefaultLanguage is that of an invitation for which none was asked for.
const DefaultLanguage = "en_US"

// ParseLanguage reads a language as clients send it, "de", "de_AT" or "de-at", into the form "de_AT"; "" is [DefaultLanguage].
func ParseLanguage(s string) (string, error) {
	if s == "" {
		return DefaultLanguage, nil
	}
	parts := strings.Split(strings.ReplaceAll(s, "-", "_"), "_")
	good := len(parts) <= 3 && len(parts[0]) >= 2 && len(parts[0]) <= 3
	for i, part := range parts {
		if part == "" || len(part) > 8 || strings.ContainsFunc(part, func(r rune) bool { return !wordRune(r) }) {
			good = false
			break
		}
		switch {
		case i == 0:
			parts[i] = strings.ToLower(part)
		case len(part) <= 3:
			parts[i] = strings.ToUpper(part)
		}
	}
	if !good {
		return "", fmt.Errorf("language is %q: use a language such as de or de_AT", clip(s))
	}
	return strings.Join(parts, "_"), nil
}

// Ours writes the invitation by our own template, in English where there is none in the language.
func Ours(language string, m Meeting) Message {
	language, _, _ = strings.Cut(language, "_")
	t := byLanguage[language]
	if t == nil {
		language = "en"
		t = byLanguage[language]
	}
	msg, err := t.Render(m)
	if err != nil {
		// The lists of a meeting are bounded by the profile (32 each), and our templates are short.
		panic(fmt.Sprintf("invitation: %s: %v", language, err))
	}
	msg.Language = language
	return msg
}

// ErrNone is that of a Fetcher when there is no template: the server has none in this language (404).
var ErrNone = errors.New("there is no template")

// Fetcher gets the template of an address in a language such as "de_AT". [HTTP] is one.
type Fetcher interface {
	Fetch(ctx context.Context, address, language string) (string, error)
}

// Compose writes the invitation by the template at an address, or by ours where address is empty or there is none. The message is
// always good; an error says why the template of the address was not used, for the log.
func Compose(ctx context.Context, f Fetcher, address, language string, m Meeting) (Message, error) {
	if address == "" || f == nil {
		return Ours(language, m), nil
	}
	s, err := f.Fetch(ctx, address, language)
	if errors.Is(err, ErrNone) {
		return Ours(language, m), nil
	}
	if err != nil {
		return Ours(language, m), fmt.Errorf("fetch the invitation template: %w", err)
	}
	t, err := Parse(s)
	if err != nil {
		return Ours(language, m), fmt.Errorf("read the invitation template: %w", err)
	}
	msg, err := t.Render(m)
	if err != nil {
		return Ours(language, m), fmt.Errorf("carry out the invitation template: %w", err)
	}
	if msg.Subject == "" {
		msg.Subject = Ours(language, m).Subject
	}
	msg.Language = language
	return msg, nil
}
