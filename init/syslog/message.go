package syslog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rotunda/init/journal"
	"rotunda/init/plain"
)

const (
	// maxMessage in octets: RFC 5424 section 6.1 asks receivers for 2,048, and the common ones take 8,192.
	maxMessage = 8192
	nothing    = "-"
	// timestamp is that of RFC 5424 section 6.2.3.
	timestamp = "2006-01-02T15:04:05.000Z"
	// maxHostname, maxAppName and maxProcID are the bounds of RFC 5424 section 6.
	maxHostname = 255
	maxAppName  = 48
	maxProcID   = 128
)

// Message makes an RFC 5424 message of a line of the journal. A line that is none, which only a broken disk leaves, goes
// as the text of one.
func Message(line string, now time.Time) string {
	e, ok := journal.ParseEntry(line, now)
	if !ok {
		e = journal.Entry{Time: now.UTC(), Priority: journal.UserInfo, Text: line}
	}
	name, process := e.Tag, ""
	if before, rest, found := strings.Cut(e.Tag, "["); found {
		name, process = before, strings.TrimRight(rest, "[]")
	}
	return clip(fmt.Sprintf("<%d>1 %s %s %s %s - - %s", e.Priority, e.Time.Format(timestamp),
		field(e.Host, maxHostname), field(name, maxAppName), field(process, maxProcID), plain.Line(e.Text, ' ')), maxMessage)
}

// Frame puts a message's length before it (RFC 6587 section 3.4.1).
func Frame(message string) string { return strconv.Itoa(len(message)) + " " + message }

// field is PRINTUSASCII without blanks, a hyphen for none.
func field(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return nothing
	}
	return s[:min(len(s), most)]
}

// clip cuts between two characters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
