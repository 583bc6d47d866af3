package accounts

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

// What a person reads who has to choose a new password.
const (
	reasonFirst   = "A new password has to be set before the first use"
	reasonExpired = "Password has expired"
)

// currentPassword is kept for at most [currentTime] between a login and the change that it demands.
type currentPassword struct {
	text  string
	until time.Duration
}

const currentTime = 10 * time.Minute

// saveFailures is how often a count of failed logins is worth a write: a stranger must not make the disk busy.
const saveFailures = 10

// CheckPassword implements [shell.Accounts].
func (s *Store) CheckPassword(ctx context.Context, user, password string, from shell.Source) (*shell.Login, error) {
	if user == recoverUser && from.Console != "" {
		return s.checkRecovery(password, from)
	}
	policy := s.policy(ctx)
	s.mu.Lock()
	stored, ldap := s.hasher.decoy, false
	if a := s.doc.find(user); a != nil {
		if ldap = a.LDAP; !ldap {
			stored = a.Password
		}
		if policy.Strict && (from.Console == "" || ldap || a.Role != grammar.Admin) {
			ldap = false
			stored = s.hasher.decoy
		}
	}
	s.mu.Unlock()
	if ldap {
		return s.checkLDAP(ctx, policy, user, password, from)
	}
	typed := password
	if len(typed) > maxPassword {
		typed = typed[:maxPassword]
	}
	matches, err := s.hasher.verify(ctx, stored, typed, from.Console != "")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", shell.ErrRefused, err)
	}
	matches = matches && len(password) <= maxPassword

	s.mu.Lock()
	a := s.doc.find(user)
	if policy.Strict && stored == s.hasher.decoy {
		s.mu.Unlock()
		return nil, s.refuse(from, "passwords are not taken here, since cac is strict")
	}
	if a == nil || a.Password != stored {
		// There is no such account, or it was changed while its hash was computed.
		s.mu.Unlock()
		return nil, s.refuse(from, "unknown user or wrong password")
	}
	reason := s.locked(a, from)
	if reason == "" && !matches {
		reason = "unknown user or wrong password"
		s.countFailure(a.Name, from)
	}
	s.mu.Unlock()
	if reason != "" {
		return nil, s.refuse(from, reason)
	}
	login, err := s.admit(ctx, user, from)
	if err != nil {
		return nil, err
	}
	if login.MustChange != "" {
		s.mu.Lock()
		s.forgetCurrent()
		s.current[user] = currentPassword{text: password, until: s.cfg.Clock.Uptime() + currentTime}
		s.mu.Unlock()
	}
	return login, nil
}

// locked says why failed logins keep the source from the account, "" if they do not. The caller holds mu.
func (s *Store) locked(a *account, from shell.Source) string {
	source := lockSource(from)
	if from.Console != "" {
		if s.attempts.wait(attemptKey{a.Name, source}, s.doc.Rules["max_failed_logins"], s.cfg.Clock.Uptime()) > 0 {
			return "too soon after too many failed logins at the console"
		}
		return ""
	}
	if a.lockedFrom(source, s.cfg.Clock.Now()) {
		return "locked after too many failed logins"
	}
	return ""
}

// countFailure counts a wrong password and locks the source out when it is one too many. The caller holds mu.
func (s *Store) countFailure(user string, from shell.Source) {
	key := attemptKey{user, lockSource(from)}
	failures := s.attempts.fail(key, s.cfg.Clock.Uptime())
	limit := s.doc.Rules["max_failed_logins"]
	now := s.cfg.Clock.Now()
	lockNow := limit > 0 && failures >= limit && from.Console == ""
	edit := func(d *document) {
		a := d.find(user)
		a.FailedLogins++
		if lockNow {
			a.Locks = append(a.activeLocks(now), lock{Source: key.source, Until: now.Add(lockTime).UTC()})
			if len(a.Locks) > maxLocks {
				a.Locks = a.Locks[len(a.Locks)-maxLocks:]
			}
		}
	}
	if lockNow {
		s.attempts.clear(user, key.source)
		s.event(syslog.LOG_WARNING, fmt.Sprintf("User %s is locked for 15 minutes for logins from %s after %d failed logins",
			user, key.source, failures))
	}
	if lockNow || s.doc.find(user).FailedLogins%saveFailures == 0 {
		s.note(edit)
		return
	}
	next := s.doc.clone()
	edit(next)
	s.doc, s.unsaved = next, true
}

