package accounts

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

var _ shell.Accounts = (*Store)(nil)

func (w *world) fail(times int, user string, from shell.Source) {
	w.t.Helper()
	for range times {
		w.refused(user, "wrong", from, "unknown user or wrong password")
	}
}

func TestTooManyFailedLoginsLockTheSourceFor15Minutes(t *testing.T) {
	w := newSetUp(t)
	w.must(w.SetRule("max_failed_logins", 3))
	w.fail(2, "admin", desk)
	w.admitted("admin", goodPassword, desk)
	w.fail(3, "admin", desk)
	w.refused("admin", goodPassword, desk, "locked after too many failed logins")
	w.refused("admin", goodPassword, shell.Source{Addr: netip.MustParseAddrPort("192.0.2.7:1")}, "locked")
	if info, _ := w.Info("admin"); len(info.Locks) != 1 || info.Locks[0].Source != "192.0.2.7" {
		t.Errorf("user info shows the locks %v, want one for 192.0.2.7", info.Locks)
	}
	w.admitted("admin", goodPassword, from("192.0.2.8"))
	w.admitted("admin", goodPassword, console)
	w.open()
	w.refused("admin", goodPassword, desk, "locked")
	w.clock.advance(lockTime)
	w.admitted("admin", goodPassword, desk)
}

func TestUnlockLiftsTheLock(t *testing.T) {
	w := newSetUp(t)
	w.must(w.SetRule("max_failed_logins", 1))
	w.fail(1, "admin", desk)
	w.refused("admin", goodPassword, desk, "locked")
	w.must(w.Unlock("admin"))
	w.admitted("admin", goodPassword, desk)
}

func TestAnIPv6SourceIsItsSlash64(t *testing.T) {
	w := newSetUp(t)
	w.must(w.SetRule("max_failed_logins", 2))
	w.fail(1, "admin", from("2001:db8:0:1::1"))
	w.fail(1, "admin", from("2001:db8:0:1::2"))
	w.refused("admin", goodPassword, from("2001:db8:0:1:ffff::3"), "locked")
	w.admitted("admin", goodPassword, from("2001:db8:0:2::1"))
	w.fail(1, "admin", from("192.0.2.9"))
	w.fail(1, "admin", from("::ffff:192.0.2.9"))
	w.refused("admin", goodPassword, from("192.0.2.9"), "locked")
}

func TestTheConsoleIsPausedAndNeverLocked(t *testing.T) {
	w := newSetUp(t)
	w.must(w.SetRule("max_failed_logins", 3))
	w.fail(3, "admin", console)
	w.refused("admin", goodPassword, console, "too soon after too many failed logins")
	w.clock.advance(consolePause)
	w.admitted("admin", goodPassword, console)
}

func TestFailuresLongAgoDoNotCount(t *testing.T) {
	w := newSetUp(t)
	w.must(w.SetRule("max_failed_logins", 2))
	for range 5 {
		w.fail(1, "admin", desk)
		w.clock.advance(lockTime + time.Second)
	}
	w.admitted("admin", goodPassword, desk)
}

func TestALockFromAClockThatWasWrongDoesNotCount(t *testing.T) {
	w := newSetUp(t)
	w.must(w.SetRule("max_failed_logins", 1))
	w.clock.advance(10 * 365 * 24 * time.Hour)
	w.fail(1, "admin", desk)
	w.clock.mu.Lock()
	w.clock.now = w.clock.now.AddDate(-10, 0, 0)
	w.clock.mu.Unlock()
	w.admitted("admin", goodPassword, desk)
}

func TestFailedLoginsAreCountedUntilTheNextLogin(t *testing.T) {
	w := newSetUp(t)
	first := w.clock.Now()
	w.admitted("admin", goodPassword, desk)
	w.clock.advance(time.Hour)
	w.fail(4, "admin", from("192.0.2.50"))
	if info, _ := w.Info("admin"); info.FailedLogins != 4 || !info.LastLogin.Equal(first) {
		t.Errorf("user info shows %d failed logins, last %s, want 4 and %s", info.FailedLogins, info.LastLogin, first)
	}
	if login := w.admitted("admin", goodPassword, desk); login.FailedLogins != 4 {
		t.Errorf("login says %d failed, want 4", login.FailedLogins)
	}
	if login := w.admitted("admin", goodPassword, desk); login.FailedLogins != 0 {
		t.Errorf("the next login still says %d failed", login.FailedLogins)
	}
}

