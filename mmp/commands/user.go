package commands

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rotunda/mmp/accounts"
	"rotunda/mmp/grammar"
)

const (
	// dateLayout is YYYY-Mon-DD, which scripts read from "user list".
	dateLayout = "2006-Jan-02"
	timeLayout = dateLayout + " 15:04:05"
	// noExpiry is the date that stands for none.
	noExpiry = "10000-Dec-31"
)

// userKinds are the arguments of the commands in this file.
func userKinds(store *accounts.Store) []grammar.Kind {
	return []grammar.Kind{
		{
			Name: "user", Help: "the name of a user, see user list",
			Complete: func(caller *grammar.Caller) []string {
				if caller.Role != grammar.Admin {
					return nil
				}
				var names []string
				for _, a := range store.List() {
					names = append(names, a.Name)
				}
				return names
			},
		},
		{
			Name: "allowedhost", Help: "an address, an address with its prefix length, or a host name",
			Check: func(word string) error {
				if accounts.CheckAllowedHost(word) != nil {
					return errNotOne
				}
				return nil
			},
		},
		{
			Name: "duty", Help: "duty hours, for example Wk0900-1700 or MoTu1200-1400|We1400-1500",
			Check: func(word string) error {
				_, err := accounts.ParseDuty(word)
				return err
			},
		},
	}
}

// userCommands are the commands about accounts (guide chapters 4.1 and 15.5).
func userCommands(store *accounts.Store) []grammar.Command {
	list := []grammar.Command{
		{
			Syntax: "user list", Roles: admins,
			Help:   "List the users with role, password expiry and whether they are logged in",
			Detail: "10000-Dec-31 stands for a password that does not expire.",
			Run:    func(c *grammar.Call) error { listUsers(c, store.List()); return nil },
		},
		{
			Syntax: "user info <username:user>", Roles: admins,
			Help: "Show a user's last login, failed logins, password dates, locks, allowed hosts and duty hours",
			Run: func(c *grammar.Call) error {
				info, err := store.Info(c.Arg("username"))
				if err != nil {
					return err
				}
				showUser(c, info)
				return nil
			},
		},
		{
			Syntax: "user add <username> <role:(admin|crypto|audit|appadmin|api)> [ldap]", Roles: admins,
			Help: "Add a user",
			Detail: "Asks for a password twice. The user has to set another one at the first login, except one of role api. " +
				"A user added with ldap has no password here: the directory is asked at each login, see ldap. The API does not take such users.",
			Run: func(c *grammar.Call) error { return addUser(c, store) },
		},
		{
			Syntax: "user del <username:user>", Roles: admins,
			Help:   "Remove a user and end their sessions",
			Detail: "The last user of role admin cannot be removed.",
			Run:    func(c *grammar.Call) error { return store.Delete(c.Arg("username")) },
		},
		{
			Syntax: "user evict <username:user>", Roles: admins,
			Help: "End all sessions of a user",
			Run: func(c *grammar.Call) error {
				n, err := store.Evict(c.Arg("username"))
				if err != nil {
					return err
				}
				c.Printf("Sessions ended: %d\n", n)
				return nil
			},
		},
		{
			Syntax: "user unlock <username:user>", Roles: admins,
			Help: "Lift the locks that too many failed logins or a long absence have set",
			Run:  func(c *grammar.Call) error { return store.Unlock(c.Arg("username")) },
		},
		{
			Syntax: "user expire <username:user>", Roles: admins,
			Help:   "Make a user set a new password at the next login",
			Detail: "Not for users of role api. It overrides user rule min_password_age.",
			Run:    func(c *grammar.Call) error { return store.Expire(c.Arg("username")) },
		},
		{
			Syntax: "user host <username:user> (add|delete) <hostname:allowedhost>", Roles: admins,
			Help: "Change the list of hosts that a user may log in from",
			Detail: "An empty list means every host. The list holds addresses, prefixes and names; a name is resolved at each " +
				"login. The serial console is always allowed.",
			Run: func(c *grammar.Call) error { return changeHosts(c, store) },
		},
		{
			Syntax: "user duty <username:user> (<hours:duty>|none)", Roles: admins,
			Help: "Set the hours in which a user may log in",
			Detail: "Rules joined by |, each of them days and a span HHMM-HHMM in the time zone of this machine. Days are Mo Tu We Th Fr " +
				"Sa Su, Wk for Monday to Friday, Wd for the weekend, Al for all; a day given twice is taken out again. A span that " +
				"ends before it starts runs into the next day. A leading ! turns a rule around. Administrators may always log in on " +
				"the serial console.",
			Run: func(c *grammar.Call) error { return store.SetDuty(c.Arg("username"), c.Arg("hours")) },
		},
		{
			Syntax: "user rule", Roles: admins,
			Help: "List the rules for passwords and logins",
			Run:  func(c *grammar.Call) error { listRules(c, store.Rules()); return nil },
		},
		{
			Syntax: "passwd [<username:user>]",
			Help:   "Set your own password, or as an administrator that of another user",
			Detail: "Asks for your present password when you change your own.",
			Run:    func(c *grammar.Call) error { return changePassword(c, store) },
		},
		{
			Syntax: "recover <username>", Roles: []grammar.Role{accounts.Recovery},
			Help: "Set the password of an administrator, or make a new administrator",
			Detail: "Only in a recovery session: log in on the serial console as recover with password recoverme within four minutes " +
				"after power-on. It also lifts every lock from the account.",
			Run: func(c *grammar.Call) error { return recoverAdmin(c, store) },
		},
	}
	for _, rule := range accounts.RuleTable {
		list = append(list, ruleCommand(rule, store))
	}
	return list
}

