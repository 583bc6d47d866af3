package turn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Port is where the server listens, UDP always and TCP when a port for TLS is set (deployment guide, section 2.5).
const Port = 3478

// Plan is everything that the server is to do. Two plans that differ in credentials or certificate only are changed between
// without cutting a call.
type Plan struct {
	// Addresses to listen on.
	Addresses []netip.Addr
	// Machine are all addresses of this machine.
	Machine []netip.Addr
	// Relay4 and Relay6 are where relay ports are opened, each may be missing; Public4 is what a firewall maps to Relay4.
	Relay4, Relay6, Public4 netip.Addr
	// Port for UDP, and for TCP if TLSPort is set; 0 means [Port]. TLSPort takes TCP and TLS, 0 for no TCP at all.
	Port, TLSPort int
	// HighCapacity chooses the fast path.
	HighCapacity bool
	Quotas       Quotas

	// Realm, with either Secret for time-limited user names or User and Password.
	Realm, Secret, User, Password string
	Certificate                   *tls.Certificate
}

// Server is a TURN server. Make it with [NewServer].
type Server struct {
	log          func(text string)
	began        time.Time
	credentials  atomic.Pointer[credentials]
	certificate  atomic.Pointer[tls.Certificate]
	own          atomic.Pointer[own]
	ports        *ports
	reservations reservations
	quotas       *quotas
	limiter      *limiter // of all TCP connections
	tally        tally
	shared       *counters // of all that pion carries
	// How long permissions and channels last, 0 for the 5 and 10 minutes of RFC 8656.
	permissionTime, channelTime time.Duration

	// applying serialises changes.
	applying sync.Mutex
	plan     Plan
	sites    map[netip.Addr]*site

	mu          sync.Mutex
	ended       *sync.Cond // the last allocation of a site has ended
	connections map[net.Conn]ip
}

// NewServer returns a server that listens nowhere until [Server.Apply].
func NewServer(log func(text string)) *Server {
	s := &Server{log: log, began: time.Now(), ports: newPorts(), quotas: newQuotas(DefaultQuotas), limiter: newLimiter(),
		sites: map[netip.Addr]*site{}, connections: map[net.Conn]ip{}}
	s.ended = sync.NewCond(&s.mu)
	s.shared = s.tally.open()
	s.credentials.Store(&credentials{})
	s.own.Store(&own{})
	return s
}

// age is the server's own clock, never 0.
func (s *Server) age() time.Duration { return time.Since(s.began) + 1 }

// site is what listens on one address.
type site struct {
	lanes   []*lane
	plain   *plain
	tcp     []net.Listener
	accepts sync.WaitGroup
	live    int // allocations; guarded by Server.mu
}

