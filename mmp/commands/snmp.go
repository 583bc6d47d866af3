package commands

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/snmp/usm"
	"rotunda/mmp/grammar"
)

// snmpCommands say who may ask this machine by SNMP, and who is told what happens.
func (d Deps) snmpCommands() []grammar.Command {
	var auths, privacies []string
	for _, a := range usm.Auths {
		auths = append(auths, a.Name)
	}
	for _, p := range usm.Privacies {
		privacies = append(privacies, p.Name)
	}
	ways := "<auth:(" + strings.Join(auths, "|") + ")> <privacy:(" + strings.Join(privacies, "|") + ")>"
	return []grammar.Command{
		{
			Syntax: "snmp", Roles: readers,
			Help:   "Show who may ask by SNMP, and who is told",
			Detail: "Communities are shown to administrators alone. SENT and LOST count since the agent was started.",
			Run:    d.showSNMP,
		},
		{
			Syntax: "snmp (enable|disable)", Roles: admins, Joins: true,
			Help:   "Answer SNMP, or do not",
			Detail: "UDP port 161 of every interface is answered, for the communities and users that there are; firewall commands say from where it can be reached. Nothing can be set by SNMP. Receivers of traps are told all the same.",
			Run: func(c *grammar.Call) error {
				without := false
				err := d.changeSNMP(c, func(s *config.SNMP) error {
					s.Enabled = c.Has("enable")
					without = s.Enabled && len(s.Communities)+len(s.Users) == 0
					return nil
				})
				if err == nil && without {
					c.Printf("Warning: nobody may ask yet: use snmp community add or snmp user add\n")
				}
				return err
			},
		},
		{
			Syntax: "snmp community add <name:snmpsecret> [<from:snmpfrom>]", Roles: admins, Joins: true,
			Help:   "Let those in who know a community, by SNMPv2c",
			Detail: "For example snmp community add watchers 192.0.2.0/24. Without a network or an address everybody who knows the name may ask; the name goes over the network as it is. The same name may be added for several networks.",
			Run: func(c *grammar.Call) error {
				one := config.SNMPCommunity{Name: c.Arg("name"), From: snmpFrom(c.Arg("from"))}
				return d.changeSNMP(c, func(s *config.SNMP) error {
					if slices.Contains(s.Communities, one) {
						return isThere("this community is let in already")
					}
					s.Communities = append(s.Communities, one)
					return nil
				})
			},
		},
		{
			Syntax: "snmp community del <name:snmpcommunity> [<from:snmpfrom>]", Roles: admins, Joins: true,
			Help:   "Let them in no more",
			Detail: "Without a network the community is removed for all of them.",
			Run: func(c *grammar.Call) error {
				return d.changeSNMP(c, func(s *config.SNMP) error {
					left := slices.DeleteFunc(slices.Clone(s.Communities), func(o config.SNMPCommunity) bool {
						return o.Name == c.Arg("name") && (!c.Has("from") || o.From == snmpFrom(c.Arg("from")))
					})
					if len(left) == len(s.Communities) {
						return fmt.Errorf("there is no such community; there are %s", listOf(s.Communities, func(o config.SNMPCommunity) string { return o.Name + " from " + communityFrom(o) }))
					}
					s.Communities = left
					return nil
				})
			},
		},
		{
			Syntax: "snmp user add <name:snmpname> <password:secret> " + ways, Roles: admins,
			Help: "Let a user in, by SNMPv3",
			Detail: "Messages of users are always signed and encrypted, both by the one password of 8 to 128 characters, of which only a key for this machine is kept. " +
				"SHA256 with AES is good where the monitoring system has it, SHA with AES where it has not.",
			Run: func(c *grammar.Call) error { return d.addSNMPUser(c, c.Arg("password")) },
		},
		{
			Syntax: "snmp user add <name:snmpname> " + ways, Roles: admins,
			Help:   "Do the same, and ask for the password",
			Detail: "A password that is asked for is not seen by who looks at the screen.",
			Run: func(c *grammar.Call) error {
				password, err := newPassword(c)
				if err != nil {
					return err
				}
				return d.addSNMPUser(c, password)
			},
		},
		{
			Syntax: "snmp user del <name:snmpuser>", Roles: admins, Joins: true,
			Help: "Let a user in no more",
			Run: func(c *grammar.Call) error {
				return d.changeSNMP(c, func(s *config.SNMP) error {
					i := slices.IndexFunc(s.Users, func(o config.SNMPUser) bool { return o.Name == c.Arg("name") })
					if i < 0 {
						return fmt.Errorf("there is no SNMP user %s; there are %s", c.Arg("name"), listOf(s.Users, func(o config.SNMPUser) string { return o.Name }))
					}
					s.Users = slices.Delete(s.Users, i, i+1)
					return nil
				})
			},
		},
		{
			Syntax: "snmp trap (enable|disable) <host> [<community:snmpsecret>]", Roles: admins, Joins: true,
			Help: "Tell a host what happens, or no more",
			Detail: "With a community it is told by SNMPv2c, without one by SNMPv3, as the first user that snmp shows. Told are starts, links that come and go, guesses at " +
				"communities and users, alarms and services. snmp trap disable without a community ends all that the host is told, with one what it is told with that, informs as well.",
			Run: func(c *grammar.Call) error { return d.changeTrap(c, c.Has("enable"), false) },
		},
		{
			Syntax: "snmp inform (enable|disable) <host> <community:snmpsecret>", Roles: admins, Joins: true,
			Help:   "Tell a host what happens, and repeat it until it says that it has heard",
			Detail: "By SNMPv2c; each is sent up to three times, with five seconds between. With one community a host is told by traps or by informs.",
			Run:    func(c *grammar.Call) error { return d.changeTrap(c, c.Has("enable"), true) },
		},
	}
}

