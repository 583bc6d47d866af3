package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestSyslogServersAreJudged(t *testing.T) {
	list := func(n int) (l []SyslogServer) {
		for i := range n {
			l = append(l, SyslogServer{Host: fmt.Sprintf("10.0.0.%d", i+1)})
		}
		return l
	}
	for _, c := range []struct {
		syslog Syslog
		want   string
	}{
		{Syslog{Enabled: true, Servers: list(8), Audit: list(8)}, ""},
		{Syslog{Servers: list(9)}, "more than 8 syslog servers: remove one first"},
		{Syslog{Audit: list(9)}, "more than 8 audit servers: remove one first"},
		{Syslog{Servers: []SyslogServer{{Host: "a b"}}}, `syslog server: "a b" is neither an address nor a host name`},
		{Syslog{Servers: []SyslogServer{{Host: "logs", Port: 70000}}}, "port 70000 of syslog server logs is out of range: use 1 to 65535"},
		{Syslog{Servers: []SyslogServer{{Host: "logs"}, {Host: "LOGS", Port: 514}}}, "syslog server LOGS port 514 is there twice"},
		{Syslog{Servers: []SyslogServer{{Host: "logs"}, {Host: "logs", Port: 515}}}, ""},
		{Syslog{Audit: []SyslogServer{{Host: "logs", TLS: true}}}, "audit server tls:logs needs certificates to trust: use tls syslog trust <bundle> first"},
		{Syslog{Servers: []SyslogServer{{Host: "logs", TLS: true}, {Host: "logs"}}, TLS: TLSKind{Trust: "ca.crt"}}, ""},
		{Syslog{TLS: TLSKind{Trust: "../ca.crt"}}, `tls syslog trust bundle "../ca.crt" is not the name of a file`},
		{Syslog{TLS: TLSKind{MinVersion: "4"}}, `TLS version "4" is unknown`},
	} {
		d := Factory()
		d.Syslog = c.syslog
		err := d.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: want %q, got %v", c.syslog, c.want, err)
		}
	}
}

func TestTheAuditLogIsForwardedWhateverTheLogDoes(t *testing.T) {
	one := []SyslogServer{{Host: "logs"}}
	for _, c := range []struct {
		syslog Syslog
		want   bool
	}{{Syslog{}, false}, {Syslog{Enabled: true}, false}, {Syslog{Servers: one}, false}, {Syslog{Enabled: true, Servers: one}, true}, {Syslog{Audit: one}, true}} {
		if got := c.syslog.Wanted(); got != c.want {
			t.Errorf("%+v: want %v, got %v", c.syslog, c.want, got)
		}
	}
}

func FuzzParseSyslogServer(f *testing.F) {
	f.Add("logs.example.com", 514)
	f.Add("tls:2001:db8::1", 0)
	f.Add("tls:tls:", 70000)
	f.Fuzz(func(t *testing.T, host string, port int) {
		s := ParseSyslogServer(host, port)
		d := Factory()
		d.Syslog = Syslog{Servers: []SyslogServer{s}, TLS: TLSKind{Trust: "ca.crt"}}
		if d.Validate() != nil {
			return
		}
		if again := ParseSyslogServer(s.Name(), s.ReachedAt()); again != s || s.Name() != host {
			t.Errorf("%q %d: %+v is named so that it is %+v", host, port, s, again)
		}
	})
}
