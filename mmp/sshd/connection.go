package sshd

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/shell"
)

// connection is one that has logged in.
type connection struct {
	server *Server
	conn   *ssh.ServerConn
	login  *shell.Login
	wg     sync.WaitGroup

	mu sync.Mutex
	// channels is how many are open; unused closes the connection that has had none for long.
	channels int
	unused   *time.Timer
	draining bool
	drained  chan struct{}
}

// serve runs the connection's sessions until the client or the server ends it.
func (c *connection) serve(ctx context.Context, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.unused = time.AfterFunc(c.server.Limits.Unused, func() { _ = c.conn.Close() })
	ended := make(chan struct{})
	c.wg.Go(func() {
		defer c.server.recovered("SSH requests")
		ssh.DiscardRequests(requests)
	})
	c.wg.Go(func() {
		defer c.server.recovered("SSH keepalive")
		c.keepAlive(ended)
	})
	// Sessions that are told to stop get some time to say goodbye before the connection goes.
	stop := context.AfterFunc(ctx, func() {
		c.drain()
		timer := time.NewTimer(c.server.Limits.Grace)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.drained:
		case <-ended:
		}
		_ = c.conn.Close()
	})

	for n := range channels {
		if n.ChannelType() != "session" {
			_ = n.Reject(ssh.Prohibited, "only sessions are possible here, nothing is forwarded")
			continue
		}
		if !c.openOne() {
			_ = n.Reject(ssh.ResourceShortage, "too many sessions")
			continue
		}
		c.wg.Go(func() {
			defer c.closeOne()
			defer c.server.recovered("SSH session")
			c.session(ctx, cancel, n)
		})
	}
	// The channel of channels closes when the connection is gone.
	close(ended)
	cancel(errGone)
	stop()
	_ = c.conn.Close()
	c.wg.Wait()
	c.unused.Stop()
}

func (c *connection) openOne() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining || c.channels >= c.server.Limits.Channels {
		return false
	}
	if c.server.channels.Add(1) > int32(c.server.Limits.AllChannels) {
		c.server.channels.Add(-1)
		return false
	}
	c.channels++
	c.unused.Stop()
	return true
}

func (c *connection) closeOne() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.channels--
	c.server.channels.Add(-1)
	if c.channels > 0 {
		return
	}
	c.unused.Reset(c.server.Limits.Unused)
	if c.draining {
		close(c.drained)
	}
}

// drain refuses further sessions; drained is closed once none is left.
func (c *connection) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if c.channels == 0 {
		close(c.drained)
	}
}

// keepAlive asks a client for a sign of life, as OpenSSH's ClientAliveInterval does. Any answer is one, "not known"
// included.
func (c *connection) keepAlive(ended <-chan struct{}) {
	tick := time.NewTicker(c.server.Limits.Keepalive)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		lost := time.AfterFunc(3*c.server.Limits.Keepalive, func() { _ = c.conn.Close() })
		_, _, err := c.conn.SendRequest("keepalive@openssh.com", true, nil)
		lost.Stop()
		if err != nil {
			return
		}
	}
}

// evicted reports whether an administrator has ended the session, which then ends the connection as well: it must
// not open another one.
func evicted(err error) bool { return errors.Is(err, shell.ErrEvicted) }
