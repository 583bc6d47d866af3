package sip

import (
	"bytes"
	"strings"
)

// String is the message as a log may have it: a line that says where from and where to, and the message without what is secret in it: keys of
// media (a=crypto, a=key-mgmt, k=), digest answers, passcodes typed as INFO.
func (t Trace) String() string {
	var b strings.Builder
	b.Grow(len(t.Message) + 128)
	b.WriteString("SIP ")
	b.WriteString(strings.ToUpper(string(t.Transport)))
	if t.In {
		b.WriteString(" received from ")
	} else {
		b.WriteString(" sent to ")
	}
	b.WriteString(t.Remote.String() + ", local " + t.Local.String() + "\n")
	rest := t.Message
	head, tones := true, false
	for len(rest) > 0 {
		line := rest
		if n := bytes.IndexByte(rest, '\n'); n >= 0 {
			line, rest = rest[:n], rest[n+1:]
		} else {
			rest = nil
		}
		s := strings.TrimSuffix(string(line), "\r")
		switch {
		case head && s == "":
			head = false
		case head:
			name, v, ok := strings.Cut(s, ":")
			if !ok {
				break
			}
			switch canonicalName(strings.TrimSpace(name)) {
			case "Authorization", "Proxy-Authorization":
				s = name + ": (not shown)"
			case "Content-Type":
				v = strings.ToLower(v)
				tones = strings.Contains(v, "dtmf")
			}
		case tones:
			s = "(not shown)"
		case strings.HasPrefix(s, "a=crypto:"):
			if i := strings.Index(s, "inline:"); i >= 0 {
				s = s[:i] + "inline:(not shown)"
			}
		case strings.HasPrefix(s, "k="), strings.HasPrefix(s, "a=key-mgmt:"), strings.HasPrefix(s, "a=ice-pwd:"):
			s = s[:strings.IndexAny(s, "=:")+1] + "(not shown)"
		}
		b.WriteString(s)
		b.WriteByte('\n')
	}
	return b.String()
}
