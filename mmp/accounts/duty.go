package accounts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duty is when an account may be used: any of its rules holds. The zero value is never.
//
// The text is rules joined by "|", for example "MoTu1200-1400|We1400-1500". A rule is days and a time span:
//
//   - Days are Mo Tu We Th Fr Sa Su, Wk (Monday to Friday), Wd (the weekend) and Al (all), one after the other. A day
//     that is there twice is taken out again: MoMo is no day, MoWk is Tuesday to Friday.
//   - The span is HHMM-HHMM, from the first minute up to but without the second. An end that is not later than the start
//     is on the following day; 0000-2400 and 0000-0000 are the whole day.
//   - A leading ! turns a rule around: at any other time.
type Duty struct {
	text  string
	rules []dutyRule
}

type dutyRule struct {
	negated bool
	// days has bit 1<<time.Weekday set for each day.
	days uint8
	// start and end in minutes of the day; end may be 1440.
	start, end int
}

// maxDuty is the longest text in bytes: a rule for each day and room to spare.
const maxDuty = 256

var dutyDays = []struct {
	name string
	bits uint8
}{
	{"Mo", 1 << time.Monday},
	{"Tu", 1 << time.Tuesday},
	{"We", 1 << time.Wednesday},
	{"Th", 1 << time.Thursday},
	{"Fr", 1 << time.Friday},
	{"Sa", 1 << time.Saturday},
	{"Su", 1 << time.Sunday},
	{"Wk", 1<<time.Monday | 1<<time.Tuesday | 1<<time.Wednesday | 1<<time.Thursday | 1<<time.Friday},
	{"Wd", 1<<time.Saturday | 1<<time.Sunday},
	{"Al", 1<<7 - 1},
}

// ParseDuty reads duty hours. Its error names the part that is wrong.
func ParseDuty(text string) (Duty, error) {
	if text == "" {
		return Duty{}, errors.New("duty hours are empty; for example Wk0900-1700")
	}
	if len(text) > maxDuty {
		return Duty{}, fmt.Errorf("duty hours are longer than %d characters", maxDuty)
	}
	d := Duty{text: text}
	for part := range strings.SplitSeq(text, "|") {
		r, err := parseDutyRule(part)
		if err != nil {
			return Duty{}, err
		}
		d.rules = append(d.rules, r)
	}
	return d, nil
}

func parseDutyRule(part string) (dutyRule, error) {
	var r dutyRule
	rest, negated := strings.CutPrefix(part, "!")
	r.negated = negated
	found := false
days:
	for {
		for _, d := range dutyDays {
			if len(rest) >= len(d.name) && strings.EqualFold(rest[:len(d.name)], d.name) {
				r.days ^= d.bits
				rest, found = rest[len(d.name):], true
				continue days
			}
		}
		break
	}
	if !found {
		return r, fmt.Errorf("%q does not begin with a day: Mo, Tu, We, Th, Fr, Sa, Su, Wk, Wd or Al", part)
	}
	from, to, ok := strings.Cut(rest, "-")
	if !ok {
		return r, fmt.Errorf("%q has no time span such as 0900-1700 after the days", part)
	}
	var err error
	if r.start, err = parseDutyTime(from); err != nil {
		return r, err
	}
	if r.start == 24*60 {
		return r, fmt.Errorf("%q is no start: the day begins at 0000", from)
	}
	if r.end, err = parseDutyTime(to); err != nil {
		return r, err
	}
	return r, nil
}

// parseDutyTime returns minutes since midnight; 2400 is the end of the day.
func parseDutyTime(s string) (int, error) {
	bad := fmt.Errorf("%q is not a time from 0000 to 2400", s)
	if len(s) != 4 || strings.Trim(s, "0123456789") != "" {
		return 0, bad
	}
	hours, _ := strconv.Atoi(s[:2])
	minutes, _ := strconv.Atoi(s[2:])
	if hours > 24 || minutes > 59 || hours == 24 && minutes > 0 {
		return 0, bad
	}
	return hours*60 + minutes, nil
}

// String returns the text that was parsed.
func (d Duty) String() string { return d.text }

// Allows reports whether t, in its own time zone, is within the duty hours.
func (d Duty) Allows(t time.Time) bool {
	for _, r := range d.rules {
		if r.covers(t.Weekday(), t.Hour()*60+t.Minute()) != r.negated {
			return true
		}
	}
	return false
}

// covers tells whether the span of a day in days holds the minute. A span past midnight belongs to the day it begins.
func (r dutyRule) covers(day time.Weekday, minute int) bool {
	on := func(d time.Weekday) bool { return r.days&(1<<d) != 0 }
	if r.start < r.end {
		return on(day) && minute >= r.start && minute < r.end
	}
	yesterday := (day + 6) % 7
	return on(day) && minute >= r.start || on(yesterday) && minute < r.end
}
