package commands

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

func dscpKinds() []grammar.Kind {
	return []grammar.Kind{
		{
			Name: "traffic", Help: "a traffic type: " + strings.Join(config.TrafficTypes, ", "),
			Check: func(word string) error {
				if !slices.Contains(config.TrafficTypes, word) {
					return errNotOne
				}
				return nil
			},
			Spell:    grammar.Spelling(config.TrafficTypes...),
			Complete: func(*grammar.Caller) []string { return config.TrafficTypes },
		},
		{
			Name: "dscp", Help: "a DSCP value from 0 to 63, or from 0x0 to 0x3f",
			Check: func(word string) error {
				_, err := parseDSCP(word)
				return err
			},
		},
	}
}

// parseDSCP reads decimal and hexadecimal. A zero in front does not make a number octal.
func parseDSCP(word string) (int, error) {
	digits, base := word, 10
	if rest, ok := strings.CutPrefix(strings.ToLower(word), "0x"); ok {
		digits, base = rest, 16
	}
	// ParseUint takes no sign, and with a base other than 0 no underscores.
	n, err := strconv.ParseUint(digits, base, 8)
	if err != nil {
		return 0, errNotOne
	}
	if n > config.MaxDSCP {
		return 0, errors.New("a value has six bits")
	}
	return int(n), nil
}

// dscpCommands mark what this machine sends (guide chapter 15.7).
func (d Deps) dscpCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "dscp", Roles: readers,
			Help: "Show how packets that this machine sends are marked",
			Run:  d.showDSCP,
		},
		{
			Syntax: "dscp (4|6) <traffic> (<value:dscp>|none)", Roles: admins, Joins: true,
			Help: "Mark a type of traffic of IPv4 or IPv6, or mark it no more",
			Detail: "For example dscp 4 oa&m 0x22. It takes effect at once. signaling is SIP and BFCP; oa&m is SSH, web, DNS, NTP, LDAP, syslog and SNMP; voice is the sound of calls, " +
				"multimedia their pictures and what TURN relays, multimedia-streaming what goes to recorders and streamers, low-latency the control of cameras.",
			Run: d.setDSCP,
		},
		{
			Syntax: "dscp assured (true|false)", Roles: admins, Joins: true,
			Help:   "Mark voice and multimedia by the values of assured-voice and assured-multimedia, or by their own",
			Detail: "It takes effect at once.",
			Run: func(c *grammar.Call) error {
				return d.change(c, func(doc *config.Document) error {
					doc.DSCP.Assured = c.Has("true")
					return nil
				})
			},
		},
	}
}

func (d Deps) setDSCP(c *grammar.Call) error {
	value := 0
	if c.Has("value") {
		var err error
		if value, err = parseDSCP(c.Arg("value")); err != nil {
			return err
		}
	}
	return d.change(c, func(doc *config.Document) error {
		values := &doc.DSCP.IPv4
		if c.Has("6") {
			values = &doc.DSCP.IPv6
		}
		if c.Has("none") {
			delete(*values, c.Arg("traffic"))
			return nil
		}
		if *values == nil {
			*values = map[string]int{}
		}
		(*values)[c.Arg("traffic")] = value
		return nil
	})
}

func (d Deps) showDSCP(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	marks := running.Document.DSCP
	cell := func(values map[string]int, kind string) string {
		if v, ok := values[kind]; ok {
			return fmt.Sprintf("0x%x", v)
		}
		return "none"
	}
	rows := [][]string{{"TYPE", "IPV4", "IPV6"}}
	for _, kind := range config.TrafficTypes {
		rows = append(rows, []string{kind, cell(marks.IPv4, kind), cell(marks.IPv6, kind)})
	}
	table(c, "", rows)
	c.Printf("Assured : %t\n", marks.Assured)
	return nil
}
