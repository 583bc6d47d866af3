// Package shell runs sessions of the management shell, whatever they come in by: a person at a console or an SSH
// terminal, a script that writes lines, a single command.
//
// It owns what all of them have in common: the prompt, running one command at a time with its role check, the audit
// line that every command leaves, the forced change of a password, and the end of a session that nobody uses. A
// session keeps nothing on disk; when it ends, by whatever cause, the command that runs is told by its context. A
// command that panics ends with one line and exit status 1, and every other session goes on.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"rotunda/init/plain"
	"rotunda/mmp/grammar"
	"rotunda/mmp/line"
)

// DefaultIdleTimeout ends a session at whose prompt nothing was typed, for which no line of a script came, or by which no file was sent.
// The reference gives no figure; 15 minutes is what PCI DSS requirement 8.2.8 asks for. A running command is not idle.
const DefaultIdleTimeout = 15 * time.Minute

// Shell is what all sessions share. Its fields are set before the first session and not changed.
type Shell struct {
	Tree     *grammar.Tree
	Accounts Accounts
	// Ran, if not nil, is told what the audit log says of each command.
	Ran func(verdict string)
	Log *Log
	// Join begins a change that several lines of a script make together; nil where each is made by itself.
	Join func() grammar.Joint
	// Hostname is asked for every prompt.
	Hostname func() string
	// Notice is the message of the day, without control characters but for \n; nil or "" means none.
	Notice func() string
	// IdleTimeout is [DefaultIdleTimeout] if zero, without a limit if negative.
	IdleTimeout time.Duration
}

// Why a session ended before the person left it. The text is printed for them.
var (
	ErrEvicted  = errors.New("the session was ended by an administrator")
	ErrIdle     = errors.New("the session was ended because nothing came for too long")
	ErrStopping = errors.New("the management shell is stopping")
)

// errLeave is what exit and logout return.
var errLeave = errors.New("leave")

// ErrInterrupted is the cause of a command's context after Ctrl-C or an interrupt signal.
var ErrInterrupted = errors.New("interrupted")

// Exit statuses of a one-shot command.
const (
	statusOK          = 0
	statusFailed      = 1
	statusInterrupted = 130
)

// session is one login at work.
type session struct {
	*Shell
	login *Login
	// out is where commands print.
	out      io.Writer
	terminal grammar.Terminal
	// holding says that audit lines are kept in audits until what they are about is done; see [session.together].
	holding bool
	audits  []string
}

func (s *session) caller() *grammar.Caller {
	return &grammar.Caller{User: s.login.User, Role: s.login.Role, Source: s.login.Source.String(), Local: s.login.Source.Local, Since: s.login.Source.Since,
		Terminal: s.terminal}
}

// Begin counts a session until the returned function is called. The returned context also ends, with [ErrEvicted],
// when an administrator ends the session.
func (sh *Shell) Begin(ctx context.Context, login *Login, kind SessionKind) (context.Context, func(), error) {
	ctx, cancel := context.WithCancelCause(ctx)
	end, err := sh.Accounts.Begin(login, kind, func() {
		cancel(ErrEvicted)
		sh.Log.Audit("User %s from %s was logged out by an administrator", login.User, login.Source)
		if login.Hangup != nil {
			login.Hangup()
		}
	})
	if err != nil {
		cancel(err)
		sh.Log.Audit("User %s from %s was refused a session: %s", login.User, login.Source, oneLine(err.Error()))
		return nil, nil, err
	}
	return ctx, func() {
		end()
		cancel(nil)
	}, nil
}

// Interactive serves a person until they leave, the connection ends or the context does.
func (sh *Shell) Interactive(ctx context.Context, login *Login, kind SessionKind, term *line.Terminal) error {
	ctx, end, err := sh.Begin(ctx, login, kind)
	if err != nil {
		fmt.Fprintf(term, "%v\n", err)
		return err
	}
	defer end()
	ctx, stopIdle := sh.WatchIdle(ctx, login, term.Idle)
	defer stopIdle()

	s := &session{Shell: sh, login: login, out: term, terminal: term}
	err = s.interact(ctx, term)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrIdle), errors.Is(cause, ErrEvicted), errors.Is(cause, ErrStopping):
		term.FreshLine()
		fmt.Fprintf(term, "%v\n", cause)
		err = cause
	}
	sh.logCrash(err)
	return err
}

