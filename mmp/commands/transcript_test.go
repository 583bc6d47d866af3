package commands

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/syslog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/crypto/ssh"
	"software.sslmate.com/src/go-pkcs12"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/durable/powercut"
	"rotunda/mmp/accounts"
	"rotunda/mmp/commands/probe"
	"rotunda/mmp/grammar"
	"rotunda/mmp/pki/revocation"
)

// prompts are who types: an administrator at "cms> ", and others before an @.
var prompts = map[string]grammar.Role{"cms> ": grammar.Admin, "audit@cms> ": grammar.Audit, "crypto@cms> ": grammar.Crypto, "recover@cms> ": accounts.Recovery}

// typedLine is a line of a transcript that somebody types.
type typedLine struct {
	role    grammar.Role
	command string
	// answers are what is typed at questions; a Ctrl-C ends the command as soon as it has printed something.
	answers []string
}

const ctrlC = "^C"

func typedIn(line string) (typedLine, bool) {
	for prompt, role := range prompts {
		typed, ok := strings.CutPrefix(line, prompt)
		if !ok {
			continue
		}
		t := typedLine{role: role, command: typed}
		if command, rest, asked := strings.Cut(typed, " {"); asked {
			t.command, t.answers = command, strings.Split(strings.TrimSuffix(rest, "}"), "|")
		}
		return t, true
	}
	return typedLine{}, false
}

// transcripts are the sessions by the names of their files.
func transcripts(t *testing.T) map[string][]string {
	t.Helper()
	list, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(list) < 15 {
		t.Fatalf("there are %d transcripts, %v", len(list), err)
	}
	all := map[string][]string{}
	for _, file := range list {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[file] = slices.Collect(strings.Lines(string(b)))
	}
	return all
}

// The transcripts in testdata/transcripts are sessions on a machine that has everything, as an administrator sees them: lines that begin with
// a prompt are typed, those behind them are what is printed. What is typed at questions is behind the command in braces, a bar between two
// answers. Where the command reference shows a layout, a transcript has it to the column. With -update they are written anew, for somebody to read.
func TestTranscripts(t *testing.T) {
	for file, wanted := range transcripts(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			d := newFullDesk(t)
			var got strings.Builder
			for _, line := range wanted {
				typed, ok := typedIn(strings.TrimSuffix(line, "\n"))
				if ok || strings.HasPrefix(line, "#") {
					got.WriteString(line)
				}
				if ok {
					got.WriteString(steady(d.session(typed)))
				}
			}
			want := strings.Join(wanted, "")
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got.String() != want {
				t.Errorf("wanted\n%s\ngot\n%s", want, got.String())
			}
		})
	}
}

// session types a line and returns all that appears.
func (d *desk) session(l typedLine) string {
	d.t.Helper()
	var out interruptible
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	if slices.Equal(l.answers, []string{ctrlC}) {
		out.then = cancel
	}
	if err := d.typeInto(ctx, &out, l.role, l.command, l.answers...); err != nil && ctx.Err() == nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

// interruptible tells when something was printed.
type interruptible struct {
	bytes.Buffer
	then func()
}

func (i *interruptible) Write(p []byte) (int, error) {
	if i.then != nil {
		i.then()
	}
	return i.Buffer.Write(p)
}

// forms are the declarations with a line of the transcripts for each, which is a command of that form in the case of a role that may run it.
func forms(t *testing.T, d *desk) map[string]typedLine {
	t.Helper()
	// Its answer is zones.txt, which is compared with the toolchain's.
	found := map[string]typedLine{"timezone list": {role: grammar.Admin, command: "timezone list"}}
	all := transcripts(t)
	for _, file := range slices.Sorted(maps.Keys(all)) {
		for _, line := range all[file] {
			typed, ok := typedIn(strings.TrimSuffix(line, "\n"))
			if !ok {
				continue
			}
			if m, err := d.tree.Parse(typed.role, typed.command); err == nil {
				if _, ok := found[m.Command.Syntax]; !ok {
					found[m.Command.Syntax] = typed
				}
			}
		}
	}
	return found
}

func TestEveryCommandHasATranscript(t *testing.T) {
	d := newFullDesk(t)
	found := forms(t, d)
	_, commands := All(d.deps)
	for _, c := range commands {
		if _, ok := found[c.Syntax]; !ok {
			t.Errorf("%s is in no transcript: type it in one of testdata/transcripts and run the tests with -update", c.Syntax)
		}
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
	const phrase = "opensesame"
	root, rootKey := authority(t, "Root", nil, nil)
	holder, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	files.add("locked.key", locked(t, holder, phrase))
	sent, err := pkcs12.Modern.Encode(holder, certify(t, holder, root, rootKey), []*x509.Certificate{root}, phrase)
	if err != nil {
		t.Fatal(err)
	}
	files.add("sent.pfx", sent)
	files.add("ann.pub", sent)
	hostKey, err := ssh.NewPublicKey(holder.Public())
	if err != nil {
		t.Fatal(err)
	}
	d.deps.Keeper, d.deps.HostKeys, d.deps.People = binder{}, hostKeys{hostKey}, &tester{}
	target := netip.MustParseAddr("192.0.2.9")
	d.deps.Prober = paths{
		echoes: []probe.Echo{{Seq: 1, Answer: probe.Answer{From: target, RTT: 1500 * time.Microsecond}, Bytes: 64, Hops: 63}},
		hops: []probe.Hop{
			{Number: 1, Answers: [3]probe.Answer{{From: netip.MustParseAddr("192.168.80.254"), RTT: 250 * time.Microsecond}}}, {Number: 2},
			{Number: 3, Answers: [3]probe.Answer{{From: target, RTT: 2 * time.Millisecond}, {From: target, RTT: 4 * time.Millisecond}, {From: target, RTT: 2 * time.Millisecond}}},
		},
	}
	real := selfTest
	t.Cleanup(func() { selfTest = real })
	selfTest = func(context.Context) ([]string, error) { return []string{"integrity", "SHA2-256"}, nil }
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
	kinds, commands := All(d.deps)
	if d.tree, err = grammar.NewTree(kinds, commands); err != nil {
		t.Fatal(err)
	}
	return d
}
