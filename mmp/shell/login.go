package shell

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/grammar"
)

// Source is where a person sits: an address and port, or a console.
type Source struct {
	// Addr is the far end of a connection; the zero value at a console.
	Addr netip.AddrPort
	// Local is this machine's address of the connection.
	Local netip.Addr
	// Since is when the connection was made, by the clock that nobody sets; the zero value at a console.
	Since time.Time
	// Console is the name of the console's device, "" for a connection.
	Console string
	// Service is the service that a login is for, [APIService] for example; "" for the shell itself.
	Service string
}

// String is how audit lines name it: "ip:port" or "serial console".
func (s Source) String() string {
	if s.Console != "" {
		return "serial console"
	}
	return s.Addr.String()
}

// APIService is the API, which takes no users of a directory (guide 4.8).
const APIService = "API"

// Login is who an authentication has shown somebody to be. It is made by [Accounts]; sessions of one connection share
// it.
type Login struct {
	User   string
	Role   grammar.Role
	Source Source
	// Means is what showed it where that was no password of the account's own: "LDAP" or the title of a certificate.
	Means string
	// MustChange is why a new password has to be set before anything else may be done, for example "Password has
	// expired"; "" if it need not.
	MustChange string
	// FailedLogins counts attempts since the last login that succeeded.
	FailedLogins int
	// Added is when the account was made: a connection may live longer than its account, and one of the same name
	// that was made later is somebody else's.
	Added time.Time
	// Hangup cuts the connection off before long; nil at a console. An evicted session cannot always end by itself: its
	// client may have stopped reading.
	Hangup func()

	changed atomic.Bool
}

// Due returns why a new password has to be set first, "" once that is done.
func (l *Login) Due() string {
	if l.changed.Load() {
		return ""
	}
	return l.MustChange
}

// SessionKind tells what counts against max_sessions apart.
type SessionKind string

// The kinds of session.
const (
	SSHSession     SessionKind = "ssh"
	SFTPSession    SessionKind = "sftp"
	ConsoleSession SessionKind = "console"
	// ServiceSession is one of the Web Admin's pages or of events, which bound their numbers themselves.
	ServiceSession SessionKind = "service"
)

// ErrRefused is every reason not to let somebody in that the person must not be told apart: unknown user, wrong
// password, locked, wrong host, outside duty hours. The log may say more.
var ErrRefused = errors.New("login refused")

// Accounts is what sessions need of the accounts. All methods may be called at the same time.
type Accounts interface {
	// CheckPassword verifies a password and every rule that may keep the account out. A wrong one counts towards the
	// lock-out; it takes the same time for an unknown user. The error wraps [ErrRefused] unless something broke.
	CheckPassword(ctx context.Context, user, password string, from Source) (*Login, error)
	// CheckKey says whether the key may log the user in. The client has not yet proven that it holds the key, so this
	// changes nothing and counts nothing.
	CheckKey(ctx context.Context, user string, key ssh.PublicKey, from Source) (*Login, error)
	// CheckCard says whom a certificate logs in whose key the far end has proven to have; those that issued it come behind it, all in DER.
	CheckCard(ctx context.Context, chain [][]byte, from Source) (*Login, error)
	// LoggedIn records a login that is complete: last login is now, failed logins are 0.
	LoggedIn(login *Login)
	// Begin counts a session and lists it as logged in until the returned function is called. It refuses a session
	// over max_sessions with a text for the person. evict is called, once at most and not under a lock, when an
	// administrator ends the session.
	Begin(login *Login, kind SessionKind, evict func()) (end func(), err error)
	// SetPassword sets the user's own password after a forced change. An error is a line for the person that names the
	// rule that was broken.
	SetPassword(ctx context.Context, user, password string) error
}