// LoggedOut records the end of a login: of its connection, or of what somebody did at a console.
func (sh *Shell) LoggedOut(login *Login) {
	sh.Log.Audit("User %s from %s logged out", login.User, login.Source)
}

// logCrash leaves a trace of a conversation that a mistake of ours has ended.
func (sh *Shell) logCrash(err error) {
	var crash *line.Crash
	if errors.As(err, &crash) {
		sh.Log.Error("%v\n%s", crash, crash.Stack)
	}
}

func (s *session) interact(ctx context.Context, term *line.Terminal) error {
	if n := s.login.FailedLogins; n > 0 {
		fmt.Fprintf(term, "Failed logins since last successful login %d\n", n)
	}
	if err := s.changePassword(ctx, term); err != nil {
		return err
	}
	if s.Notice != nil {
		if text := strings.TrimRight(s.Notice(), "\n"); text != "" {
			fmt.Fprintf(term, "%s\n", text)
		}
	}
	for {
		text, err := term.ReadLine(ctx, s.Hostname()+"> ")
		switch {
		case errors.Is(err, line.ErrInterrupted):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if status, leave := s.runInterruptible(ctx, term, text); leave || status != statusOK && ctx.Err() != nil {
			return nil
		}
	}
}

// runInterruptible runs a line so that Ctrl-C ends the command.
func (s *session) runInterruptible(ctx context.Context, term *line.Terminal, text string) (status int, leave bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	term.Interrupt(func() {
		_, _ = io.WriteString(term, "^C\n")
		cancel(ErrInterrupted)
	})
	defer term.Interrupt(nil)
	return s.run(ctx, text, term.Remember)
}

// Hooks are what Tab and ? do on the terminal of a login.
func (sh *Shell) Hooks(login *Login) line.Hooks {
	caller := &grammar.Caller{User: login.User, Role: login.Role, Source: login.Source.String()}
	return line.Hooks{
		Complete: func(text string) (string, []string) {
			defer sh.recovered("completion")
			return sh.Tree.Complete(caller, text)
		},
		Help: func(text string) (string, bool) {
			defer sh.recovered("help")
			if grammar.InQuotes(text) {
				return "", false
			}
			return hints(sh.Tree.Next(caller, text)), true
		},
	}
}

// hints prints what may come next.
func hints(list []grammar.Hint) string {
	if len(list) == 0 {
		return "nothing is known to come here\n"
	}
	var b strings.Builder
	grammar.WriteHints(&b, list)
	return b.String()
}

// Exec runs one command and returns its exit status. Output and error lines go to out, as they do on a terminal: a
// script that looks for "Unknown command" finds it there. What keeps the command from being run goes to errOut. The
// error is why the session ended early.
func (sh *Shell) Exec(ctx context.Context, login *Login, command string, terminal grammar.Terminal, out, errOut io.Writer) (int, error) {
	return sh.unattended(ctx, login, errOut, func(ctx context.Context) int {
		s := &session{Shell: sh, login: login, out: out, terminal: terminal}
		status, _ := s.run(ctx, strings.TrimRight(command, "\r\n"), nil)
		return status
	})
}

// unattended frames what runs without a terminal. A login that has to set a new password is refused, since nobody can
// be asked for it.
func (sh *Shell) unattended(ctx context.Context, login *Login, errOut io.Writer, run func(context.Context) int) (int, error) {
	if due := login.Due(); due != "" {
		fmt.Fprintf(errOut, "%s: log in with a terminal and set a new password first\n", due)
		return statusFailed, nil
	}
	ctx, end, err := sh.Begin(ctx, login, SSHSession)
	if err != nil {
		fmt.Fprintf(errOut, "%v\n", err)
		return statusFailed, nil
	}
	defer end()
	status := run(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, ErrInterrupted) {
		fmt.Fprintf(errOut, "%v\n", cause)
		return statusFailed, cause
	}
	return status, nil
}

// typed is a line that has been read.
type typed struct {
	// question is what stands before the question mark of a line that asks what may come next, empty for other lines.
	question string
	match    *grammar.Match
	// err says why it is not run.
	err error
	// audited is whether the audit log has it.
	audited bool
}

func (s *session) parse(text string) *typed {
	l := new(typed)
	if before, ok := grammar.Question(text); ok && before != "" {
		l.question = before
		return l
	}
	l.match, l.err = s.Tree.Parse(s.login.Role, text)
	return l
}

// joins says whether a line may be part of a joint change: one that changes the configuration, or does nothing.
func (l *typed) joins() bool {
	return l.question == "" && (l.err != nil || l.match.Command == nil || l.match.Command.Joins)
}

// run runs one line. remember is told of a line that may be kept in a history.
func (s *session) run(ctx context.Context, text string, remember func(string)) (status int, leave bool) {
	l := s.parse(text)
	switch {
	case remember == nil:
	case l.question != "":
		remember(text)
	case l.match.Secret:
		// The line is gone once it has run.
	case l.match.Command != nil || l.err != nil:
		remember(text)
	}
	return s.do(ctx, l, s.out, nil)
}

// do runs a line and prints its error.
func (s *session) do(ctx context.Context, l *typed, out io.Writer, joint grammar.Joint) (status int, leave bool) {
	status, leave, _ = s.perform(ctx, l, out, joint)
	return status, leave
}

// perform runs a line. A line that is run once more leaves no second audit line.
func (s *session) perform(ctx context.Context, l *typed, out io.Writer, joint grammar.Joint) (status int, leave bool, err error) {
	caller := s.caller()
	if l.question != "" {
		_, _ = io.WriteString(out, hints(s.Tree.Next(caller, l.question)))
		return statusOK, false, nil
	}
	err = l.err
	switch {
	case errors.Is(err, grammar.ErrDenied):
		s.audit(l, "permission denied")
	case err != nil:
		s.audit(l, "syntax error")
	case l.match.Command == nil:
		return statusOK, false, nil
	default:
		s.audit(l, "permission granted")
		c := l.match.Call(ctx, caller, out)
		c.Joint = joint
		err = s.call(l.match, c)
	}
	switch {
	case err == nil:
		return statusOK, false, nil
	case errors.Is(err, errLeave):
		return statusOK, true, nil
	case errors.Is(err, grammar.ErrAlone) && joint != nil:
		return statusFailed, false, err
	case errors.Is(context.Cause(ctx), ErrInterrupted):
		return statusInterrupted, false, err
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		// The session is over and says why itself.
		return statusFailed, false, err
	}
	fmt.Fprintf(out, "%s\n", oneLine(err.Error()))
	return statusFailed, false, err
}

// audit writes the line that the reference shows, blanks and all:
//
//	User admin from 10.1.1.1:63290 issued command < callbridge av1 enable>: permission granted
func (s *session) audit(l *typed, verdict string) {
	if l.audited {
		return
	}
	l.audited = true
	if s.Ran != nil {
		s.Ran(verdict)
	}
	text := fmt.Sprintf("User %s from %s issued command < %s>: %s", s.login.User, s.login.Source, l.match.Audit, verdict)
	if s.holding {
		s.audits = append(s.audits, text)
		return
	}
	s.Log.Audit("%s", text)
}

// call runs a command and turns a panic into an error. A goroutine that a command starts has to do the same itself.
func (s *session) call(m *grammar.Match, c *grammar.Call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("command < %s> crashed: %v\n%s", m.Audit, p, debug.Stack())
			err = errors.New("the command crashed; the log says where")
		}
	}()
	return m.Command.Run(c)
}

// recovered is deferred around code of the declarations that runs outside a command.
func (sh *Shell) recovered(what string) {
	if p := recover(); p != nil {
		sh.Log.Error("%s crashed: %v\n%s", what, p, debug.Stack())
	}
}

// oneLine keeps the promise that an error is one line, whatever it quotes.
func oneLine(text string) string {
	return plain.Line(strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "; "), '?')
}
