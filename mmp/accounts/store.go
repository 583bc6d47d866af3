// Package accounts owns who may log in to the management shell: names, roles, passwords, the rules for passwords and
// for logging in, and the list of sessions (guide chapters 4.1 and 15.5).
//
// Everything is one file, accounts.json (mode 0600), replaced in one step by [durable.WriteFile], so a power cut leaves
// the state before or after a change. What an administrator's last change replaced is kept as accounts.json.previous.
// Passwords are stored as argon2id hashes only; neither a password nor a hash is ever logged.
//
// The administrator cannot be locked out for good. These are the ways in that nothing here closes:
//
//   - A lock after failed logins holds for one account and one source (an address, or a /64 of IPv6), so a stranger
//     who guesses passwords locks out themselves. Public keys are not guessed and ignore that lock.
//   - The serial console is never locked: after too many failures it takes one attempt every 10 seconds. Allowed hosts do
//     not apply there, and duty hours and the idle rule do not apply there to administrators.
//   - A file that cannot be read is kept as accounts.json.unreadable and the previous copy takes its place, with an
//     alarm. If that cannot be read either, admin/admin works on the serial console and only there.
//   - A full or read-only disk refuses changes but no login. A forced new password is then kept in memory.
//   - The last administrator can be neither deleted nor kept out by a rule at the console, and whoever has forgotten the
//     password has four minutes after power-on to log in as "recover" on the serial console (docs/recovery.md).
//   - Where cards are strict (cac enable strict), the serial console goes on taking passwords of local administrators, of whom the
//     last one stays: users of a directory do not count.
//
// What a network client learns is one and the same refusal for every reason, after the same time. The log has the
// reason and the far end's address and port, without the name that was typed (guide 16.1): it may be a password.
package accounts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/durable"
	"rotunda/mmp/grammar"
)

const (
	// schema of the file. A version that changes the shape uses a file name of its own and leaves this one to the
	// version before, which may be rolled back to.
	schema = 1
	// maxAccounts and maxFile bound what is read and kept; 256 accounts with 24 old hashes each are below 1 MiB.
	maxAccounts = 256
	maxFile     = 4 << 20

	fileName       = "accounts.json"
	previousName   = fileName + ".previous"
	unreadableName = fileName + ".unreadable"
)

// Clock tells the time. Uptime counts from power-on and cannot be set.
type Clock interface {
	Now() time.Time
	Uptime() time.Duration
}

// SystemClock is the machine's own clock.
type SystemClock struct{}

// Now returns the wall-clock time.
func (SystemClock) Now() time.Time { return time.Now() }

// Uptime returns the time since power-on, suspension included.
func (SystemClock) Uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Unknown is treated as long ago: nothing that is open only shortly after power-on is open.
		return 1 << 62
	}
	return time.Duration(ts.Nano())
}

// Files gives the files an administrator has stored that matter here: "dictionary" and "<user>.pub". A file that is
// not there is an error that wraps [fs.ErrNotExist].
type Files interface {
	OpenStored(name string) (io.ReadCloser, error)
}

// Resolver finds the addresses of an allowed host that was given by name. [net.Resolver] is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Log takes one line for the journal.
type Log func(priority syslog.Priority, tag, text string)

// Config is what a [Store] needs. Log must be set.
type Config struct {
	// Disk is the folder that holds the file. nil means that there is none, because the disk is broken: then the
	// factory account opens the serial console, and nothing is stored.
	Disk durable.FS
	Log  Log
	// Clock is [SystemClock] if nil.
	Clock Clock
	// Zone is the machine's time zone, for duty hours and idle days; nil means time.Local.
	Zone func() *time.Location
	// Files may be nil: no dictionary and no public keys then.
	Files Files
	// Resolver may be nil: allowed hosts given by name match nothing then.
	Resolver Resolver
	// Identity vouches for users of a directory and holders of cards; nil where there is nobody to ask.
	Identity Identity
	// Policy says what logins are taken now; nil for passwords and keys of our own alone.
	Policy func(context.Context) Policy
	// Cost of a password hash; the zero value means [DefaultCost].
	Cost Cost
}

// Store is the accounts of this machine. All its methods may be called at the same time.
type Store struct {
	cfg    Config
	hasher *hasher

	mu  sync.Mutex
	doc *document
	// consoleOnly is set while the factory account stands in for accounts that could not be read.
	consoleOnly bool
	alarm       string
	// stored is what the file holds, nil before it is written; unsaved is set while memory has something else.
	stored   []byte
	unsaved  bool
	attempts *attempts
	sessions sessions
	// current holds the password of those who must choose a new one, for the rule that compares the two.
	current map[string]currentPassword
}

// document is the content of the file.
type document struct {
	Schema   int        `json:"schema"`
	Rules    Rules      `json:"rules"`
	Accounts []*account `json:"accounts"`
}

