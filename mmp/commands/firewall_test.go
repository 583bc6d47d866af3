package commands

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"rotunda/init/config"
)

func TestAFirewallIsBuiltRuleByRule(t *testing.T) {
	d := newDesk(t)
	d.prints("Interface : a\nEnabled : false\nDefault policy : none\n", "firewall a")
	d.fails("there is no default: use firewall a default allow or deny first", "firewall a enable")
	d.fails("this machine has no interface c; it has a, b", "firewall c default allow")
	d.prints("", "firewall a default allow")
	d.prints("", "firewall a deny 80")
	d.prints("Interface : a\nEnabled : false\nDefault policy : allow\nTag   Rule\n---   ----\n0     drop 80\n", "firewall a")
	d.prints("", "firewall a allow ssh from 192.0.2.0/24")
	d.prints("", "firewall a deny domain/udp from 2001:db8::7")
	d.prints("", "firewall a allow 443/tcp")
	d.prints("", "firewall a deny any/udp from 2001:db8::/32")
	d.prints("", "firewall a enable")
	d.prints("rule 3 says this already\n", "firewall a allow https/tcp")
	d.prints("", "firewall a delete 1")
	d.fails("interface a has no rule 1; it has 0, 2, 3, 4", "firewall a delete 1")
	d.prints("", "firewall a allow 161 from 192.0.2.9")
	d.prints(`Interface : a
Enabled : true
Default policy : allow
Tag   Rule
---   ----
0     drop 80
2     drop 53/udp from 2001:db8::7
3     allow 443/tcp
4     drop any/udp from 2001:db8::/32
5     allow 161 from 192.0.2.9
`, "firewall a")
	d.prints("Interface : b\nEnabled : false\nDefault policy : none\n", "firewall b")
	d.prints("", "firewall a disable")
	if f := d.machine.config.Document.Firewall["a"]; f.Enabled || len(f.Rules) != 5 {
		t.Errorf("wanted it off and its rules kept, got %+v", f)
	}
	d.fails("ports are 1 to 65535", "firewall a allow 70000")
	d.fails("there is no such service", "firewall a allow nosuch")
	d.fails("a rule takes one port, or any, and no range", "firewall a allow 50000-62000/udp")
	d.fails("a rule takes one port, or any, and no range", "firewall a allow 50000:62000")
	d.fails("the protocol is tcp or udp", "firewall a allow 22/sctp")
	d.fails("use 192.0.2.0/24, or 192.0.2.7 for one host", "firewall a allow 22 from 192.0.2.7/24")
	d.fails("an IPv4 or IPv6 address", "firewall a allow 22 from example.com")
}

// A rule behind one that fits all that it fits would never be asked.
func TestARuleThatWouldNeverBeAskedIsRefused(t *testing.T) {
	d := newDesk(t)
	d.prints("", "firewall a allow 22")
	d.fails("rule 0, allow 22, comes before and fits all that drop 22 would: use firewall a delete 0 first", "firewall a deny 22")
	d.fails("rule 0, allow 22,", "firewall a deny ssh/tcp from 192.0.2.0/24")
	d.prints("", "firewall a deny any from 192.0.2.0/24")
	d.fails("rule 1, drop any from 192.0.2.0/24, comes before", "firewall a allow 443 from 192.0.2.7")
	// What is wider, or only overlaps, is asked for the rest.
	d.prints("", "firewall a allow 443 from 192.0.0.0/16")
	d.prints("", "firewall a deny any/tcp")
	d.prints("", "firewall a allow 443/udp")
	d.prints("", "firewall b deny 22")
	// The same verdict for less changes nothing until the other rule is gone.
	d.prints("Note: rule 0, allow 22, says this already of more\n", "firewall a allow 22/tcp")
	d.prints("rule 5 says this already\n", "firewall a allow 22/tcp")
	d.prints("", "firewall a delete 0")
	d.fails("rule 3, drop any/tcp, comes before", "firewall a allow 22/tcp")
}

const warning = "\nIt is taken back in 2 minutes unless you log in anew and run: firewall confirm\n"

