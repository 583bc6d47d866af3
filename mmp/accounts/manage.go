package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rotunda/mmp/grammar"
)

// checkName takes what [grammar.CheckUsername] takes, but for the name of the recovery.
func checkName(name string) error {
	if grammar.CheckUsername(name) != nil {
		return fmt.Errorf("%.64q is no user name: up to 64 letters, digits, dots, hyphens, underscores and at signs", name)
	}
	if strings.EqualFold(name, recoverUser) {
		return fmt.Errorf("user name %s is reserved", recoverUser)
	}
	return nil
}

func (d *document) noUser(name string) error {
	var names []string
	for _, a := range d.Accounts {
		names = append(names, a.Name)
	}
	return fmt.Errorf("there is no user %.64q; there are %s", name, grammar.Few(names))
}

// noPassword is why there is no password of a to change.
func noPassword(a *account, user string) error {
	if a == nil {
		return fmt.Errorf("there is no user %.64q", user)
	}
	return ErrDirectory
}

// add appends an account without a password. Names that differ in case only would be taken for each other.
func (d *document) add(name string, role grammar.Role, now time.Time) error {
	if err := checkName(name); err != nil {
		return err
	}
	if !slices.Contains(grammar.Roles, role) {
		return fmt.Errorf("%.32q is no role", role)
	}
	for _, a := range d.Accounts {
		if strings.EqualFold(a.Name, name) {
			return fmt.Errorf("user %s is already there with role %s, not added with role %s: use user del %[1]s first, or passwd %[1]s for another password", a.Name, a.Role, role)
		}
	}
	if len(d.Accounts) >= maxAccounts {
		return fmt.Errorf("there are already %d users", maxAccounts)
	}
	d.Accounts = append(d.Accounts, &account{Name: name, Role: role, Added: now})
	return nil
}

// setPassword moves the present hash into the history. Both are kept up to the most that max_history may be, so that
// raising the rule has an effect at once.
func (a *account) setPassword(h hash, now time.Time) {
	if a.Password != "" {
		a.History = append([]hash{a.Password}, a.History...)
		a.History = a.History[:min(len(a.History), maxHistory)]
	}
	a.Password, a.Changed, a.Forced = h, now, time.Time{}
}

// ErrDirectory is the answer to whoever wants to change a password that the directory has.
var ErrDirectory = errors.New("this user's password is the directory's: it is changed there")

// CheckNewUser says whether Add would take the name, before a password is asked for.
func (s *Store) CheckNewUser(name string, role grammar.Role) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doc.clone().add(name, role, time.Time{})
}

