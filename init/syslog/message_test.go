package syslog

import (
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestLinesBecomeMessagesOfRFC5424(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 5, 0, time.UTC)
	for _, c := range []struct{ line, want string }{
		{"Feb 23 09:02:21.588 user.info cms01 host:server: INFO : call 7", "<14>1 2026-02-23T09:02:21.588Z cms01 host:server - - - INFO : call 7"},
		{"Feb  3 09:02:21.588 local0.info cms01 cli: User admin from 10.1.1.1:63290 issued command < version>: permission granted",
			"<134>1 2026-02-03T09:02:21.588Z cms01 cli - - - User admin from 10.1.1.1:63290 issued command < version>: permission granted"},
		{"Dec 31 23:59:59.999 daemon.err cms01 postgres[123]: gone", "<27>1 2025-12-31T23:59:59.999Z cms01 postgres 123 - - gone"},
		// The clock was set back by less than a day.
		{"Mar  1 10:00:00.000 kern.warning cms01 kernel: x", "<4>1 2026-03-01T10:00:00.000Z cms01 kernel - - - x"},
		{"Feb 29 10:00:00.000 user.info cms01 a: leap", "<14>1 2024-02-29T10:00:00.000Z cms01 a - - - leap"},
		{"Feb 23 09:02:21.588 user.info cms01 a:", "<14>1 2026-02-23T09:02:21.588Z cms01 a - - - "},
		{"torn", "<14>1 2026-03-01T00:00:05.000Z - - - - - torn"},
		{"", "<14>1 2026-03-01T00:00:05.000Z - - - - - "},
	} {
		if got := Message(c.line, now); got != c.want {
			t.Errorf("%q: want\n%q\ngot\n%q", c.line, c.want, got)
		}
	}
	if got := Frame("<14>1 ä"); got != "8 <14>1 ä" {
		t.Errorf("want the length in octets, got %q", got)
	}
	if got := Message("Feb 23 09:02:21.588 user.info cms01 a: "+strings.Repeat("ä", 8000), now); len(got) > maxMessage || len(got) < maxMessage-1 || !utf8.ValidString(got) {
		t.Errorf("want %d octets and whole characters, got %d", maxMessage, len(got))
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{"Feb 23 09:02:21.588 user.info cms01 a[1]: b", "Feb 29 09:02:21.588 user.info h t: ", "\x00", "Feb 23 09:02:21.588 x.y z: a", "Jan  1 00:00:00.000 kern.emerg \xff a[[]]: \n"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 1, 0, 0, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, line string) {
		m := Message(line, now)
		if len(m) > maxMessage || strings.ContainsAny(m, "\n\r\x00") || !utf8.ValidString(m) {
			t.Fatalf("%q: got %q", line, m)
		}
		words := strings.SplitN(m, " ", 8)
		if len(words) != 8 || !strings.HasSuffix(words[0], ">1") || words[5] != "-" || words[6] != "-" {
			t.Fatalf("%q: the head is not that of a message: %q", line, m)
		}
		if at, err := time.Parse(timestamp, words[1]); err != nil || at.After(now.Add(25*time.Hour)) {
			t.Fatalf("%q: time %q: %v", line, words[1], err)
		}
		if p, err := strconv.Atoi(strings.TrimSuffix(words[0], ">1")[1:]); err != nil || p < 0 || p > 191 {
			t.Fatalf("%q: priority %q", line, words[0])
		}
	})
}
