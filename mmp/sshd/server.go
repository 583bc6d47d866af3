// Package sshd lets administrators in by SSH (RFC 4251 to 4254) on golang.org/x/crypto/ssh: terminals, single
// commands with their exit status, and SFTP, which it hands to a function.
//
// Who somebody is, is what the authentication callback that succeeded has stored in [ssh.Permissions], and nothing
// else: the user name that a connection reports is the last one tried, and a client may try several.
//
// A stranger costs little and breaks nothing. There is a deadline for the key exchange and one for logging in, a bound
// on connections that have not logged in yet (all together and for each source), a rate for new connections and for
// wrong passwords of a source, where a source is an IPv4 address or an IPv6 /64, and a bound on the memory for all of
// this. When no more may wait, the source that has the most gives up the one that waited longest, so that a few
// sources keep nobody out. A connection that logs in gives its place back at once, so that scripts which connect for
// every command are not slowed down. Every goroutine recovers: a panic ends a connection, never the process.
//
// Nothing is forwarded: no ports, no agent, no X11. The host keys are the only thing on disk (see [HostKeys]).
package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/shell"
)

// SFTP serves one sftp channel until the client closes it or the context ends. It must close the channel's files
// itself and must not outlive the call.
type SFTP func(ctx context.Context, login *shell.Login, channel io.ReadWriteCloser) error

// Limits bound what clients may do. [DefaultLimits] are right for a machine; tests shorten them.
type Limits struct {
	// Exchange is the time from the connection to the end of the key exchange, Login the time after it until somebody
	// has logged in, which has to be enough to type a password three times.
	Exchange, Login time.Duration
	// Tries is how many attempts to log in one connection has. OpenSSH counts every key that it offers.
	Tries int
	// Waiting is how many connections may be before their login, WaitingEach how many of one source.
	Waiting, WaitingEach int
	// Connections is how many may be logged in, Channels how many sessions one connection may have, AllChannels how many
	// there may be. A client can make the server hold 2 MiB for each, the window of [ssh], out of the 512 MiB that the
	// process may take.
	Connections, Channels, AllChannels int
	// Connects and Failures are the rates of a source: new connections that did not log in, and wrong passwords.
	Connects, Failures Rate
	// Keepalive is how often a silent client is asked for a sign of life; after three times that, it is gone.
	Keepalive time.Duration
	// Unused is how long a connection without any session stays.
	Unused time.Duration
	// Grace is how long sessions have when the server stops or an administrator ends them.
	Grace time.Duration
}

// DefaultLimits follow OpenSSH's where it has them (LoginGraceTime 120, MaxAuthTries 6); its MaxSessions of 10 is too
// few for tools that open a channel a command over one connection.
func DefaultLimits() Limits {
	return Limits{
		Exchange: 30 * time.Second, Login: 120 * time.Second, Tries: 6,
		Waiting: 64, WaitingEach: 16,
		Connections: 128, Channels: 32, AllChannels: 128,
		Connects:  Rate{Burst: 60, Every: time.Second},
		Failures:  Rate{Burst: 30, Every: 6 * time.Second},
		Keepalive: 30 * time.Second, Unused: 15 * time.Minute, Grace: 3 * time.Second,
	}
}

// Server serves SSH. Its fields are set before [Server.Serve] and not changed.
type Server struct {
	Shell *shell.Shell
	Keys  *HostKeys
	// SFTP is nil if there is none.
	SFTP SFTP
	// Banner is shown before the login; nil or "" means none.
	Banner func() string
	Limits Limits

	once  sync.Once
	guard *guard
	wg    sync.WaitGroup
	// channels is how many are open in all connections.
	channels atomic.Int32
}

// state makes the guard when it is first needed.
func (s *Server) state() *guard {
	s.once.Do(func() { s.guard = newGuard(s.Limits) })
	return s.guard
}

// Ping returns once the server's state can be looked at, which a deadlock would prevent.
func (s *Server) Ping() {
	g := s.state()
	g.mu.Lock()
	defer g.mu.Unlock()
}

// errGone ends the sessions of a connection that is no more.
var errGone = errors.New("the connection has ended")