func TestTheTableOfAttemptsIsBounded(t *testing.T) {
	a := newAttempts()
	for i := range 3 * maxAttempts {
		a.fail(attemptKey{"admin", fmt.Sprint(i)}, time.Duration(i)*time.Millisecond)
	}
	if len(a.count) > maxAttempts {
		t.Errorf("%d sources are remembered, want at most %d", len(a.count), maxAttempts)
	}
	if n := a.fail(attemptKey{"admin", fmt.Sprint(3*maxAttempts - 1)}, time.Minute); n != 2 {
		t.Errorf("the newest source was forgotten: %d failures, want 2", n)
	}
}

func TestDutyHoursKeepOutButNotTheAdministratorAtTheConsole(t *testing.T) {
	w := newSetUp(t)
	w.addUser("bob", grammar.Audit)
	w.must(w.SetDuty("admin", "!Al0000-2400"))
	w.must(w.SetDuty("bob", "Wk0800-1230"))
	w.refused("admin", goodPassword, desk, "outside duty hours")
	w.admitted("admin", goodPassword, console)
	w.admitted("bob", goodPassword, desk)
	w.clock.advance(time.Hour)
	w.refused("bob", goodPassword, desk, "outside duty hours")
	w.refused("bob", goodPassword, console, "outside duty hours")
	w.must(w.SetDuty("bob", ""))
	w.admitted("bob", goodPassword, desk)
}

func TestAConnectionThatIsKeptOpenBeginsNoSessionOutsideDutyHours(t *testing.T) {
	w := newSetUp(t)
	w.addUser("bob", grammar.Crypto)
	w.must(w.SetDuty("bob", "Th0900-1700"))
	login := w.admitted("bob", goodPassword, desk)
	if _, err := w.Begin(login, shell.SSHSession, nil); err != nil {
		t.Errorf("at noon: wanted a session, got %v", err)
	}
	w.clock.advance(6 * time.Hour)
	if _, err := w.Begin(login, shell.SFTPSession, nil); err == nil || err.Error() != "outside duty hours" {
		t.Errorf("in the evening: wanted outside duty hours, got %v", err)
	}
}

func TestAllowedHosts(t *testing.T) {
	w := newSetUp(t)
	w.resolver["jump.example.com"] = netip.MustParseAddr("203.0.113.5")
	for _, h := range []string{"192.0.2.0/28", "198.51.100.9", "2001:db8::/64", "jump.example.com", "gone.example.com"} {
		w.must(w.AllowHost("admin", h))
	}
	for _, c := range []struct {
		address string
		ok      bool
	}{
		{"192.0.2.15", true}, {"192.0.2.16", false}, {"198.51.100.9", true}, {"198.51.100.8", false},
		{"2001:db8::77", true}, {"2001:db8:1::77", false}, {"203.0.113.5", true}, {"::ffff:198.51.100.9", true},
	} {
		if c.ok {
			w.admitted("admin", goodPassword, from(c.address))
		} else {
			w.refused("admin", goodPassword, from(c.address), "not one of the account's allowed hosts, of which these cannot be "+
				"resolved: gone.example.com")
		}
	}
	w.admitted("admin", goodPassword, console)
	w.must(w.RemoveHost("admin", "192.0.2.0/28"))
	w.refused("admin", goodPassword, from("192.0.2.15"), "allowed hosts")
	if err := w.RemoveHost("admin", "192.0.2.0/28"); err == nil {
		t.Error("a host that is not there was removed")
	}
	for _, bad := range []string{"", "300.1.1.1", "192.0.2.1/33", "a b", "-x.example.com", "fe80::1%eth0", "http://x"} {
		if err := w.AllowHost("admin", bad); err == nil {
			t.Errorf("allowed host %q was taken", bad)
		}
	}
}