func TestAChangeThatWouldCutTheSessionWaitsToBeConfirmed(t *testing.T) {
	d := newDesk(t)
	// The tests' session comes from 192.0.2.7, which is behind the gateway of interface a.
	d.prints("", "firewall a default deny")
	if d.machine.tried != "" {
		t.Error("wanted a firewall that is not enabled to need no confirmation")
	}
	d.prints("Warning: with this change the firewall of interface a would not let in SSH from 192.0.2.7."+warning, "firewall a enable")
	if d.machine.tried != "192.0.2.7:50022" || !d.machine.config.Document.Firewall["a"].Enabled {
		t.Errorf("wanted the change made on trial, got %q", d.machine.tried)
	}
	d.since = time.Now().Add(-time.Hour)
	d.fails("nothing to confirm here, or too old", "firewall confirm")
	d.since = time.Now()
	d.prints("The change is confirmed\n", "firewall confirm")
	d.prints("", "firewall a allow ssh from 192.0.2.7")
	if d.machine.tried != "" {
		t.Error("wanted a rule that lets the session in to need no confirmation")
	}
	d.prints("Warning: with this change the firewall of interface a would not let in SSH from 192.0.2.7."+warning, "firewall a delete 0")
	d.machine.tried = ""
	d.prints("Warning: with this change interface a would have another gateway, and 192.0.2.7 is behind it."+warning, "ipv4 a add 192.168.80.151/24 192.168.80.253")
	d.machine.tried = ""
	d.prints("Warning: with this change interface a would have another address."+warning, "ipv4 a dhcp")
	d.machine.tried = ""
	d.prints("", "firewall b default deny")
	d.prints("", "firewall b enable")
	if d.machine.tried != "" {
		t.Error("wanted the firewall of another interface to need no confirmation")
	}
}

func TestArrivalIsTheSubnetOrTheDefaultInterface(t *testing.T) {
	d := newDesk(t)
	for remote, want := range map[string]string{"192.168.80.9": "a 192.168.80.151", "203.0.113.9": "b invalid IP", "fe80::9": "b invalid IP"} {
		name, local := arrival(d.machine.interfaces, netip.MustParseAddr(remote), "b")
		if got := name + " " + local.String(); got != want {
			t.Errorf("%s: wanted %s, got %s", remote, want, got)
		}
	}
	if name, local := arrival(d.machine.interfaces, netip.MustParseAddr("fe80::9"), "a"); name != "a" || !local.IsLinkLocalUnicast() {
		t.Errorf("wanted the link-local address of a, got %s %s", name, local)
	}
}

func TestMarksAreSetAndShown(t *testing.T) {
	d := newDesk(t)
	d.prints("", "dscp 4 oa&m 0x22")
	d.prints("", "dscp 6 voice 46")
	d.prints("", "dscp 4 signaling 0X3F")
	d.prints("", "dscp 4 multimedia 010")
	d.prints("", "dscp assured true")
	d.prints(`TYPE                  IPV4  IPV6
signaling             0x3f  none
assured-voice         none  none
voice                 none  0x2e
assured-multimedia    none  none
multimedia            0xa   none
multimedia-streaming  none  none
low-latency           none  none
oa&m                  0x22  none
Assured : true
`, "dscp")
	d.prints("", "dscp 4 signaling none")
	d.prints("", "dscp 6 low-latency none")
	d.prints("", "dscp assured false")
	if got := d.machine.config.Document.DSCP; len(got.IPv4) != 2 || got.Assured || got.IPv6["voice"] != 46 {
		t.Errorf("got %+v", got)
	}
	d.fails("a value has six bits", "dscp 4 voice 64")
	d.fails("a DSCP value from 0 to 63", "dscp 4 voice -1")
	d.fails("a DSCP value from 0 to 63", "dscp 4 voice 0x")
	d.fails("a traffic type: signaling", "dscp 4 music 1")
}

// FuzzRules holds what is accepted to what a document takes, and to what it prints.
func FuzzRules(f *testing.F) {
	for _, s := range [][2]string{{"22", "192.0.2.1"}, {"ssh/tcp", "2001:db8::/32"}, {"any", "0.0.0.0/0"}, {"5060/udp", "::ffff:1.2.3.4"}, {"070", "fe80::1%eth0"}, {"0x16", "1.2.3.4/33"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, service, from string) {
		port, proto, err := parseService(service)
		if err != nil {
			return
		}
		r := config.FirewallRule{Port: port, Proto: proto}
		if p, err := parseSender(from); err == nil {
			r.From = p
		}
		doc := config.Factory()
		doc.Firewall = config.Firewalls{"a": {Enabled: true, Default: config.Deny, Rules: []config.FirewallRule{r}}}
		if err := doc.Validate(); err != nil {
			t.Fatalf("%q from %q was accepted and is not valid: %v", service, from, err)
		}
		words := strings.Fields(ruleText(r))
		if again, proto, err := parseService(words[1]); err != nil || again != r.Port || proto != r.Proto {
			t.Fatalf("%q prints as %q, which reads as %d %q %v", service, words[1], again, proto, err)
		}
		if len(words) == 4 {
			if again, err := parseSender(words[3]); err != nil || again != r.From {
				t.Fatalf("%q prints as %q, which reads as %v %v", from, words[3], again, err)
			}
		}
	})
}