// account is one person.
type account struct {
	Name     string       `json:"name"`
	Role     grammar.Role `json:"role"`
	Password hash         `json:"password"`
	// LDAP is a user whose password the directory has; Password is empty.
	LDAP bool `json:"ldap,omitempty"`
	// History holds the hashes before, the newest first.
	History []hash    `json:"history,omitempty"`
	Added   time.Time `json:"added"`
	// Changed is when the password was set.
	Changed time.Time `json:"changed"`
	// Forced is since when a new password is demanded whatever the age of the present one; zero if it is not.
	Forced time.Time `json:"forced,omitzero"`
	// LastLogin is zero before the first login.
	LastLogin time.Time `json:"lastLogin,omitzero"`
	// FailedLogins since then.
	FailedLogins int `json:"failedLogins,omitempty"`
	// Unlocked is when an administrator last reset the idle rule and the locks.
	Unlocked time.Time `json:"unlocked,omitzero"`
	Hosts    []string  `json:"hosts,omitempty"`
	Duty     string    `json:"duty,omitempty"`
	Locks    []lock    `json:"locks,omitempty"`
}

func (d *document) find(name string) *account {
	for _, a := range d.Accounts {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// admins counts those who depend on nothing but this machine.
func (d *document) admins() int {
	n := 0
	for _, a := range d.Accounts {
		if a.Role == grammar.Admin && !a.LDAP {
			n++
		}
	}
	return n
}

// clone copies everything that a change may alter. Hashes and lock entries are values.
func (d *document) clone() *document {
	c := &document{Schema: d.Schema, Rules: d.Rules.clone(), Accounts: make([]*account, len(d.Accounts))}
	for i, a := range d.Accounts {
		b := *a
		b.History, b.Hosts, b.Locks = slices.Clone(a.History), slices.Clone(a.Hosts), slices.Clone(a.Locks)
		c.Accounts[i] = &b
	}
	return c
}

// Open reads the accounts, or makes the factory account where there are none yet. It fails only for a mistake in
// cfg: whatever the disk does, there is a way in at the console.
func Open(cfg Config) (*Store, error) {
	if cfg.Log == nil {
		return nil, errors.New("accounts need a log")
	}
	if cfg.Clock == nil {
		cfg.Clock = SystemClock{}
	}
	if cfg.Zone == nil {
		cfg.Zone = func() *time.Location { return time.Local }
	}
	if cfg.Cost == (Cost{}) {
		cfg.Cost = DefaultCost
	}
	if err := cfg.Cost.check(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, hasher: newHasher(cfg.Cost), attempts: newAttempts(), current: map[string]currentPassword{}}
	s.load()
	return s, nil
}

// load decides what to run on; see the package comment for the order.
func (s *Store) load() {
	if s.cfg.Disk == nil {
		s.standIn("there is no disk to read the accounts from")
		return
	}
	doc, data, err := s.read(fileName)
	if err == nil {
		s.doc, s.stored = doc, data
		return
	}
	previous, data, previousErr := s.read(previousName)
	if errors.Is(err, fs.ErrNotExist) && errors.Is(previousErr, fs.ErrNotExist) {
		// Two files from the start, so that losing one of them is never losing the accounts.
		s.doc = s.factory()
		s.keep()
		if !s.unsaved {
			s.keepPrevious()
		}
		return
	}
	kept := ""
	if !errors.Is(err, fs.ErrNotExist) {
		if s.cfg.Disk.Rename(fileName, unreadableName) == nil {
			kept = ", it is kept as " + unreadableName
		}
	}
	if previousErr == nil {
		s.doc, s.stored = previous, data
		s.raise(fmt.Sprintf("the accounts could not be read (%v)%s: the copy before the last change is in use", err, kept))
		s.keep()
		return
	}
	s.standIn(fmt.Sprintf("neither the accounts nor their copy could be read (%v; %v)%s", err, previousErr, kept))
}

// standIn opens the serial console, and only that, with the factory account. Nothing is written until somebody there
// sets a password: what is on the disk may still be repaired by hand.
func (s *Store) standIn(why string) {
	s.doc = s.factory()
	s.consoleOnly = true
	s.raise(why + ": log in as admin with password admin on the serial console")
}

// raise sets the alarm that health shows and logs it.
func (s *Store) raise(text string) {
	s.alarm = text
	s.event(syslog.LOG_ALERT, text)
}

// Alarm says what an administrator should know about the accounts' file; empty in normal running.
func (s *Store) Alarm() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alarm
}

// factory returns the accounts of a machine as delivered: admin/admin, to be changed at the first login.
func (s *Store) factory() *document {
	now := s.cfg.Clock.Now().UTC()
	return &document{
		Schema: schema,
		Rules:  defaultRules(),
		Accounts: []*account{{
			Name: "admin", Role: grammar.Admin, Password: s.hasher.mustHash("admin"), Added: now, Changed: now, Forced: now,
		}},
	}
}

// change applies edit to a copy, stores the copy and only then runs on it. An error leaves everything as it was.
// The caller holds mu.
func (s *Store) change(edit func(*document) error) error {
	next := s.doc.clone()
	if err := edit(next); err != nil {
		return err
	}
	s.keepPrevious()
	if err := s.write(next); err != nil {
		s.event(syslog.LOG_ERR, fmt.Sprintf("the accounts cannot be stored, nothing was changed: %v", err))
		return fmt.Errorf("the accounts cannot be stored, nothing was changed: %w", err)
	}
	s.doc, s.unsaved = next, false
	return nil
}

// note applies edit and stores it if the disk will have it: for what happened whether or not it can be stored. The
// caller holds mu.
func (s *Store) note(edit func(*document)) {
	next := s.doc.clone()
	edit(next)
	s.doc = next
	s.keep()
}

// keep stores what is in memory. Only the first of several errors is logged, so that a full disk does not fill the
// log as well. The caller holds mu or is [Open].
func (s *Store) keep() {
	if s.consoleOnly {
		return
	}
	if err := s.write(s.doc); err != nil {
		if !s.unsaved {
			s.event(syslog.LOG_ERR, fmt.Sprintf("the accounts cannot be stored and are kept in memory: %v", err))
		}
		s.unsaved = true
		return
	}
	s.unsaved = false
}

// Close stores what could not be stored before, or was not worth a write of its own.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsaved {
		s.keep()
	}
}

