package commands

import (
	"maps"
	"slices"
)

// services are the names that rules may have in the place of ports, as the IANA registry of service names has them, and those by
// which everybody calls what is registered otherwise.
var services = map[string]int{
	"bgp": 179, "bootpc": 68, "bootps": 67, "dhcpv6-client": 546, "dhcpv6-server": 547, "discard": 9, "domain": 53, "domain-s": 853, "echo": 7,
	"ftp": 21, "ftp-data": 20, "ftps": 990, "git": 9418, "h323gatedisc": 1718, "h323gatestat": 1719, "h323hostcall": 1720, "http": 80, "http-alt": 8080,
	"https": 443, "ident": 113, "imap": 143, "imaps": 993, "ipp": 631, "isakmp": 500, "iscsi-target": 3260, "kerberos": 88, "kpasswd": 464,
	"l2tp": 1701, "ldap": 389, "ldaps": 636, "mdns": 5353, "microsoft-ds": 445, "msft-gc": 3268, "msft-gc-ssl": 3269, "mssql": 1433, "mysql": 3306,
	"netbios-dgm": 138, "netbios-ns": 137, "netbios-ssn": 139, "netconf-ssh": 830, "nfs": 2049, "nntp": 119, "ntp": 123, "openvpn": 1194, "pop3": 110,
	"pop3s": 995, "postgresql": 5432, "pptp": 1723, "radius": 1812, "radius-acct": 1813, "rdp": 3389, "rfb": 5900, "rsync": 873, "rtmp": 1935,
	"rtsp": 554, "sip": 5060, "sips": 5061, "sip-tls": 5061, "smtp": 25, "snmp": 161, "snmptrap": 162, "ssh": 22, "stun": 3478, "stuns": 5349,
	"submission": 587, "sunrpc": 111, "syslog": 514, "syslog-tls": 6514, "tacacs": 49, "telnet": 23, "tftp": 69, "time": 37, "turn": 3478, "turns": 5349,
	"webdav": 9802, "whois": 43, "xmpp-client": 5222, "xmpp-server": 5269,
}

func serviceNames() []string { return slices.Sorted(maps.Keys(services)) }
