package commands

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
	"rotunda/mmp/line"
	"rotunda/mmp/shell"
)

// counting is a machine that counts its changes, and may refuse some.
type counting struct {
	*machine
	refused func(*config.Document) error
	changes int
}

func (m *counting) SetConfig(ctx context.Context, generation int, doc *config.Document) (control.Applied, error) {
	if m.refused != nil {
		if err := m.refused(doc); err != nil {
			return control.Applied{}, control.Invalid(err)
		}
	}
	if ctx.Err() != nil {
		// As the client of PID 1's socket: a line that came before the others is one change for itself.
		return control.Applied{}, context.Cause(ctx)
	}
	a, err := m.machine.SetConfig(ctx, generation, doc)
	if err == nil {
		m.changes++
	}
	return a, err
}

func (m *counting) TryConfig(ctx context.Context, generation int, doc *config.Document, from string) (control.Applied, error) {
	m.tried = from
	return m.SetConfig(ctx, generation, doc)
}

// everybody lets all sessions begin.
type everybody struct{ shell.Accounts }

func (everybody) Begin(*shell.Login, shell.SessionKind, func()) (func(), error) {
	return func() {}, nil
}

// outcome is what somebody can see of a script.
type outcome struct {
	out, errOut, log, document, tried string
	status                            int
}

// script runs lines that come at once, over the control socket; joined says whether they may be one change.
func (d *desk) script(machine *counting, joined bool, lines ...string) outcome {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "s")
	ctx, cancel := context.WithCancel(d.t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- (&control.Server{Machine: machine, Writers: map[uint32]bool{uint32(os.Getuid()): true}, Log: func(text string) { d.t.Error(text) }}).Serve(ctx, path)
	}()
	for c, err := net.Dial("unix", path); ; c, err = net.Dial("unix", path) {
		if err == nil {
			c.Close()
			break
		}
	}
	deps := d.deps
	deps.Machine = control.NewClient(path)
	kinds, list := All(deps)
	tree, err := grammar.NewTree(kinds, append(shell.Builtins(), list...))
	if err != nil {
		d.t.Fatal(err)
	}
	var log, out, errOut bytes.Buffer
	sh := &shell.Shell{Tree: tree, Accounts: everybody{}, Log: shell.NewLog(&log), Hostname: func() string { return "cms" }, IdleTimeout: -1}
	if joined {
		sh.Join = deps.Join
	}
	login := &shell.Login{User: "admin", Role: grammar.Admin,
		Source: shell.Source{Addr: netip.MustParseAddrPort("192.0.2.7:50022"), Local: netip.MustParseAddr("192.168.80.151")}}
	pipe := line.NewPipe(strings.NewReader(strings.Join(lines, "\n")+"\n"), &out)
	defer pipe.Close()
	o := outcome{tried: machine.tried}
	o.status, _ = sh.Script(d.ctx, login, pipe, &out, &errOut)
	cancel()
	if err := <-ended; err != nil {
		d.t.Error(err)
	}
	document, err := json.Marshal(machine.config.Document)
	if err != nil {
		d.t.Fatal(err)
	}
	o.out, o.errOut, o.log, o.document, o.tried = out.String(), errOut.String(), log.String(), string(document), machine.tried
	return o
}

func records(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf(`dns app add rr "host%d.example.com. 60 IN A 192.0.2.1"`, i))
	}
	return lines
}

func TestAScriptIsAsIfEachOfItsLinesWereAChange(t *testing.T) {
	noTen := func(doc *config.Document) error {
		if slices.ContainsFunc(doc.DNS.Records, func(r string) bool { return strings.Contains(r, "192.0.2.10") }) {
			return fmt.Errorf("not this address")
		}
		return nil
	}
	for _, c := range []struct {
		name      string
		lines     []string
		refused   func(*config.Document) error
		interfere int
		// changes is how many are made of it.
		changes int
		// part is in what is printed.
		part string
	}{
		{name: "a hundred records", lines: records(100), changes: 1},
		{name: "nothing new", lines: append(records(3), records(3)...), changes: 1},
		{name: "mistakes between", changes: 1, part: `there is no forward zone other.com; there are`, lines: []string{
			"dns add forwardzone example.com 10.1.1.1", "dns add forwardzone example.com 0.0.0.0", "bogus", "", "dns del forwardzone other.com 10.1.1.1",
			"dns add forwardzone example.com 10.1.1.2", "dns add", "ntp server add ntp1.example.com"}},
		{name: "a look between", changes: 2, part: "host1.example.com. 60 IN A 192.0.2.1\n", lines: slices.Concat(records(2), []string{"dns"}, records(4), []string{"dns"})},
		{name: "what takes a restart of the machine", changes: 1, part: "A reboot is required", lines: []string{
			"hostname london1", "hostname london1", "timezone Europe/London", "dscp 4 voice 46"}},
		{name: "off and on again", changes: 4, lines: []string{
			"ipv4 b add 10.1.1.1/24 10.1.1.254", "ipv4 b enable", "ipv6 b enable", "ipv6 b disable", "ipv6 b enable", "ipv4 b disable"}},
		{name: "an interface that is not there", changes: 2, part: "no interface c", refused: func(doc *config.Document) error {
			if on(doc.Interfaces["c"]) {
				return fmt.Errorf("this machine has no interface c")
			}
			return nil
		}, lines: []string{"dscp 4 voice 46", "ipv6 c enable", "firewall c default allow", "dscp 6 voice 46"}},
		{name: "what would cut the session off", changes: 3, part: "unless you log in anew and run: firewall confirm", lines: []string{
			"firewall a default deny", "firewall a allow 443/tcp", "firewall a enable", "firewall a allow 22/tcp", "dscp 4 voice 46"}},
		{name: "what PID 1 refuses", refused: noTen, changes: 3, part: "not this address\n", lines: []string{
			`dns add rr "a.example.com. 60 IN A 192.0.2.1"`, `dns add rr "b.example.com. 60 IN A 192.0.2.10"`, `dns add rr "c.example.com. 60 IN A 192.0.2.2"`, "dscp 4 voice 46"}},
		{name: "somebody else is faster", interfere: 1, lines: records(3), changes: 3},
		{name: "exit between", lines: append(append(records(3), "exit"), records(5)...), changes: 1},
		{name: "a question", lines: append(append(records(2), "dns ?"), records(3)...), changes: 2, part: "flush"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var single, joint outcome
			var changes int
			for _, joined := range []bool{false, true} {
				d := newDesk(t)
				m := &counting{machine: d.machine, refused: c.refused}
				d.machine.interfere = c.interfere
				o := d.script(m, joined, c.lines...)
				if joined {
					joint, changes = o, m.changes
				} else {
					single = o
				}
			}
			if joint != single {
				t.Errorf("one by one:\n%+v\ntogether:\n%+v", single, joint)
			}
			if changes != c.changes {
				t.Errorf("wanted %d changes, got %d", c.changes, changes)
			}
			if !strings.Contains(joint.out, c.part) {
				t.Errorf("wanted %q, got\n%s", c.part, joint.out)
			}
			if n, want := strings.Count(joint.log, "issued command"), logged(c.lines); n != want {
				t.Errorf("wanted %d lines in the audit log, got %d", want, n)
			}
		})
	}
}

