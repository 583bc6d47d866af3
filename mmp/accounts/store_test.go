package accounts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rotunda/init/durable"
	"rotunda/init/durable/powercut"
	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

// cheap makes a hash in microseconds.
var cheap = Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}

type testClock struct {
	mu     sync.Mutex
	now    time.Time
	uptime time.Duration
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) Uptime() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.uptime
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.uptime = c.now.Add(d), c.uptime+d
}

type testFiles map[string]string

func (f testFiles) OpenStored(name string) (io.ReadCloser, error) {
	text, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// world is a store with everything around it in memory.
type world struct {
	*Store
	t        *testing.T
	clock    *testClock
	disk     durable.FS
	files    testFiles
	resolver testResolver
	mu       sync.Mutex
	lines    []string
}

type testResolver map[string]netip.Addr

func (r testResolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := r[host]; ok {
		return []netip.Addr{a}, nil
	}
	return nil, errors.New("no such host")
}

func (w *world) log(p syslog.Priority, tag, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf("<%d>%s: %s", p, tag, text))
}

func (w *world) logged(part string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(strings.Join(w.lines, "\n"), part)
}

func (w *world) open() {
	w.t.Helper()
	s, err := Open(Config{
		Disk: w.disk, Log: w.log, Clock: w.clock, Zone: func() *time.Location { return time.UTC }, Files: w.files,
		Resolver: w.resolver, Cost: cheap,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Store = s
}

// newWorld is a machine as delivered, an hour after power-on on Thursday, 1 October 2026 at 12:00 UTC.
func newWorld(t *testing.T) *world {
	w := &world{
		t: t, disk: powercut.New(), files: testFiles{}, resolver: testResolver{},
		clock: &testClock{now: time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC), uptime: time.Hour},
	}
	w.open()
	return w
}

const goodPassword = "correct horse 7"

// newSetUp is a machine whose admin has chosen a password.
func newSetUp(t *testing.T) *world {
	w := newWorld(t)
	w.must(w.SetPassword(t.Context(), "admin", goodPassword))
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// addUser makes an account that need not change its password.
func (w *world) addUser(name string, role grammar.Role) {
	w.t.Helper()
	w.must(w.Add(w.t.Context(), name, role, "some other pass"))
	w.must(w.SetPassword(w.t.Context(), name, goodPassword))
}

var (
	console = shell.Source{Console: "ttyS0"}
	desk    = shell.Source{Addr: netip.MustParseAddrPort("192.0.2.7:50022")}
)

func from(address string) shell.Source {
	return shell.Source{Addr: netip.AddrPortFrom(netip.MustParseAddr(address), 50022)}
}

func (w *world) refused(user, password string, from shell.Source, why string) {
	w.t.Helper()
	login, err := w.CheckPassword(w.t.Context(), user, password, from)
	if err == nil {
		w.t.Fatalf("%s from %s got in as %+v, want refused: %s", user, from, login, why)
	}
	if err.Error() != shell.ErrRefused.Error() {
		w.t.Fatalf("refusal says %q, want only %q", err, shell.ErrRefused)
	}
	if !w.logged(why) {
		w.t.Fatalf("log has no %q:\n%s", why, strings.Join(w.lines, "\n"))
	}
}

func (w *world) admitted(user, password string, from shell.Source) *shell.Login {
	w.t.Helper()
	login, err := w.CheckPassword(w.t.Context(), user, password, from)
	if err != nil {
		w.t.Fatalf("%s from %s: %v\n%s", user, from, err, strings.Join(w.lines, "\n"))
	}
	w.LoggedIn(login)
	return login
}

func TestFactoryAccountMustChangeItsPassword(t *testing.T) {
	w := newWorld(t)
	login := w.admitted("admin", "admin", desk)
	if login.MustChange == "" || login.Role != grammar.Admin {
		t.Fatalf("login is %+v, want an admin who must change the password", login)
	}
	for _, bad := range []string{"admin", "", "short", "my admin password"} {
		if err := w.SetPassword(t.Context(), "admin", bad); err == nil {
			t.Errorf("password %q was taken", bad)
		}
	}
	w.must(w.SetPassword(t.Context(), "admin", goodPassword))
	w.refused("admin", "admin", desk, "unknown user or wrong password")
	w.open()
	if login := w.admitted("admin", goodPassword, desk); login.MustChange != "" {
		t.Errorf("after the change a restart still asks for one: %q", login.MustChange)
	}
}

func TestNoPasswordOrHashOrTypedNameIsLogged(t *testing.T) {
	w := newSetUp(t)
	w.admitted("admin", goodPassword, desk)
	w.refused("hunter2-typed-as-name", "secret-typed", desk, "Failed login from 192.0.2.7:50022")
	w.refused("admin", "secret-typed", desk, "Failed login from 192.0.2.7:50022")
	for _, secret := range []string{goodPassword, "secret-typed", "hunter2", "$argon2id"} {
		if w.logged(secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	for _, l := range w.lines {
		if strings.Contains(l, "Failed login") && strings.Contains(l, "admin") {
			t.Errorf("a failed login is logged with the user name: %s", l)
		}
	}
}

func TestEveryRestartReadsWhatWasStored(t *testing.T) {
	w := newSetUp(t)
	w.addUser("bob", grammar.Crypto)
	w.addUser("eve", grammar.Audit)
	w.must(w.AddLDAP("jane", grammar.AppAdmin))
	w.must(w.AllowHost("bob", "192.0.2.0/24"))
	w.must(w.AllowHost("jane", "pc.example.com"))
	w.must(w.SetDuty("bob", "Wk0900-1700"))
	w.must(w.Add(t.Context(), "script", grammar.API, "some other pass"))
	w.must(w.Expire("eve"))
	w.must(w.SetRule("max_failed_logins", 2))
	w.fail(2, "script", desk)
	w.clock.advance(48 * time.Hour)
	w.admitted("admin", goodPassword, console)
	w.fail(1, "eve", desk)
	w.must(w.SetRule("max_idle", 1))
	w.must(w.Unlock("bob"))
	w.must(w.Delete("script"))
	// Each rule has a value that is not its default.
	for _, rule := range RuleTable {
		if value := w.Rules()[rule.Name]; rule.Name != "max_idle" {
			w.must(w.SetRule(rule.Name, (value+1)%(rule.max()+1)))
		}
	}
	list, rules := w.List(), w.Rules()
	w.Close()
	w.open()
	if got := w.Rules(); !reflect.DeepEqual(got, rules) || len(got) < len(RuleTable)-2 {
		t.Errorf("rules after a restart: wanted %v, got %v", rules, got)
	}
	if got := w.List(); !reflect.DeepEqual(got, list) {
		t.Errorf("users after a restart: wanted\n%+v\ngot\n%+v", list, got)
	}
}

func (w *world) overwrite(name, text string) {
	w.t.Helper()
	w.must(durable.WriteFile(w.disk, name, []byte(text), 0o600, nil))
}

func TestUnreadableFileFallsBackToThePreviousCopy(t *testing.T) {
	w := newSetUp(t)
	w.addUser("bob", grammar.Crypto)
	w.overwrite(fileName, "{ not JSON")
	w.open()
	if w.Alarm() == "" || !w.logged("the accounts could not be read") {
		t.Errorf("alarm is %q, want one; log:\n%s", w.Alarm(), strings.Join(w.lines, "\n"))
	}
	w.admitted("admin", goodPassword, desk)
	if _, err := w.disk.Lstat(unreadableName); err != nil {
		t.Errorf("the unreadable file was not kept: %v", err)
	}
	w.open()
	w.admitted("admin", goodPassword, desk)
}

func TestNothingReadableOpensOnlyTheConsole(t *testing.T) {
	w := newSetUp(t)
	w.overwrite(fileName, `{"schema":1,"rules":{},"accounts":[]}`)
	w.overwrite(previousName, "\x00\x00")
	w.open()
	w.refused("admin", "admin", desk, "only the serial console is open")
	w.refused("admin", goodPassword, desk, "unknown user or wrong password")
	login := w.admitted("admin", "admin", console)
	if login.MustChange == "" {
		t.Error("the stand-in may keep its password")
	}
	w.must(w.SetPassword(t.Context(), "admin", "a brand new one"))
	w.admitted("admin", "a brand new one", desk)
	w.open()
	w.admitted("admin", "a brand new one", desk)
}

func TestAMachineWithoutDiskOpensTheConsole(t *testing.T) {
	w := newSetUp(t)
	w.disk = nil
	w.open()
	w.refused("admin", "admin", desk, "only the serial console is open")
	w.admitted("admin", "admin", console)
	w.must(w.SetPassword(t.Context(), "admin", goodPassword))
	w.admitted("admin", goodPassword, desk)
}

// fullDisk refuses every new file.
type fullDisk struct{ durable.FS }

func (fullDisk) Create(string, fs.FileMode) (durable.File, error) { return nil, syscall.ENOSPC }

func TestAFullDiskRefusesChangesButNoLogin(t *testing.T) {
	w := newSetUp(t)
	w.must(w.Add(t.Context(), "bob", grammar.Audit, "some other pass"))
	w.disk = fullDisk{w.disk}
	w.open()
	w.admitted("admin", goodPassword, desk)
	if err := w.Add(t.Context(), "eve", grammar.Admin, "some other pass"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("add on a full disk gave %v, want %v", err, syscall.ENOSPC)
	}
	if _, err := w.Info("eve"); err == nil {
		t.Error("an account that could not be stored is there")
	}
	if login := w.admitted("bob", "some other pass", desk); login.MustChange != reasonFirst {
		t.Fatalf("bob must change %q, want %q", login.MustChange, reasonFirst)
	}
	w.must(w.SetPassword(t.Context(), "bob", goodPassword))
	w.admitted("bob", goodPassword, desk)
}

// TestPowerCutLeavesTheOldOrTheNewPassword cuts the power at every operation of a change of password.
func TestPowerCutLeavesTheOldOrTheNewPassword(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for cut := 1; ; cut++ {
		w := newSetUp(t)
		disk := w.disk.(*powercut.Disk)
		before := disk.Operations()
		disk.CutAt(cut)
		err := w.ResetPassword(t.Context(), "admin", "another good one")
		done := err == nil && disk.Operations() < before+cut
		for range 8 {
			v := &world{t: t, disk: disk.AfterCut(rng), files: w.files, clock: w.clock}
			v.open()
			old, new := v.works("admin", goodPassword), v.works("admin", "another good one")
			if old == new {
				t.Fatalf("cut at operation %d: old password works: %t, new one: %t\n%s", cut, old, new, strings.Join(v.lines, "\n"))
			}
			if err == nil && !new {
				t.Fatalf("cut at operation %d: the change was confirmed and is lost", cut)
			}
			if v.Alarm() != "" {
				t.Fatalf("cut at operation %d raised an alarm: %s", cut, v.Alarm())
			}
		}
		if done {
			return
		}
	}
}

func (w *world) works(user, password string) bool {
	_, err := w.CheckPassword(context.Background(), user, password, desk)
	return err == nil
}

func FuzzParseDocument(f *testing.F) {
	w := &world{t: &testing.T{}, disk: powercut.New(), clock: &testClock{now: time.Unix(0, 0)}}
	w.open()
	f.Add(w.stored)
	f.Add([]byte(`{"schema":1,"rules":{"min_length":9},"accounts":[null]}`))
	f.Add([]byte(`{"schema":1}{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseDocument(data)
		if err != nil {
			return
		}
		if d.admins() == 0 || len(d.Accounts) > maxAccounts {
			t.Errorf("a file with %d accounts and %d administrators was taken", len(d.Accounts), d.admins())
		}
		for _, a := range d.Accounts {
			if a.barred(d.Rules, true, time.Unix(0, 0)) != "" && a.Role == grammar.Admin {
				t.Errorf("administrator %q is barred from the console", a.Name)
			}
		}
	})
}
