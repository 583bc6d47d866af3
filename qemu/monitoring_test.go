//go:build qemu

package qemu

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestMonitoringSystemsReadTheMachine sets SNMP and the Web Admin up as docs/monitoring.md does, walks the machine by net-snmp, and
// reads the figures of every daemon.
func TestMonitoringSystemsReadTheMachine(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("snmpbulkwalk"); err != nil {
		t.Skip("snmpbulkwalk is not installed: see image/install-packages")
	}
	m := boot(t, Options{NICs: []NIC{{Forward: []Forward{{Guest: 22}, {Guest: 161, UDP: true}, {Guest: 443}}}}})
	m.firstLogin()
	m.await("ipv4 a", "10.0.2.15/24")
	snmp := func(m *trial, args ...string) (string, error) {
		c := exec.CommandContext(m.within(commandLimit), args[0], append(args[1:], "-On", "-t", "10", "-r", "5", fmt.Sprintf("127.0.0.1:%d", m.Port(161)), "1.3.6.1")...)
		c.Env = append(os.Environ(), "MIBS=", "SNMPCONFPATH=/nonexistent", "SNMP_PERSISTENT_DIR="+m.t.TempDir())
		b, err := c.CombinedOutput()
		return string(b), err
	}
	third := []string{"snmpbulkwalk", "-v3", "-l", "authPriv", "-u", "monitor", "-a", "SHA-256", "-A", "Watching-4711", "-x", "AES", "-X", "Watching-4711"}
	m.in("SNMP", func(m *trial) {
		m.ssh("snmp user add monitor Watching-4711 SHA256 AES")
		m.ssh("snmp community add watchers 10.0.2.0/24")
		m.ssh("snmp enable")
		m.await("health", "snmp")
		for _, args := range [][]string{third, {"snmpwalk", "-v2c", "-c", "watchers"}} {
			out, err := snmp(m, args...)
			if err != nil {
				m.t.Errorf("%q: %v", args, err)
			}
			for _, want := range []string{".1.3.6.1.2.1.1.1.0 = STRING: \"Rotunda ", ".1.3.6.1.2.1.31.1.1.1.1.1 = STRING: \"a\"", ".1.3.6.1.2.1.2.2.1.8.1 = INTEGER: 1", "STRING: \"/data\"",
				"STRING: \"Load-1\"", ".1.3.6.1.6.3.10.2.1.2.0 = INTEGER: 1"} {
				if !strings.Contains(out, want) {
					m.t.Errorf("want %q in\n%s", want, out)
				}
			}
		}
	})
	m.in("metrics", func(m *trial) {
		certificate, key := selfSigned(m.t)
		m.sftp("put "+certificate, "put "+key)
		m.ssh("webadmin certs web.key web.crt")
		m.ssh("webadmin enable")
		client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
		// Each daemon is up once it has started.
		ctx := m.within(bootLimit)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for text := ""; ; {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/metrics", m.Port(443)), nil)
			if err != nil {
				m.t.Fatal(err)
			}
			r.SetBasicAuth("admin", m.admin().Password)
			if a, err := client.Do(r); err == nil {
				b, _ := io.ReadAll(a.Body)
				a.Body.Close()
				text = string(b)
			}
			missing := ""
			for _, daemon := range []string{"init", "mmp", "resolver", "timesync", "snmp", "database", "callbridge", "media", "webadmin"} {
				if !strings.Contains(text, fmt.Sprintf("rotunda_up{daemon=%q} 1", daemon)) {
					missing = daemon
				}
			}
			if missing == "" && strings.Contains(text, "rotunda_service_memory_bytes{service=\"mmp\"}") && strings.Contains(text, "rotunda_database_connected 1") {
				break
			}
			select {
			case <-ctx.Done():
				m.t.Fatalf("want %s up, got\n%s", missing, text)
			case <-tick.C:
			}
		}
	})
	m.in("over a restart", func(m *trial) {
		// The number of starts goes on.
		m.ssh("snmp disable")
		m.ssh("snmp enable")
		m.await("snmp", "Engine boots : 2")
	})
}
