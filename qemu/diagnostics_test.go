//go:build qemu

package qemu

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestWhoLooksForAFaultFindsWhatTheyNeed: captures, log bundles and live.json, as an administrator fetches them.
func TestWhoLooksForAFaultFindsWhatTheyNeed(t *testing.T) {
	t.Parallel()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed: image/install-packages test")
	}
	network := newLAN(t, "10.77.0.1/24")
	m := boot(t, Options{NICs: []NIC{{Forward: []Forward{{Guest: 22}}}, {Segment: network.cable}}})
	m.firstLogin()
	m.await("ipv4 a", "10.0.2.15/24")
	m.ssh("ipv4 b add 10.77.0.2/24")
	m.ssh("ipv4 b enable")
	m.await("ipv4 b", "10.77.0.2/24")
	m.ssh("turn credentials anna S3cret-of-TURN example.com")
	folder := t.TempDir()
	m.in("a capture lasts until Ctrl-C and is read by tshark", func(m *trial) {
		m.typed("pcap b\r")
		m.expect(time.Minute, `Ctrl-C ends it`)
		// The line says that it listens. A second one is refused, and says so without a word of capturing.
		if r, err := m.admin().Run(m.within(commandLimit), "pcap b", nil); err != nil || r.Status != 1 || !strings.Contains(r.Stdout, "there already is a capture on interface b") || strings.Contains(r.Stdout, "Capturing") {
			m.t.Errorf("a second capture: status %d, %v, %s", r.Status, err, r.Stdout)
		}
		network.inside(func() {
			conn, err := net.Dial("tcp", "10.77.0.2:22")
			if err != nil {
				m.t.Error(err)
				return
			}
			defer conn.Close()
			if _, err := io.ReadFull(conn, make([]byte, len("SSH-2.0"))); err != nil {
				m.t.Error(err)
			}
			// To the port that throws away what it gets.
			datagrams, err := net.Dial("udp", "10.77.0.2:9")
			if err != nil {
				m.t.Error(err)
				return
			}
			defer datagrams.Close()
			for range 3 {
				// A refusal of the one before is an error of the next.
				_, _ = datagrams.Write(make([]byte, 500))
			}
		})
		m.typed("\x03")
		got := m.expect(time.Minute, `(\d+) packets captured, (\d+) dropped\s+(\S+\.pcap) \(`)
		if got[2] != "0" || !regexp.MustCompile(`^rotunda-b-\d{8}T\d{6}Z\.pcap$`).MatchString(got[3]) {
			m.t.Errorf("got %q", got)
		}
		file := filepath.Join(folder, "x.pcap")
		m.sftp("get " + got[3] + " " + file)
		out, err := exec.Command(tshark, "-n", "-r", file, "-Y", "ip", "-T", "fields", "-e", "ip.src", "-e", "ip.proto", "-e", "frame.len").CombinedOutput()
		if err != nil || strings.Count(string(out), "10.77.0.1\t17\t542\n") < 1 || !strings.Contains(string(out), "10.77.0.1\t6\t") || !strings.Contains(string(out), "10.77.0.2\t6\t") {
			m.t.Errorf("tshark: want datagrams of 542 bytes, and both directions of a connection, got %v:\n%s", err, out)
		}
	})
	m.in("a capture by a command alone ends with its channel", func(m *trial) {
		ctx, cancel := context.WithCancel(m.within(5 * time.Minute))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = m.admin().Run(ctx, "pcap a", nil)
		}()
		m.await("syslog tail 50", "capture on interface a (")
		cancel()
		<-ended
		m.await("syslog tail 50", "capture on interface a ended (stopped)")
	})
	m.in("the log bundle is made while it is fetched", func(m *trial) {
		if list := m.sftp("ls -l logbundle.tar.gz"); !regexp.MustCompile(` 1024 .*logbundle\.tar\.gz`).MatchString(list) {
			m.t.Errorf("listed as %s", list)
		}
		file := filepath.Join(folder, "bundle.tar.gz")
		m.sftp("get logbundle.tar.gz " + file)
		got := unpacked(m.t, file)
		for name, want := range map[string]string{
			"log": "init: ", "audit": "issued command < pcap b>", "live.json": `"eth4"`, "configuration.json": `"anna"`, "health.json": `"services"`,
			"version.json": `"kernel"`, "dmesg.txt": "Linux version", "services.json": `"callbridge"`, "media.json": `"workers"`,
			"callbridge.xml": "<status>", "calls.xml": "<calls", "database.xml": "<database ", "files.txt": ".pcap", "ntp.json": "{", "filesystems.json": `"data"`,
		} {
			if !strings.Contains(got[name], want) {
				m.t.Errorf("%s: want %q in it, got %.500q; missing are %s", name, want, got[name], got["missing.txt"])
			}
		}
		for name, text := range got {
			if strings.Contains(text, "S3cret-of-TURN") {
				m.t.Errorf("%s holds a secret", name)
			}
		}
		wantContains(m.t, "generate_logbundle", m.ssh("generate_logbundle"), "generatedlogbundle.tar.gz (")
		m.sftp("get generatedlogbundle.tar.gz " + file)
		if again := unpacked(m.t, file); !strings.Contains(again["audit"], "generate_logbundle") {
			m.t.Errorf("the second bundle has no trace of the command that made it")
		}
	})
	m.in("live.json mirrors the configuration", func(m *trial) {
		file := filepath.Join(folder, "live.json")
		m.sftp("get live.json " + file)
		b, err := os.ReadFile(file)
		if err != nil {
			m.t.Fatal(err)
		}
		var live struct {
			IPv4 struct {
				Module struct {
					Interfaces map[string]map[string]any
				}
			}
		}
		if err := json.Unmarshal(b, &live); err != nil {
			m.t.Fatal(err)
		}
		if b := live.IPv4.Module.Interfaces["eth3"]; b["address"] != "10.77.0.2" || b["prefixlen"] != "24" || b["enabled"] != "true" {
			m.t.Errorf("eth3 is %v", b)
		}
	})
	m.in("the machine tells what it is", func(m *trial) {
		wantContains(m.t, "model", m.ssh("model"), "Platform : vm", "Hardware : QEMU")
		wantContains(m.t, "ps", m.ssh("ps"), "PID ", "callbridge", "mediaworker-0.0")
		m.ssh("serial")
	})
}

// unpacked is what a bundle has, by name.
func unpacked(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(zipped)
	got := map[string]string{}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		got[strings.TrimPrefix(h.Name, "logbundle/")] = string(b)
	}
}
