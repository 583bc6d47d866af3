//go:build qemu

package qemu

import (
	"strings"
	"testing"
	"time"
)

// trialLimit is what three tries may take, each with a start and up to 60 s of patience with a version that does not
// become ready.
const trialLimit = 12 * time.Minute

// traces are what health must show of the crash on the version that has taken over.
var traces = map[string][]string{
	"kernel-panic": {"Kernel panic - not syncing: sysrq triggered crash"},
	"init-panic":   {"panic: runtime error: index out of range", "goroutine 1", "main.(*machine).strike"},
}

// TestBadVersionsEndOnTheVersionBefore installs versions that fail, each in another way, and never touches the machine
// after the Y. The faults share machines so that those that take long run side by side.
func TestBadVersionsEndOnTheVersionBefore(t *testing.T) {
	for _, group := range [][]string{
		{"not-ready"},
		{"mmp-dead"},
		{"kernel-panic", "init-panic", "hang"},
	} {
		t.Run(strings.Join(group, " and "), func(t *testing.T) {
			t.Parallel()
			m := boot(t, Options{})
			m.firstLogin()
			m.serial("hostname keeper")
			for _, fault := range group {
				m.in(fault, func(m *trial) { m.endsOnTheVersionBefore(fault) })
			}
		})
	}
}

func (m *trial) endsOnTheVersionBefore(fault string) {
	before, version := delivered(m.t), "100.0-"+fault
	image, err := checkout(m.t).BuildUpgrade(m.t.Context(), version, "fault="+fault)
	if err != nil {
		m.t.Fatal(err)
	}
	m.await("version", before)
	m.sftp("put " + image + " upgrade.img")
	resets := m.Monitor.Events("RESET")
	m.Serial.Drain()
	m.typed("upgrade\r")
	m.expect(2*time.Minute, `\(Y/n\)[^\n]*\z`)
	m.typed("Y\r")
	m.expect(2*time.Minute, `restarts now`)

	list := m.awaitFailed(version, before)
	tries := m.Monitor.Events("RESET") - resets - 1 // the first is the upgrade's own
	if tries < 1 || tries > 3 {
		m.t.Errorf("%s: the machine was reset %d times after the first start of the bad version, want 1 to 3", fault, tries)
	}
	m.t.Logf("back on %s after %d tries", before, tries)
	wantContains(m.t, "upgrade list", list, before)
	wantContains(m.t, "version", m.ssh("version"), before)
	wantContains(m.t, "hostname", m.ssh("hostname"), "keeper")
	health := m.ssh("health")
	wantContains(m.t, "the alarm", health, version, "upgrade delete")
	wantContains(m.t, "the trace", health, traces[fault]...)
	m.login()
	for line := range strings.Lines(list) {
		if number, _, _ := strings.Cut(line, " "); strings.Contains(line, version) {
			m.ssh("upgrade delete " + number)
		}
	}
	if after := m.ssh("upgrade list"); strings.Contains(after, version) {
		m.t.Errorf("upgrade list after upgrade delete: got\n%s\nwant no %s", after, version)
	}
}

// awaitFailed waits until the version before runs again and calls the other one failed.
func (m *trial) awaitFailed(version, before string) string {
	m.t.Helper()
	ctx := m.within(trialLimit)
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		r, err := m.shared().Run(ctx, "upgrade list", nil)
		if r.Status == noConnection {
			m.hangUp()
		}
		failed, running := false, false
		for line := range strings.Lines(r.Stdout) {
			failed = failed || strings.Contains(line, version) && strings.Contains(line, "failed")
			running = running || strings.Contains(line, before+" ") && strings.Contains(line, "running")
		}
		if err == nil && failed && running {
			return r.Stdout
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.t.Fatalf("the machine did not end on version %s; upgrade list says:\n%s%s\nthe console says:\n%s", before, r.Stdout, r.Stderr, m.Serial.Tail())
		}
	}
}