// HasKeys reports whether "<user>.pub" is stored, which may be older than the account.
func (s *Store) HasKeys(user string) bool {
	if s.cfg.Files == nil {
		return false
	}
	f, err := s.cfg.Files.OpenStored(user + keysSuffix)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

// Add makes an account. Its first login demands a new password, but for role api, which has nobody to type it.
func (s *Store) Add(ctx context.Context, name string, role grammar.Role, password string) error {
	if err := s.CheckNewUser(name, role); err != nil {
		return err
	}
	s.mu.Lock()
	rules := s.doc.Rules.clone()
	s.mu.Unlock()
	h, err := s.newHash(ctx, rules, candidate{user: name, text: password}, nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock.Now().UTC()
	return s.change(func(d *document) error {
		if err := d.add(name, role, now); err != nil {
			return err
		}
		a := d.find(name)
		a.setPassword(h, now)
		if role != grammar.API {
			a.Forced = now
		}
		return nil
	})
}

// AddLDAP makes an account whose password the directory has.
func (s *Store) AddLDAP(name string, role grammar.Role) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock.Now().UTC()
	return s.change(func(d *document) error {
		if err := d.add(name, role, now); err != nil {
			return err
		}
		a := d.find(name)
		a.LDAP, a.Changed = true, now
		return nil
	})
}

// newHash checks a password against the rules, the dictionary and former hashes, and hashes it.
func (s *Store) newHash(ctx context.Context, rules Rules, p candidate, former []hash) (hash, error) {
	if err := rules.check(p); err != nil {
		return "", err
	}
	if err := s.checkDictionary(p.text); err != nil {
		return "", err
	}
	for i, h := range former {
		same, err := s.hasher.verify(ctx, h, p.text, true)
		if err != nil {
			return "", err
		}
		if same && i == 0 {
			return "", errors.New("the password is the present one")
		}
		if same {
			return "", fmt.Errorf("the password is one of the last %d (user rule max_history)", rules["max_history"])
		}
	}
	return s.hasher.hash(ctx, p.text)
}

// former returns the hashes that a new password must not match: the present one and those that max_history names.
// The last n include the present one.
func (a *account) former(rules Rules) []hash {
	n := max(0, rules["max_history"]-1)
	return append([]hash{a.Password}, a.History[:min(n, len(a.History))]...)
}

// SetPassword implements [shell.Accounts]: it ends a forced change. If the disk refuses it, the new password holds in
// memory: refusing it would shut the person out.
func (s *Store) SetPassword(ctx context.Context, user, password string) error {
	s.mu.Lock()
	a := s.doc.find(user)
	if a == nil || a.LDAP {
		s.mu.Unlock()
		return noPassword(a, user)
	}
	rules, former, before := s.doc.Rules.clone(), a.former(s.doc.Rules), a.Password
	s.forgetCurrent()
	current := s.current[user].text
	s.mu.Unlock()
	h, err := s.newHash(ctx, rules, candidate{user: user, text: password, current: current}, former)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.doc.find(user); a == nil || a.Password != before {
		return errors.New("the account was changed meanwhile; log in again")
	}
	delete(s.current, user)
	now := s.cfg.Clock.Now().UTC()
	s.repaired()
	s.note(func(d *document) { d.find(user).setPassword(h, now) })
	return nil
}

// ErrWrongPassword is the answer to a wrong present password.
var ErrWrongPassword = errors.New("the present password is not right, nothing was changed")

// ChangePassword changes a user's own password. min_password_age applies, unless a new password is due anyway.
func (s *Store) ChangePassword(ctx context.Context, user, current, password string) error {
	s.mu.Lock()
	a := s.doc.find(user)
	if a == nil || a.LDAP {
		s.mu.Unlock()
		return noPassword(a, user)
	}
	rules, former, before := s.doc.Rules.clone(), a.former(s.doc.Rules), a.Password
	now := s.cfg.Clock.Now()
	tooSoon := a.tooSoon(rules, now)
	s.mu.Unlock()
	if ok, err := s.hasher.verify(ctx, before, current, true); err != nil {
		return err
	} else if !ok {
		return ErrWrongPassword
	}
	if tooSoon != nil {
		return tooSoon
	}
	h, err := s.newHash(ctx, rules, candidate{user: user, text: password, current: current}, former)
	if err != nil {
		return err
	}
	return s.store(user, before, h)
}

// tooSoon applies min_password_age. A last change in the future is from a clock that was wrong and does not count.
func (a *account) tooSoon(rules Rules, now time.Time) error {
	days := rules["min_password_age"]
	age := now.Sub(a.Changed)
	if days == 0 || age < 0 || a.mustChange(rules, now) != "" || age >= time.Duration(days)*24*time.Hour {
		return nil
	}
	return fmt.Errorf("the password may be changed again on %s (user rule min_password_age)",
		a.Changed.AddDate(0, 0, days).Format("2006-Jan-02"))
}

// ResetPassword sets the password of another user; what their old one was is neither asked nor compared position by
// position. It lifts the locks that failed logins have set.
func (s *Store) ResetPassword(ctx context.Context, user, password string) error {
	s.mu.Lock()
	a := s.doc.find(user)
	if a == nil || a.LDAP {
		s.mu.Unlock()
		return noPassword(a, user)
	}
	rules, former, before := s.doc.Rules.clone(), a.former(s.doc.Rules), a.Password
	s.mu.Unlock()
	h, err := s.newHash(ctx, rules, candidate{user: user, text: password}, former)
	if err != nil {
		return err
	}
	return s.store(user, before, h)
}

// store makes h the password if the one before is still the one that was checked.
func (s *Store) store(user string, before, h hash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock.Now().UTC()
	err := s.change(func(d *document) error {
		a := d.find(user)
		if a == nil || a.Password != before {
			return errors.New("the account was changed meanwhile, nothing was changed now")
		}
		a.setPassword(h, now)
		a.Locks = nil
		return nil
	})
	if err == nil {
		s.attempts.clear(user, "")
		delete(s.current, user)
	}
	return err
}

// edit changes one account.
func (s *Store) edit(user string, apply func(*account) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.change(func(d *document) error {
		a := d.find(user)
		if a == nil {
			return d.noUser(user)
		}
		return apply(a)
	})
}

// Delete removes an account and ends its sessions. The last administrator stays.
func (s *Store) Delete(user string) error {
	s.mu.Lock()
	err := s.change(func(d *document) error {
		a := d.find(user)
		switch {
		case a == nil:
			return d.noUser(user)
		case a.Role == grammar.Admin && !a.LDAP && d.admins() == 1:
			return fmt.Errorf("user %s is the last administrator and cannot be deleted; add another one first, who is no LDAP user", user)
		}
		d.Accounts = slices.DeleteFunc(d.Accounts, func(b *account) bool { return b.Name == user })
		return nil
	})
	var ends []func()
	if err == nil {
		ends = s.takeSessions(user)
		s.attempts.clear(user, "")
		delete(s.current, user)
	}
	s.mu.Unlock()
	for _, end := range ends {
		end()
	}
	return err
}

// Unlock lifts the locks of failed logins and of the idle rule.
func (s *Store) Unlock(user string) error {
	now := s.cfg.Clock.Now().UTC()
	err := s.edit(user, func(a *account) error {
		a.Locks, a.Unlocked = nil, now
		return nil
	})
	if err == nil {
		s.mu.Lock()
		s.attempts.clear(user, "")
		s.mu.Unlock()
	}
	return err
}

// Expire demands a new password at the next login.
func (s *Store) Expire(user string) error {
	now := s.cfg.Clock.Now().UTC()
	return s.edit(user, func(a *account) error {
		if a.LDAP {
			return ErrDirectory
		}
		if a.Role == grammar.API {
			return fmt.Errorf("user %s has role api, whose password cannot be made to expire; passwd %s sets another one", user, user)
		}
		a.Forced = now
		return nil
	})
}

// lists is where a host is in the list of those that an account may log in from, -1 if it is not. Names of hosts have no case.
func (a *account) lists(host string) int {
	return slices.IndexFunc(a.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// AllowHost adds to the hosts that a user may log in from. Without any, every host may.
func (s *Store) AllowHost(user, host string) error {
	return s.edit(user, func(a *account) error {
		if err := CheckAllowedHost(host); err != nil {
			return err
		}
		switch {
		case a.lists(host) >= 0:
			return fmt.Errorf("%s is already an allowed host of user %s", host, user)
		case len(a.Hosts) >= maxHosts:
			return fmt.Errorf("user %s already has %d allowed hosts", user, maxHosts)
		}
		a.Hosts = append(a.Hosts, host)
		return nil
	})
}

// RemoveHost takes one away.
func (s *Store) RemoveHost(user, host string) error {
	return s.edit(user, func(a *account) error {
		i := a.lists(host)
		if i < 0 {
			return fmt.Errorf("%.64q is not an allowed host of user %s; it has %s", host, user, grammar.Few(a.Hosts))
		}
		a.Hosts = slices.Delete(a.Hosts, i, i+1)
		return nil
	})
}

// SetDuty limits an account to duty hours; the empty text lifts the limit.
func (s *Store) SetDuty(user, text string) error {
	if text != "" {
		if _, err := ParseDuty(text); err != nil {
			return err
		}
	}
	return s.edit(user, func(a *account) error {
		a.Duty = text
		return nil
	})
}

// SetRule sets a rule; 0 is none or false.
func (s *Store) SetRule(name string, value int) error {
	rule, ok := findRule(name)
	if !ok {
		return fmt.Errorf("there is no user rule %.32q", name)
	}
	if value < 0 || value > rule.max() {
		return fmt.Errorf("user rule %s takes 1 to %d, or none", name, rule.max())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.change(func(d *document) error {
		if value == 0 {
			delete(d.Rules, name)
			return nil
		}
		if d.Rules == nil {
			d.Rules = Rules{}
		}
		d.Rules[name] = value
		return nil
	})
}

// Rules returns the rules in force.
func (s *Store) Rules() Rules {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doc.Rules.clone()
}
