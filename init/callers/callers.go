// Package callers is how the programs of this machine talk to each other: by HTTP on unix sockets. It tells a server who is at the other
// end of each connection: the kernel says so (SO_PEERCRED, unix(7)), so no password is needed and none can be stolen. It also bounds the
// connections of each user, so that one who takes all there are does not keep the others out.
//
// A socket that a crash has left is replaced by the next life's; whoever had a connection connects anew.
package callers

import (
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

type listener struct {
	net.Listener
	each int
	mu   sync.Mutex
	open map[uint32]int
}

// Listener asks the kernel who is at the other end of each connection that l accepts. A user's connections beyond each
// are closed at once: a server has a descriptor and a goroutine for every one.
func Listener(l net.Listener, each int) net.Listener {
	return &listener{Listener: l, each: each, open: map[uint32]int{}}
}

// UID returns the user at the other end of a connection that a [Listener] accepted; false for any other connection.
func UID(c net.Conn) (uint32, bool) {
	u, ok := c.(*userConn)
	if !ok {
		return 0, false
	}
	return u.uid, true
}

// userConn is a connection of a user whom the kernel names.
type userConn struct {
	net.Conn
	uid  uint32
	done func()
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
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

func (l *listener) enter(uid uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[uid] >= l.each {
		return false
	}
	l.open[uid]++
	return true
}

func (l *listener) leave(uid uint32) {
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
