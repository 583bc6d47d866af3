//go:build qemu

package qemu

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"rotunda/services/chromium"
)

// TestTheTURNServerOfTheImage sets the server up as section 4.7 of the deployment guide does and has coturn's client talk
// between its relays, by UDP, TCP and TLS, with static and with short-term credentials.
func TestTheTURNServerOfTheImage(t *testing.T) {
	t.Parallel()
	m := boot(t, Options{NICs: []NIC{{Forward: []Forward{{Guest: 22}, {Guest: 3478, UDP: true}, {Guest: 447}}}}})
	m.firstLogin()
	m.await("ipv4 a", "10.0.2.15/24")
	certificate, key := selfSigned(t)
	m.sftp("put "+certificate, "put "+key)
	m.in("what is missing is named", func(m *trial) {
		m.sshFails("turn enable", "FAILURE: no interface to listen on")
		m.sshFails("turn certs web.crt web.key", "web.crt holds a certificate and no key")
	})
	m.in("it is set up and shows itself as the reference says", func(m *trial) {
		for _, line := range []string{"turn listen a lo", "turn credentials admin Cisco.123 cms.demo", "turn tls 447", "turn certs web.key web.crt"} {
			if got := m.ssh(line); got != "" {
				m.t.Errorf("%s: got %q, want nothing said", line, got)
			}
		}
		if got, want := m.ssh("turn enable"), "SUCCESS: Key and certificate pair match\nSUCCESS: TURN server enabled\n"; got != want {
			m.t.Errorf("turn enable: got %q, want %q", got, want)
		}
		const want = `Enabled                 : true
Username                : admin
Password                : Cisco.123
Short term credentials  : disabled
Shared secret           : none
Realm                   : cms.demo
Public IP               : none
High Capacity Mode      : enabled
Relay address           : 10.0.2.15
TLS port                : 447
TLS cert                : web.crt
TLS key                 : web.key
TLS bundle              : none
Listen interface      a
Listen interface      lo
`
		if got := m.ssh("turn"); got != want {
			m.t.Errorf("turn: got\n%s\nwant\n%s", got, want)
		}
	})
	m.in("UDP", func(m *trial) { m.relayed(3478, "-u", "admin", "-w", "Cisco.123") })
	m.in("TCP", func(m *trial) { m.relayed(3478, "-t", "-u", "admin", "-w", "Cisco.123") })
	m.in("TLS", func(m *trial) { m.relayed(447, "-t", "-S", "-u", "admin", "-w", "Cisco.123") })
	m.in("two browsers that know no way but its relays", func(m *trial) {
		for _, transport := range []string{"udp", "tcp"} {
			m.browsersMeet(fmt.Sprintf("turn:127.0.0.1:%d?transport=%s", m.Port(3478), transport), transport)
		}
	})
	m.in("short-term credentials, changed on the running server", func(m *trial) {
		m.ssh("turn short_term_credentials mysharedsecret example.com")
		m.ssh("turn short_term_credentials_mode enable")
		m.relayed(3478, "-u", "joe", "-W", "mysharedsecret")
		m.relayed(447, "-t", "-u", "joe", "-W", "mysharedsecret")
	})
	m.in("without the fast path", func(m *trial) {
		m.ssh("turn highcapacity-mode disable")
		m.relayed(3478, "-u", "joe", "-W", "mysharedsecret")
	})
	m.in("it is disabled, and secrets are not in the log", func(m *trial) {
		m.ssh("turn disable")
		if got := m.ssh("health"); strings.Contains(got, "turn") {
			m.t.Errorf("health: got\n%s\nwant no service turn", got)
		}
		folder := m.t.TempDir()
		m.sftp("get log "+folder+"/log", "get audit "+folder+"/audit")
		var text []byte
		for _, name := range []string{"log", "audit"} {
			b, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				m.t.Fatal(err)
			}
			text = append(text, b...)
		}
		wantContains(m.t, "the logs", string(text), "turn credentials admin ******** cms.demo", "TURN server listens on udp 10.0.2.15:3478")
		for _, secret := range []string{"Cisco.123", "mysharedsecret"} {
			if strings.Contains(string(text), secret) {
				m.t.Errorf("the logs: got %q in them, want no secret", secret)
			}
		}
	})
}

var relayedMessages = regexp.MustCompile(`start_mclient: tot_send_msgs=(\d+), tot_recv_msgs=(\d+)\n`)

// browsersMeet has two Chromium send video and messages to each other through relays alone, as web app users behind firewalls do.
func (m *trial) browsersMeet(server, transport string) {
	m.t.Helper()
	text, err := os.ReadFile("../services/turn/browser_test.html")
	if err != nil {
		m.t.Fatal(err)
	}
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(text)
	}))
	defer pages.Close()
	var ends []*chromium.Tab
	for range 2 {
		page := chromium.Start(m.t, chromium.WebRTC...).Open(pages.URL)
		chromium.Until(m.t, "the page is there", func() bool { return chromium.Eval[bool](page, "typeof ways == 'function'") })
		chromium.Eval[any](page, "join(%s, %s, %s)", server, "admin", "Cisco.123")
		ends = append(ends, page)
	}
	one, two := ends[0], ends[1]
	offer := chromium.Eval[string](one, "offer()")
	wantContains(m.t, "the browser's offer", offer, "typ relay")
	chromium.Eval[any](one, "accept(%s)", chromium.Eval[string](two, "answer(%s)", offer))
	for n, page := range ends {
		chromium.Until(m.t, "green is seen", func() bool { return chromium.Eval[bool](page, "green()") })
		chromium.Until(m.t, "the channel is open", func() bool { return chromium.Eval[string](page, "pc.talk.readyState") == "open" })
		chromium.Eval[any](page, "pc.talk.send(%s)", fmt.Sprint("from ", n))
	}
	for n, page := range ends {
		chromium.Until(m.t, "the message has come", func() bool {
			return chromium.Eval[string](page, "arrived.join()") == fmt.Sprint("from ", 1-n)
		})
		for _, way := range chromium.Eval[[][3]string](page, "ways()") {
			if way != [3]string{"relay", transport, "relay"} {
				m.t.Errorf("end %d: got %v, want relays at both sides by %s", n, way, transport)
			}
		}
	}
}

// relayed runs coturn's client against a port of the guest. Its UDP to an emulated machine may lose a packet, so it has three
// tries to receive nine of ten.
func (m *trial) relayed(guest int, args ...string) {
	m.t.Helper()
	args = append([]string{"-y", "-c", "-m", "2", "-n", "10", "-p", strconv.Itoa(m.Port(guest))}, append(args, "127.0.0.1")...)
	for try := 1; ; try++ {
		out, err := exec.CommandContext(m.within(commandLimit), "turnutils_uclient", args...).CombinedOutput()
		if found := relayedMessages.FindSubmatch(out); err == nil && found != nil {
			sent, _ := strconv.Atoi(string(found[1]))
			received, _ := strconv.Atoi(string(found[2]))
			if sent >= 20 && received*10 >= sent*9 {
				return
			}
		}
		if try == 3 {
			m.t.Errorf("turnutils_uclient %s: got %v\n%s\nwant 9 of 10 messages received", strings.Join(args, " "), err, out)
			return
		}
	}
}