// ruleCommand is one form of "user rule" for each rule, so that the parser knows its bounds and help its meaning.
func ruleCommand(rule accounts.Rule, store *accounts.Store) grammar.Command {
	command := grammar.Command{Roles: admins, Help: rule.Help}
	if rule.Kind == accounts.Flag {
		command.Syntax = fmt.Sprintf("user rule %s (true|false|none)", rule.Name)
	} else {
		command.Syntax = fmt.Sprintf("user rule %s (<n:1..%d>|none)", rule.Name, rule.Max)
	}
	command.Run = func(c *grammar.Call) error {
		value := c.Int("n")
		if c.Has("true") {
			value = 1
		}
		return store.SetRule(rule.Name, value)
	}
	return command
}

func listUsers(c *grammar.Call, users []accounts.Info) {
	rows := [][]string{{"USERNAME", "ROLE", "PASSWORD EXPIRY", "LOGGED IN"}}
	for _, u := range users {
		rows = append(rows, []string{u.Name, string(u.Role), expiry(u), yesNo(u.LoggedIn)})
	}
	table(c, "", rows)
}

func expiry(u accounts.Info) string {
	if u.PasswordExpires.IsZero() {
		return noExpiry
	}
	return u.PasswordExpires.Format(dateLayout)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func showUser(c *grammar.Call, u accounts.Info) {
	row := func(name, value string) { c.Printf("%-22s : %s\n", name, value) }
	moment := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return t.Format(timeLayout)
	}
	row("Username", u.Name)
	row("Role", string(u.Role))
	if u.LDAP {
		row("Authentication", "LDAP")
	}
	row("Logged in", yesNo(u.LoggedIn))
	row("Last login", moment(u.LastLogin))
	row("Failed logins", strconv.Itoa(u.FailedLogins))
	if !u.LDAP {
		row("Last password change", moment(u.PasswordChanged))
		row("Password expiry", expiry(u))
		row("Must change password", yesNo(u.MustChange))
	}
	switch {
	case u.Idle:
		row("Locked", "yes, not used for longer than user rule max_idle")
	case len(u.Locks) == 0:
		row("Locked", "no")
	default:
		name := "Locked"
		for _, l := range u.Locks {
			row(name, fmt.Sprintf("yes, for logins from %s until %s", l.Source, moment(l.Until)))
			name = ""
		}
	}
	row("Allowed hosts", orAny(strings.Join(u.Hosts, ", ")))
	row("Duty hours", orAny(u.Duty))
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}

