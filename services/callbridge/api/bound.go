package api

import (
	"net"
	"sync"
)

// bound limits how many connections of a listener are open at a time: each costs a descriptor, a goroutine and buffers. Those beyond
// wait in the kernel's queue, whose length bounds them in turn.
func bound(l net.Listener, most int) net.Listener {
	return &boundListener{Listener: l, free: make(chan struct{}, most), closed: make(chan struct{})}
}

type boundListener struct {
	net.Listener
	free   chan struct{}
	closed chan struct{}
	once   sync.Once
}

type boundConn struct {
	net.Conn
	leave func()
}

func (l *boundListener) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &boundConn{c, sync.OnceFunc(func() { <-l.free })}, nil
}

func (l *boundListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func (c *boundConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
