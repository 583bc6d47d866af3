package commands

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

func (d Deps) healthCommands() []grammar.Command {
	return []grammar.Command{{
		Syntax: "health", Roles: readers,
		Help: "Show alarms, services, memory, start-up and the last crash",
		Run: func(c *grammar.Call) error {
			h, err := d.Machine.Health(c.Context)
			if err != nil {
				return err
			}
			if d.Accounts != nil && d.Accounts.Alarm() != "" {
				h.Alarms = append(h.Alarms, control.Alarm{ID: "accounts", Text: d.Accounts.Alarm(), Since: time.Now()})
			}
			d.showHealth(c, h)
			return nil
		},
	}}
}

func (d Deps) showHealth(c *grammar.Call, h control.Health) {
	line := func(name, format string, a ...any) { c.Printf("%-9s : %s\n", name, fmt.Sprintf(format, a...)) }
	switch len(h.Alarms) {
	case 0:
		line("Status", "ok")
	case 1:
		line("Status", "1 alarm")
	default:
		line("Status", "%d alarms", len(h.Alarms))
	}
	line("Uptime", "%s", elapsed(h.Uptime))
	line("Memory", "%s available of %s", size(h.Memory.Available), size(h.Memory.Total))
	line("System", "%s resident", size(h.Memory.InitRSS))
	for _, m := range h.Media {
		line("Media", "module %d, %d of %d workers ready", m.Number, m.Ready, m.Workers)
	}
	if len(h.Alarms) > 0 {
		c.Printf("Alarms:\n")
		var rows [][]string
		for _, a := range h.Alarms {
			rows = append(rows, []string{a.Since.In(d.Location).Format(clockLayout), a.ID, printable(a.Text)})
		}
		table(c, "    ", rows)
	}
	c.Printf("Services:\n")
	rows := [][]string{{"NAME", "STATE", "PID", "RESTARTS", "UPTIME", "LAST EXIT"}}
	for _, s := range h.Services {
		pid := "-"
		if s.PID != 0 {
			pid = strconv.Itoa(s.PID)
		}
		rows = append(rows, []string{s.Name, s.State, pid, strconv.Itoa(s.Restarts), elapsed(s.Uptime), printable(s.LastExit)})
	}
	table(c, "    ", rows)
	c.Printf("Start-up:\n")
	rows = nil
	for _, s := range h.Startup {
		rows = append(rows, []string{s.Name, fmt.Sprintf("%d ms", s.Duration.Milliseconds()), printable(s.Error)})
	}
	table(c, "    ", rows)
	if h.LastCrash == "" {
		line("Crash", "none")
		return
	}
	line("Crash", "found at %s", h.LastCrashAt.In(d.Location).Format(clockLayout))
	for text := range strings.Lines(h.LastCrash) {
		c.Printf("    %s\n", printable(text))
	}
}

// elapsed prints a duration as days and a clock.
func elapsed(t time.Duration) string {
	s := int64(t / time.Second)
	clock := fmt.Sprintf("%02d:%02d:%02d", s/3600%24, s/60%60, s%60)
	if days := s / 86400; days > 0 {
		return fmt.Sprintf("%dd %s", days, clock)
	}
	return clock
}
