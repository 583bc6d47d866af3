package accounts

import (
	"errors"
	"fmt"
	"log/syslog"
	"sync"
	"time"

	"rotunda/mmp/shell"
)

// Sessions by SSH and SFTP of all accounts together, whatever max_sessions says: each holds buffers of up to 2 MiB, one by
// SFTP up to 8 MiB more, and the process may take 512 MiB.
const (
	maxNetworkSessions = 100
	maxSFTPSessions    = 32
)

// Session is one entry of the list of who is logged in.
type Session struct {
	User   string
	Kind   shell.SessionKind
	Source string
	Since  time.Time
}

// sessions is the list; it lives in memory, as the sessions do.
type sessions struct {
	next uint64
	open map[uint64]*openSession
}

type openSession struct {
	Session
	evict func()
}

var errGone = errors.New("the account is no longer there")

// Begin implements [shell.Accounts].
func (s *Store) Begin(login *shell.Login, kind shell.SessionKind, evict func()) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if login.Role != Recovery {
		a := s.doc.find(login.User)
		if a == nil || !a.Added.Equal(login.Added) {
			return nil, errGone
		}
		// A connection may have been kept open since a time at which a login was allowed.
		if reason := a.barred(s.doc.Rules, kind == shell.ConsoleSession, s.cfg.Clock.Now().In(s.cfg.Zone())); reason != "" {
			s.event(syslog.LOG_WARNING, fmt.Sprintf("User %s may not begin a session from %s: %s", login.User, login.Source, reason))
			return nil, errors.New(reason)
		}
	}
	limit := s.doc.Rules["max_sessions"]
	switch {
	case kind == shell.ServiceSession:
		limit = 0
	case limit > 0 && kind == shell.ConsoleSession:
		limit = 1
	}
	own, network, transfers := 0, 0, 0
	for _, o := range s.sessions.open {
		if o.User == login.User && o.Kind == kind {
			own++
		}
		if o.Kind == shell.SSHSession || o.Kind == shell.SFTPSession {
			network++
		}
		if o.Kind == shell.SFTPSession {
			transfers++
		}
	}
	if limit > 0 && own >= limit {
		s.event(syslog.LOG_WARNING, fmt.Sprintf("User %s has %d %s sessions, one more from %s is refused", login.User, own, kind,
			login.Source))
		return nil, fmt.Errorf("there are already %d %s sessions of this user (user rule max_sessions)", own, kind)
	}
	if (kind == shell.SSHSession || kind == shell.SFTPSession) && network >= maxNetworkSessions {
		s.event(syslog.LOG_WARNING, fmt.Sprintf("%d sessions are open, one more from %s is refused", network, login.Source))
		return nil, fmt.Errorf("there are already %d sessions", network)
	}
	if kind == shell.SFTPSession && transfers >= maxSFTPSessions {
		s.event(syslog.LOG_WARNING, fmt.Sprintf("%d SFTP sessions are open, one more from %s is refused", transfers, login.Source))
		return nil, fmt.Errorf("there are already %d SFTP sessions", transfers)
	}
	if s.sessions.open == nil {
		s.sessions.open = map[uint64]*openSession{}
	}
	id := s.sessions.next
	s.sessions.next++
	s.sessions.open[id] = &openSession{
		Session: Session{User: login.User, Kind: kind, Source: login.Source.String(), Since: s.cfg.Clock.Now()},
		evict:   evict,
	}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		delete(s.sessions.open, id)
		s.mu.Unlock()
	}), nil
}

// Sessions lists who is logged in.
func (s *Store) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Session, 0, len(s.sessions.open))
	for _, o := range s.sessions.open {
		list = append(list, o.Session)
	}
	return list
}

// Evict ends every session of a user and returns how many there were.
func (s *Store) Evict(user string) (int, error) {
	s.mu.Lock()
	if s.doc.find(user) == nil {
		err := s.doc.noUser(user)
		s.mu.Unlock()
		return 0, err
	}
	ends := s.takeSessions(user)
	s.mu.Unlock()
	for _, end := range ends {
		end()
	}
	return len(ends), nil
}

// takeSessions returns the functions that end a user's sessions, each of them once ever. The caller holds mu and calls
// them after letting go of it.
func (s *Store) takeSessions(user string) []func() {
	var ends []func()
	for _, o := range s.sessions.open {
		if o.User == user && o.evict != nil {
			ends = append(ends, o.evict)
			o.evict = nil
		}
	}
	return ends
}

func (s *Store) loggedIn(user string) bool {
	for _, o := range s.sessions.open {
		if o.User == user {
			return true
		}
	}
	return false
}
