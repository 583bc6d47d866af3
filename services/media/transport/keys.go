package transport

import (
	"bytes"
	"errors"
	"fmt"

	"rotunda/services/media/control"
	"rotunda/services/media/srtp"
)

// applyKeys makes the contexts of SDES keys (RFC 4568). Keys that are in force already keep their contexts: a new one would
// begin with a rollover counter of 0 and an empty replay list.
func (e *Endpoint) applyKeys(k *control.Keys) error {
	if k == nil {
		return errors.New("sdes without keys")
	}
	e.mu.Lock()
	was := e.wanted.Keys
	e.mu.Unlock()
	if was == nil {
		was = &control.Keys{}
	}
	var local, remote *srtp.Context
	var err error
	if k.Suite != was.Suite || !bytes.Equal(k.Local, was.Local) {
		if local, err = srtp.NewInline(k.Suite, k.Local); err != nil {
			return fmt.Errorf("local keys: %w", err)
		}
	}
	if len(k.Remote) > 0 && (k.Suite != was.Suite || !bytes.Equal(k.Remote, was.Remote)) {
		if remote, err = srtp.NewInline(k.Suite, k.Remote); err != nil {
			return fmt.Errorf("remote keys: %w", err)
		}
	}
	if local != nil {
		e.out.key(local, true)
	}
	if remote != nil {
		e.rekey(remote, true)
	}
	return nil
}

// unlock forgets the keys of a transport that has none any more.
func (e *Endpoint) unlock() {
	e.out.mu.Lock()
	e.out.ctx = nil
	e.out.mu.Unlock()
	e.in.Store(nil)
}

// rekey has packets that come from now on be opened with a context. One that replaces another goes on counting where that
// one is, which only the loop's thread may look at.
func (e *Endpoint) rekey(c *srtp.Context, inherit bool) {
	if e.in.CompareAndSwap(nil, c) {
		return
	}
	e.loop.post(func() {
		if old := e.in.Load(); inherit && old != nil {
			c.Inherit(old)
		}
		e.in.Store(c)
	})
}