// Apply makes the server do what a plan says, and nothing else. Listeners of addresses that stay go on, unless ports, the
// public address or the mode change. What could not be done is in the error; everything else stands.
func (s *Server) Apply(p Plan) error {
	if p.Port == 0 {
		p.Port = Port
	}
	if p.Quotas == (Quotas{}) {
		p.Quotas = DefaultQuotas
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	c := &credentials{realm: p.Realm, user: p.User, password: p.Password}
	if p.Secret != "" {
		c.secret = []byte(p.Secret)
	}
	s.credentials.Store(c)
	s.certificate.Store(p.Certificate)
	s.quotas.change(p.Quotas)
	old := s.plan
	if p.Port != old.Port || p.TLSPort != old.TLSPort || p.HighCapacity != old.HighCapacity || p.Public4 != old.Public4 {
		s.closeSites(slices.Collect(maps.Keys(s.sites)))
	}
	var gone []netip.Addr
	for a := range s.sites {
		if !slices.Contains(p.Addresses, a) {
			gone = append(gone, a)
		}
	}
	s.closeSites(gone)
	s.plan = p
	s.own.Store(newOwn(p))
	var errs []error
	for _, a := range p.Addresses {
		if s.sites[a] != nil {
			continue
		}
		site, err := s.open(a, p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.sites[a] = site
		s.log(fmt.Sprintf("TURN server listens on %s", strings.Join(site.names(), ", ")))
	}
	return errors.Join(errs...)
}

func newOwn(p Plan) *own {
	o := &own{relay4: p.Relay4, relay6: p.Relay6, public4: p.Public4, machine: map[ip]bool{}}
	for _, a := range p.Machine {
		o.machine[ipOf(a)] = true
	}
	for _, a := range []netip.Addr{p.Relay4, p.Relay6} {
		if a.IsValid() {
			o.machine[ipOf(a)] = true
		}
	}
	for _, a := range p.Addresses {
		o.combined = o.combined || a.IsLoopback()
	}
	if o.relay4.IsValid() {
		o.relayIP, o.publicIP = ipOf(o.relay4), ipOf(o.relay4)
		if o.public4.IsValid() {
			o.publicIP = ipOf(o.public4)
		}
	}
	return o
}

func (s *Server) open(a netip.Addr, p Plan) (*site, error) {
	v := &site{}
	local := netip.AddrPortFrom(a, uint16(p.Port))
	fail := func(err error) (*site, error) {
		s.close(v)
		return nil, fmt.Errorf("listen on %s: %w", local, err)
	}
	if !p.HighCapacity {
		plain, err := newPlain(s, v, local)
		if err != nil {
			return fail(err)
		}
		if err := plain.start(plain); err != nil {
			plain.PacketConn.Close()
			return fail(err)
		}
		v.plain = plain
	} else {
		// A busy lane does not give its processor back; see nap.
		if n := (len(s.sites)+1)*len(processors()) + 2; runtime.GOMAXPROCS(0) < n {
			runtime.GOMAXPROCS(n)
		}
		// Every socket of the group is there before the first is read: the kernel shares clients out by how many there are.
		var lanes []*lane
		for _, processor := range processors() {
			l, err := newLane(s, v, local, processor)
			if err != nil {
				for _, l := range lanes {
					l.release()
				}
				return fail(err)
			}
			lanes = append(lanes, l)
		}
		for i, l := range lanes {
			if err := l.start(l); err != nil {
				for _, l := range lanes[i:] {
					l.release()
				}
				return fail(err)
			}
			v.lanes = append(v.lanes, l)
		}
	}
	if p.TLSPort == 0 {
		return v, nil
	}
	for _, port := range slices.Compact([]int{p.Port, p.TLSPort}) {
		listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, uint16(port))))
		if err != nil {
			return fail(err)
		}
		v.tcp = append(v.tcp, listener)
		v.accepts.Go(func() { s.accept(listener, v) })
	}
	return v, nil
}

// processors are those that this process may use.
func processors() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return []int{-1}
	}
	var list []int
	for n := range len(set) * 64 {
		if set.IsSet(n) {
			list = append(list, n)
		}
	}
	return list
}

// accept takes connections until the listener is closed.
func (s *Server) accept(listener *net.TCPListener, v *site) {
	for {
		conn, err := listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, as a rule: those who are connected must leave first.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		boundUnsent(conn)
		source := netAddress(conn.RemoteAddr()).ip
		if !s.admitConnection(conn, source) {
			s.shared.count(dropLimited)
			conn.Close()
			continue
		}
		v.accepts.Go(func() {
			s.serveStream(conn, v)
			s.mu.Lock()
			delete(s.connections, conn)
			s.mu.Unlock()
		})
	}
}

func (s *Server) admitConnection(conn net.Conn, source ip) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.connections) >= maxConnections {
		return false
	}
	same := 0
	for _, other := range s.connections {
		if other == source {
			same++
		}
	}
	if same >= maxSourceConnections {
		return false
	}
	s.connections[conn] = source
	return true
}

func (v *site) names() []string {
	var names []string
	switch {
	case v.plain != nil:
		names = append(names, "udp "+v.plain.LocalAddr().String())
	case len(v.lanes) > 0:
		names = append(names, "udp "+v.lanes[0].local.String())
	}
	for _, l := range v.tcp {
		names = append(names, "tcp "+l.Addr().String())
	}
	return names
}

func (s *Server) closeSites(addresses []netip.Addr) {
	for _, a := range addresses {
		s.close(s.sites[a])
		delete(s.sites, a)
		s.log(fmt.Sprintf("TURN server listens on %s no more", a))
	}
}

