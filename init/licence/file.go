package licence

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// FileName is what administrators put.
const FileName = "cms.lic"

// Bounds of a file.
const (
	MaxSize  = 64 << 10
	maxLine  = 500
	maxHosts = 64
	maxGrace = 90
)

const (
	title  = "Rotunda licence "
	format = 1
)

// LineError says what is wrong with which line of a file.
type LineError struct {
	// Line counts from 1.
	Line int
	Why  string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Why) }

var (
	// ErrSignature means that the file was changed after it was signed, or signed with another key.
	ErrSignature = errors.New("the signature does not belong to this text: the file was changed, or signed with another key")
	errSize      = fmt.Errorf("the file has more than %d bytes", MaxSize)
	errText      = errors.New("the file is not text")
	errNoEnd     = errors.New("the file has no line Signature: at its end; it may be cut off")
)

// Parse verifies a file against the keys and reads it. The signature is looked at before anything else but its own form.
func Parse(file []byte, keys ...ed25519.PublicKey) (*Licence, error) {
	text, signature, err := split(file)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if len(k) == ed25519.PublicKeySize && ed25519.Verify(k, []byte(text), signature) {
			return read(text)
		}
	}
	return nil, ErrSignature
}

// split returns the text that is signed, with line ends and ends of lines as they were when it was.
func split(file []byte) (text string, signature []byte, err error) {
	if len(file) > MaxSize {
		return "", nil, errSize
	}
	s := strings.TrimPrefix(string(file), "\ufeff")
	if !utf8.ValidString(s) {
		return "", nil, errText
	}
	var b strings.Builder
	lines := strings.Split(strings.TrimRightFunc(s, unicode.IsSpace), "\n")
	for n, line := range lines {
		line = strings.TrimRight(line, " \t\r")
		if len(line) > maxLine {
			return "", nil, &LineError{n + 1, fmt.Sprintf("it has %d bytes, at most %d are taken", len(line), maxLine)}
		}
		if i := strings.IndexFunc(line, unicode.IsControl); i >= 0 {
			return "", nil, &LineError{n + 1, "it has a control character"}
		}
		rest, is := strings.CutPrefix(line, "Signature:")
		if !is {
			b.WriteString(line + "\n")
			continue
		}
		if n != len(lines)-1 {
			return "", nil, &LineError{n + 2, "nothing may follow the signature"}
		}
		signature, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if err != nil || len(signature) != ed25519.SignatureSize {
			return "", nil, &LineError{n + 1, "the signature is not 64 bytes in base64"}
		}
		return b.String(), signature, nil
	}
	return "", nil, errNoEnd
}

// read reads text whose signature is good.
func read(text string) (*Licence, error) {
	l := &Licence{}
	for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if err := l.line(n, line); err != nil {
			return nil, &LineError{n + 1, err.Error()}
		}
	}
	return l, nil
}

func (l *Licence) line(n int, line string) error {
	if n == 0 {
		version, is := strings.CutPrefix(line, title)
		if !is {
			return fmt.Errorf("a licence begins with %s%d", title, format)
		}
		if version != strconv.Itoa(format) {
			return fmt.Errorf("the licence has format %q, this version of the system reads %d", version, format)
		}
		return nil
	}
	if line == "" {
		return nil
	}
	name, value, is := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !is || value == "" {
		return errors.New("a line is Name: value")
	}
	once := func(field *string) error {
		if *field != "" {
			return fmt.Errorf("%s is there twice", name)
		}
		*field = value
		return nil
	}
	switch name {
	case "Issued to":
		return once(&l.IssuedTo)
	case "Serial":
		return once(&l.Serial)
	case "Issued":
		var err error
		l.Issued, err = date(value)
		return err
	case "Host":
		if len(l.Hosts) == maxHosts {
			return fmt.Errorf("there are more than %d hosts", maxHosts)
		}
		l.Hosts = append(l.Hosts, Host(value))
		return nil
	case "Feature":
		g, err := ParseGrant(value)
		if err != nil {
			return err
		}
		for _, other := range l.Features {
			if other.Feature == g.Feature {
				return fmt.Errorf("the feature %s is there twice", g.Feature)
			}
		}
		l.Features = append(l.Features, g)
		return nil
	}
	return fmt.Errorf("there is no %q in licences: use Issued to, Serial, Issued, Host, Feature", name)
}

// ParseGrant reads what follows Feature:, as in "recording limit: 10 expiry: 2027-Nov-22 grace: 30".
func ParseGrant(s string) (Grant, error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return Grant{}, errors.New("there is no feature")
	}
	g := Grant{Feature: words[0]}
	if f := Find(words[0]); f != nil {
		g.Feature = f.API
	}
	seen := map[string]bool{}
	for i := 1; i < len(words); i += 2 {
		name := words[i]
		if i+1 == len(words) {
			return g, fmt.Errorf("a value is missing after %s", name)
		}
		if seen[name] {
			return g, fmt.Errorf("%s is there twice", name)
		}
		seen[name] = true
		if err := g.set(name, words[i+1]); err != nil {
			return g, err
		}
	}
	if !seen["expiry:"] {
		return g, errors.New("say when the feature ends: expiry: 2027-Nov-22, or expiry: never")
	}
	return g, nil
}

func (g *Grant) set(name, value string) (err error) {
	number := func(least, most int) (int, error) {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("%s %s: use a number from %d to %d", name, value, least, most)
		}
		return n, nil
	}
	switch name {
	case "limit:":
		g.Limit, err = number(1, 1_000_000)
	case "grace:":
		g.Grace, err = number(0, maxGrace)
	case "level:":
		g.Level = value
	case "expiry:":
		if value != "never" {
			g.Expiry, err = date(value)
		}
	default:
		return fmt.Errorf("there is no %s, use limit: level: expiry: or grace: with a value", name)
	}
	return err
}

func date(s string) (time.Time, error) {
	t, err := time.Parse(DateLayout, s)
	if err != nil || t.Year() < 2000 || t.Year() > 9000 {
		return time.Time{}, fmt.Errorf("%q is no day: write it as 2027-Nov-22", s)
	}
	return t, nil
}

// Text is what is signed.
func (l *Licence) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%d\n", title, format)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	line("Issued to", l.IssuedTo)
	line("Serial", l.Serial)
	if !l.Issued.IsZero() {
		line("Issued", l.Issued.Format(DateLayout))
	}
	for _, h := range l.Hosts {
		line("Host", h)
	}
	for _, g := range l.Features {
		f := g.Feature
		if g.Limit > 0 {
			f += " limit: " + strconv.Itoa(g.Limit)
		}
		if g.Level != "" {
			f += " level: " + g.Level
		}
		if g.Expiry.IsZero() {
			f += " expiry: never"
		} else {
			f += " expiry: " + g.Expiry.Format(DateLayout)
		}
		if g.Grace > 0 {
			f += " grace: " + strconv.Itoa(g.Grace)
		}
		line("Feature", f)
	}
	return b.String()
}

// Sign makes a file. What it makes can be read: a licence that no machine would take is not signed.
func (l *Licence) Sign(key ed25519.PrivateKey) ([]byte, error) {
	file := l.Text()
	file += "Signature: " + base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(file))) + "\n"
	if _, err := Parse([]byte(file), key.Public().(ed25519.PublicKey)); err != nil {
		return nil, err
	}
	return []byte(file), nil
}
