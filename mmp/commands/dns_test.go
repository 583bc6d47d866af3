package commands

import (
	"strings"
	"testing"
)

func TestNamesAreResolvedAsTheAdministratorSays(t *testing.T) {
	d := newDesk(t)
	d.prints("Forward zones:\nResource records:\nTrust anchors:\n", "dns")
	d.prints("", "dns add forwardzone . 10.1.1.1")
	d.prints("", "dns app add forwardzone Lab.Example.com. 10.1.1.3")
	d.prints("", "dns add forwardzone . 10.1.1.2")
	d.prints("forward zone . has the server 10.1.1.2 already\n", "dns add forwardzone . 10.1.1.2")
	d.prints("", `dns app add rr "_sipinternaltls._tcp.Example.com. 86400 IN SRV 0 5 5061 host.example.com."`)
	d.prints("", "dns app add rr host.example.com. IN A 10.9.9.9")
	d.prints("", `dns add trustanchor "example.com. IN DS 31589 8 2 CDE0D742D6998AA554A92D890F8184C698CFAC8A26FA59875A990C03E576343C"`)
	d.prints(`Forward zones:
    .               : 10.1.1.1
    .               : 10.1.1.2
    lab.example.com : 10.1.1.3
Resource records:
    _sipinternaltls._tcp.example.com. 86400 IN SRV 0 5 5061 host.example.com.
    host.example.com. 3600 IN A 10.9.9.9
Trust anchors:
    example.com. 3600 IN DS 31589 8 2 CDE0D742D6998AA554A92D890F8184C698CFAC8A26FA59875A990C03E576343C
`, "dns")
	d.fails("there is no forward zone example.com; there are ., lab.example.com", "dns del forwardzone example.com 10.1.1.1")
	d.fails("forward zone . has no server 10.9.9.9; it has 10.1.1.1, 10.1.1.2", "dns del forwardzone . 10.9.9.9")
	d.fails(`"exa mple" is no domain: give a name such as example.com, or a dot for all names`, `dns add forwardzone "exa mple" 10.1.1.1`)
	d.fails("127.0.0.1 cannot be a server of forward zone .: give the address of a DNS server", "dns add forwardzone . 127.0.0.1")
	d.fails(`write it as "owner. [ttl] IN A|AAAA|SRV data"`, "dns app add rr nonsense")
	d.fails("a record of type NS cannot be set: use one of A, AAAA, SRV, CNAME", `dns app add rr "example.com. IN NS ns.example.com."`)
	d.fails("host.example.com. has an alias (CNAME) and another record: leave one", `dns app add rr "host.example.com. IN CNAME other.example.com."`)
	d.fails("A is no trust anchor: give a DS or DNSKEY record", `dns add trustanchor "example.com. IN A 10.1.1.1"`)
	d.fails("there is no AAAA record of host.example.com.; there are _sipinternaltls._tcp.example.com. SRV, host.example.com. A", "dns app del rr host.example.com AAAA")
	d.prints("", "dns del forwardzone . 10.1.1.1")
	d.prints("", "dns app del rr HOST.example.com A")
	d.prints("", "dns app del rr _sipinternaltls._tcp.example.com. SRV")
	d.prints("", "dns del forwardzone . 10.1.1.2")
	d.prints("", `dns del trustanchor "example.com. IN DS 31589 8 2 cde0d742d6998aa554a92d890f8184c698cfac8a26fa59875a990c03e576343c"`)
	d.prints("Forward zones:\n    lab.example.com : 10.1.1.3\nResource records:\nTrust anchors:\n", "dns")
	d.prints("www.example.com. 60 IN SRV 192.0.2.1\n", "dns lookup srv www.example.com")
	d.fails("there is no name none.example.com", "dns lookup a none.example.com")
	d.prints("", "dns flush")
	if got := strings.Join(d.machine.done, ","); got != "restart resolver" {
		t.Errorf("wanted the resolver restarted once, got %q", got)
	}
}
