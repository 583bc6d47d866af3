package commands

import (
	"encoding/json"
	"testing"
	"testing/fstest"
	"time"

	"rotunda/init/control"
)

func TestTheClockIsKeptByTheServersThatTheAdministratorNames(t *testing.T) {
	d := newDesk(t)
	d.deps.Stored = shelf{"ntp.key": []byte("7 SHA1 0123456789abcdef0123456789abcdef01234567\n"), "bad.key": []byte("7 SHA1\n"),
		"other.key": []byte("1 SHA1 0123456789abcdef0123456789abcdef01234567\n12 MD5 secret\n")}
	status := fstest.MapFS{}
	d.deps.Status = status
	d.prints("", "ntp server list")
	d.prints("", "ntp server add ntp1.example.com")
	d.fails("NTP server 10.1.1.1 has key 7, and there is no file of keys: use ntp groupkey <file> first", "ntp server add 10.1.1.1 7")
	d.fails("there is no file none.key: put it by SFTP first", "ntp groupkey none.key")
	d.fails("line 1 of the file of NTP keys: want a number, a type and a key", "ntp groupkey bad.key")
	d.prints("", "ntp groupkey ntp.key")
	d.fails("the file ntp.key has no key 8, which NTP server 10.1.1.1 needs; it has 7", "ntp server add 10.1.1.1 8")
	d.prints("", "ntp server add 10.1.1.1 7")
	d.fails("the file other.key has no key 7, which NTP server 10.1.1.1 needs; it has 1, 12", "ntp groupkey other.key")
	d.prints("NTP server ntp1.example.com is there already\n", "ntp server add NTP1.example.com")
	d.prints("ntp1.example.com\n10.1.1.1 key 7\nkeys: ntp.key\n", "ntp server list")
	d.prints("ntp1.example.com\n10.1.1.1 key 7\nkeys: ntp.key\n", "ntp")
	d.fails("there is no NTP server ntp2.example.com; there are ntp1.example.com, 10.1.1.1", "ntp server del ntp2.example.com")
	d.fails("autokey is broken by design", "ntp autokey enable")
	d.prints("", "ntp autokey disable")
	d.fails("nothing keeps the clock yet: health says why, or wait a moment", "ntp status")
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	b, err := json.Marshal(control.TimeStatus{At: now, Synchronized: true, Offset: -412 * time.Microsecond, Within: 7 * time.Millisecond, Servers: []control.TimeServer{
		{Name: "ntp1.example.com", Address: "192.0.2.1", State: "used", Stratum: 2, Reach: 0o377, Offset: -412 * time.Microsecond, Delay: 1932 * time.Microsecond, Last: now.Add(-12 * time.Second)},
		{Name: "10.1.1.1", State: "unreachable", Problem: "authentication NAK\nreceived"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	status["run/rotunda/timesync/status.json"] = &fstest.MapFile{Data: b}
	d.prints(`Status : synchronized, offset -0.412 ms, at most 7.000 ms wrong
SERVER            ADDRESS    STATE        STRATUM  REACH  OFFSET     DELAY     LAST
ntp1.example.com  192.0.2.1  used         2        377    -0.412 ms  1.932 ms  12s
10.1.1.1          -          unreachable  -        000    -          -         -
10.1.1.1 : authentication NAK?received
`, "ntp status")
	d.prints("", "ntp server del 10.1.1.1")
	d.prints("", "ntp groupkey none")
	d.prints("ntp1.example.com\n", "ntp server list")
}
