package snmp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// packets is a socket that says where a datagram was sent to, and sends from there: on a machine with several addresses a manager
// drops an answer that comes from another.
type packets interface {
	read([]byte) (n int, to net.IP, from net.Addr, err error)
	write(b []byte, from net.IP, to net.Addr) error
	Close() error
}

type packets4 struct{ *ipv4.PacketConn }

func (p packets4) read(b []byte) (int, net.IP, net.Addr, error) {
	n, c, from, err := p.ReadFrom(b)
	if c == nil {
		return n, nil, from, err
	}
	return n, c.Dst, from, err
}

func (p packets4) write(b []byte, from net.IP, to net.Addr) error {
	_, err := p.WriteTo(b, &ipv4.ControlMessage{Src: from}, to)
	return err
}

type packets6 struct{ *ipv6.PacketConn }

func (p packets6) read(b []byte) (int, net.IP, net.Addr, error) {
	n, c, from, err := p.ReadFrom(b)
	if c == nil {
		return n, nil, from, err
	}
	return n, c.Dst, from, err
}

func (p packets6) write(b []byte, from net.IP, to net.Addr) error {
	_, err := p.WriteTo(b, &ipv6.ControlMessage{Src: from}, to)
	return err
}

// sockets are open while the agent is enabled.
type sockets struct {
	addresses []string
	agent     *agent
	// answering is one at a time: the limiter and the tree need no lock of their own.
	answering sync.Mutex

	open []packets
	at   []net.Addr
	wait sync.WaitGroup
}

// set opens or closes them.
func (s *sockets) set(on bool) error {
	if !on {
		for _, p := range s.open {
			p.Close()
		}
		s.wait.Wait()
		s.open, s.at = nil, nil
		return nil
	}
	if len(s.open) > 0 {
		return nil
	}
	for _, address := range s.addresses {
		p, at, err := listen(address)
		if err != nil {
			_ = s.set(false)
			return err
		}
		s.open, s.at = append(s.open, p), append(s.at, at)
		s.wait.Go(func() { s.serve(p) })
	}
	return nil
}

func listen(address string) (packets, net.Addr, error) {
	where, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	network := "udp4"
	if where.Addr().Is6() {
		network = "udp6"
	}
	c, err := net.ListenPacket(network, address)
	if err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	if network == "udp4" {
		p := ipv4.NewPacketConn(c)
		if err := p.SetControlMessage(ipv4.FlagDst, true); err != nil {
			c.Close()
			return nil, nil, fmt.Errorf("listen: %w", err)
		}
		return packets4{p}, c.LocalAddr(), nil
	}
	p := ipv6.NewPacketConn(c)
	if err := p.SetControlMessage(ipv6.FlagDst, true); err != nil {
		c.Close()
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	return packets6{p}, c.LocalAddr(), nil
}

// serve answers until the socket is closed.
func (s *sockets) serve(p packets) {
	// A longer datagram than we take is cut, and then is no message.
	buffer := make([]byte, 2*maxMessage)
	for {
		n, to, from, err := p.read(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// An error of one datagram, such as one that came back, is not the socket's end.
			time.Sleep(time.Millisecond)
			continue
		}
		source, ok := from.(*net.UDPAddr)
		// Nobody needs to find agents by asking all at once, but it makes many answers of one question. Port 0 cannot be answered.
		if !ok || source.Port == 0 || to == nil || to.IsMulticast() || to.Equal(net.IPv4bcast) {
			continue
		}
		s.answering.Lock()
		m := s.agent.answer(time.Now(), source.AddrPort().Addr().Unmap(), append([]byte(nil), buffer[:n]...))
		s.answering.Unlock()
		if m != nil {
			// Whoever cannot be reached asks again.
			_ = p.write(m, to, from)
		}
	}
}
