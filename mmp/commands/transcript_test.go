package commands

import (
	"context"
	"encoding/json"
	"log/syslog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/durable/powercut"
	"rotunda/mmp/accounts"
	"rotunda/mmp/pki/revocation"
)

// The transcripts in testdata/transcripts are sessions on a machine that has everything, as an administrator sees them: lines that begin with
// "cms> " are typed, those behind them are what is printed. What is typed at questions is behind the command in braces, a bar between two
// answers. Where the command reference shows a layout, a transcript has it to the column. With -update they are written anew, for somebody to read.
func TestTranscripts(t *testing.T) {
	list, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(list) < 15 {
		t.Fatalf("there are %d transcripts, %v", len(list), err)
	}
	for _, file := range list {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d := newFullDesk(t)
			var got strings.Builder
			for line := range strings.Lines(string(b)) {
				line = strings.TrimSuffix(line, "\n")
				if strings.HasPrefix(line, "#") {
					got.WriteString(line + "\n")
				}
				typed, ok := strings.CutPrefix(line, "cms> ")
				if !ok {
					continue
				}
				got.WriteString(line + "\n")
				var answers []string
				if command, rest, asked := strings.Cut(typed, " {"); asked {
					typed, answers = command, strings.Split(strings.TrimSuffix(rest, "}"), "|")
				}
				out, err := d.run(typed, answers...)
				if err != nil {
					out += err.Error() + "\n"
				}
				got.WriteString(steady(out))
			}
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got.String() != string(b) {
				t.Errorf("wanted\n%s\ngot\n%s", b, got.String())
			}
		})
	}
}

// steady takes out of an answer what is another at every run: how long a key took to make, fingerprints, and times of certificates. Columns stay.
func steady(out string) string {
	out = dots.ReplaceAllString(out, "......")
	out = regexp.MustCompile(`[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4} GMT`).ReplaceAllString(out, "May  4 03:02:01 2026 GMT")
	out = regexp.MustCompile(`([0-9A-F]{2}:){8,}[0-9A-F]{2}`).ReplaceAllString(out, "00:11:22")
	return regexp.MustCompile(`SHA256:\S+`).ReplaceAllString(out, "SHA256:fingerprint")
}

// newFullDesk is a desk with storage, accounts, logs, certificates, and services that say how they are.
func newFullDesk(t *testing.T) *desk {
	d, files := newCryptoDesk(t)
	key, certificate := pair(t)
	for _, f := range []struct {
		name    string
		content []byte
	}{{"core.key", key}, {"core.cer", certificate}, {"root.cer", certificate}, {"cmsedge-fullchain.cer", certificate}} {
		files.add(f.name, f.content)
	}
	files.add("ntp.keys", []byte("7 SHA1 0123456789abcdef0123456789abcdef01234567\n"))
	d.deps.Notices = board{files.shelf}
	store, err := accounts.Open(accounts.Config{
		Disk: powercut.New(), Log: func(syslog.Priority, string, string) {}, Cost: accounts.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1},
		Clock: fixedClock{d.machine.clock}, Zone: func() *time.Location { return time.UTC }, Files: files.shelf,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.deps.Accounts = store
	d.deps.Captures, d.deps.Bundles = &room{}, &room{}
	d.machine.capturing.ended = control.CaptureLimit
	d.deps.Logs = t.TempDir()
	for name, text := range map[string]string{
		"messages": "May  4 03:01:59.120 daemon.info cms init: service turn is ready\nMay  4 03:02:00.588 user.info cms host:server: INFO : media module status 1 (1/1) 1/1 (full media capacity)\n",
		"audit":    "May  4 03:02:01.395 local0.info cms cli: User admin from 10.140.249.233:63290 issued command < callbridge av1 enable>: permission granted\n",
	} {
		if err := os.WriteFile(filepath.Join(d.deps.Logs, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := d.machine.clock
	d.deps.Revocation = told{list: []revocation.Finding{{Status: revocation.Good, Responder: "http://ocsp.example.com", Since: at, Until: at}}}
	status := fstest.MapFS{}
	for name, s := range map[string]any{
		control.TimeStatusFile: control.TimeStatus{At: at, Synchronized: true, Offset: -412 * time.Microsecond, Within: 7 * time.Millisecond, Servers: []control.TimeServer{
			{Name: "ntp1.example.com", Address: "192.0.2.1", State: "used", Stratum: 2, Reach: 0o377, Offset: -412 * time.Microsecond, Delay: 1932 * time.Microsecond, Last: at.Add(-12 * time.Second)},
			{Name: "192.0.2.123", State: "unreachable"}}},
	} {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		status[strings.TrimPrefix(name, "/")] = &fstest.MapFile{Data: b}
	}
	d.deps.Status = status
	d.machine.health = control.Health{
		Uptime: 26*time.Hour + 3*time.Minute, Memory: control.Memory{Total: 4 << 30, Available: 3 << 30, InitRSS: 12 << 20},
		Media:    []control.MediaModule{{Number: 0, Workers: 3, Ready: 3}},
		Alarms:   []control.Alarm{{ID: "syslog:log1.example.com", Text: "log1.example.com does not answer", Since: at.Add(-time.Minute)}},
		Services: []control.Service{{Name: "mmp", State: "ready", PID: 212, Uptime: 26 * time.Hour, RSS: 30 << 20}, {Name: "snmp", State: "backoff", Restarts: 2, LastExit: "exit status 1: no address"}},
		Startup:  []control.Step{{Name: "mounts", Duration: 12 * time.Millisecond}, {Name: "network", Duration: 340 * time.Millisecond, Error: "interface b has no link"}},
	}
	doc := d.machine.config.Document
	doc.CallBridge.Listen = []string{"a"}
	for _, i := range []string{"b"} {
		doc.Interfaces[i] = config.Interface{IPv4: config.IPv4{Enabled: true, Address: netip.MustParsePrefix("10.77.0.2/24")}}
	}
	d.ctx = context.WithoutCancel(t.Context())
	return d
}