func listRules(c *grammar.Call, rules accounts.Rules) {
	for _, rule := range accounts.RuleTable {
		c.Printf("%-22s : %s\n", rule.Name, rules.Text(rule))
	}
}

// newPassword asks twice.
func newPassword(c *grammar.Call) (string, error) {
	first, err := c.AskSecret("Please enter new password: ")
	if err != nil {
		return "", err
	}
	second, err := c.AskSecret("Please enter new password again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords are not the same, nothing was changed")
	}
	return first, nil
}

func addUser(c *grammar.Call, store *accounts.Store) error {
	name, role := c.Arg("username"), grammar.Role(c.Arg("role"))
	if c.Has("ldap") {
		return mayBeThere(c, addLDAPUser(c, store, name, role))
	}
	if err := store.CheckNewUser(name, role); err != nil {
		return err
	}
	password, err := newPassword(c)
	if err != nil {
		return err
	}
	if err := store.Add(c.Context, name, role, password); err != nil {
		return err
	}
	c.Printf("Success\n")
	if store.HasKeys(name) {
		c.Printf("Note: whoever has a key of %s.pub, which is already stored, can log in as %[1]s; remove it by SFTP if it is not theirs\n", name)
	}
	return nil
}

func addLDAPUser(c *grammar.Call, store *accounts.Store, name string, role grammar.Role) error {
	if was, err := store.Info(name); err == nil && was.LDAP && was.Role == role {
		return isThere("user %s is there already with role %s, of the directory", name, role)
	}
	if err := store.AddLDAP(name, role); err != nil {
		return err
	}
	c.Printf("Success\n")
	if role == grammar.API {
		c.Printf("Note: the API does not take LDAP users, and role api opens nothing else: this user can log in nowhere\n")
	} else {
		c.Printf("Note: ldap test %s tries whether the directory knows this user\n", name)
	}
	return nil
}

func changePassword(c *grammar.Call, store *accounts.Store) error {
	user := c.Caller.User
	if c.Has("username") {
		user = c.Arg("username")
	}
	if user != c.Caller.User {
		if c.Caller.Role != grammar.Admin {
			return errors.New("only an administrator may set the password of another user")
		}
		if _, err := store.Info(user); err != nil {
			return err
		}
		password, err := newPassword(c)
		if err != nil {
			return err
		}
		if err := store.ResetPassword(c.Context, user, password); err != nil {
			return err
		}
		c.Printf("Success\n")
		return nil
	}
	if _, err := store.Info(user); err != nil {
		return err
	}
	current, err := c.AskSecret("Please enter password: ")
	if err != nil {
		return err
	}
	password, err := newPassword(c)
	if err != nil {
		return err
	}
	if err := store.ChangePassword(c.Context, user, current, password); err != nil {
		return err
	}
	c.Printf("Success\n")
	return nil
}

func changeHosts(c *grammar.Call, store *accounts.Store) error {
	user, host := c.Arg("username"), c.Arg("hostname")
	change := store.RemoveHost
	if c.Has("add") {
		if info, err := store.Info(user); err == nil && slices.ContainsFunc(info.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			return mayBeThere(c, isThere("user %s may log in from %s already", user, host))
		}
		change = store.AllowHost
	}
	if err := change(user, host); err != nil {
		return err
	}
	if user != c.Caller.User {
		return nil
	}
	if info, err := store.Info(user); err == nil && !info.AllowsHost(c.Caller.Source) {
		c.Printf("Note: you come from %s, which the addresses in your list do not cover; the serial console is always "+
			"allowed\n", c.Caller.Source)
	}
	return nil
}

func recoverAdmin(c *grammar.Call, store *accounts.Store) error {
	password, err := newPassword(c)
	if err != nil {
		return err
	}
	if err := store.Recover(c.Context, c.Arg("username"), password); err != nil {
		return err
	}
	c.Printf("Success\n")
	return nil
}
