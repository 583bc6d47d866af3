package dhcp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// state is a state of RFC 2131, figure 5, and one more for the address check of section 4.4.1.
type state string

const (
	// stateInit waits before it starts (again).
	stateInit       state = "init"
	stateRebooting  state = "rebooting"
	stateSelecting  state = "selecting"
	stateRequesting state = "requesting"
	// stateChecking asks by ARP whether somebody has the address already.
	stateChecking  state = "checking"
	stateBound     state = "bound"
	stateRenewing  state = "renewing"
	stateRebinding state = "rebinding"
)

// Reasons of a loss.
const (
	expired = "expired"
	refused = "refused"
)

const (
	// firstRetry and lastRetry bound the doubling of RFC 2131, section 4.1. It starts at 4 s there; starting at one
	// second saves three at boot when the switch port forwards a moment late.
	firstRetry = time.Second
	lastRetry  = 64 * time.Second
	// requestTries is 1+2+4+8 s before an offer is given up.
	requestTries = 4
	// rebootTries is 1+2 s: a server that does not know the address must stay silent (RFC 2131, section 4.3.2).
	rebootTries = 2
	// minRenew is the shortest wait between two requests while renewing (RFC 2131, section 4.4.5).
	minRenew = 60 * time.Second
	// declineWait follows a decline (RFC 2131, section 3.1, item 5).
	declineWait = 10 * time.Second
	// probes, probeWait: two questions and 300 ms. RFC 5227 would have three and up to 7 s, too long for a boot; the
	// server is told to check as well.
	probes    = 2
	probeWait = 150 * time.Millisecond
)

// settings of one client.
type settings struct {
	mac      net.HardwareAddr
	hostname string
	// request is the address of the lease that is still valid, asked for first.
	request netip.Addr
}

// action is what the machine wants done; one field is set.
type action struct {
	send *outgoing
	// arp is a message to broadcast.
	arp    []byte
	report *Event
	log    string
}

// outgoing is a message with its way.
type outgoing struct {
	message     *dhcpv4.DHCPv4
	source      netip.Addr
	destination netip.Addr
	// to is the MAC address, nil for broadcast.
	to net.HardwareAddr
}

// machine is the client's state machine. It has no clock and no socket: time comes in with each call, and what it
// wants done goes out as actions.
type machine struct {
	settings
	// number and jitter come from a random source: a transaction number, and a factor near 1.
	number func() uint32
	jitter func() float64

	state state
	// deadline is when expire is due.
	deadline time.Time
	// began is the start of the exchange, xid its number, tries how often the state's message went out.
	began time.Time
	xid   uint32
	tries int
	// asked is when the first request of the exchange went out.
	asked time.Time
	// failures counts refusals and conflicts in a row, to slow down.
	failures int

	// offer is what is being requested or checked.
	offer reply
	// held is the lease in use, heldAt when it was asked for.
	held   *reply
	heldAt time.Time
	// claimed is whether PID 1 uses an address of ours.
	claimed bool

	out []action
}

// start begins; call it once.
func (m *machine) start(now time.Time) []action {
	if m.request.IsValid() {
		m.claimed = true
		m.begin(stateRebooting, now)
	} else {
		m.begin(stateSelecting, now)
	}
	return m.take()
}

// begin enters a state that opens an exchange of its own.
func (m *machine) begin(s state, now time.Time) {
	m.xid, m.began = m.number(), now
	m.enter(s, now)
}

// enter is the one place where the state changes.
func (m *machine) enter(s state, now time.Time) {
	if m.state != "" && m.state != s {
		m.out = append(m.out, action{log: string(m.state) + " -> " + string(s)})
	}
	m.state, m.tries = s, 0
	switch s {
	case stateInit:
		m.deadline = now.Add(m.backoff(m.failures))
	case stateBound:
		m.deadline = m.heldAt.Add(m.held.renew)
		if m.held.lease.Lifetime == Infinite {
			m.deadline = time.Time{}
		}
	default:
		m.transmit(now)
	}
}

// backoff is 1, 2, 4 … 64 s with up to a fifth more or less.
func (m *machine) backoff(n int) time.Duration {
	d := min(firstRetry<<min(n, 6), lastRetry)
	return time.Duration(float64(d) * m.jitter())
}

