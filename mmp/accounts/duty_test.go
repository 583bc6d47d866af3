package accounts

import (
	"strings"
	"testing"
	"time"
)

func TestDutyHours(t *testing.T) {
	// 5 October 2026 is a Monday.
	at := func(day time.Weekday, clock string) time.Time {
		c, err := time.Parse("15:04", clock)
		if err != nil {
			t.Fatal(err)
		}
		return time.Date(2026, 10, 4+int(day), c.Hour(), c.Minute(), 59, 0, time.UTC)
	}
	const mo, tu, we, fr, sa, su = time.Monday, time.Tuesday, time.Wednesday, time.Friday, time.Saturday, time.Sunday
	for _, c := range []struct {
		duty  string
		day   time.Weekday
		clock string
		want  bool
	}{
		{"MoTu1200-1400|We1400-1500", mo, "11:59", false},
		{"MoTu1200-1400|We1400-1500", mo, "12:00", true},
		{"MoTu1200-1400|We1400-1500", tu, "13:59", true},
		{"MoTu1200-1400|We1400-1500", tu, "14:00", false},
		{"MoTu1200-1400|We1400-1500", we, "14:30", true},
		{"MoTu1200-1400|We1400-1500", we, "13:00", false},
		{"Wk0900-1700", fr, "09:00", true},
		{"Wk0900-1700", sa, "09:00", false},
		{"moTU1200-1400|WK0900-1000", tu, "13:59", true},
		{"Wd0900-1700", su, "09:00", true},
		{"Wd0900-1700", mo, "09:00", false},
		{"Al0000-2400", su, "23:59", true},
		{"Al0000-0000", su, "23:59", true},
		{"Al0000-0000", mo, "00:00", true},
		{"MoMo0000-2400", mo, "12:00", false},
		{"MoMoMo0000-2400", mo, "12:00", true},
		{"MoWk0000-2400", mo, "12:00", false},
		{"MoWk0000-2400", tu, "12:00", true},
		{"AlWd0000-2400", sa, "12:00", false},
		{"AlWd0000-2400", we, "12:00", true},
		// Past midnight a span belongs to the day it begins.
		{"Fr2200-0600", fr, "21:59", false},
		{"Fr2200-0600", fr, "22:00", true},
		{"Fr2200-0600", sa, "05:59", true},
		{"Fr2200-0600", sa, "06:00", false},
		{"Fr2200-0600", fr, "05:00", false},
		{"Su2200-0600", mo, "01:00", true},
		{"Sa2200-0600", su, "01:00", true},
		// Equal ends are a whole day from the start on.
		{"Mo0800-0800", mo, "07:59", false},
		{"Mo0800-0800", mo, "08:00", true},
		{"Mo0800-0800", tu, "07:59", true},
		{"Mo0800-0800", tu, "08:00", false},
		{"!Wk0900-1700", mo, "12:00", false},
		{"!Wk0900-1700", mo, "18:00", true},
		{"!Wk0900-1700", su, "12:00", true},
		{"!Al0000-2400", we, "12:00", false},
		{"!MoMo0000-2400", mo, "12:00", true},
		{"Mo0100-0200|!Wk0000-2400", mo, "01:30", true},
		{"Mo0100-0200|!Wk0000-2400", mo, "02:30", false},
		{"Mo0100-0200|!Wk0000-2400", sa, "02:30", true},
	} {
		d, err := ParseDuty(c.duty)
		if err != nil {
			t.Errorf("%s: %v", c.duty, err)
			continue
		}
		if got := d.Allows(at(c.day, c.clock)); got != c.want {
			t.Errorf("%s on %s at %s: %t, want %t", c.duty, c.day, c.clock, got, c.want)
		}
	}
}

func TestDutyHoursAreReadInTheZoneOfTheTime(t *testing.T) {
	d, err := ParseDuty("Mo0000-0100")
	if err != nil {
		t.Fatal(err)
	}
	// Sunday 23:30 in London is Monday 00:30 in Oslo.
	when := time.Date(2026, 12, 6, 23, 30, 0, 0, time.UTC)
	if d.Allows(when) || !d.Allows(when.In(time.FixedZone("CET", 3600))) {
		t.Error("want off duty in UTC and on duty an hour further east")
	}
}

func TestWrongDutyHoursNameThePartThatIsWrong(t *testing.T) {
	for _, c := range []struct{ duty, part string }{
		{"", "empty"},
		{"0900-1700", `"0900-1700" does not begin with a day`},
		{"Mo0900-1700|xx0900-1700", `"xx0900-1700" does not begin with a day`},
		{"Mo", "no time span"},
		{"Mo0900", "no time span"},
		{"Mo900-1700", `"900"`},
		{"Mo0960-1700", `"0960"`},
		{"Mo2500-1700", `"2500"`},
		{"Mo2400-1700", `"2400" is no start`},
		{"Mo0900-2401", `"2401"`},
		{"Mo0900-1700|", "does not begin with a day"},
		{"!!Mo0900-1700", "does not begin with a day"},
		{"Mo0900-1700 ", `"1700 "`},
		{"Mo+900-1700", `"+900"`},
		{strings.Repeat("Mo", 200), "longer than"},
	} {
		_, err := ParseDuty(c.duty)
		if err == nil || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%q: %v, want an error with %q", c.duty, err, c.part)
		}
	}
}

func FuzzParseDuty(f *testing.F) {
	for _, s := range []string{"MoTu1200-1400|We1400-1500", "!Al2200-0600", "MoMo0000-2400", "Wk", "|"} {
		f.Add(s, int64(1_790_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		d, err := ParseDuty(text)
		if err != nil {
			return
		}
		when := time.Unix(unix%(1<<40), 0).UTC()
		negated, err := ParseDuty("!" + text)
		if err == nil && len(d.rules) == 1 && !d.rules[0].negated && d.Allows(when) == negated.Allows(when) {
			t.Errorf("%q and its negation agree at %s", text, when)
		}
		if d.String() != text {
			t.Errorf("%q reads back as %q", text, d)
		}
	})
}
