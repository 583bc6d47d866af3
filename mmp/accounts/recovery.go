package accounts

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/syslog"
	"time"

	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

// Recovery is the role of a recovery session. It is none of the five, so the commands of no role but "every" and its own
// are open to it, and no account can have it.
const Recovery grammar.Role = "recovery"

const (
	recoverUser     = "recover"
	recoverPassword = "recoverme"
	// recoverTime after power-on is when the door is open: whoever uses it must be able to restart the machine and sit
	// at its console.
	recoverTime = 4 * time.Minute
)

// checkRecovery answers the user "recover" at the console. Nobody else ever gets here: by the network the name is
// unknown like any other.
func (s *Store) checkRecovery(password string, from shell.Source) (*shell.Login, error) {
	switch {
	case s.cfg.Clock.Uptime() >= recoverTime:
		return nil, s.refuse(from, "recovery is open for 4 minutes after power-on only")
	case subtle.ConstantTimeCompare([]byte(password), []byte(recoverPassword)) != 1:
		return nil, s.refuse(from, "wrong password for recovery")
	}
	text := "Emergency recovery of an administrator was started at the " + from.String()
	s.event(syslog.LOG_ALERT, text)
	s.audit(syslog.LOG_ALERT, text)
	return &shell.Login{User: recoverUser, Role: Recovery, Source: from}, nil
}

// Recover sets the password of an administrator and lifts every lock from the account, or makes a new administrator. It
// is for recovery sessions only.
func (s *Store) Recover(ctx context.Context, user, password string) error {
	if err := checkName(user); err != nil {
		return err
	}
	s.mu.Lock()
	rules := s.doc.Rules.clone()
	if a := s.doc.find(user); a != nil && (a.Role != grammar.Admin || a.LDAP) {
		s.mu.Unlock()
		return fmt.Errorf("user %s is not an administrator with a password of this machine; choose another name", user)
	}
	s.mu.Unlock()
	if err := rules.check(candidate{user: user, text: password}); err != nil {
		return err
	}
	h, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock.Now().UTC()
	next := s.doc.clone()
	if s.consoleOnly {
		// The stand-in's password is known to everybody and must not be there when the network opens again.
		next.Accounts = nil
	}
	a := next.find(user)
	if a == nil {
		if err := next.add(user, grammar.Admin, now); err != nil {
			return err
		}
		a = next.find(user)
	}
	if a.Role != grammar.Admin || a.LDAP {
		return fmt.Errorf("user %s is not an administrator with a password of this machine; choose another name", user)
	}
	a.setPassword(h, now)
	a.Locks, a.Unlocked, a.FailedLogins = nil, now, 0
	s.attempts.clear(user, "")
	s.doc = next
	s.repaired()
	s.keep()
	text := fmt.Sprintf("Emergency recovery set the password of administrator %s at the serial console", user)
	s.event(syslog.LOG_ALERT, text)
	s.audit(syslog.LOG_ALERT, text)
	if s.unsaved {
		return errors.New("the password holds until the next restart only: the accounts cannot be stored")
	}
	return nil
}

// repaired ends the time in which the factory account stood in for unreadable accounts: somebody at the console has
// set a password. The caller holds mu.
func (s *Store) repaired() {
	if s.consoleOnly {
		s.consoleOnly = false
		s.alarm = "the accounts could not be read and were set up again; restore a backup or add the users again"
	}
}