// CheckKey implements [shell.Accounts]: the key must be a line of the stored file "<user>.pub". Whether there is such a
// user is looked at last, so that it makes no difference before.
func (s *Store) CheckKey(ctx context.Context, user string, key ssh.PublicKey, from shell.Source) (*shell.Login, error) {
	if s.cfg.Files == nil || checkName(user) != nil {
		return nil, shell.ErrRefused
	}
	if login, ok := s.checkCardKey(ctx, user, key, from); ok {
		return login, nil
	}
	if s.ofDirectory(user) {
		// Who has left the directory must not come in by a key that was forgotten here.
		return nil, shell.ErrRefused
	}
	f, err := s.cfg.Files.OpenStored(user + keysSuffix)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			s.event(syslog.LOG_WARNING, fmt.Sprintf("a file of public keys cannot be read: %v", err))
		}
		return nil, shell.ErrRefused
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		s.event(syslog.LOG_WARNING, fmt.Sprintf("a file of public keys cannot be read: %v", err))
		return nil, shell.ErrRefused
	}
	if !keyListed(data, key) {
		return nil, shell.ErrRefused
	}
	return s.admitKey(ctx, user, from)
}

const (
	// keysSuffix makes the name of the file of a user's public keys.
	keysSuffix = ".pub"
	// maxKeyFile and maxKeys bound "<user>.pub".
	maxKeyFile = 64 << 10
	maxKeys    = 64
)

// keyListed reports whether key is one of the lines, which are as in an authorized_keys file. A line with options is no
// match: what it restricts is not enforced here, so it must not open more than it was meant to.
func keyListed(file []byte, key ssh.PublicKey) bool {
	want := key.Marshal()
	for range maxKeys {
		listed, _, options, rest, err := ssh.ParseAuthorizedKey(file)
		if err != nil {
			return false
		}
		if len(options) == 0 && subtle.ConstantTimeCompare(listed.Marshal(), want) == 1 {
			return true
		}
		file = rest
	}
	return false
}

// admitKey is [Store.admit] for a key: only a demand by an administrator makes it change the password, age does not,
// since the password was not used.
func (s *Store) admitKey(ctx context.Context, user string, from shell.Source) (*shell.Login, error) {
	login, err := s.admit(ctx, user, from)
	if err != nil {
		return nil, err
	}
	if login.MustChange == reasonExpired {
		s.mu.Lock()
		a := s.doc.find(user)
		if a != nil && a.Forced.IsZero() {
			login.MustChange = ""
		}
		s.mu.Unlock()
	}
	return login, nil
}

// admit applies what may keep somebody out who has shown who they are: duty hours, idle days, allowed hosts.
func (s *Store) admit(ctx context.Context, user string, from shell.Source) (*shell.Login, error) {
	s.mu.Lock()
	a := s.doc.find(user)
	if a == nil {
		s.mu.Unlock()
		return nil, s.refuse(from, "unknown user or wrong password")
	}
	now := s.cfg.Clock.Now()
	reason := a.barred(s.doc.Rules, from.Console != "", now.In(s.cfg.Zone()))
	if s.consoleOnly && from.Console == "" {
		reason = "the accounts could not be read, only the serial console is open"
	}
	hosts := a.Hosts
	login := &shell.Login{
		User: a.Name, Role: a.Role, Source: from, MustChange: a.mustChange(s.doc.Rules, now),
		FailedLogins: a.FailedLogins, Added: a.Added,
	}
	s.mu.Unlock()
	if reason == "" && from.Console == "" && len(hosts) > 0 {
		ok, unresolved := hostAllowed(ctx, hosts, from.Addr.Addr(), s.cfg.Resolver)
		if !ok {
			reason = "not one of the account's allowed hosts"
			if len(unresolved) > 0 {
				reason += ", of which these cannot be resolved: " + strings.Join(unresolved, ", ")
			}
		}
	}
	if reason != "" {
		return nil, s.refuse(from, reason)
	}
	return login, nil
}

