package commands

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/files"
	"rotunda/mmp/grammar"
)

// as types a line in a role and returns what is printed and the error.
func (d *desk) as(role grammar.Role, line string, answers ...string) (string, error) {
	d.t.Helper()
	var out bytes.Buffer
	err := d.typeInto(d.ctx, &out, role, line, answers...)
	return out.String(), err
}

// typeInto is as with an output and a context of the caller's.
func (d *desk) typeInto(ctx context.Context, out io.Writer, role grammar.Role, line string, answers ...string) error {
	d.t.Helper()
	tree := d.tree
	if tree == nil {
		kinds, commands := All(d.deps)
		var err error
		if tree, err = grammar.NewTree(kinds, commands); err != nil {
			d.t.Fatal(err)
		}
	}
	match, err := tree.Parse(role, line)
	if err != nil {
		return err
	}
	return match.Command.Run(match.Call(ctx, &grammar.Caller{User: string(role), Role: role, Source: "192.0.2.7:50022", Local: netip.MustParseAddr("192.168.80.151"),
		Since: d.since, Terminal: &script{answers: answers}}, out))
}

func TestTheLogGoesToTheServersThatTheAdministratorNames(t *testing.T) {
	d := newDesk(t)
	status := fstest.MapFS{}
	d.deps.Status = status
	d.prints("Remote logging : disabled\nThere is no server: use syslog server add <host>\n", "syslog")
	d.prints("Warning: there is no server yet: use syslog server add <host>\n", "syslog enable")
	d.prints("", "syslog disable")
	d.prints("", "syslog server add syslog01.example.com 514")
	d.prints("syslog01.example.com is sent the log already, at port 514\n", "syslog server add syslog01.example.com")
	d.prints("", "syslog server add 192.168.3.4 1514")
	d.prints("", "syslog server add SYSLOG01.example.com 10514")
	d.fails("there is more than one syslog server syslog01.example.com: say which port", "syslog server del syslog01.example.com")
	d.prints("", "syslog server del syslog01.example.com 10514")
	d.fails("there is no syslog server other.example.com; there are syslog01.example.com, 192.168.3.4", "syslog server del other.example.com")
	d.fails("syslog server tls:logs.example.com needs certificates to trust: use tls syslog trust <bundle> first", "syslog server add tls:logs.example.com")
	d.fails(`wrong word "tls:"; want a host name or an address, with tls: before it for TLS`, "syslog server add tls:")
	d.prints("", "syslog enable")
	d.prints(`Remote logging : enabled
LOG  SERVER                PORT  STATE    SENT  WAITING
log  syslog01.example.com  514   waiting  -     -
log  192.168.3.4           1514  waiting  -     -
`, "syslog")
	b, err := json.Marshal(control.SyslogStatus{Servers: []control.SyslogServer{
		{Name: "syslog01.example.com", Port: 514, State: "connected", Sent: 1234},
		{Name: "192.168.3.4", Port: 1514, State: "unreachable", Problem: "dial tcp 192.168.3.4:1514:\nconnect: connection refused", Waiting: 4096},
	}})
	if err != nil {
		t.Fatal(err)
	}
	status["run/rotunda/syslog/status.json"] = &fstest.MapFile{Data: b}
	d.prints(`Remote logging : enabled
LOG  SERVER                PORT  STATE        SENT  WAITING
log  syslog01.example.com  514   connected    1234  0B
log  192.168.3.4           1514  unreachable  0     4.0K
192.168.3.4 : dial tcp 192.168.3.4:1514:?connect: connection refused
`, "syslog")
	for n := range config.MaxSyslogServers - 2 {
		d.prints("", fmt.Sprintf("syslog server add 10.0.0.%d", n+1))
	}
	d.fails("more than 8 syslog servers: remove one first", "syslog server add 10.0.1.1")
}

