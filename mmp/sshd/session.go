package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/line"
	"rotunda/mmp/shell"
)

// Messages of RFC 4254 sections 6.2, 6.5, 6.7, 6.9 and 6.10.
type (
	ptyRequest struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	windowChange struct{ Columns, Rows, Width, Height uint32 }
	textRequest  struct{ Text string }
	exitStatus   struct{ Status uint32 }
	exitSignal   struct {
		Signal  string
		Core    bool
		Message string
		Lang    string
	}
)

// session is one channel.
type session struct {
	*connection
	channel ssh.Channel
	// drop ends the connection of an evicted session.
	drop context.CancelCauseFunc

	mu   sync.Mutex
	pty  *line.Size
	term *line.Terminal
}

// session serves one channel until it is closed.
func (c *connection) session(ctx context.Context, drop context.CancelCauseFunc, n ssh.NewChannel) {
	channel, requests, err := n.Accept()
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s := &session{connection: c, channel: channel, drop: drop}
	var work sync.WaitGroup
	started := false
	for r := range requests {
		ok := false
		switch r.Type {
		case "pty-req":
			ok = !started && s.setPTY(r.Payload)
		case "window-change":
			ok = s.resize(r.Payload)
		case "signal":
			ok = started && s.signal(r.Payload, cancel)
		case "shell", "exec", "subsystem":
			var run func(context.Context) (int, error)
			if !started {
				run = s.program(r)
			}
			if run == nil {
				break
			}
			started, ok = true, true
			if r.WantReply {
				_ = r.Reply(true, nil)
			}
			work.Go(func() {
				// Closing the channel makes the client close it too, which ends the loop above.
				defer channel.Close()
				defer c.server.recovered("SSH session")
				s.finish(run(ctx))
			})
			continue
		}
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
	}
	cancel(errGone)
	_ = channel.Close()
	work.Wait()
}

func (s *session) setPTY(payload []byte) bool {
	var p ptyRequest
	if ssh.Unmarshal(payload, &p) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pty = &line.Size{Columns: int(p.Columns), Rows: int(p.Rows)}
	return true
}

func (s *session) resize(payload []byte) bool {
	var p windowChange
	if ssh.Unmarshal(payload, &p) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pty == nil {
		return false
	}
	*s.pty = line.Size{Columns: int(p.Columns), Rows: int(p.Rows)}
	if s.term != nil {
		s.term.Resize(*s.pty)
	}
	return true
}

// signal ends a command as Ctrl-C does. At a prompt there is nothing to end.
func (s *session) signal(payload []byte, cancel context.CancelCauseFunc) bool {
	var p textRequest
	if ssh.Unmarshal(payload, &p) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch p.Text {
	case "INT", "TERM", "HUP", "QUIT", "KILL":
		if s.term == nil || p.Text != "INT" {
			cancel(shell.ErrInterrupted)
		}
		return true
	}
	return false
}

// program says what a request starts, nil if nothing.
func (s *session) program(r *ssh.Request) func(context.Context) (int, error) {
	if r.Type == "shell" {
		return s.runShell
	}
	var p textRequest
	if ssh.Unmarshal(r.Payload, &p) != nil {
		return nil
	}
	switch {
	case r.Type == "exec":
		return func(ctx context.Context) (int, error) { return s.runCommand(ctx, p.Text) }
	case p.Text == "sftp" && s.server.SFTP != nil:
		return s.runSFTP
	}
	return nil
}

// terminal starts the line editor if the client has asked for a terminal, nil otherwise.
func (s *session) terminal() *line.Terminal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pty == nil {
		return nil
	}
	s.term = line.NewTerminal(s.channel, s.channel, *s.pty, s.server.Shell.Hooks(s.login))
	return s.term
}

func (s *session) runShell(ctx context.Context) (int, error) {
	if term := s.terminal(); term != nil {
		err := s.server.Shell.Interactive(ctx, s.login, shell.SSHSession, term)
		if err != nil {
			return 1, err
		}
		return 0, nil
	}
	pipe := line.NewPipe(s.channel, s.channel)
	defer pipe.Close()
	return s.server.Shell.Script(ctx, s.login, pipe, s.channel, s.channel.Stderr())
}

func (s *session) runCommand(ctx context.Context, command string) (int, error) {
	if term := s.terminal(); term != nil {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		term.Interrupt(func() { cancel(shell.ErrInterrupted) })
		return s.server.Shell.Exec(ctx, s.login, command, term, term, term)
	}
	pipe := line.NewPipe(s.channel, s.channel)
	defer pipe.Close()
	return s.server.Shell.Exec(ctx, s.login, command, pipe, s.channel, s.channel.Stderr())
}

func (s *session) runSFTP(ctx context.Context) (int, error) {
	if due := s.login.Due(); due != "" {
		fmt.Fprintf(s.channel.Stderr(), "%s: log in with a terminal and set a new password first\n", due)
		return 1, nil
	}
	ctx, end, err := s.server.Shell.Begin(ctx, s.login, shell.SFTPSession)
	if err != nil {
		fmt.Fprintf(s.channel.Stderr(), "%v\n", err)
		return 1, nil
	}
	defer end()
	used := newUsed(s.channel)
	ctx, stopIdle := s.server.Shell.WatchIdle(ctx, s.login, used.idle)
	defer stopIdle()
	// A server that reads from the channel notices the end of the context by the channel's end.
	stop := context.AfterFunc(ctx, func() { _ = s.channel.Close() })
	defer stop()
	err = s.server.SFTP(ctx, s.login, used)
	if cause := context.Cause(ctx); cause != nil {
		return 1, cause
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.server.Shell.Log.Warn("SFTP session of user %s from %s ended: %s", s.login.User, s.login.Source, printable(err))
		return 1, nil
	}
	return 0, nil
}

// finish tells the client how it ended.
func (s *session) finish(status int, err error) {
	switch {
	case evicted(err), errors.Is(err, shell.ErrStopping), errors.Is(err, shell.ErrIdle):
		m := exitSignal{Signal: "TERM", Message: err.Error()}
		_, _ = s.channel.SendRequest("exit-signal", false, ssh.Marshal(&m))
	default:
		_, _ = s.channel.SendRequest("exit-status", false, ssh.Marshal(&exitStatus{uint32(status)}))
	}
	_ = s.channel.CloseWrite()
	if evicted(err) {
		_ = s.channel.Close()
		s.drop(shell.ErrEvicted)
	}
}
