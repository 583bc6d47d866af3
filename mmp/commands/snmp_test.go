package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/snmp/usm"
	"rotunda/mmp/grammar"
)

func TestMonitoringSystemsAreLetInAndTold(t *testing.T) {
	d := newDesk(t)
	status := fstest.MapFS{}
	d.deps.Status = status
	d.prints("SNMP         : disabled\n", "snmp")
	d.prints("Warning: nobody may ask yet: use snmp community add or snmp user add\n", "snmp enable")
	d.prints("", "snmp community add watchers 192.0.2.0/24")
	d.prints("this community is let in already\n", "snmp community add watchers 192.0.2.0/24")
	d.prints("", "snmp community add watchers 2001:db8::7")
	d.prints("", "snmp community add everybody")
	d.fails("the network is 192.0.2.0/24", "snmp community add watchers 192.0.2.7/24")
	d.fails("there is no such community; there are watchers from 192.0.2.0/24, watchers from 2001:db8::7/128, everybody from anywhere", "snmp community del nobody")
	d.prints(`SNMP         : enabled
COMMUNITY  FROM
watchers   192.0.2.0/24
watchers   2001:db8::7/128
everybody  anywhere
`, "snmp")
	d.prints("", "snmp community del watchers 2001:db8::7")
	d.prints("", "snmp community del everybody")

	d.fails("SNMP traps for nms.example.com need a community or, for SNMPv3, a user: use snmp user add first", "snmp trap enable nms.example.com")
	d.fails("a password of SNMP has 8 to 128 characters", "snmp user add monitor short SHA AES")
	d.prints("", "snmp user add monitor s3cret-enough SHA AES")
	d.fails("there is an SNMP user monitor already by SHA AES, not MD5 DES: use snmp user del monitor first", "snmp user add monitor other-password MD5 DES")
	d.prints("", "snmp user add second SHA256 AES", "typed-password", "typed-password")
	d.fails("the two passwords are not the same, nothing was changed", "snmp user add third SHA256 AES", "typed-password", "typed-passwort")
	s := &d.machine.config.Document.SNMP
	for i, password := range []string{"s3cret-enough", "typed-password"} {
		auth, _ := usm.AuthByName(s.Users[i].Auth)
		if want, err := auth.Localize(password, s.Engine); err != nil || !bytes.Equal(want, s.Users[i].Key) {
			t.Errorf("want the key of %s, got %x, %v", password, s.Users[i].Key, err)
		}
	}
	if text, _ := json.Marshal(d.machine.config); bytes.Contains(text, []byte("s3cret")) || bytes.Contains(text, []byte("typed-pass")) {
		t.Errorf("want no password kept, got %s", text)
	}
	d.prints("", "snmp trap enable nms.example.com")
	d.prints("", "snmp trap enable nms.example.com told")
	d.prints("", "snmp inform enable 192.0.2.9 told")
	d.fails("192.0.2.10 is not told that way; there are nms.example.com by v3 trap, nms.example.com by v2c trap, 192.0.2.9 by v2c inform", "snmp trap disable 192.0.2.10")
	engine := fmt.Sprintf("%x", s.Engine)
	if len(s.Engine) != config.SNMPEngineSize || !strings.HasPrefix(engine, "80001f8805") {
		t.Errorf("want an engine identifier by RFC 3411, got %s", engine)
	}
	b, err := json.Marshal(control.SNMPStatus{Boots: 7, Requests: 1200, Refused: 3, Limited: 1, Receivers: []control.SNMPReceiver{
		{Host: "nms.example.com", Version: "3", Sent: 12}, {Host: "nms.example.com", Version: "2c", Sent: 12},
		{Host: "192.0.2.9", Inform: true, Version: "2c", Sent: 10, Lost: 2, Problem: "the inform got no answer"}}})
	if err != nil {
		t.Fatal(err)
	}
	status["run/rotunda/snmp/status.json"] = &fstest.MapFile{Data: b}
	d.prints(`SNMP         : enabled
Engine ID    : `+engine+`
Engine boots : 7
Requests     : 1200, 3 refused, 1 too many
COMMUNITY  FROM
watchers   192.0.2.0/24
USER     SIGNED  ENCRYPTED
monitor  SHA     AES
second   SHA256  AES
TOLD             BY          COMMUNITY  SENT  LOST
nms.example.com  v3 trap     -          12    0
nms.example.com  v2c trap    told       12    0
192.0.2.9        v2c inform  told       10    2
192.0.2.9 : the inform got no answer
`, "snmp")
	if out, err := d.as(grammar.Audit, "snmp"); err != nil || strings.Contains(out, "watchers") || strings.Contains(out, "told") || !strings.Contains(out, "(hidden)") {
		t.Errorf("want communities hidden from who may not use them, got\n%s, %v", out, err)
	}
	d.prints("", "snmp trap disable nms.example.com")
	d.prints("", "snmp inform disable 192.0.2.9 told")
	d.prints("", "snmp user del monitor")
	d.fails("there is no SNMP user monitor; there are second", "snmp user del monitor")
	if len(s.Traps)+len(s.Users) == 0 {
		t.Error("want an old document to stay as it is")
	}
	if s := d.machine.config.Document.SNMP; len(s.Traps) != 0 || len(s.Users) != 1 {
		t.Errorf("want one user and no receiver, got %+v", s)
	}
}