func TestOnlyTheAuditRoleSaysWhereTheAuditLogGoes(t *testing.T) {
	d := newDesk(t)
	d.deps.Status = fstest.MapFS{}
	for _, role := range []grammar.Role{grammar.Admin, grammar.Crypto, grammar.AppAdmin, grammar.API} {
		for _, line := range []string{"syslog audit add audit-server.example.org", "syslog audit del audit-server.example.org"} {
			if _, err := d.as(role, line); !errors.Is(err, grammar.ErrDenied) {
				t.Errorf("%s as %s: want it denied, got %v", line, role, err)
			}
		}
	}
	if out, err := d.as(grammar.Audit, "syslog audit add audit-server.example.org"); out != "" || err != nil {
		t.Fatalf("want the server added, got %q, %v", out, err)
	}
	d.prints("", "syslog disable")
	if !d.machine.config.Document.Syslog.Wanted() {
		t.Error("want the audit log sent although the log is not")
	}
	want := "LOG    SERVER                    PORT  STATE    SENT  WAITING\naudit  audit-server.example.org  514   waiting  -     -\n"
	d.prints(want, "syslog audit")
	d.prints("Remote logging : disabled\n"+want, "syslog")
	for _, line := range []string{"syslog server add a.example.com", "syslog enable", "syslog follow", "syslog tail", "syslog rotate x"} {
		if _, err := d.as(grammar.Audit, line); !errors.Is(err, grammar.ErrDenied) {
			t.Errorf("%s as audit: want it denied, got %v", line, err)
		}
	}
	if _, err := d.as(grammar.Audit, "syslog audit del audit-server.example.org"); err != nil {
		t.Error(err)
	}
	d.prints("There is no audit server: users of the role audit add them by syslog audit add <servername>\n", "syslog audit")
}

