package commands

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

// resolverService is the one that answers questions on loopback.
const resolverService = "resolver"

// dnsCommands say how names are resolved (guide chapter 3.1.3 and appendix A). "app" and "mmp" tell two networks of older hardware apart; here
// both are the same, and runbooks have one of them.
func (d Deps) dnsCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "dns", Roles: readers,
			Help:   "Show how names are resolved",
			Detail: "The servers of interfaces with DHCP are asked for every name that no forward zone covers.",
			Run:    d.showDNS,
		},
		{
			Syntax: "dns [(mmp|app)] add forwardzone <domain:zonename> <server:address>", Roles: admins, Joins: true,
			Help: "Ask a DNS server for all names below a domain",
			Detail: "For example dns add forwardzone example.com 10.1.1.1, or dns add forwardzone . 10.1.1.1 for every name that no other zone covers. Repeat it for several " +
				"servers: they are asked in this order, and one that does not answer is asked last for a while.",
			Run: d.addZone,
		},
		{
			Syntax: "dns [(mmp|app)] del forwardzone <domain:zonename> <server:address>", Roles: admins, Joins: true,
			Help: "Ask a DNS server no more for a domain",
			Run:  d.deleteZone,
		},
		{
			Syntax: "dns [(mmp|app)] add rr <record:text>…", Roles: admins, Joins: true,
			Help: "Answer a name with a record of your own, instead of asking a DNS server",
			Detail: `For example dns app add rr "_sipinternaltls._tcp.example.com. 86400 IN SRV 0 5 5061 host.example.com."; an owner ends with a dot. Only this machine ` +
				"sees it. A name that has an address here has no other one outside.",
			Run: func(c *grammar.Call) error {
				return d.changeDNS(c, func(s *config.DNS) error {
					text := strings.Join(c.Rest(), " ")
					r, err := config.ParseRecord(text)
					if err != nil {
						return err
					}
					switch was := sameRecord(s.Records, r); {
					case was == "":
						s.Records = append(s.Records, recordText(r))
						return nil
					case was == recordText(r):
						return isThere("%s is answered already", was)
					default:
						return fmt.Errorf("%s is answered already, not %s: use dns del rr first", was, recordText(r))
					}
				})
			},
		},
		{
			Syntax: "dns [(mmp|app)] del rr <owner:dnsname> <type:(A|AAAA|SRV|CNAME|NAPTR|TXT|PTR|MX)>", Roles: admins, Joins: true,
			Help: "Forget your own records of a name and a type",
			Run:  d.deleteRecord,
		},
		{
			Syntax: "dns [(mmp|app)] (add|del) trustanchor <record:text>…", Roles: admins, Joins: true,
			Help:   "Trust a key of DNSSEC, or no more",
			Detail: `For example dns add trustanchor "example.com. IN DS 31589 8 2 CDE0D742D6998AA554A92D890F8184C698CFAC8A26FA59875A990C03E576343C". What is below it must be signed.`,
			Run: func(c *grammar.Call) error {
				return d.changeDNS(c, func(s *config.DNS) error {
					r, err := config.ParseAnchor(strings.Join(c.Rest(), " "))
					if err != nil {
						return err
					}
					// How long it may be kept means nothing for an anchor.
					was := sameRecord(s.Anchors, r)
					switch {
					case c.Has("del") && was == "":
						return fmt.Errorf("there is no such trust anchor; there are %s", listOf(s.Anchors, recordName))
					case c.Has("del"):
						s.Anchors = slices.DeleteFunc(slices.Clone(s.Anchors), func(text string) bool { return text == was })
					case was != "":
						return isThere("%s is trusted already", recordName(was))
					default:
						s.Anchors = append(s.Anchors, recordText(r))
					}
					return nil
				})
			},
		},
		{
			Syntax: "dns [(mmp|app)] lookup (a|aaaa|srv|naptr|txt|ptr) <name:dnsname>", Roles: readers,
			Help: "Show what a name is resolved to",
			Run:  d.lookUp,
		},
		{
			Syntax: "dns [(mmp|app)] flush", Roles: admins,
			Help: "Forget what DNS servers have answered",
			Run:  func(c *grammar.Call) error { return d.Machine.Restart(c.Context, resolverService) },
		},
	}
}

func dnsKinds() []grammar.Kind {
	return []grammar.Kind{
		{
			Name: "zonename", Help: "a domain such as example.com, or a dot for all names",
			Check: func(word string) error {
				_, err := config.ZoneName(word)
				return err
			},
		},
		{
			Name: "dnsname", Help: "a name such as host.example.com, of up to 253 letters, digits, hyphens, underscores and dots",
			Check: func(word string) error {
				if _, ok := dns.IsDomainName(word); !ok || len(word) > 254 || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r > '~' }) {
					return errNotOne
				}
				return nil
			},
		},
	}
}

// recordText is a record on one line.
func recordText(r dns.RR) string { return strings.Join(strings.Fields(r.String()), " ") }

