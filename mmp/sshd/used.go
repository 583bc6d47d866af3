package sshd

import (
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// used is a channel that knows when something last came or went.
type used struct {
	ssh.Channel
	since atomic.Pointer[time.Time]
}

func newUsed(c ssh.Channel) *used {
	u := &used{Channel: c}
	u.now()
	return u
}

func (u *used) now() {
	t := time.Now()
	u.since.Store(&t)
}

func (u *used) idle() time.Duration { return time.Since(*u.since.Load()) }

// Read implements [io.Reader].
func (u *used) Read(b []byte) (int, error) {
	n, err := u.Channel.Read(b)
	u.now()
	return n, err
}

// Write implements [io.Writer].
func (u *used) Write(b []byte) (int, error) {
	n, err := u.Channel.Write(b)
	u.now()
	return n, err
}
