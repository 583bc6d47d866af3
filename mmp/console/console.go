// Package console lets people log in at the machine itself: at serial lines and at the screen.
//
// Each console is served for as long as the process lives. A line that hangs up, a device that fails or is not there
// ends what ran on it and is tried again, at growing intervals, without any other console noticing. Input is taken raw
// (termios without processing), so that the line editor works as it does over SSH; a serial line has no size, and 80
// columns by 24 rows are assumed. The kernel and PID 1 may print in between: Return on an empty login prompt shows the
// welcome text anew, and Ctrl-L redraws a line.
//
// The console is the way in when everything else is broken, so it needs neither the network nor PID 1.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"rotunda/mmp/line"
	"rotunda/mmp/shell"
)

// Times of the login dialogue.
const (
	// passwordTime is how long the password prompt waits: somebody else may come along.
	passwordTime = time.Minute
	// wrongPause slows guessing down; accounts slow it down further.
	wrongPause = time.Second
	// retryMin and retryMax bound the pause before a device that failed is opened again.
	retryMin, retryMax = time.Second, time.Minute
	// settled is how long a device has to work for its next failure to count as the first.
	settled = time.Minute
)

// errHangup ends the session on a line that hung up.
var errHangup = errors.New("the console has hung up")

// Console serves one device.
type Console struct {
	// Path of the device, for example /dev/ttyS0.
	Path  string
	Shell *shell.Shell
	// Welcome is printed before the login prompt: what this machine is and how it is reached. It may not block for long.
	Welcome func(context.Context) string

	// open and pause are replaced in tests.
	open  func(path string) (io.ReadWriteCloser, line.Size, error)
	pause func(context.Context, time.Duration)
}

// Run serves the console until the context ends. tried is called once, after the first attempt to open the device:
// from then on somebody can log in, or will be able to once the device works.
func (c *Console) Run(ctx context.Context, tried func()) {
	if c.open == nil {
		c.open = openTTY
	}
	if c.pause == nil {
		c.pause = pause
	}
	retry := retryMin
	told := ""
	for ctx.Err() == nil {
		begun := time.Now()
		err := c.attempt(ctx, &tried)
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != told {
			// A device that stays away is worth one line, not one a minute.
			told = err.Error()
			c.Shell.Log.Warn("console %s: %v", c.Path, err)
		}
		if time.Since(begun) >= settled {
			retry = retryMin
		}
		c.pause(ctx, retry)
		retry = min(2*retry, retryMax)
	}
}

// pause waits, but not beyond the context.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// attempt opens the device and serves it until it fails.
func (c *Console) attempt(ctx context.Context, tried *func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.Shell.Log.Error("console %s crashed: %v\n%s", c.Path, p, debug.Stack())
			err = errors.New("crashed")
		}
	}()
	device, size, err := c.open(c.Path)
	if *tried != nil {
		(*tried)()
		*tried = nil
	}
	if err != nil {
		return err
	}
	term := line.NewTerminal(device, device, size, line.Hooks{})
	defer term.Wait()
	defer device.Close()
	return c.serve(ctx, term)
}

// serve lets one person after the other log in.
func (c *Console) serve(until context.Context, term *line.Terminal) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(until))
	defer cancel(nil)
	stop := context.AfterFunc(until, func() { cancel(shell.ErrStopping) })
	defer stop()
	go func() {
		select {
		case <-term.Done():
			cancel(errHangup)
		case <-ctx.Done():
		}
	}()
	c.greet(ctx, term)
	for ctx.Err() == nil {
		select {
		case <-term.Done():
			return errHangup
		default:
		}
		term.Reset(line.Hooks{})
		login := c.login(ctx, term)
		if login == nil {
			continue
		}
		term.Reset(c.Shell.Hooks(login))
		// What ended the session has been said on the console, or there is nobody to say it to.
		_ = c.Shell.Interactive(ctx, login, shell.ConsoleSession, term)
		c.Shell.LoggedOut(login)
		if ctx.Err() == nil {
			c.greet(ctx, term)
		}
	}
	return context.Cause(ctx)
}

func (c *Console) greet(ctx context.Context, term *line.Terminal) {
	term.FreshLine()
	fmt.Fprintf(term, "\n%s\n", strings.TrimRight(c.Welcome(ctx), "\n"))
}

// login asks once and returns nil if nobody has logged in.
func (c *Console) login(ctx context.Context, term *line.Terminal) *shell.Login {
	user, err := term.Ask(ctx, c.Shell.Hostname()+" login: ")
	if err != nil {
		// Ctrl-C and Ctrl-D just begin anew.
		return nil
	}
	user = strings.TrimSpace(user)
	if user == "" {
		c.greet(ctx, term)
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, passwordTime)
	defer cancel()
	password, err := term.AskSecret(asking, "Please enter password: ")
	if err != nil {
		return nil
	}
	from := shell.Source{Console: filepath.Base(c.Path)}
	login, err := c.Shell.Accounts.CheckPassword(ctx, user, password, from)
	if err != nil {
		if !errors.Is(err, shell.ErrRefused) {
			c.Shell.Log.Error("login at console %s: %v", c.Path, err)
		}
		c.pause(ctx, wrongPause)
		fmt.Fprintf(term, "Login incorrect\n")
		return nil
	}
	c.Shell.Accounts.LoggedIn(login)
	return login
}
