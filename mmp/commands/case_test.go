package commands

import (
	"encoding/json"
	"strings"
	"testing"
)

// Keywords, names of algorithms, types of traffic, services, zones and what else is a list of ours may be typed in any case, and are stored
// as everybody spells them.
func TestKeywordsAreTakenInAnyCase(t *testing.T) {
	for line, want := range map[string]string{
		"DNS App Add RR host.example.com. 60 in a 10.1.1.1": "host.example.com. 60 IN A 10.1.1.1",
		"DSCP 4 OA&M 0X22":                               `"oa\u0026m":34`,
		"Firewall A Allow SSH/TCP From 192.0.2.0/24":     `{"tag":0,"allow":true,"port":22,"proto":"tcp","from":"192.0.2.0/24"}`,
		"firewall b deny ANY/udp":                        `{"tag":0,"proto":"udp"}`,
		"SNMP User Add Monitor s3cret-enough sha256 Aes": `"name":"Monitor","auth":"SHA256","privacy":"AES"`,
		"TURN Listen A LO":                               `"listen":["a","lo"]`,
		"TimeZone europe/VIENNA":                         `"timezone":"Europe/Vienna"`,
		"TLS LDAP Ciphers ecdhe-rsa-aes256-gcm-sha384":   `"ciphers":"ECDHE-RSA-AES256-GCM-SHA384"`,
		"Syslog Server Add Log1.example.com":             `{"host":"Log1.example.com"}`,
		"IPv4 B Add 10.77.0.9/24":                        `"10.77.0.9/24"`,
		"PKI CSR Web cn:www.example.com SubjectAltName:DNS:a.example.com KEY:ECDSA256": "",
		"User Add Anna CRYPTO LDAP":                         "",
		"User Duty admin moTU1200-1400|WK0900-1700":         "",
		"User Rule MIN_Length None":                         "",
		"Dns Lookup A host.example.com":                     "",
		`dns del RR "host.example.com" a`:                   "there is no A record of host.example.com.",
		"pki verify core.cer root.cer HOST www.example.com": "FAILURE",
		"syslog server del TLS:log1.example.com":            "there is no syslog server tls:log1.example.com",
	} {
		d := newFullDesk(t)
		out, err := d.run(line)
		if err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", line, err)
		}
		doc, jsonErr := json.Marshal(d.machine.config.Document)
		if jsonErr != nil {
			t.Fatal(jsonErr)
		}
		if err == nil && !strings.Contains(string(doc)+out, want) {
			t.Errorf("%s: want %s, got\n%s\n%s", line, want, doc, out)
		}
	}
}
