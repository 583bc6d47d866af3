package transport

import (
	"net/netip"

	"rotunda/services/media/control"
)

// ExchangeFlood is how many packets a second an exchange takes: a hundred pictures of 2 Mbit/s are 20,000.
const ExchangeFlood = 100_000

// Exchange is the port at which a worker meets the other workers of its machine: plain RTP and RTCP on one port, from any of
// them and to any of them. It is opened on a loopback address, so that nobody else can send to it.
type Exchange struct{ endpoint *Endpoint }

// OpenExchange takes one port of the worker's slice.
func (l *Loop) OpenExchange(local netip.Addr, h Handler) (*Exchange, error) {
	e, err := l.openEndpoint(control.Transport{Local: []netip.Addr{local}, RTCPMux: true},
		&Endpoint{handler: h, peer: newBucket(ExchangeFlood), shared: true})
	if err != nil {
		return nil, err
	}
	return &Exchange{e}, nil
}

// Local is the address that others send to.
func (x *Exchange) Local() netip.AddrPort { return x.endpoint.sockets[0][0].local }

// Stats are the counters so far.
func (x *Exchange) Stats() control.TransportStats { return x.endpoint.Stats() }

// Close is as [Endpoint.Close].
func (x *Exchange) Close() { x.endpoint.Close() }

// Send sends packets of RTP or RTCP in order, as [Endpoint.SendRTP] does.
func (x *Exchange) Send(to netip.AddrPort, packets [][]byte) {
	b := x.endpoint.loop.bursts.get()
	for len(packets) > 0 {
		packets = packets[x.send(b, to, packets):]
	}
	x.endpoint.loop.bursts.put(b)
}

// SendOne sends a single packet.
func (x *Exchange) SendOne(to netip.AddrPort, packet []byte) {
	b := x.endpoint.loop.bursts.get()
	b.one[0] = packet
	x.send(b, to, b.one[:])
	x.endpoint.loop.bursts.put(b)
}

// send sends as many of the packets as one burst takes, and says how many those were.
func (x *Exchange) send(b *burst, to netip.AddrPort, packets [][]byte) int {
	e := x.endpoint
	b.count, b.bytes, b.to = 0, 0, newSockaddr(to)
	n := 0
	for _, packet := range packets {
		if len(packet) == 0 || len(packet) > burstBytes {
			e.dropped[dropSend].Add(1)
			n++
			continue
		}
		if b.count == burstPackets || b.bytes+len(packet) > burstBytes {
			break
		}
		n++
		copy(b.data[b.bytes:], packet)
		b.add(len(packet))
	}
	o := &e.out
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return n
	}
	o.flights.Add(1)
	o.mu.Unlock()
	sent, bytes := b.flush(e.loop, e.sockets[0][0], 0)
	o.flights.Done()
	e.packetsSent.Add(uint64(sent))
	e.bytesSent.Add(uint64(bytes))
	e.dropped[dropSend].Add(uint64(b.count - sent))
	return n
}