// barred says why the account may not be used now, "" if it may. Duty hours and idle days never keep an administrator
// from the console: a wrong clock would otherwise shut everybody out.
func (a *account) barred(rules Rules, console bool, now time.Time) string {
	if console && a.Role == grammar.Admin {
		return ""
	}
	if a.idle(rules, now) {
		return "locked, the account was not used for too long"
	}
	if a.Duty != "" {
		duty, err := ParseDuty(a.Duty)
		if err != nil || !duty.Allows(now) {
			return "outside duty hours"
		}
	}
	return ""
}

// idle reports whether max_idle has locked the account.
func (a *account) idle(rules Rules, now time.Time) bool {
	days := rules["max_idle"]
	if days == 0 {
		return false
	}
	used := a.Added
	for _, t := range []time.Time{a.LastLogin, a.Unlocked} {
		if t.After(used) {
			used = t
		}
	}
	return now.Sub(used) > time.Duration(days)*24*time.Hour
}

// expiry returns when the password expires, or has; never is false where it does not.
func (a *account) expiry(rules Rules) (at time.Time, never bool) {
	if a.LDAP {
		return time.Time{}, true
	}
	if days := rules["password_age"]; days > 0 {
		at = a.Changed.AddDate(0, 0, days)
	}
	if !a.Forced.IsZero() && (at.IsZero() || a.Forced.Before(at)) {
		at = a.Forced
	}
	return at, at.IsZero()
}

// mustChange returns why a new password is due, "" if none is.
func (a *account) mustChange(rules Rules, now time.Time) string {
	if a.LDAP {
		return ""
	}
	at, never := a.expiry(rules)
	switch {
	case never || at.After(now) && a.Forced.IsZero():
		return ""
	case a.LastLogin.IsZero() && !a.Forced.IsZero():
		return reasonFirst
	}
	return reasonExpired
}

// refuse logs a failed login, without the name that was typed, and returns what the far end is told.
func (s *Store) refuse(from shell.Source, reason string) error {
	text := fmt.Sprintf("Failed login from %s: %s", from, reason)
	s.event(syslog.LOG_WARNING, text)
	s.audit(syslog.LOG_WARNING, text)
	return shell.ErrRefused
}

// LoggedIn implements [shell.Accounts].
func (s *Store) LoggedIn(login *shell.Login) {
	text := fmt.Sprintf("User %s logged in from %s, role %s", login.User, login.Source, login.Role)
	if login.Means != "" {
		text += ", by " + login.Means
	}
	s.event(syslog.LOG_INFO, text)
	s.audit(syslog.LOG_INFO, text)
	if login.Role == Recovery {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts.clear(login.User, lockSource(login.Source))
	if s.doc.find(login.User) == nil {
		return
	}
	now := s.cfg.Clock.Now().UTC()
	s.note(func(d *document) {
		a := d.find(login.User)
		a.LastLogin, a.FailedLogins, a.Locks = now, 0, a.activeLocks(now)
	})
}

// forgetCurrent drops the passwords that nobody came back for. The caller holds mu.
func (s *Store) forgetCurrent() {
	now := s.cfg.Clock.Uptime()
	for user, c := range s.current {
		if now > c.until {
			delete(s.current, user)
		}
	}
}