func TestLogServersByTLSAreVerifiedByWhatTheAdministratorTrusts(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	d.deps.Status = fstest.MapFS{}
	d.deps.Stored = shelf{"ca.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	d.fails("there is no file none.crt: put it by SFTP first", "tls syslog trust none.crt")
	d.prints("Trust bundle            : none\nMinimum TLS version     : 1.2\n", "tls syslog")
	d.prints("", "tls syslog trust ca.crt")
	d.prints("", "tls syslog min-tls-version 1.3")
	d.prints("Trust bundle            : ca.crt\nMinimum TLS version     : 1.3\n", "tls syslog")
	d.prints("", "syslog server add tls:logs.example.com")
	d.prints("", "syslog server add tls:2001:db8::1 6515")
	d.prints(`Remote logging : disabled
LOG  SERVER                PORT  STATE     SENT  WAITING
log  tls:logs.example.com  6514  disabled  -     -
log  tls:2001:db8::1       6515  disabled  -     -
`, "syslog")
	d.fails("needs certificates to trust", "tls syslog trust none")
	d.prints("", "syslog server del tls:logs.example.com")
}

// binder keeps what it is given.
type binder map[string]string

func (b binder) Keep(_ context.Context, p files.Person, kind files.LogKind, name string, content io.Reader) (int64, error) {
	text, err := io.ReadAll(content)
	b[string(kind)+name] = p.User + ": " + string(text)
	return int64(len(text)), err
}

// logDesk has a log of two files.
func logDesk(t *testing.T) (*desk, binder) {
	d, b := newDesk(t), binder{}
	d.deps.Logs, d.deps.Keeper = t.TempDir(), b
	for name, text := range map[string]string{
		"messages.1": "Jan  1 00:00:01.000 user.info cms01 host:server: INFO : one\n",
		"messages":   "Jan  1 00:00:02.000 user.info cms01 host:server: INFO : Two \u0085\nJan  1 00:01:00.000 daemon.err cms01 init: three\n",
		"audit":      "Jan  1 00:00:01.000 local0.info cms01 cli: User admin from 10.1.1.1:63290 issued command < version>: permission granted\n",
	} {
		if err := os.WriteFile(filepath.Join(d.deps.Logs, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d, b
}

func TestTheLogIsShown(t *testing.T) {
	d, _ := logDesk(t)
	one, two, three := "Jan  1 00:00:01.000 user.info cms01 host:server: INFO : one\n", "Jan  1 00:00:02.000 user.info cms01 host:server: INFO : Two ?\n",
		"Jan  1 00:01:00.000 daemon.err cms01 init: three\n"
	audit := "Jan  1 00:00:01.000 local0.info cms01 cli: User admin from 10.1.1.1:63290 issued command < version>: permission granted\n"
	d.prints(one+two+three, "syslog tail")
	d.prints(two+three, "syslog tail 2")
	d.prints(two, "syslog search TWO")
	d.prints(one+two, `syslog search "info : "`)
	d.prints("", "syslog search nothing")
	d.prints(one+two+three, "syslog page")
	d.prints(audit, "syslog audit tail")
	d.prints(audit, "syslog audit search 63290")
	d.prints(audit, "syslog audit page")
	if got, err := d.as(grammar.Audit, "syslog audit tail 1"); got != audit || err != nil {
		t.Errorf("want the audit log, got %q, %v", got, err)
	}
	d.fails("a whole number from 1 to 10000", "syslog tail 0")
}

func TestALongLogIsShownPageByPage(t *testing.T) {
	d, _ := logDesk(t)
	var log strings.Builder
	for n := range 50 {
		fmt.Fprintf(&log, "Jan  1 00:00:02.000 user.info cms01 a: line %d\n", n)
	}
	if err := os.WriteFile(filepath.Join(d.deps.Logs, "audit"), []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for answers, want := range map[string]int{"q": 22, ",q": 44, ",": 50} {
		got, err := d.run("syslog audit page", strings.Split(answers, ",")...)
		if n := strings.Count(got, "line "); err != nil || n != want {
			t.Errorf("answers %q: want %d lines, got %d, %v", answers, want, n, err)
		}
	}
}

// wire is an output that tells of each line.
type wire chan string

func (w wire) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func TestTheLogIsFollowedAcrossItsFilesUntilCtrlC(t *testing.T) {
	d, _ := logDesk(t)
	kinds, commands := All(d.deps)
	tree, err := grammar.NewTree(kinds, commands)
	if err != nil {
		t.Fatal(err)
	}
	match, err := tree.Parse(grammar.Admin, "syslog follow")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out, ended := make(wire, 100), make(chan error, 1)
	go func() { ended <- match.Command.Run(match.Call(ctx, &grammar.Caller{Role: grammar.Admin}, out)) }()
	next := func(part string) {
		t.Helper()
		select {
		case l := <-out:
			if !strings.Contains(l, part) {
				t.Errorf("want %q, got %q", part, l)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("want %q, got nothing", part)
		}
	}
	next("Two")
	next("three")
	path := filepath.Join(d.deps.Logs, "messages")
	add := func(text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString("Jan  1 00:01:00.000 user.info cms01 a: " + text + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	add("four")
	for _, move := range [][2]string{{".1", ".2"}, {"", ".1"}} {
		if err := os.Rename(path+move[0], path+move[1]); err != nil {
			t.Fatal(err)
		}
	}
	add("five")
	next("four")
	next("five")
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("want the end of the context, got %v", err)
	}
}

func TestLogsAreKeptAsFiles(t *testing.T) {
	d, kept := logDesk(t)
	year := time.Now().UTC().Year()
	d.prints("before ready for download, 172B\n", "syslog rotate before")
	if got := kept["~log~before"]; strings.Count(got, "\n") != 3 || !strings.HasPrefix(got, "admin: Jan  1 00:00:01.000") {
		t.Errorf("want the whole log, got %q", got)
	}
	if _, err := d.as(grammar.Audit, "syslog audit rotate who"); err != nil || !strings.HasPrefix(kept["~audit~who"], "audit: Jan  1") {
		t.Errorf("want the audit log kept, got %q, %v", kept, err)
	}
	d.prints("part ready for download, 112B\n", fmt.Sprintf("syslog dump part %d-01-01T00:00:02", year))
	d.prints("part ready for download, 123B\n", fmt.Sprintf("syslog dump part %d-01-01 %d-01-01T00:01", year, year))
	if got := kept["~log~part"]; !strings.Contains(got, "one") || !strings.Contains(got, "Two") || strings.Contains(got, "three") {
		t.Errorf("want what was before 00:01, got %q", got)
	}
	d.fails("is empty: the second has to be the later one", "syslog dump part 2026-01-02 2026-01-01")
	d.fails("want a time in UTC, for example 2026-05-04", "syslog dump part yesterday")
}
