package accounts

import (
	"slices"
	"strings"
	"time"

	"rotunda/mmp/grammar"
)

// Info is what may be known of an account.
type Info struct {
	Name string
	Role grammar.Role
	// LDAP is a user whose password the directory has.
	LDAP bool
	// PasswordChanged is when the password was set; PasswordExpires is zero if it does not expire.
	PasswordChanged time.Time
	PasswordExpires time.Time
	// MustChange is whether the next login demands a new password.
	MustChange bool
	// LastLogin is zero before the first one.
	LastLogin    time.Time
	FailedLogins int
	LoggedIn     bool
	// Idle is whether max_idle has locked the account; Locks are the sources that failed logins have locked out.
	Idle  bool
	Locks []LockInfo
	Hosts []string
	Duty  string
}

// LockInfo is one source that is locked out.
type LockInfo struct {
	Source string
	Until  time.Time
}

// List returns all accounts sorted by name. Times are in the machine's time zone.
func (s *Store) List() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Info, len(s.doc.Accounts))
	for i, a := range s.doc.Accounts {
		list[i] = s.info(a)
	}
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Info returns one account.
func (s *Store) Info(user string) (Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.doc.find(user)
	if a == nil {
		return Info{}, s.doc.noUser(user)
	}
	return s.info(a), nil
}

func (s *Store) info(a *account) Info {
	now, zone := s.cfg.Clock.Now(), s.cfg.Zone()
	local := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return t.In(zone)
	}
	i := Info{
		Name: a.Name, Role: a.Role, LDAP: a.LDAP, PasswordChanged: local(a.Changed), MustChange: a.mustChange(s.doc.Rules, now) != "",
		LastLogin: local(a.LastLogin), FailedLogins: a.FailedLogins, LoggedIn: s.loggedIn(a.Name),
		Idle: a.idle(s.doc.Rules, now), Hosts: slices.Clone(a.Hosts), Duty: a.Duty,
	}
	if at, never := a.expiry(s.doc.Rules); !never {
		i.PasswordExpires = local(at)
	}
	for _, l := range a.activeLocks(now) {
		i.Locks = append(i.Locks, LockInfo{Source: l.Source, Until: local(l.Until)})
	}
	return i
}

// AllowsHost reports whether a session from source, as [grammar.Caller] has it, would be let in again: whether the
// allowed hosts of the user are none or hold an address that it came from. Names are not resolved, so the answer may be
// false where a login would work.
func (i Info) AllowsHost(source string) bool {
	from, ok := callerAddr(source)
	if !ok || len(i.Hosts) == 0 {
		return true
	}
	for _, h := range i.Hosts {
		if p, isAddress := hostPrefix(h); isAddress && p.Contains(from) {
			return true
		}
	}
	return false
}
