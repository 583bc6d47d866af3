package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/pion/stun/v4"
	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/stdnet"

	"rotunda/services/media/control"
)

// serverURLs are the servers in the form that the agent takes.
func serverURLs(servers []control.Server) ([]*stun.URI, error) {
	var urls []*stun.URI
	for _, s := range servers {
		u, err := stun.ParseURI(s.URL)
		if err != nil {
			return nil, fmt.Errorf("ice server %q: %w", s.URL, err)
		}
		u.Username, u.Password = s.Username, s.Password
		urls = append(urls, u)
	}
	return urls, nil
}

// serverNet is how one agent reaches its TURN servers. It can be shut while the agent waits for a server that does not answer,
// which the agent itself cannot do: its allocation takes eight seconds to give up, a TCP connection two minutes.
type serverNet struct {
	*stdnet.Net
	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	conns []io.Closer
}

func newServerNet(base *stdnet.Net) *serverNet {
	n := &serverNet{Net: base}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// keep remembers a connection, or closes it if it came too late.
func (n *serverNet) keep(c io.Closer) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil {
		_ = c.Close()
		return net.ErrClosed
	}
	n.conns = append(n.conns, c)
	return nil
}

// shut ends what is under way and lets nothing begin.
func (n *serverNet) shut() {
	n.cancel()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		_ = c.Close()
	}
	n.conns = nil
}

// ListenPacket is for TURN over UDP.
func (n *serverNet) ListenPacket(network, address string) (net.PacketConn, error) {
	c, err := n.Net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	return c, n.keep(c)
}

// DialUDP is for TURN over DTLS.
func (n *serverNet) DialUDP(network string, local, remote *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Net.DialUDP(network, local, remote)
	if err != nil {
		return nil, err
	}
	return c, n.keep(c)
}

// DialTCP is for TURN over TCP and TLS.
func (n *serverNet) DialTCP(network string, local, remote *net.TCPAddr) (transport.TCPConn, error) {
	var d net.Dialer
	if local != nil {
		d.LocalAddr = local
	}
	c, err := d.DialContext(n.ctx, network, remote.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), n.keep(c)
}
