// Package line talks to a person on a terminal that is nothing but two streams of bytes: an SSH channel with a
// pseudo terminal, or a serial line. It owns the keys, the line being edited, the history and what is on the screen.
//
// A [Terminal] reads all the time, also while a command runs, so that Ctrl-C reaches the command; what is typed ahead
// is kept up to a bound and then answered by the bell. It draws with the few control sequences that every terminal
// since the VT100 knows (ECMA-48: cursor up, down, left, right, erase) and breaks long lines itself, so that it does
// not depend on how a terminal wraps. A [Pipe] is the same conversation with a script: lines in, no echo, no editing.
//
// Everything typed comes from outside: a line is at most [MaxLine] bytes of valid UTF-8 without control characters,
// whatever bytes arrive. Secrets are neither echoed nor kept. Nothing is stored on disk.
package line

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// MaxLine bounds a line in bytes.
const MaxLine = 4096

// typeAhead bounds what is typed while a command runs, in keys. A pasted script of a few hundred lines fits; the
// queue takes 64 KiB a session.
const typeAhead = 16 << 10

// ErrInterrupted is Ctrl-C at a prompt.
var ErrInterrupted = errors.New("interrupted")

// Crash is the end of the input by a mistake in this package, for the log. It ends one conversation, not the process.
type Crash struct {
	Cause any
	Stack []byte
}

// Error implements error.
func (c *Crash) Error() string { return fmt.Sprintf("reading the input crashed: %v", c.Cause) }

// caught runs what a goroutine does and turns a panic into a [Crash].
func caught(read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Crash{p, debug.Stack()}
		}
	}()
	return read()
}