// close ends a site with every allocation of its clients, and returns when nothing of it is left.
func (s *Server) close(v *site) {
	for _, l := range v.tcp {
		l.Close()
	}
	s.mu.Lock()
	for c := range s.connections {
		local := netAddress(c.LocalAddr())
		if slices.ContainsFunc(v.tcp, func(l net.Listener) bool { return netAddress(l.Addr()) == local }) {
			c.Close()
		}
	}
	s.mu.Unlock()
	v.accepts.Wait()
	for _, l := range v.lanes {
		_ = l.Close()
	}
	if v.plain != nil {
		v.plain.PacketConn.Close()
		<-v.plain.ended
	}
	for _, l := range v.lanes {
		<-l.ended
	}
	// pion ends the allocations after it has seen the end of its connection.
	s.mu.Lock()
	for v.live > 0 {
		s.ended.Wait()
	}
	s.mu.Unlock()
	// Another core may be about to send for one of these sockets.
	for _, other := range s.sites {
		if other != v {
			for _, l := range other.lanes {
				l.barrier()
			}
		}
	}
	for _, l := range v.lanes {
		l.release()
	}
	if v.plain != nil {
		s.tally.close(v.plain.counters)
	}
}

// Close ends everything.
func (s *Server) Close() {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.closeSites(slices.Collect(maps.Keys(s.sites)))
}

// begin and end are the two ends of an allocation's life.
func (s *Server) begin(a *allocation) {
	s.quotas.add(a.user, a.client.ip)
	s.ports.set(a.port, a)
	s.mu.Lock()
	a.site.live++
	s.mu.Unlock()
}

func (s *Server) end(a *allocation) {
	s.ports.set(a.port, nil)
	s.ports.giveBack(a.port)
	s.quotas.remove(a.user, a.client.ip)
	s.mu.Lock()
	if a.site.live--; a.site.live == 0 {
		s.ended.Broadcast()
	}
	s.mu.Unlock()
}

// route changes the routes of the allocation with a relay address.
func (s *Server) route(relay net.Addr, change func(*allocation)) {
	if a := s.ports.at(netAddress(relay).port); a != nil {
		change(a)
	}
}

// channel makes what a channel number stands for.
func (s *Server) channel(number uint16, peer address) channel {
	o := s.own.Load()
	family := uint16(unix.AF_INET6)
	if peer.is4() {
		family = unix.AF_INET
	}
	return channel{number: number, peer: peer, to: newSockaddr(o.resolve(peer), family), relayed: o.relays(peer.ip)}
}

// relayAt is the allocation that has a relay address, by whichever name, or nil.
func (s *Server) relayAt(relay address) *allocation {
	if a := s.ports.at(relay.port); a != nil && a.advertised == s.own.Load().outside(relay) {
		return a
	}
	return nil
}

// advertised is what a peer is called outside, and by a client that was told to let it in: a relay of ours has its public
// address, whatever it sends from.
func (s *Server) advertised(a address) address {
	if o := s.own.Load(); a.ip == o.relayIP && s.relayAt(a) != nil {
		return o.outside(a)
	}
	return a
}

// Ping returns when every lane has answered.
func (s *Server) Ping() {
	s.applying.Lock()
	defer s.applying.Unlock()
	for _, v := range s.sites {
		for _, l := range v.lanes {
			l.barrier()
		}
	}
}

// Status is the state at the moment.
func (s *Server) Status() Status {
	status, _ := s.status()
	return status
}

func (s *Server) status() (Status, [counterCount]uint64) {
	sum := s.tally.sum()
	v := Status{FreePorts: s.ports.left(), Counters: map[string]uint64{}, Listeners: []string{}}
	for n, f := range figures {
		v.Counters[f.key()] = sum[n]
	}
	s.applying.Lock()
	for _, site := range s.sites {
		v.Listeners = append(v.Listeners, site.names()...)
	}
	s.applying.Unlock()
	slices.Sort(v.Listeners)
	s.mu.Lock()
	v.Connections = len(s.connections)
	s.mu.Unlock()
	for i := range s.ports.owner {
		if a := s.ports.owner[i].Load(); a != nil {
			v.Allocations++
			v.Channels += len(a.routes.Load().channels)
		}
	}
	return v, sum
}
