package journal

import (
	"slices"
	"strings"
	"time"
)

// layout is how a line begins. There is no year in it.
const layout = "Jan _2 15:04:05.000"

// Entry is a line taken apart.
type Entry struct {
	Time     time.Time
	Priority Priority
	Host     string
	Tag      string
	Text     string
}

// ParseEntry takes apart a line as [Journal] writes it. Its year is that which puts it before now, or at most a day behind it:
// clocks are set.
func ParseEntry(line string, now time.Time) (Entry, bool) {
	if len(line) < len(layout)+1 || line[len(layout)] != ' ' {
		return Entry{}, false
	}
	at, err := time.Parse(layout, line[:len(layout)])
	if err != nil {
		return Entry{}, false
	}
	words := strings.SplitN(line[len(layout)+1:], " ", 3)
	if len(words) != 3 {
		return Entry{}, false
	}
	p, ok := parsePriority(words[0])
	tag, text, found := strings.Cut(words[2], ": ")
	if !found {
		// Blanks at the end of a line are trimmed, and a text may be empty.
		tag, found = strings.CutSuffix(words[2], ":")
	}
	if !ok || !found || !isTag(tag) || words[1] == "" {
		return Entry{}, false
	}
	return Entry{Time: inYear(at, now.UTC()), Priority: p, Host: words[1], Tag: tag, Text: text}, true
}

// inYear gives a time the latest year in which it is not over a day ahead of now, and the 29th of February one that has it.
func inYear(at, now time.Time) time.Time {
	for year := now.Year() + 1; ; year-- {
		t := at.AddDate(year, 0, 0)
		if t.Day() == at.Day() && !t.After(now.Add(24*time.Hour)) {
			return t
		}
	}
}

// parsePriority takes "local0.info".
func parsePriority(s string) (Priority, bool) {
	facility, severity, _ := strings.Cut(s, ".")
	f, n := slices.Index(facilities[:], facility), slices.Index(severities[:], severity)
	return Priority(f*8 + n), f >= 0 && n >= 0
}
