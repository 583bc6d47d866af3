package commands

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rotunda/mmp/grammar"
)

// again is what there is to say twice about a command that adds, and about the one that removes the same.
type again struct {
	// forms are the declarations that the row is about.
	forms []string
	// before are lines that have to be there first, such as a user.
	before []string
	add    string
	// same says the same in other words, if there are any.
	same string
	// other contradicts: the same key with another value, which the error names beside the one that is there.
	other      string
	otherNames []string
	del        string
	// gone is what the error names when there is nothing left to remove, or another is there.
	gone string
	// typed answers the questions of add.
	typed []string
}

var againTable = []again{
	{forms: []string{"ipv4 <interface> add <address:ipv4prefix> [<gateway:ipv4>]", "ipv4 <interface> del"},
		// An interface has one address: another one takes its place, as runbooks have it.
		add: "ipv4 b add 10.9.0.2/24 10.9.0.1", del: "ipv4 b del", gone: "interface b has no static IPv4 address"},
	{forms: []string{"ipv4 <interface> route (add|del) <route:ipv4prefix>"},
		before: []string{"ipv4 a route add 198.51.100.0/24"},
		add:    "ipv4 a route add 203.0.113.0/24", del: "ipv4 a route del 203.0.113.0/24", gone: "it has 198.51.100.0/24"},
	{forms: []string{"ipv6 <interface> add <address:ipv6prefix>", "ipv6 <interface> del <address:ipv6address>"},
		before: []string{"ipv6 a add 2001:db8:1::10/64"},
		add:    "ipv6 a add 2001:db8::10/64", same: "ipv6 a add 2001:DB8:0::10/64", other: "ipv6 a add 2001:db8::10/48", otherNames: []string{"2001:db8::10/64", "2001:db8::10/48"},
		del: "ipv6 a del 2001:db8::10", gone: "it has 2001:db8:1::10/64"},
	{forms: []string{"ipv6 <interface> router (add|del) <router:ipv6>"},
		before: []string{"ipv6 a router add fe80::2"},
		add:    "ipv6 a router add fe80::1", del: "ipv6 a router del fe80::1", gone: "it has fe80::2"},
	{forms: []string{"dns [(mmp|app)] add forwardzone <domain:zonename> <server:address>", "dns [(mmp|app)] del forwardzone <domain:zonename> <server:address>"},
		before: []string{"dns add forwardzone example.com 10.1.1.2"},
		add:    "dns add forwardzone example.com 10.1.1.1", same: "dns app add forwardzone EXAMPLE.com. 10.1.1.1", del: "dns del forwardzone example.com 10.1.1.1", gone: "it has 10.1.1.2"},
	{forms: []string{"dns [(mmp|app)] add rr <record:text>…", "dns [(mmp|app)] del rr <owner:dnsname> <type:(A|AAAA|SRV|CNAME|NAPTR|TXT|PTR|MX)>"},
		before: []string{`dns add rr "other.example.com. 60 IN AAAA 2001:db8::1"`},
		add:    `dns add rr "host.example.com. 60 IN A 10.1.1.1"`, same: "dns app add rr HOST.example.com. 60 IN A 10.1.1.1",
		other: `dns add rr "host.example.com. 90 IN A 10.1.1.1"`, otherNames: []string{"host.example.com. 60 IN A", "host.example.com. 90 IN A"},
		del: "dns del rr host.example.com. A", gone: "other.example.com. AAAA"},
	{forms: []string{"dns [(mmp|app)] (add|del) trustanchor <record:text>…"},
		before: []string{"dns add trustanchor " + strings.Replace(anchor, "example.com", "example.org", 1)},
		add:    "dns add trustanchor " + anchor, same: "dns add trustanchor " + strings.ToLower(anchor), del: "dns del trustanchor " + anchor, gone: "example.org. DS 31589"},
	{forms: []string{"ntp server add <host> [<key:1..65535>]", "ntp server del <host>"},
		before: []string{"ntp server add 192.0.2.1", "ntp groupkey ntp.keys"},
		add:    "ntp server add ntp1.example.com 7", same: "ntp server add NTP1.example.com 7",
		other: "ntp server add ntp1.example.com", otherNames: []string{"key 7", "without a key"}, del: "ntp server del ntp1.example.com", gone: "there are 192.0.2.1"},
	{forms: []string{"firewall <interface> (allow|deny) <port:service> [from <sender>]", "firewall <interface> delete <tag:0..>"},
		before: []string{"firewall a allow 80"},
		add:    "firewall a allow 22", same: "firewall a allow ssh", other: "firewall a deny 22", otherNames: []string{"rule 1, allow 22", "drop 22"}, del: "firewall a delete 1", gone: "it has 0"},
	{forms: []string{"syslog server add <host:syslogserver> [<port>]", "syslog server del <host:logserver> [<port>]"},
		before: []string{"syslog server add 192.0.2.1"},
		add:    "syslog server add log1.example.com", same: "syslog server add LOG1.example.com 514", del: "syslog server del log1.example.com", gone: "there are 192.0.2.1"},
	{forms: []string{"syslog audit add <servername:syslogserver> [<port>]", "syslog audit del <servername:auditserver> [<port>]"},
		before: []string{"syslog audit add 192.0.2.1 601"},
		add:    "syslog audit add log1.example.com 514", same: "syslog audit add LOG1.example.com", del: "syslog audit del log1.example.com", gone: "there are 192.0.2.1"},
	{forms: []string{"snmp community add <name:snmpsecret> [<from:snmpfrom>]", "snmp community del <name:snmpcommunity> [<from:snmpfrom>]"},
		before: []string{"snmp community add others 192.0.2.0/24"},
		add:    "snmp community add watchers 192.0.2.7", same: "snmp community add watchers 192.0.2.7/32", del: "snmp community del watchers", gone: "others from 192.0.2.0/24"},
	{forms: []string{"snmp user add <name:snmpname> <password:secret> " + snmpWays, "snmp user del <name:snmpuser>"},
		before: []string{"snmp user add second s3cret-enough SHA AES"},
		add:    "snmp user add monitor s3cret-enough SHA AES", other: "snmp user add monitor s3cret-enough SHA256 AES", otherNames: []string{"SHA AES", "SHA256 AES"},
		del: "snmp user del monitor", gone: "there are second"},
	{forms: []string{"snmp user add <name:snmpname> " + snmpWays},
		add: "snmp user add monitor SHA AES", typed: []string{"s3cret-enough", "s3cret-enough"}, other: "snmp user add monitor an0ther-one SHA AES", otherNames: []string{"another password"},
		del: "snmp user del monitor", gone: "there are none"},
	{forms: []string{"snmp trap (enable|disable) <host> [<community:snmpsecret>]"},
		before: []string{"snmp trap enable 192.0.2.9 watchers"},
		add:    "snmp trap enable nms.example.com told", same: "snmp trap enable NMS.example.com told",
		other: "snmp inform enable nms.example.com told", otherNames: []string{"v2c trap", "v2c inform"}, del: "snmp trap disable nms.example.com", gone: "there are 192.0.2.9 by v2c trap"},
	{forms: []string{"snmp inform (enable|disable) <host> <community:snmpsecret>"},
		add: "snmp inform enable nms.example.com told", other: "snmp trap enable nms.example.com told", otherNames: []string{"v2c trap", "v2c inform"},
		del: "snmp inform disable nms.example.com told", gone: "there are none"},
	{forms: []string{"user add <username> <role:(admin|crypto|audit|appadmin|api)> [ldap]", "user del <username:user>"},
		add: "user add frieda crypto ldap", other: "user add Frieda audit ldap", otherNames: []string{"frieda", "crypto", "audit"}, del: "user del frieda", gone: "there are admin"},
	{forms: []string{"user host <username:user> (add|delete) <hostname:allowedhost>"},
		before: []string{"user add frieda crypto ldap", "user host frieda add 192.0.2.1"},
		add:    "user host frieda add host1.example.com", same: "user host frieda add HOST1.example.com", del: "user host frieda delete host1.example.com", gone: "it has 192.0.2.1"},
	{forms: []string{"turn delete public-ip"},
		before: []string{"turn public-ip 198.51.100.7"}, del: "turn delete public-ip", gone: "there is no public address"},
	{forms: []string{"motd add <message:text>", "motd del"},
		add: `motd add "Maintenance on Sunday"`, del: "motd del", gone: "there is no motd"},
	{forms: []string{"login_warning add <message:text>", "login_warning del"},
		add: `login_warning add "Authorised users only"`, del: "login_warning del", gone: "there is no login_warning"},
	// Versions are added by upgrade, and which there are is PID 1's to say.
	{forms: []string{"upgrade delete <number:1..999999>"}},
}

