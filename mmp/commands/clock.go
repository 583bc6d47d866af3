package commands

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

// zoneNames are the names of the time zone database that is compiled in, which has no list of them. A test compares
// it with the one of the Go toolchain and writes it anew when asked to.
//
//go:embed zones.txt
var zoneNames string

// errNotOne is for a Check whose Kind.Help says it all.
var errNotOne = errors.New("")

const clockLayout = "2006-01-02 15:04:05"

func (d Deps) clockKinds() []grammar.Kind {
	layout := func(name, layout, help string) grammar.Kind {
		return grammar.Kind{Name: name, Help: help, Check: func(word string) error {
			if t, err := time.Parse(layout, word); err != nil || t.Format(layout) != word {
				return errNotOne
			}
			return nil
		}}
	}
	return []grammar.Kind{
		layout("date", "2006-01-02", "a date YYYY-MM-DD, for example 2026-05-04"),
		layout("time", "15:04", "a time of day HH:MM, for example 09:30"),
		{
			Name: "zone", Help: "a time zone of the IANA database, for example Europe/London; timezone list shows all",
			Check: func(word string) error {
				if config.ValidateTimezone(word) != nil {
					return errNotOne
				}
				return nil
			},
			Spell:    grammar.Spelling(strings.Fields(zoneNames)...),
			Complete: func(*grammar.Caller) []string { return strings.Fields(zoneNames) },
		},
		addressKind,
	}
}

func (d Deps) clockCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "date", Roles: readers,
			Help: "Show the date and time, UTC and local",
			Run:  d.showClock,
		},
		{
			Syntax: "date set <date> <time>", Roles: admins,
			Help:   "Set the local date and time",
			Detail: "For machines without an NTP server: where there is one, it sets the clock again within a minute.",
			Run:    d.setClock,
		},
		{
			Syntax: "timezone", Roles: readers,
			Help: "Show the time zone",
			Run: func(c *grammar.Call) error {
				running, err := d.Machine.Config(c.Context)
				if err == nil {
					c.Printf("%s\n", running.Document.Timezone)
				}
				return err
			},
		},
		{
			Syntax: "timezone list", Roles: readers,
			Help: "List the time zones",
			Run: func(c *grammar.Call) error {
				c.Printf("%s", zoneNames)
				return nil
			},
		},
		{
			Syntax: "timezone <zone>", Roles: admins, Joins: true, Needs: "reboot",
			Help: "Set the time zone",
			Run: func(c *grammar.Call) error {
				return d.change(c, func(doc *config.Document) error {
					doc.Timezone = c.Arg("zone")
					return nil
				})
			},
		},
	}
}

func (d Deps) showClock(c *grammar.Call) error {
	now, err := d.Machine.Clock(c.Context)
	if err != nil {
		return err
	}
	c.Printf("UTC   : %s\n", now.UTC().Format(clockLayout))
	c.Printf("Local : %s\n", now.In(d.Location).Format(clockLayout+" MST -07:00"))
	return nil
}

func (d Deps) setClock(c *grammar.Call) error {
	const layout = "2006-01-02 15:04"
	text := c.Arg("date") + " " + c.Arg("time")
	t, err := time.ParseInLocation(layout, text, d.Location)
	if err != nil {
		return err
	}
	if t.Format(layout) != text {
		return fmt.Errorf("%s does not exist in this time zone: clocks are put forward over it", text)
	}
	// Certificates and licences are judged by the clock: a typing mistake in the year must not get through.
	if y := t.Year(); y < 2020 || y > 2099 {
		return fmt.Errorf("the year %d cannot be right: use 2020 to 2099", y)
	}
	if err := d.Machine.SetClock(c.Context, t); err != nil {
		return err
	}
	var kept control.TimeStatus
	if err := control.ReadStatus(d.status(), control.TimeStatusFile, &kept); err == nil && len(kept.Servers) > 0 {
		c.Printf("Note: the clock is kept by NTP servers, which set it again: see ntp status\n")
	}
	return d.showClock(c)
}