// Serve accepts connections until the context ends, whose sessions then get [Limits].Grace to end. The error is nil
// after that, or the listener's.
func (s *Server) Serve(until context.Context, listener net.Listener) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("accept SSH connections: crashed: %v\n%s", p, debug.Stack())
		}
	}()
	s.state()
	// Sessions are told by a cause that they can print.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(until))
	stop := context.AfterFunc(until, func() {
		cancel(shell.ErrStopping)
		_ = listener.Close()
	})
	defer s.wg.Wait()
	defer cancel(shell.ErrStopping)
	defer stop()
	pause := time.Duration(0)
	for {
		conn, err := listener.Accept()
		switch {
		case until.Err() != nil:
			if conn != nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept SSH connections: %w", err)
		case err != nil:
			// No descriptors or no memory: both come back when other connections end.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.Shell.Log.Warn("accept SSH connections: %v; the next try is in %v", err, pause)
			select {
			case <-time.After(pause):
			case <-until.Done():
			}
			continue
		}
		pause = 0
		from := sourceOf(conn)
		authCtx, authDone := context.WithTimeout(ctx, s.Limits.Exchange+s.Limits.Login)
		entered, reason := s.guard.enter(from, time.Now(), authDone)
		if reason != "" {
			authDone()
			_ = conn.Close()
			if s.guard.tell(from, time.Now()) {
				s.Shell.Log.Warn("SSH connection from %s refused: %s", from, reason)
			}
			continue
		}
		s.wg.Go(func() {
			defer conn.Close()
			defer authDone()
			defer s.recovered("SSH connection")
			s.serve(ctx, authCtx, conn, from, entered)
		})
	}
}

// recovered is deferred in every goroutine.
func (s *Server) recovered(what string) {
	if p := recover(); p != nil {
		s.Shell.Log.Error("%s crashed: %v\n%s", what, p, debug.Stack())
	}
}

func sourceOf(conn net.Conn) netip.AddrPort {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
	}
	return netip.AddrPort{}
}

// localOf is this machine's end.
func localOf(conn net.Conn) netip.Addr {
	if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// serve takes one connection from its first byte to its last. authCtx is for the time before the login.
func (s *Server) serve(ctx, authCtx context.Context, raw net.Conn, from netip.AddrPort, entered *entrance) {
	loggedIn := false
	defer func() { s.guard.leave(entered, loggedIn) }()

	stopEarly := context.AfterFunc(authCtx, func() { _ = raw.Close() })
	conn, channels, requests, err := s.handshake(authCtx, raw, from)
	if !stopEarly() || err != nil {
		if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
			s.Shell.Log.Info("SSH connection from %s ended before a login: %s", from, printable(err))
		}
		return
	}
	login, ok := loginOf(conn.Permissions)
	if !ok {
		// No callback succeeds without storing a login.
		s.Shell.Log.Error("SSH connection from %s has permissions without a login", from)
		return
	}
	if !s.guard.admit(entered) {
		s.Shell.Log.Warn("SSH connection from %s refused: %d are open", from, s.Limits.Connections)
		return
	}
	loggedIn = true
	login.Hangup = func() { time.AfterFunc(s.Limits.Grace, func() { _ = conn.Close() }) }
	s.Shell.Accounts.LoggedIn(login)
	defer s.Shell.LoggedOut(login)

	c := &connection{server: s, conn: conn, login: login, drained: make(chan struct{})}
	c.serve(ctx, channels, requests)
}

// handshake exchanges keys and lets the client log in.
func (s *Server) handshake(ctx context.Context, raw net.Conn, from netip.AddrPort) (*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	if err := raw.SetDeadline(time.Now().Add(s.Limits.Exchange)); err != nil {
		return nil, nil, nil, fmt.Errorf("set the deadline: %w", err)
	}
	auth := &authentication{server: s, ctx: ctx, from: shell.Source{Addr: from, Local: localOf(raw), Since: time.Now()}}
	config := auth.config()
	config.PreAuthConnCallback = func(ssh.ServerPreAuthConn) {
		_ = raw.SetDeadline(time.Now().Add(s.Limits.Login))
	}
	for _, key := range s.Keys.signers() {
		config.AddHostKey(key)
	}
	conn, channels, requests, err := ssh.NewServerConn(buffered(raw), config)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, nil, nil, fmt.Errorf("lift the deadline: %w", err)
	}
	return conn, channels, requests, nil
}
