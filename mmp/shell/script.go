package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"rotunda/mmp/grammar"
	"rotunda/mmp/line"
)

// Bounds of what is done together. A script of two thousand firewall rules is two changes.
const (
	maxTogether = 1000
	maxHeld     = 256 << 10
)

// Script runs the lines of a pipe one after the other and returns the exit status of the last. The error is why the
// session ended early.
//
// Lines that wait already when one is read are run together with it if all of them do nothing but change the
// configuration ([grammar.Command.Joins]): they work on one copy of it, which is stored and put in force once, and what
// they print appears after that. Whoever sends the lines sees what they would have seen otherwise, only sooner: if the
// joint change is refused, or somebody else was faster, nothing of it has happened, and the lines are run one by one.
func (sh *Shell) Script(ctx context.Context, login *Login, pipe *line.Pipe, out, errOut io.Writer) (int, error) {
	return sh.unattended(ctx, login, errOut, func(ctx context.Context) int {
		s := &session{Shell: sh, login: login, out: out, terminal: pipe}
		status := statusOK
		for {
			text, err := sh.nextLine(ctx, pipe)
			switch {
			case errors.Is(err, io.EOF):
				return status
			case errors.Is(err, ErrIdle):
				sh.timedOut(login)
				fmt.Fprintf(errOut, "%v\n", err)
				return statusFailed
			case err != nil && ctx.Err() != nil:
				return statusFailed
			case err != nil:
				sh.logCrash(err)
				fmt.Fprintf(errOut, "%v\n", err)
				return statusFailed
			}
			var leave bool
			if sh.Join != nil && pipe.Waiting() {
				status, leave = s.together(ctx, pipe, text)
			} else {
				status, leave = s.run(ctx, text, nil)
			}
			if leave {
				return status
			}
		}
	})
}

// nextLine waits for a line of a script, for as long as a session may be idle.
func (sh *Shell) nextLine(ctx context.Context, pipe *line.Pipe) (string, error) {
	if limit := sh.idleLimit(); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, ErrIdle)
		defer cancel()
	}
	text, err := pipe.ReadLine(ctx)
	if err != nil && errors.Is(context.Cause(ctx), ErrIdle) {
		return "", ErrIdle
	}
	return text, err
}

// held is a line that has been run as a part of a joint change, with what it has printed.
type held struct {
	line   *typed
	out    bytes.Buffer
	status int
}

// together runs a line with those that wait behind it, as far as they join, and then the first that does not.
func (s *session) together(ctx context.Context, pipe *line.Pipe, text string) (status int, leave bool) {
	joint := s.Join()
	var done []*held
	var last *typed
	// Nothing is done before the joint change, so the audit log is in time if it has the lines before that.
	s.holding = true
	tell := func() {
		s.Log.audits(s.audits)
		s.holding, s.audits = false, nil
	}
	defer tell()
	for size := 0; ; {
		l := s.parse(text)
		if !l.joins() {
			last = l
			break
		}
		h := &held{line: l}
		var alone bool
		if h.status, alone = s.hold(ctx, h, joint); alone {
			last = l
			break
		}
		done = append(done, h)
		size += h.out.Len()
		if len(done) == maxTogether || size > maxHeld || ctx.Err() != nil || !pipe.Waiting() {
			break
		}
		var err error
		if text, err = pipe.ReadLine(ctx); err != nil {
			// The session has ended: the next to read is told why.
			break
		}
	}
	tell()
	if len(done) > 0 {
		if ctx.Err() != nil {
			// It ends before anything of this was done.
			return statusFailed, false
		}
		if status, leave = s.settle(ctx, joint, done); leave || ctx.Err() != nil {
			return status, leave
		}
	}
	if last != nil {
		return s.do(ctx, last, s.out, nil)
	}
	return status, leave
}

// hold runs a line as a part of a joint change; alone says that it cannot be one and has done nothing.
func (s *session) hold(ctx context.Context, h *held, joint grammar.Joint) (status int, alone bool) {
	status, _, err := s.perform(ctx, h.line, &h.out, joint)
	return status, errors.Is(err, grammar.ErrAlone)
}

// settle makes the joint change and shows what its lines have printed. If it cannot be made they are run one by one.
func (s *session) settle(ctx context.Context, joint grammar.Joint, done []*held) (status int, leave bool) {
	note, err := s.commit(ctx, joint)
	if err != nil {
		for _, h := range done {
			if status, leave = s.do(ctx, h.line, s.out, nil); leave || ctx.Err() != nil {
				return status, leave
			}
		}
		return status, false
	}
	var all bytes.Buffer
	for _, h := range done {
		_, _ = h.out.WriteTo(&all)
		status = h.status
	}
	all.WriteString(note)
	_, _ = all.WriteTo(s.out)
	return status, false
}

// commit turns a panic into an error: a mistake in a joint change is no mistake in each of its lines.
func (s *session) commit(ctx context.Context, joint grammar.Joint) (note string, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("a joint change crashed: %v\n%s", p, debug.Stack())
			err = errors.New("the change crashed")
		}
	}()
	return joint.Commit(ctx)
}
