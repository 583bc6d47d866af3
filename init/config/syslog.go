package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxSyslogServers is how many there may be for the log, and as many for the audit log.
	MaxSyslogServers = 8
	// SyslogPort is for TCP, SyslogTLSPort for TLS (RFC 5425 section 4.1).
	SyslogPort    = 514
	SyslogTLSPort = 6514
	// syslogTLS before a host says that it is reached by TLS.
	syslogTLS = "tls:"
)

// Syslog is where the log goes beside this machine's own files (guide chapter 3.1.4).
type Syslog struct {
	// Enabled concerns Servers alone: who may not choose the audit log's servers may not silence them either.
	Enabled bool           `json:"enabled,omitempty"`
	Servers []SyslogServer `json:"servers,omitempty"`
	Audit   []SyslogServer `json:"audit,omitempty"`
	// TLS of all servers that are reached by it. They are always verified.
	TLS TLSKind `json:"tls,omitzero"`
}

// SyslogServer is one server.
type SyslogServer struct {
	// Host is a name or an address.
	Host string `json:"host"`
	// Port is 0 for the usual one.
	Port int  `json:"port,omitempty"`
	TLS  bool `json:"tls,omitempty"`
}

// ParseSyslogServer takes a host as commands have it, with "tls:" before it for TLS, and a port, 0 for the usual one.
func ParseSyslogServer(host string, port int) SyslogServer {
	name, secure := strings.CutPrefix(host, syslogTLS)
	s := SyslogServer{Host: name, Port: port, TLS: secure}
	if s.Port == s.usual() {
		s.Port = 0
	}
	return s
}

func (s SyslogServer) usual() int {
	if s.TLS {
		return SyslogTLSPort
	}
	return SyslogPort
}

// Name is the host as commands have it.
func (s SyslogServer) Name() string {
	if s.TLS {
		return syslogTLS + s.Host
	}
	return s.Host
}

// ReachedAt is the port.
func (s SyslogServer) ReachedAt() int {
	if s.Port == 0 {
		return s.usual()
	}
	return s.Port
}

// Address is host and port for a dialler.
func (s SyslogServer) Address() string {
	return net.JoinHostPort(s.Host, strconv.Itoa(s.ReachedAt()))
}

// Same tells whether two are one server.
func (s SyslogServer) Same(o SyslogServer) bool {
	return s.TLS == o.TLS && s.ReachedAt() == o.ReachedAt() && strings.EqualFold(s.Host, o.Host)
}

// SyslogService is what PID 1 gives to what forwards the log.
type SyslogService struct {
	Enabled bool           `json:"enabled"`
	Servers []SyslogServer `json:"servers,omitempty"`
	Audit   []SyslogServer `json:"audit,omitempty"`
	TLS     TLSKindService `json:"tls,omitzero"`
}

// Wanted says whether there is anything to forward.
func (s Syslog) Wanted() bool { return s.Enabled && len(s.Servers) > 0 || len(s.Audit) > 0 }

func (s Syslog) validate() error {
	for _, l := range []struct {
		name string
		list []SyslogServer
	}{{"syslog server", s.Servers}, {"audit server", s.Audit}} {
		if len(l.list) > MaxSyslogServers {
			return fmt.Errorf("more than %d %ss: remove one first", MaxSyslogServers, l.name)
		}
		for i, one := range l.list {
			if _, err := netip.ParseAddr(one.Host); err != nil {
				if err := ValidateHostname(one.Host); err != nil {
					return fmt.Errorf("%s: %q is neither an address nor a host name", l.name, clip(one.Host))
				}
			}
			if one.Port < 0 || one.Port > 65535 {
				return fmt.Errorf("port %d of %s %s is out of range: use 1 to 65535", one.Port, l.name, one.Name())
			}
			if slices.ContainsFunc(l.list[:i], one.Same) {
				return fmt.Errorf("%s %s port %d is there twice", l.name, one.Name(), one.ReachedAt())
			}
			if one.TLS && s.TLS.Trust == "" {
				return fmt.Errorf("%s %s needs certificates to trust: use tls syslog trust <bundle> first", l.name, one.Name())
			}
		}
	}
	return s.TLS.validate("syslog")
}