func TestMaxIdle(t *testing.T) {
	w := newSetUp(t)
	w.addUser("bob", grammar.Audit)
	w.must(w.SetRule("password_age", 0))
	w.must(w.SetRule("max_idle", 30))
	w.clock.advance(31 * 24 * time.Hour)
	if info, _ := w.Info("bob"); !info.Idle {
		t.Error("user info does not show bob as locked")
	}
	w.refused("bob", goodPassword, desk, "not used for too long")
	w.refused("admin", goodPassword, desk, "not used for too long")
	w.admitted("admin", goodPassword, console)
	w.admitted("admin", goodPassword, desk)
	w.must(w.Unlock("bob"))
	w.admitted("bob", goodPassword, desk)
}

func TestExpireIsNotForAPI(t *testing.T) {
	w := newSetUp(t)
	w.must(w.Add(t.Context(), "script", grammar.API, "some other pass"))
	if login := w.admitted("script", "some other pass", desk); login.MustChange != "" {
		t.Errorf("an api user must change: %q", login.MustChange)
	}
	if err := w.Expire("script"); err == nil {
		t.Error("the password of an api user was made to expire")
	}
	w.clock.advance(181 * 24 * time.Hour)
	if info, _ := w.Info("script"); !info.MustChange {
		t.Error("the password of an api user did not expire with time")
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	w := newSetUp(t)
	w.addUser("bob", grammar.Crypto)
	if err := w.Delete("admin"); err == nil {
		t.Error("the last administrator was deleted")
	}
	w.addUser("second", grammar.Admin)
	w.must(w.Delete("admin"))
	if err := w.Delete("second"); err == nil {
		t.Error("the last administrator was deleted")
	}
	w.refused("admin", goodPassword, desk, "unknown user or wrong password")
}

func TestUserNames(t *testing.T) {
	w := newSetUp(t)
	for _, bad := range []string{"", "Admin", "admin", "recover", "Recover", "a b", "../x", ".x", "-x", "x/y", "ä", strings.Repeat("x", 65)} {
		if err := w.Add(t.Context(), bad, grammar.Audit, "some other pass"); err == nil {
			t.Errorf("user name %q was taken", bad)
		}
	}
	if err := w.Add(t.Context(), "bob", "root", "some other pass"); err == nil {
		t.Error("role root was taken")
	}
	w.must(w.Add(t.Context(), "j.doe-2_x@example", grammar.Audit, "some other pass"))
}

func newKey(t *testing.T) ssh.PublicKey {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPublicKeys(t *testing.T) {
	w := newSetUp(t)
	w.addUser("bob", grammar.Crypto)
	mine, other, restricted := newKey(t), newKey(t), newKey(t)
	line := func(k ssh.PublicKey) string { return string(ssh.MarshalAuthorizedKey(k)) }
	w.files["bob.pub"] = "# comment\n\n" + line(newKey(t)) + line(mine) + `from="192.0.2.1" ` + line(restricted)
	w.files["ghost.pub"] = line(mine)
	check := func(user string, k ssh.PublicKey, from shell.Source) error {
		login, err := w.CheckKey(t.Context(), user, k, from)
		if err == nil && login.User != user {
			t.Errorf("key of %s gave login of %s", user, login.User)
		}
		if err != nil && err.Error() != shell.ErrRefused.Error() {
			t.Errorf("refusal says %q", err)
		}
		return err
	}
	for _, c := range []struct {
		user string
		key  ssh.PublicKey
		ok   bool
	}{
		{"bob", mine, true}, {"bob", other, false}, {"bob", restricted, false}, {"admin", mine, false}, {"ghost", mine, false},
		{"../bob", mine, false}, {"", mine, false},
	} {
		if err := check(c.user, c.key, desk); (err == nil) != c.ok {
			t.Errorf("key login as %q gave %v, want ok %t", c.user, err, c.ok)
		}
	}
	w.must(w.SetRule("max_failed_logins", 1))
	w.fail(1, "bob", desk)
	if err := check("bob", mine, desk); err != nil {
		t.Errorf("failed passwords locked out a key: %v", err)
	}
	w.must(w.AllowHost("bob", "203.0.113.0/24"))
	if err := check("bob", mine, desk); err == nil {
		t.Error("a key opened from a host that is not allowed")
	}
}

func TestAKeyNeedsNoNewPasswordUnlessAnAdministratorWantsOne(t *testing.T) {
	w := newSetUp(t)
	w.addUser("bob", grammar.Crypto)
	key := newKey(t)
	w.files["bob.pub"] = string(ssh.MarshalAuthorizedKey(key))
	w.clock.advance(200 * 24 * time.Hour)
	login, err := w.CheckKey(t.Context(), "bob", key, desk)
	if err != nil || login.MustChange != "" {
		t.Fatalf("with an old password: %+v, %v, want no change demanded", login, err)
	}
	w.LoggedIn(login)
	w.must(w.Expire("bob"))
	if login, err := w.CheckKey(t.Context(), "bob", key, desk); err != nil || login.MustChange == "" {
		t.Errorf("after user expire: %+v, %v, want a change demanded", login, err)
	}
}

func TestUnknownUsersCostAHashToo(t *testing.T) {
	w := newSetUp(t)
	// With no turn free, a login that hashes has to wait until its time is over.
	for range networkHashes {
		w.hasher.network <- struct{}{}
	}
	for _, user := range []string{"admin", "nobody"} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := w.CheckPassword(ctx, user, goodPassword, desk)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, shell.ErrRefused) {
			t.Errorf("%s: %v, want to have waited for a hash", user, err)
		}
	}
	w.admitted("admin", goodPassword, console)
}