// snmpFrom is a network as typed, or an address; both have been checked.
func snmpFrom(text string) netip.Prefix {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, _ := netip.ParsePrefix(text)
	return p.Masked()
}

func (d Deps) snmpKinds() []grammar.Kind {
	known := func(of func(config.SNMP) []string) func(*grammar.Caller) []string {
		return func(*grammar.Caller) []string {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			running, err := d.Machine.Config(ctx)
			if err != nil {
				return nil
			}
			return of(running.Document.SNMP)
		}
	}
	check := func(w string) error {
		if config.ValidateSNMPName(w) != nil {
			return errors.New("")
		}
		return nil
	}
	const help = "a name of up to 32 letters, digits and signs"
	return []grammar.Kind{
		{Name: "snmpname", Help: help, Check: check},
		// Whoever knows a community may ask, so it is in no log.
		{Name: "snmpsecret", Help: help, Check: check, Secret: true},
		{Name: "snmpcommunity", Help: help, Check: check, Secret: true, Complete: known(func(s config.SNMP) (names []string) {
			for _, c := range s.Communities {
				names = append(names, c.Name)
			}
			return slices.Compact(names)
		})},
		{Name: "snmpuser", Help: help, Check: check, Complete: known(func(s config.SNMP) (names []string) {
			for _, u := range s.Users {
				names = append(names, u.Name)
			}
			return names
		})},
		{Name: "snmpfrom", Help: "an address, or a network with its prefix length, for example 192.0.2.0/24", Check: func(w string) error {
			if a, err := netip.ParseAddr(w); err == nil && a.Zone() == "" && !a.Is4In6() {
				return nil
			}
			p, err := netip.ParsePrefix(w)
			if err != nil || p.Addr().Is4In6() {
				return errors.New("")
			}
			if p != p.Masked() {
				return fmt.Errorf("the network is %s", p.Masked())
			}
			return nil
		}},
	}
}

func (d Deps) changeSNMP(c *grammar.Call, edit func(*config.SNMP) error) error {
	return d.change(c, func(doc *config.Document) error { return edit(&doc.SNMP) })
}

// engineForm: the enterprise that our objects are below, as RFC 3411 section 5 has it, and random bytes after it.
var engineForm = []byte{0x80, 0x00, 0x1f, 0x88, 0x05}

// addSNMPUser makes the key here: the password goes no further.
func (d Deps) addSNMPUser(c *grammar.Call, password string) error {
	auth, _ := usm.AuthByName(c.Arg("auth"))
	return d.changeSNMP(c, func(s *config.SNMP) error {
		if len(s.Engine) == 0 {
			s.Engine = make([]byte, config.SNMPEngineSize)
			_, _ = rand.Read(s.Engine)
			copy(s.Engine, engineForm)
		}
		key, err := auth.Localize(password, s.Engine)
		if err != nil {
			return err
		}
		one := config.SNMPUser{Name: c.Arg("name"), Auth: auth.Name, Privacy: c.Arg("privacy"), Key: key}
		i := slices.IndexFunc(s.Users, func(o config.SNMPUser) bool { return o.Name == one.Name })
		if i < 0 {
			s.Users = append(s.Users, one)
			return nil
		}
		was := s.Users[i]
		switch {
		case was.Auth != one.Auth || was.Privacy != one.Privacy:
			return fmt.Errorf("there is an SNMP user %s already by %s %s, not %s %s: use snmp user del %[1]s first", one.Name, was.Auth, was.Privacy, one.Auth, one.Privacy)
		case subtle.ConstantTimeCompare(was.Key, one.Key) == 0:
			return fmt.Errorf("there is an SNMP user %s already with another password: use snmp user del %[1]s first", one.Name)
		}
		return isThere("SNMP user %s is there already", one.Name)
	})
}

