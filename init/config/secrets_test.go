package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestACopyForOthersHasNoSecrets(t *testing.T) {
	d := Factory()
	d.TURN = TURN{Username: "turnuser", Password: "s3cret-1", SharedSecret: "s3cret-2", Realm: "example.com", Certificates: Certificates{Key: "turn.key", Certificate: "turn.crt"}}
	d.SNMP = SNMP{
		Communities: []SNMPCommunity{{Name: "s3cret-3", From: netip.MustParsePrefix("192.0.2.0/24")}},
		Users:       []SNMPUser{{Name: "monitor", Auth: "SHA", Privacy: "AES", Key: []byte("s3cret-4")}},
		Traps:       []SNMPTrap{{Host: "traps.example.com", Community: "s3cret-5"}},
	}
	before, _ := json.Marshal(d)
	c, err := d.WithoutSecrets()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	if strings.Contains(got, "s3cret") || strings.Contains(got, "czNjcmV0") {
		t.Errorf("a secret is there: %s", got)
	}
	for _, want := range []string{"turnuser", "example.com", "turn.key", "turn.crt", "192.0.2.0/24", "monitor", "traps.example.com", fmt.Sprintf(`"password":%q`, NotShown), fmt.Sprintf(`"community":%q`, NotShown)} {
		if !strings.Contains(got, want) {
			t.Errorf("wanted %q in the copy, got %s", want, got)
		}
	}
	if after, _ := json.Marshal(d); string(after) != string(before) {
		t.Error("the document itself has changed")
	}
	if empty, err := Factory().WithoutSecrets(); err != nil || empty.TURN.Password != "" {
		t.Errorf("a secret that is not set: got %q, %v", empty.TURN.Password, err)
	}
}