func TestRecovery(t *testing.T) {
	w := newSetUp(t)
	w.refused("recover", "recoverme", console, "recovery is open for 4 minutes")
	w.clock.mu.Lock()
	w.clock.uptime = recoverTime - time.Second
	w.clock.mu.Unlock()
	w.refused("recover", "recoverme", desk, "unknown user or wrong password")
	w.refused("recover", "guess", console, "wrong password for recovery")
	login := w.admitted("recover", "recoverme", console)
	if login.Role != Recovery {
		t.Fatalf("role is %q, want %q", login.Role, Recovery)
	}
	w.addUser("bob", grammar.Audit)
	if err := w.Recover(t.Context(), "bob", goodPassword); err == nil {
		t.Error("recovery set the password of a user who is no administrator")
	}
	if err := w.Recover(t.Context(), "admin", "short"); err == nil {
		t.Error("recovery set a password that breaks the rules")
	}
	w.must(w.Recover(t.Context(), "admin", "regained at last"))
	w.must(w.Recover(t.Context(), "rescuer", "regained at last"))
	w.open()
	w.admitted("admin", "regained at last", desk)
	w.admitted("rescuer", "regained at last", desk)
	if !w.logged("Emergency recovery set the password of administrator rescuer") {
		t.Error("the recovery is not in the log")
	}
}

func TestRecoveryLeavesNoKnownPasswordBehind(t *testing.T) {
	w := newSetUp(t)
	w.overwrite(fileName, "x")
	w.overwrite(previousName, "x")
	w.open()
	w.must(w.Recover(t.Context(), "rescuer", "regained at last"))
	w.refused("admin", "admin", desk, "unknown user or wrong password")
	w.admitted("rescuer", "regained at last", desk)
}