const (
	anchor   = `"example.com. IN DS 31589 8 2 CDE0D742D6998AA554A92D890F8184C698CFAC8A26FA59875A990C03E576343C"`
	snmpWays = "<auth:(MD5|SHA|SHA224|SHA256|SHA384|SHA512)> <privacy:(DES|AES)>"
)

// The commands that add or remove are those with such a word, and a row whose forms are not declared is out of date.
func TestEveryCommandThatAddsOrRemovesAnswersTwiceAlike(t *testing.T) {
	_, list := All(Deps{})
	adds := regexp.MustCompile(`\b(add|del|delete)\b`)
	rows := map[string]bool{}
	for _, row := range againTable {
		for _, form := range row.forms {
			rows[form] = true
			if !slices.ContainsFunc(list, func(c grammar.Command) bool { return c.Syntax == form }) {
				t.Errorf("%s is not declared", form)
			}
		}
	}
	for _, c := range list {
		if adds.MatchString(c.Syntax) && !rows[c.Syntax] {
			t.Errorf("%s has no row in the table of what commands say when they are run twice", c.Syntax)
		}
	}
	for _, row := range againTable {
		if row.del != "" {
			t.Run(row.forms[0], row.try)
		}
	}
}

func (row again) try(t *testing.T) {
	d := newFullDesk(t)
	role := grammar.Admin
	if strings.HasPrefix(row.add, "syslog audit") {
		role = grammar.Audit
	}
	run := func(line string, typed ...string) string {
		t.Helper()
		out, err := d.as(role, line, typed...)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return out
	}
	refused := func(line string, names ...string) {
		t.Helper()
		before := d.state()
		_, err := d.as(role, line)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%s: want one line that refuses it, got %v", line, err)
		}
		for _, name := range names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%s: want %q named, got %v", line, name, err)
			}
		}
		if after := d.state(); after != before {
			t.Errorf("%s: want nothing changed, got\n%s\nbefore\n%s", line, after, before)
		}
	}
	for _, line := range row.before {
		run(line)
	}
	if row.add != "" {
		if out := run(row.add, row.typed...); strings.Contains(out, "already") {
			t.Errorf("%s: want it new, got %s", row.add, out)
		}
	}
	state := d.state()
	for _, line := range []string{row.add, row.same} {
		if line == "" {
			continue
		}
		if out := run(line, row.typed...); !strings.Contains(out, "already") || strings.Count(out, "\n") != 1 {
			t.Errorf("%s once more: want one line that says it was there already, got %q", line, out)
		}
		if after := d.state(); after != state {
			t.Errorf("%s once more: want nothing changed, got\n%s\nbefore\n%s", line, after, state)
		}
	}
	if row.other != "" {
		refused(row.other, row.otherNames...)
	}
	run(row.del)
	refused(row.del, row.gone)
}

// state is all that commands change, as a text to be compared.
func (d *desk) state() string {
	d.t.Helper()
	var users any
	if d.deps.Accounts != nil {
		users = d.deps.Accounts.List()
	}
	var stored map[string][]byte
	if b, ok := d.deps.Notices.(board); ok {
		stored = b.shelf
	}
	b, err := json.Marshal([]any{d.machine.config.Document, users, stored, d.machine.done})
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}