// sameRecord returns the one of a list that is the record but for how long it may be kept, "" if there is none.
func sameRecord(list []string, r dns.RR) string {
	// Its text has digests in capitals, whatever was typed.
	if again, err := dns.NewRR(recordText(r)); err == nil && again != nil {
		r = again
	}
	for _, text := range list {
		// Reading all of a long list would take its time.
		if !strings.HasPrefix(text, r.Header().Name) {
			continue
		}
		if o, err := dns.NewRR(text); err == nil && o != nil && dns.IsDuplicate(o, r) {
			return text
		}
	}
	return ""
}

// recordName is enough of a record to find it: its owner, its type, and of a key its tag.
func recordName(text string) string {
	r, err := dns.NewRR(text)
	if err != nil || r == nil {
		return text
	}
	name := r.Header().Name + " " + dns.TypeToString[r.Header().Rrtype]
	switch k := r.(type) {
	case *dns.DS:
		return fmt.Sprintf("%s %d", name, k.KeyTag)
	case *dns.DNSKEY:
		return fmt.Sprintf("%s %d", name, k.KeyTag())
	}
	return name
}

func (d Deps) changeDNS(c *grammar.Call, edit func(*config.DNS) error) error {
	return d.change(c, func(doc *config.Document) error { return edit(&doc.DNS) })
}

func (d Deps) addZone(c *grammar.Call) error {
	domain, err := config.ZoneName(c.Arg("domain"))
	if err != nil {
		return err
	}
	return d.changeDNS(c, func(s *config.DNS) error {
		server := c.Addr("server")
		i := slices.IndexFunc(s.Zones, func(z config.ForwardZone) bool { return z.Domain == domain })
		if i < 0 {
			s.Zones = append(s.Zones, config.ForwardZone{Domain: domain, Servers: []netip.Addr{server}})
			return nil
		}
		if slices.Contains(s.Zones[i].Servers, server) {
			return isThere("forward zone %s has the server %s already", domain, server)
		}
		s.Zones[i].Servers = append(s.Zones[i].Servers, server)
		return nil
	})
}

func (d Deps) deleteZone(c *grammar.Call) error {
	domain, err := config.ZoneName(c.Arg("domain"))
	if err != nil {
		return err
	}
	return d.changeDNS(c, func(s *config.DNS) error {
		server := c.Addr("server")
		i := slices.IndexFunc(s.Zones, func(z config.ForwardZone) bool { return z.Domain == domain })
		if i < 0 {
			return fmt.Errorf("there is no forward zone %s; there are %s", domain, listOf(s.Zones, func(z config.ForwardZone) string { return z.Domain }))
		}
		n := slices.Index(s.Zones[i].Servers, server)
		if n < 0 {
			return fmt.Errorf("forward zone %s has no server %s; it has %s", domain, server, listOf(s.Zones[i].Servers, netip.Addr.String))
		}
		if s.Zones[i].Servers = slices.Delete(s.Zones[i].Servers, n, n+1); len(s.Zones[i].Servers) == 0 {
			s.Zones = slices.Delete(s.Zones, i, i+1)
		}
		return nil
	})
}

func (d Deps) deleteRecord(c *grammar.Call) error {
	owner, kind := strings.ToLower(dns.Fqdn(c.Arg("owner"))), dns.StringToType[c.Arg("type")]
	return d.changeDNS(c, func(s *config.DNS) error {
		left := slices.DeleteFunc(slices.Clone(s.Records), func(text string) bool {
			r, err := config.ParseRecord(text)
			return err == nil && r.Header().Name == owner && r.Header().Rrtype == kind
		})
		if len(left) == len(s.Records) {
			return fmt.Errorf("there is no %s record of %s; there are %s", c.Arg("type"), owner, listOf(s.Records, recordName))
		}
		s.Records = left
		return nil
	})
}

func (d Deps) showDNS(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	s := running.Document.DNS
	c.Printf("Forward zones:\n")
	width := 0
	for _, z := range s.Zones {
		width = max(width, len(z.Domain))
	}
	for _, z := range s.Zones {
		for _, server := range z.Servers {
			c.Printf("    %-*s : %s\n", width, z.Domain, server)
		}
	}
	for _, part := range []struct {
		title string
		lines []string
	}{{"Resource records", s.Records}, {"Trust anchors", s.Anchors}} {
		c.Printf("%s:\n", part.title)
		for _, line := range part.lines {
			c.Printf("    %s\n", printable(line))
		}
	}
	return nil
}

func (d Deps) lookUp(c *grammar.Call) error {
	kind := ""
	for _, k := range []string{"a", "aaaa", "srv", "naptr", "txt", "ptr"} {
		if c.Has(k) {
			kind = k
		}
	}
	records, err := d.Prober.Records(c.Context, c.Arg("name"), strings.ToUpper(kind))
	if err != nil {
		return err
	}
	for _, r := range records {
		c.Printf("%s\n", printable(r))
	}
	return nil
}