func TestWhoIsToldNoMoreIsToldNothing(t *testing.T) {
	d := newDesk(t)
	d.prints("", "snmp trap enable nms.example.com told")
	d.prints("", "snmp inform enable nms.example.com watchers")
	d.prints("", "snmp inform enable 192.0.2.9 told")

	// One receiver gets what happens once by a community, so that who asks for it twice has to say which way.
	d.fails("nms.example.com is told by v2c trap with this community, not by v2c inform: use snmp trap disable with it first", "snmp inform enable nms.example.com told")
	d.fails("192.0.2.9 is told by v2c inform with this community, not by v2c trap: use snmp trap disable with it first", "snmp trap enable 192.0.2.9 told")

	d.fails("192.0.2.9 is not told that way", "snmp trap disable 192.0.2.9 watchers")
	d.fails("nms.example.com is not told that way", "snmp inform disable nms.example.com told")
	d.prints("", "snmp trap disable 192.0.2.9 told")
	d.prints("", "snmp trap disable NMS.example.com")
	if left := d.machine.config.Document.SNMP.Traps; len(left) != 0 {
		t.Errorf("want nobody told, got %+v", left)
	}
	d.fails("there are none", "snmp trap disable nms.example.com")
}

func TestCommunitiesAndPasswordsAreNotInTheAuditLog(t *testing.T) {
	d := newDesk(t)
	kinds, commands := All(d.deps)
	tree, err := grammar.NewTree(kinds, commands)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"snmp user add monitor hidden-word SHA AES", "snmp user add monitor hidden-word", "snmp user add monitor hidden-word SHA XYZ",
		"snmp community add hidden-word", "snmp community add hidden-word 192.0.2.0/24", "snmp community del hidden-word", "snmp trap enable h hidden-word", "snmp inform enable h hidden-word"} {
		match, _ := tree.Parse(grammar.Admin, line)
		if match == nil || strings.Contains(match.Audit, "hidden-word") || !match.Secret {
			t.Errorf("%s: want it masked, got %+v", line, match)
		}
	}
	for _, role := range []grammar.Role{grammar.Crypto, grammar.Audit, grammar.AppAdmin, grammar.API} {
		for _, line := range []string{"snmp enable", "snmp community add x", "snmp user add monitor hidden-word SHA AES", "snmp trap enable h x"} {
			if _, err := d.as(role, line); err == nil {
				t.Errorf("%s as %s: want it denied", line, role)
			}
		}
	}
}
