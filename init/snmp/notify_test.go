package snmp

import (
	"bufio"
	"context"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/services/freeport"
)

// trapd runs net-snmp's snmptrapd, and returns its port and what it prints, a notification a line.
func trapd(t *testing.T) (port int, lines <-chan string) {
	t.Helper()
	if _, err := exec.LookPath("snmptrapd"); err != nil {
		t.Skip("snmptrapd is not installed: see image/install-packages")
	}
	port = freeport.For(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "trapd.conf")
	text := "authCommunity log told\nauthUser log monitor authPriv\ncreateUser -e 0x" + hex.EncodeToString(engine) + " monitor SHA-256 \"" + password + "\" AES \"" + password + "\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := exec.CommandContext(ctx, "snmptrapd", "-f", "-Le", "-C", "-c", file, "-On", "-t", "-F", "%P %v\\n", "udp:127.0.0.1:"+strconv.Itoa(port))
	c.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+folder, "MIBS=")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1000)
	go func() {
		defer close(said)
		for in := bufio.NewScanner(out); in.Scan(); {
			said <- in.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = c.Wait()
	})
	// It says its version once it listens.
	wait(t, said, "NET-SNMP")
	return port, said
}

// wait returns the first line that has all of these.
func wait(t *testing.T, lines <-chan string, want ...string) string {
	t.Helper()
	limit := time.After(30 * time.Second)
	var seen []string
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("want %q, and snmptrapd ended after\n%s", want, strings.Join(seen, "\n"))
			}
			seen = append(seen, line)
			if !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(line, w) }) {
				return line
			}
		case <-limit:
			t.Fatalf("want %q in\n%s", want, strings.Join(seen, "\n"))
		}
	}
}

func TestManagersAreToldWhatHappens(t *testing.T) {
	port, lines := trapd(t)
	s := settings(t)
	s.Traps = []config.SNMPTrap{{Host: "127.0.0.1"}}
	r := begin(t, t.TempDir(), port, s)
	// The first is a cold start; the alarms that there are follow.
	wait(t, lines, "."+coldStart.String())
	wait(t, lines, notificationOID("rotundaAlarmRaised").String(), `"turn ends again and again"`)
	r.pid1.change(func(p *standIn) { p.interfaces[0].Carrier = false })
	wait(t, lines, "."+linkDown.String(), `"a"`)
	r.pid1.change(func(p *standIn) {
		p.interfaces[0].Carrier = true
		p.health.Alarms = nil
		p.health.Services = []control.Service{{Name: "callbridge", State: "backoff", Restarts: 2}}
	})
	wait(t, lines, "."+linkUp.String())
	wait(t, lines, notificationOID("rotundaAlarmCleared").String())
	wait(t, lines, notificationOID("rotundaServiceDown").String(), ownColumn("rotundaServiceState", "callbridge").String()+" = INTEGER: 3")
	r.pid1.change(func(p *standIn) {
		p.health.Services = []control.Service{{Name: "callbridge", State: "ready", Restarts: 3}}
	})
	wait(t, lines, notificationOID("rotundaServiceUp").String())
	_, _ = tool(t, "snmpget", "-v2c", "-c", "public", "-t", "0.1", "-r", "0", r.address, "1.3.6.1.2.1.1.5.0")
	wait(t, lines, "."+authFailure.String())

	// By version 2c, and as an inform, which snmptrapd acknowledges.
	s.Traps = []config.SNMPTrap{{Host: "127.0.0.1", Community: "told", Inform: true}}
	r.write(t, s)
	r.reread <- os.Interrupt
	<-r.settled
	r.pid1.change(func(p *standIn) { p.interfaces[0].Carrier = false })
	wait(t, lines, "."+linkDown.String())
	r.end()
	// The next life is a warm start.
	s.Traps = []config.SNMPTrap{{Host: "127.0.0.1", Community: "told"}}
	begin(t, r.folder, port, s)
	wait(t, lines, "."+warmStart.String())
}

func TestAnInformWithoutAnAnswerIsRepeatedAndLost(t *testing.T) {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a := still(t)
	tell := newTeller(a, c.LocalAddr().(*net.UDPAddr).Port, func(string) {})
	tell.answerWithin = 20 * time.Millisecond
	r := &receiver{SNMPTrap: config.SNMPTrap{Host: "127.0.0.1", Community: "told", Inform: true}}
	if err := tell.send(t.Context(), r, event{name: linkDown}); err == nil || err.Error() != "the inform got no answer" {
		t.Errorf("want no answer told, got %v", err)
	}
	buffer := make([]byte, 2000)
	var first []byte
	for i := range informTries {
		n, _, err := c.ReadFrom(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = slices.Clone(buffer[:n])
		} else if !slices.Equal(first, buffer[:n]) {
			t.Error("want the same message again")
		}
	}
	if r.note(err); r.status.Sent+r.status.Lost != 1 {
		t.Errorf("want it counted once, got %+v", r.status)
	}
	// Nobody to send it as.
	a.configure(config.SNMPService{Engine: engine})
	if err := tell.send(t.Context(), &receiver{SNMPTrap: config.SNMPTrap{Host: "127.0.0.1"}}, event{name: linkDown}); err == nil {
		t.Error("want no trap of version 3 without a user")
	}
}

func TestWhatIsNotReadIsNoFailure(t *testing.T) {
	before := condition{alarms: map[string]control.Alarm{}, links: map[string]control.Interface{"a": {Up: true, Carrier: true}},
		services: map[string]control.Service{"turn": {Name: "turn", State: "ready"}, "mmp": {Name: "mmp", State: "ready", Restarts: 1}}}
	// A service that was disabled, an interface that is gone, and a service that ended and came back between two looks.
	after := condition{alarms: map[string]control.Alarm{}, links: map[string]control.Interface{},
		services: map[string]control.Service{"mmp": {Name: "mmp", State: "ready", Restarts: 2}}}
	list := changes(before, after, map[string]bool{})
	if len(list) != 2 || !slices.Equal(list[0].name, notificationOID("rotundaServiceDown")) || !slices.Equal(list[1].name, notificationOID("rotundaServiceUp")) {
		t.Errorf("want the restart told, and nothing else, got %+v", list)
	}
}
