package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxQuestions are under way at a time. Those beyond fail at once, and are asked again by whoever asked.
	maxQuestions = 1024
	// byUDP is the largest answer by UDP: on loopback nothing is fragmented.
	byUDP = 8192
	// idle is how long a connection may say nothing.
	idle = 10 * time.Second
)

// Server answers on sockets.
type Server struct {
	resolver *Resolver
	places   chan struct{}
	servers  []*dns.Server
}

// Listen opens UDP and TCP on every address, which must be of loopback. It fails when it can open none.
func Listen(r *Resolver, addresses ...string) (*Server, error) {
	s := &Server{resolver: r, places: make(chan struct{}, maxQuestions)}
	var errs []error
	for _, a := range addresses {
		host, _, err := net.SplitHostPort(a)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			return nil, fmt.Errorf("listen for questions: %s is no address of loopback", a)
		}
		packets, err := net.ListenPacket("udp", a)
		if err != nil {
			errs = append(errs, fmt.Errorf("listen for questions: %w", err))
			continue
		}
		// The same port by TCP, also when any would do.
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err != nil {
			packets.Close()
			errs = append(errs, fmt.Errorf("listen for questions: %w", err))
			continue
		}
		s.servers = append(s.servers, &dns.Server{PacketConn: packets, Handler: s, UDPSize: payload, ReadTimeout: idle, WriteTimeout: idle},
			&dns.Server{Listener: streams, Handler: s, ReadTimeout: idle, WriteTimeout: idle, MaxTCPQueries: 128, IdleTimeout: func() time.Duration { return idle }})
	}
	if len(s.servers) == 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Address is the first that it listens on.
func (s *Server) Address() string { return s.servers[0].PacketConn.LocalAddr().String() }

// Serve answers until the context ends.
func (s *Server) Serve(ctx context.Context) error {
	ended := make(chan error, len(s.servers))
	for _, one := range s.servers {
		started := make(chan struct{})
		one.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- one.ActivateAndServe() }()
		select {
		case <-started:
		case err := <-ended:
			return fmt.Errorf("serve DNS: %w", err)
		}
	}
	var err error
	left := len(s.servers)
	select {
	case <-ctx.Done():
	case err = <-ended:
		left--
	}
	for _, one := range s.servers {
		_ = one.Shutdown()
	}
	for range left {
		<-ended
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve DNS: %w", err)
}

// ServeDNS answers one question.
func (s *Server) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	var m *dns.Msg
	select {
	case s.places <- struct{}{}:
		ctx, cancel := context.WithTimeout(context.Background(), within)
		m = s.resolver.Resolve(ctx, question)
		cancel()
		<-s.places
	default:
		s.resolver.counted.busy.Add(1)
		m = new(dns.Msg)
		m.SetRcode(question, dns.RcodeServerFailure)
	}
	size := dns.MaxMsgSize
	if o := question.IsEdns0(); o != nil {
		m.SetEdns0(byUDP, o.Do())
		if o.Version() != 0 {
			m.Answer, m.Ns = nil, nil
			m.Rcode = dns.RcodeBadVers
		}
	}
	if _, packets := w.LocalAddr().(*net.UDPAddr); packets {
		size = dns.MinMsgSize
		if o := question.IsEdns0(); o != nil {
			size = min(max(int(o.UDPSize()), dns.MinMsgSize), byUDP)
		}
	}
	m.Truncate(size)
	_ = w.WriteMsg(m) // whoever asked may be gone
}
