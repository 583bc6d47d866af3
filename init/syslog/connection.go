package syslog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/config"
)

const (
	dialWithin = 15 * time.Second
	// userTimeout ends a connection whose far end acknowledges nothing (RFC 5482); keepAlive finds one that is gone while there is
	// nothing to send.
	userTimeout = 30 * time.Second
	keepAlive   = 30 * time.Second
)

// counted is a TCP connection that knows how much its far end has acknowledged.
type counted struct {
	*net.TCPConn
	written atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// pending is how many bytes the far end's TCP has not acknowledged. It stays what it was when the connection ends.
func (c *counted) pending() (int64, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var inner error
	if err := raw.Control(func(fd uintptr) { n, inner = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		return 0, err
	}
	return int64(n), inner
}

// connect reaches a server; the second value is the TCP connection below.
func connect(ctx context.Context, s config.SyslogServer, t config.TLSKindService) (net.Conn, *counted, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive / 3, Count: 3},
		Control: func(_, _ string, c syscall.RawConn) error {
			var inner error
			err := c.Control(func(fd uintptr) {
				inner = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
			})
			return errors.Join(err, inner)
		},
	}
	conn, err := d.DialContext(ctx, "tcp", s.Address())
	if err != nil {
		return nil, nil, err
	}
	plain, ok := conn.(*net.TCPConn)
	if !ok {
		conn.Close()
		return nil, nil, fmt.Errorf("%s is not reached by TCP", s.Host)
	}
	c := &counted{TCPConn: plain}
	if !s.TLS {
		return c, c, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(t.Trust)) {
		c.Close()
		return nil, nil, errors.New("there are no certificates to trust: use tls syslog trust <bundle>")
	}
	secure := tls.Client(c, &tls.Config{ServerName: s.Host, RootCAs: roots, MinVersion: t.Version(), CipherSuites: t.Suites()})
	if err := secure.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, nil, fmt.Errorf("TLS: %w", err)
	}
	return secure, c, nil
}