// expire is called when the deadline has passed.
func (m *machine) expire(now time.Time) []action {
	switch m.state {
	case stateInit:
		m.begin(stateSelecting, now)
	case stateSelecting:
		m.transmit(now)
	case stateRebooting:
		if m.tries < rebootTries {
			m.transmit(now)
		} else {
			m.begin(stateSelecting, now)
		}
	case stateRequesting:
		if m.tries < requestTries {
			m.transmit(now)
		} else {
			m.begin(stateSelecting, now)
		}
	case stateChecking:
		if m.tries < probes {
			m.transmit(now)
		} else {
			m.bind(now)
		}
	case stateBound:
		m.begin(stateRenewing, now)
	case stateRenewing:
		if now.Before(m.heldAt.Add(m.held.rebind)) {
			m.transmit(now)
		} else {
			m.begin(stateRebinding, now)
		}
	case stateRebinding:
		if now.Before(m.end()) {
			m.transmit(now)
		} else {
			m.lose(expired)
			m.begin(stateSelecting, now)
		}
	}
	return m.take()
}

// end is when the lease in use ends.
func (m *machine) end() time.Time {
	return m.heldAt.Add(time.Duration(m.held.lease.Lifetime) * time.Second)
}

// transmit sends the state's message and sets the time of the next one.
func (m *machine) transmit(now time.Time) {
	m.deadline = now.Add(m.backoff(m.tries))
	switch m.state {
	case stateSelecting:
		m.broadcast(m.message(now, dhcpv4.MessageTypeDiscover), netip.IPv4Unspecified())
	case stateRequesting:
		m.ask(now)
		r := m.message(now, dhcpv4.MessageTypeRequest)
		r.UpdateOption(dhcpv4.OptRequestedIPAddress(m.offer.lease.Address.Addr().AsSlice()))
		r.UpdateOption(dhcpv4.OptServerIdentifier(m.offer.server.AsSlice()))
		m.broadcast(r, netip.IPv4Unspecified())
	case stateRebooting:
		m.ask(now)
		r := m.message(now, dhcpv4.MessageTypeRequest)
		r.UpdateOption(dhcpv4.OptRequestedIPAddress(m.request.AsSlice()))
		m.broadcast(r, netip.IPv4Unspecified())
	case stateChecking:
		m.out = append(m.out, action{arp: arpRequest(m.mac, netip.IPv4Unspecified(), m.offer.lease.Address.Addr())})
		m.deadline = now.Add(probeWait)
	case stateRenewing:
		m.ask(now)
		own := m.held.lease.Address.Addr()
		r := m.message(now, dhcpv4.MessageTypeRequest)
		r.ClientIPAddr = own.AsSlice()
		m.out = append(m.out, action{send: &outgoing{r, own, m.held.server, m.held.via}})
		m.deadline = halfway(now, m.heldAt.Add(m.held.rebind))
	case stateRebinding:
		m.ask(now)
		own := m.held.lease.Address.Addr()
		r := m.message(now, dhcpv4.MessageTypeRequest)
		r.ClientIPAddr = own.AsSlice()
		m.broadcast(r, own)
		m.deadline = halfway(now, m.end())
	}
	m.tries++
}

// ask notes the time of the first request of an exchange.
func (m *machine) ask(now time.Time) {
	if m.tries == 0 {
		m.asked = now
	}
}

// halfway is half of the way to the limit but not sooner than a minute, and the limit at the latest
// (RFC 2131, section 4.4.5).
func halfway(now, limit time.Time) time.Time {
	next := now.Add(max(limit.Sub(now)/2, minRenew))
	if next.After(limit) {
		return limit
	}
	return next
}

// receive takes a server's message.
func (m *machine) receive(now time.Time, r reply) []action {
	if r.xid != m.xid || !slices.Equal(r.mac, m.mac) {
		return nil
	}
	switch {
	case m.state == stateSelecting && r.kind == dhcpv4.MessageTypeOffer:
		m.offer = r
		m.enter(stateRequesting, now)
	case m.state == stateRequesting && r.server == m.offer.server:
		switch r.kind {
		case dhcpv4.MessageTypeAck:
			m.offer = r
			m.enter(stateChecking, now)
		case dhcpv4.MessageTypeNak:
			m.refuse(now)
		}
	case m.state == stateRebooting || m.state == stateRenewing || m.state == stateRebinding:
		switch r.kind {
		case dhcpv4.MessageTypeAck:
			// The address is in use already; asking for it by ARP would find ourselves.
			m.offer = r
			m.bind(now)
		case dhcpv4.MessageTypeNak:
			m.lose(refused)
			m.refuse(now)
		}
	}
	return m.take()
}