func TestAScriptLongerThanOneChange(t *testing.T) {
	const lines = 1005
	d := newDesk(t)
	m := &counting{machine: d.machine}
	var rules []string
	for i := range lines {
		rules = append(rules, fmt.Sprintf("firewall b allow %d/tcp", i+1))
	}
	o := d.script(m, true, rules...)
	if n := len(d.machine.config.Document.Firewall["b"].Rules); n != lines || m.changes != 2 || o.out != "" || o.status != 0 {
		t.Errorf("wanted %d rules by two changes, got %d by %d, %+v", lines, n, m.changes, o)
	}
}

// logged are the lines that the audit log has: those that are commands, as far as the first exit.
func logged(lines []string) (n int) {
	for _, l := range lines {
		if l != "" && !strings.HasSuffix(l, "?") {
			n++
		}
		if l == "exit" {
			break
		}
	}
	return n
}

// Transcripts have what people see of every command. What they type is a script as well.
func TestTranscriptsAsScripts(t *testing.T) {
	for _, name := range []string{"dns", "dscp", "firewall", "hostname", "iface", "ipv4", "ipv6", "ntp", "snmp", "syslog", "time"} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile("testdata/transcripts/" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for l := range strings.Lines(string(b)) {
				if typed, ok := strings.CutPrefix(strings.TrimSuffix(l, "\n"), "cms> "); ok && !strings.Contains(typed, " {") {
					lines = append(lines, typed)
				}
			}
			run := func(joined bool) outcome {
				d := newFullDesk(t)
				o := d.script(&counting{machine: d.machine}, joined, lines...)
				o.out = steady(o.out)
				return o
			}
			single, joint := run(false), run(true)
			single.document, joint.document = keyless(single.document), keyless(joint.document)
			if single != joint {
				t.Errorf("one by one:\n%+v\ntogether:\n%+v", single, joint)
			}
		})
	}
}

// keyless takes out what is drawn anew each time.
func keyless(document string) string {
	var doc config.Document
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		return err.Error()
	}
	doc.SNMP.Engine = nil
	for i := range doc.SNMP.Users {
		doc.SNMP.Users[i].Key = nil
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// gate is a machine whose first answer has to wait.
type gate struct {
	control.Machine
	asked chan struct{}
	open  chan struct{}
	once  sync.Once
}

func (g *gate) Config(ctx context.Context) (control.Config, error) {
	g.once.Do(func() {
		close(g.asked)
		<-g.open
	})
	return g.Machine.Config(ctx)
}

func TestAScriptThatIsInterruptedHasChangedNothing(t *testing.T) {
	d := newDesk(t)
	m := &counting{machine: d.machine}
	g := &gate{Machine: m, asked: make(chan struct{}), open: make(chan struct{})}
	d.deps.Machine = g
	kinds, list := All(d.deps)
	tree, err := grammar.NewTree(kinds, list)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	var out, errOut bytes.Buffer
	sh := &shell.Shell{Tree: tree, Accounts: everybody{}, Log: shell.NewLog(&bytes.Buffer{}), Join: d.deps.Join, IdleTimeout: -1}
	pipe := line.NewPipe(strings.NewReader(strings.Join(records(5), "\n")), &out)
	defer pipe.Close()
	go func() {
		<-g.asked
		cancel(shell.ErrInterrupted)
		close(g.open)
	}()
	status, _ := sh.Script(ctx, &shell.Login{User: "admin", Role: grammar.Admin, Source: shell.Source{Console: "ttyS0"}}, pipe, &out, &errOut)
	if status == 0 || m.changes != 0 || out.String() != "" {
		t.Errorf("wanted a failure and nothing changed, got status %d, %d changes, %q", status, m.changes, out.String())
	}
}
