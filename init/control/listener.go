package control

import (
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// connectionsEach bounds the open connections of one user: PID 1 has a descriptor and a goroutine for each, and a user
// who takes all there are must not keep the shell out.
const connectionsEach = 64

// userListener asks the kernel who is at the other end of each connection, and closes what is one too many.
type userListener struct {
	net.Listener
	mu   sync.Mutex
	open map[uint32]int
}

// userConn is a connection of a user whom the kernel names.
type userConn struct {
	net.Conn
	uid  uint32
	done func()
}

// Accept implements [net.Listener].
func (l *userListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peer(c); err == nil && l.enter(uid) {
			return &userConn{c, uid, sync.OnceFunc(func() { l.leave(uid) })}, nil
		}
		c.Close()
	}
}

func (l *userListener) enter(uid uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[uid] >= connectionsEach {
		return false
	}
	l.open[uid]++
	return true
}

func (l *userListener) leave(uid uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[uid]--; l.open[uid] == 0 {
		delete(l.open, uid)
	}
}

// Close implements [net.Conn].
func (c *userConn) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// peer asks the kernel who is at the other end (SO_PEERCRED, unix(7)).
func peer(c net.Conn) (uint32, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, fmt.Errorf("peer of %T", c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Uid, nil
}