// heard takes an ARP message.
func (m *machine) heard(now time.Time, arp []byte) []action {
	if m.state != stateChecking || !arpConflict(arp, m.mac, m.offer.lease.Address.Addr()) {
		return nil
	}
	m.out = append(m.out, action{log: "another machine has " + m.offer.lease.Address.Addr().String()})
	d := m.message(now, dhcpv4.MessageTypeDecline)
	d.UpdateOption(dhcpv4.OptRequestedIPAddress(m.offer.lease.Address.Addr().AsSlice()))
	d.UpdateOption(dhcpv4.OptServerIdentifier(m.offer.server.AsSlice()))
	m.broadcast(d, netip.IPv4Unspecified())
	m.refuse(now)
	m.deadline = later(m.deadline, now.Add(declineWait))
	return m.take()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// bind takes the acknowledged lease into use. Its time counts from the request, so that a slow server's clock is not
// outlived (RFC 2131, section 4.4.1).
func (m *machine) bind(now time.Time) {
	held := m.offer
	fresh := m.held == nil || m.held.lease.Address != held.lease.Address
	m.held, m.heldAt, m.claimed, m.failures = &held, m.asked, true, 0
	lease := held.lease
	if lease.Lifetime != Infinite {
		lease.Lifetime -= min(lease.Lifetime-minLifetime, uint32(now.Sub(m.asked)/time.Second))
	}
	m.out = append(m.out, action{report: &Event{Event: Bound, Lease: &lease}})
	if fresh {
		own := lease.Address.Addr()
		m.out = append(m.out, action{arp: arpRequest(m.mac, own, own)})
	}
	m.enter(stateBound, now)
}

// lose reports the end of a lease, if there was one.
func (m *machine) lose(reason string) {
	if m.claimed {
		m.out = append(m.out, action{report: &Event{Event: Lost, Reason: reason}})
	}
	m.held, m.claimed = nil, false
}

// refuse starts anew after a while that grows.
func (m *machine) refuse(now time.Time) {
	m.enter(stateInit, now)
	m.failures++
}

func (m *machine) broadcast(message *dhcpv4.DHCPv4, source netip.Addr) {
	m.out = append(m.out, action{send: &outgoing{
		message: message, source: source, destination: netip.AddrFrom4([4]byte{255, 255, 255, 255}),
	}})
}

// message builds what all messages share (RFC 2131, table 5).
func (m *machine) message(now time.Time, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	p := &dhcpv4.DHCPv4{
		OpCode:       dhcpv4.OpcodeBootRequest,
		HWType:       iana.HWTypeEthernet,
		ClientHWAddr: m.mac,
		NumSeconds:   uint16(min(now.Sub(m.began)/time.Second, 0xffff)),
		Options:      dhcpv4.Options{},
	}
	binary.BigEndian.PutUint32(p.TransactionID[:], m.xid)
	p.UpdateOption(dhcpv4.OptMessageType(kind))
	// Hardware type and address, so that a reservation by MAC address is found (RFC 2132, section 9.14).
	p.UpdateOption(dhcpv4.OptClientIdentifier(append([]byte{byte(iana.HWTypeEthernet)}, m.mac...)))
	if kind == dhcpv4.MessageTypeDecline {
		return p
	}
	p.UpdateOption(dhcpv4.OptParameterRequestList(
		dhcpv4.OptionClasslessStaticRoute,
		dhcpv4.OptionSubnetMask,
		dhcpv4.OptionRouter,
		dhcpv4.OptionDomainNameServer,
		dhcpv4.OptionDomainName,
		dhcpv4.OptionInterfaceMTU,
		dhcpv4.OptionNTPServers,
		dhcpv4.OptionIPAddressLeaseTime,
		dhcpv4.OptionRenewTimeValue,
		dhcpv4.OptionRebindingTimeValue,
	))
	p.UpdateOption(dhcpv4.OptMaxMessageSize(maxPacket))
	p.UpdateOption(dhcpv4.OptClassIdentifier("rotunda"))
	// Servers enter the first label into their zone; some refuse a name with dots.
	if host, _, _ := strings.Cut(m.hostname, "."); host != "" {
		p.UpdateOption(dhcpv4.OptHostName(host))
	}
	return p
}

// take returns what has gathered.
func (m *machine) take() []action {
	out := m.out
	m.out = nil
	return out
}