// write replaces the file.
func (s *Store) write(d *document) error {
	if s.cfg.Disk == nil {
		return errors.New("there is no disk")
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encode accounts: %w", err)
	}
	data = append(data, '\n')
	if err := durable.WriteFile(s.cfg.Disk, fileName, data, 0o600, nil); err != nil {
		return fmt.Errorf("write %s: %w", fileName, err)
	}
	s.stored = data
	return nil
}

// keepPrevious stores a copy of the file as it is. One that cannot be stored is logged and keeps nobody from a change.
func (s *Store) keepPrevious() {
	if s.cfg.Disk == nil || s.stored == nil {
		return
	}
	if err := durable.WriteFile(s.cfg.Disk, previousName, s.stored, 0o600, nil); err != nil {
		s.event(syslog.LOG_WARNING, fmt.Sprintf("no copy of the accounts can be kept: %v", err))
	}
}

func (s *Store) read(name string) (*document, []byte, error) {
	f, err := s.cfg.Disk.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, err
	}
	d, err := parseDocument(data)
	return d, data, err
}

// parseDocument reads a file and checks every bound that the rest of the package relies on.
func parseDocument(data []byte) (*document, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxFile)
	}
	var d document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("the file is not readable: %w", err)
	}
	if d.Schema != schema {
		return nil, fmt.Errorf("the file has schema %d, this version reads %d", d.Schema, schema)
	}
	if err := d.Rules.validate(); err != nil {
		return nil, err
	}
	if len(d.Accounts) > maxAccounts {
		return nil, fmt.Errorf("the file has more than %d accounts", maxAccounts)
	}
	seen := map[string]bool{}
	for _, a := range d.Accounts {
		if a == nil {
			return nil, errors.New("the file has an account without content")
		}
		if err := a.validate(); err != nil {
			return nil, fmt.Errorf("account %.64q: %w", a.Name, err)
		}
		key := strings.ToLower(a.Name)
		if seen[key] {
			return nil, fmt.Errorf("account %.64q is there twice", a.Name)
		}
		seen[key] = true
	}
	if d.admins() == 0 {
		return nil, errors.New("the file has no administrator")
	}
	return &d, nil
}

func (a *account) validate() error {
	if err := checkName(a.Name); err != nil {
		return err
	}
	if !slices.Contains(grammar.Roles, a.Role) {
		return fmt.Errorf("unknown role %.32q", a.Role)
	}
	if len(a.History) > maxHistory || len(a.Hosts) > maxHosts || len(a.Locks) > maxLocks {
		return errors.New("too many entries")
	}
	hashes := append([]hash{a.Password}, a.History...)
	if a.LDAP {
		if a.Password != "" || len(a.History) > 0 {
			return errors.New("a user of the directory has a password here")
		}
		hashes = nil
	}
	for _, h := range hashes {
		if _, err := parseHash(string(h)); err != nil {
			return err
		}
	}
	for _, h := range a.Hosts {
		if err := CheckAllowedHost(h); err != nil {
			return err
		}
	}
	if a.Duty != "" {
		if _, err := ParseDuty(a.Duty); err != nil {
			return err
		}
	}
	return nil
}

// event writes to the machine's log, audit to the audit log; they are two files.
func (s *Store) event(severity syslog.Priority, text string) {
	s.cfg.Log(syslog.LOG_AUTH|severity, "login", text)
}

func (s *Store) audit(severity syslog.Priority, text string) {
	s.cfg.Log(syslog.LOG_LOCAL0|severity, "login", text)
}