// changeTrap keeps one row for a host and a community. Disabling traps ends informs too: who wants a host told no more
// does not ask how it was told.
func (d Deps) changeTrap(c *grammar.Call, enable, inform bool) error {
	one := config.SNMPTrap{Host: c.Arg("host"), Community: c.Arg("community"), Inform: inform}
	return d.changeSNMP(c, func(s *config.SNMP) error {
		if enable {
			i := slices.IndexFunc(s.Traps, one.Same)
			switch {
			case i < 0:
				s.Traps = append(s.Traps, one)
			case s.Traps[i].Inform != inform:
				return fmt.Errorf("%s is told by %s with this community, not by %s: use snmp trap disable with it first", one.Host, trapWay(s.Traps[i]), trapWay(one))
			default:
				return isThere("%s is told already by %s", one.Host, trapWay(one))
			}
			return nil
		}
		left := slices.DeleteFunc(slices.Clone(s.Traps), func(t config.SNMPTrap) bool {
			all := !inform && one.Community == ""
			return strings.EqualFold(t.Host, one.Host) && (all || t.Community == one.Community) && (t.Inform || !inform)
		})
		if len(left) == len(s.Traps) {
			return fmt.Errorf("%s is not told that way; there are %s", one.Host, listOf(s.Traps, func(t config.SNMPTrap) string { return t.Host + " by " + trapWay(t) }))
		}
		s.Traps = left
		return nil
	})
}

// communityFrom is from where a community may be used.
func communityFrom(o config.SNMPCommunity) string {
	if !o.From.IsValid() {
		return "anywhere"
	}
	return o.From.String()
}

// trapWay is how somebody is told.
func trapWay(t config.SNMPTrap) string {
	switch {
	case t.Inform:
		return "v2c inform"
	case t.Community == "":
		return "v3 trap"
	}
	return "v2c trap"
}

func (d Deps) showSNMP(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	s := running.Document.SNMP
	state := "disabled"
	if s.Enabled {
		state = "enabled"
	}
	c.Printf("%-12s : %s\n", "SNMP", state)
	if len(s.Engine) > 0 {
		c.Printf("%-12s : %x\n", "Engine ID", s.Engine)
	}
	var known control.SNMPStatus
	if s.Wanted() {
		switch err := control.ReadStatus(d.status(), control.SNMPStatusFile, &known); {
		case err == nil:
			c.Printf("%-12s : %d\n", "Engine boots", known.Boots)
			c.Printf("%-12s : %d, %d refused, %d too many\n", "Requests", known.Requests, known.Refused, known.Limited)
		case !errors.Is(err, fs.ErrNotExist):
			c.Printf("Warning: the state of the agent cannot be read: %s\n", printable(err.Error()))
		}
		if known.Problem != "" {
			c.Printf("%-12s : %s\n", "Problem", printable(known.Problem))
		}
	}
	// A community lets in whoever knows it.
	community := func(name string) string {
		if name == "" || c.Caller.Role == grammar.Admin {
			return dash(name)
		}
		return "(hidden)"
	}
	if len(s.Communities) > 0 {
		rows := [][]string{{"COMMUNITY", "FROM"}}
		for _, one := range s.Communities {
			rows = append(rows, []string{community(one.Name), communityFrom(one)})
		}
		table(c, "", rows)
	}
	if len(s.Users) > 0 {
		rows := [][]string{{"USER", "SIGNED", "ENCRYPTED"}}
		for _, u := range s.Users {
			rows = append(rows, []string{u.Name, u.Auth, u.Privacy})
		}
		table(c, "", rows)
	}
	if len(s.Traps) == 0 {
		return nil
	}
	rows := [][]string{{"TOLD", "BY", "COMMUNITY", "SENT", "LOST"}}
	var problems []string
	for i, t := range s.Traps {
		row := []string{t.Host, trapWay(t), community(t.Community), "-", "-"}
		// The agent has them in the same order, once it has read its settings.
		if i < len(known.Receivers) && known.Receivers[i].Host == t.Host && known.Receivers[i].Inform == t.Inform {
			k := known.Receivers[i]
			row[3], row[4] = fmt.Sprint(k.Sent), fmt.Sprint(k.Lost)
			if k.Problem != "" {
				problems = append(problems, fmt.Sprintf("%s : %s\n", t.Host, printable(k.Problem)))
			}
		}
		rows = append(rows, row)
	}
	table(c, "", rows)
	for _, p := range slices.Compact(problems) {
		c.Printf("%s", p)
	}
	return nil
}