func TestSessions(t *testing.T) {
	w := newSetUp(t)
	w.must(w.SetRule("max_sessions", 2))
	login := w.admitted("admin", goodPassword, desk)
	evicted := 0
	begin := func(kind shell.SessionKind) (func(), error) { return w.Begin(login, kind, func() { evicted++ }) }
	var ends []func()
	for _, kind := range []shell.SessionKind{shell.SSHSession, shell.SSHSession, shell.SFTPSession, shell.SFTPSession, shell.ConsoleSession} {
		end, err := begin(kind)
		if err != nil {
			t.Fatalf("%s session: %v", kind, err)
		}
		ends = append(ends, end)
	}
	for _, kind := range []shell.SessionKind{shell.SSHSession, shell.SFTPSession, shell.ConsoleSession} {
		if _, err := begin(kind); err == nil {
			t.Errorf("one %s session more than max_sessions was opened", kind)
		}
	}
	ends[0]()
	ends[0]()
	end, err := begin(shell.SSHSession)
	if err != nil {
		t.Errorf("after one ended, the next was refused: %v", err)
	}
	ends = append(ends[1:], end)
	if info, _ := w.Info("admin"); !info.LoggedIn || len(w.Sessions()) != 5 {
		t.Errorf("logged in %t with %d sessions, want true and 5", info.LoggedIn, len(w.Sessions()))
	}
	for range 2 {
		if _, err := w.Evict("admin"); err != nil {
			t.Error(err)
		}
	}
	if evicted != 5 {
		t.Errorf("%d evictions, want each of the 5 sessions once", evicted)
	}
	for _, end := range ends {
		end()
	}
	if info, _ := w.Info("admin"); info.LoggedIn {
		t.Error("still logged in after the last session ended")
	}
	w.must(w.SetRule("max_sessions", 0))
	for _, c := range []struct {
		kind shell.SessionKind
		want int
	}{{shell.SFTPSession, maxSFTPSessions}, {shell.SSHSession, maxNetworkSessions - maxSFTPSessions}} {
		n := 0
		for {
			if _, err := begin(c.kind); err != nil {
				break
			}
			n++
		}
		if n != c.want {
			t.Errorf("%d %s sessions were opened, want %d", n, c.kind, c.want)
		}
	}
	if _, err := begin(shell.ConsoleSession); err != nil {
		t.Errorf("network sessions kept the console out: %v", err)
	}
}

func TestDeletingAUserEndsTheirSessions(t *testing.T) {
	w := newSetUp(t)
	w.addUser("bob", grammar.Audit)
	login := w.admitted("bob", goodPassword, desk)
	ended := false
	if _, err := w.Begin(login, shell.SSHSession, func() { ended = true }); err != nil {
		t.Fatal(err)
	}
	w.must(w.Delete("bob"))
	if !ended {
		t.Error("the session goes on")
	}
	if _, err := w.Begin(login, shell.SFTPSession, nil); err == nil {
		t.Error("a deleted user began a session")
	}
}

func TestAConnectionDoesNotPassOnToALaterAccountOfTheSameName(t *testing.T) {
	w := newSetUp(t)
	w.addUser("bob", grammar.Admin)
	login := w.admitted("bob", goodPassword, desk)
	w.must(w.Delete("bob"))
	w.clock.advance(time.Second)
	w.addUser("bob", grammar.Audit)
	if _, err := w.Begin(login, shell.SSHSession, nil); err == nil {
		t.Errorf("the connection of the former bob began a session as %s", login.Role)
	}
	w.open()
	if _, err := w.Begin(w.admitted("bob", goodPassword, desk), shell.SSHSession, nil); err != nil {
		t.Errorf("the present bob: wanted a session, got %v", err)
	}
}

func TestEverythingAtOnce(t *testing.T) {
	w := newSetUp(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 5 {
				source := from(fmt.Sprintf("192.0.2.%d", i))
				login, err := w.CheckPassword(t.Context(), "admin", goodPassword, source)
				if err != nil {
					t.Errorf("login: %v", err)
					return
				}
				w.LoggedIn(login)
				end, err := w.Begin(login, shell.SSHSession, func() {})
				if err != nil {
					t.Errorf("begin: %v", err)
					return
				}
				w.CheckPassword(t.Context(), "admin", "wrong", source)
				w.List()
				if i%2 == 0 {
					w.SetRule("min_digits", i)
				}
				w.Evict("admin")
				end()
			}
		})
	}
	all.Wait()
	if n := len(w.Sessions()); n != 0 {
		t.Errorf("%d sessions are left, want 0", n)
	}
}
