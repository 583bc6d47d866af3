package transport

import (
	"encoding/binary"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
	"rotunda/services/media/srtp"
)

const (
	// burstBytes and burstPackets bound what one sendmmsg carries: a GSO message is one datagram to the kernel until it is
	// cut, so at most 65,507 bytes, and older kernels cut at most 64 segments.
	burstBytes   = 65000
	burstPackets = 64
)

// outgoing is what an endpoint needs to send.
type outgoing struct {
	mu      sync.Mutex
	closed  bool
	flights sync.WaitGroup // system calls in progress outside of the lock
	mux     bool
	follow  bool // latch
	repeats bool
	ctx     *srtp.Context
	signal  [2]sockaddr // the signalled addresses in force
	paths   [2]path
	hello   path // where the last DTLS record came from
	relay   *relay
}

// path is where to send to, and from which socket.
type path struct {
	to  sockaddr
	via *socket
}

// SendRTP protects and sends packets in order, without waiting: what the kernel has no room for is dropped and counted. The
// packets are copied. Runs of packets of equal size, the last one possibly smaller, go out in one call to be cut by the
// network card or at the last moment by the kernel (UDP GSO).
func (e *Endpoint) SendRTP(packets [][]byte, class Class) {
	b := e.loop.bursts.get()
	for len(packets) > 0 {
		packets = packets[e.send(b, packets, class, rtpPacket):]
	}
	e.loop.bursts.put(b)
}

// SendRTCP protects and sends one compound packet, to the RTCP port unless RTCP shares that of RTP.
func (e *Endpoint) SendRTCP(packet []byte, class Class) {
	b := e.loop.bursts.get()
	b.one[0] = packet
	e.send(b, b.one[:], class, rtcpPacket)
	e.loop.bursts.put(b)
}

// sendRecord sends a DTLS record: where media goes, or while that is not known back to where records come from.
func (e *Endpoint) sendRecord(record []byte) {
	b := e.loop.bursts.get()
	b.one[0] = record
	e.send(b, b.one[:], Audio, dtlsRecord)
	e.loop.bursts.put(b)
}

// send sends the first packets, as many as one burst takes, and says how many those were.
func (e *Endpoint) send(b *burst, packets [][]byte, class Class, k kind) int {
	o := &e.out
	b.count, b.bytes = 0, 0
	o.mu.Lock()
	to, relay := o.pathOf(k)
	if o.closed || to.via == nil && relay == nil {
		o.mu.Unlock()
		e.dropped[dropSend].Add(uint64(len(packets)))
		return len(packets)
	}
	protect := k != dtlsRecord && e.secured.Load()
	if protect && o.ctx == nil {
		o.mu.Unlock()
		e.dropped[dropKeys].Add(uint64(len(packets)))
		return len(packets)
	}
	n := 0
	for _, packet := range packets {
		if len(packet) == 0 || len(packet)+maxOverhead > burstBytes {
			e.dropped[dropSend].Add(1)
			n++
			continue
		}
		if b.count == burstPackets || b.bytes+len(packet)+maxOverhead > burstBytes {
			break
		}
		n++
		room := b.data[b.bytes:b.bytes:burstBytes]
		var err error
		switch {
		case !protect:
			room = append(room, packet...)
		case k == rtpPacket:
			room, err = o.ctx.ProtectRTP(room, packet)
		default:
			room, err = o.ctx.ProtectRTCP(room, packet)
		}
		if err != nil {
			e.dropped[dropSend].Add(1)
			continue
		}
		b.add(len(room))
	}
	b.to = to.to
	o.flights.Add(1)
	o.mu.Unlock()

	var packetsOut, bytesOut int
	if relay != nil {
		packetsOut, bytesOut = relay.send(b)
	} else {
		packetsOut, bytesOut = b.flush(e.loop, to.via, e.point(class, to.via.family))
	}
	o.flights.Done()
	if k != dtlsRecord {
		e.packetsSent.Add(uint64(packetsOut))
		e.bytesSent.Add(uint64(bytesOut))
	}
	if lost := b.count - packetsOut; lost > 0 {
		e.dropped[dropSend].Add(uint64(lost))
	}
	return n
}

// maxOverhead is what SRTP adds at most: tag and SRTCP index.
const maxOverhead = 20

// pathOf chooses the way of a packet. The caller holds mu.
func (o *outgoing) pathOf(k kind) (path, *relay) {
	switch {
	case o.relay != nil:
		return path{}, o.relay
	case k == rtcpPacket && !o.mux:
		return o.paths[1], nil
	case k == dtlsRecord && o.hello.via != nil && (o.paths[0].via == nil || o.follow):
		return o.hello, nil
	}
	return o.paths[0], nil
}

// burst is the memory of one call: packets one after the other, and the headers that show them to the kernel.
type burst struct {
	data    [burstBytes]byte
	bytes   int
	ends    [burstPackets]int // of each packet in data
	count   int
	to      sockaddr
	one     [1][]byte
	headers [burstPackets]unix.Mmsghdr
	vectors [burstPackets]unix.Iovec
	control [burstPackets]sendControl
	runs    [burstPackets]int // packets in each message
}

// sendControl has room for UDP_SEGMENT and for IP_TOS or IPV6_TCLASS.
type sendControl [48]byte

// bursts are lent to whoever sends: a burst is 80 kB, too much to keep for each leg. There are never more of them than
// threads that send at the same time.
type bursts struct {
	mu   sync.Mutex
	free []*burst
}

func (p *bursts) get() *burst {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free) - 1; n >= 0 {
		b := p.free[n]
		p.free = p.free[:n]
		return b
	}
	return new(burst)
}

func (p *bursts) put(b *burst) {
	b.one[0] = nil
	p.mu.Lock()
	p.free = append(p.free, b)
	p.mu.Unlock()
}

func (b *burst) add(size int) {
	b.bytes += size
	b.ends[b.count] = b.bytes
	b.count++
}

func (b *burst) start(i int) int {
	if i == 0 {
		return 0
	}
	return b.ends[i-1]
}

func (b *burst) packet(i int) []byte { return b.data[b.start(i):b.ends[i]] }

// run is how many packets from the i-th on go into one GSO message: all but the last have the size of the first.
func (b *burst) run(i int) int {
	size := b.ends[i] - b.start(i)
	n := 1
	for i+n < b.count {
		next := b.ends[i+n] - b.ends[i+n-1]
		if next > size {
			break
		}
		n++
		if next < size {
			break
		}
	}
	return n
}

// build makes the messages for the packets from the i-th on, and says how many.
func (b *burst) build(i int, gso bool, family uint16, dscp uint8) int {
	m := 0
	for ; i < b.count; m++ {
		n := 1
		if gso {
			n = b.run(i)
		}
		from, to := b.start(i), b.ends[i+n-1]
		b.vectors[m].Base = &b.data[from]
		b.vectors[m].SetLen(to - from)
		h := &b.headers[m].Hdr
		h.Name, h.Namelen = b.to.pointer(), b.to.len
		h.Iov = &b.vectors[m]
		h.SetIovlen(1)
		used := 0
		if n > 1 {
			used += putControl(b.control[m][:], unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2, uint32(b.ends[i]-from))
		}
		if dscp != 0 {
			level, option := int32(unix.IPPROTO_IP), int32(unix.IP_TOS)
			if family == unix.AF_INET6 {
				level, option = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
			}
			used += putControl(b.control[m][used:], level, option, 4, uint32(dscp)<<2)
		}
		h.Control = nil
		if used > 0 {
			h.Control = &b.control[m][0]
		}
		h.SetControllen(used)
		b.runs[m] = n
		i += n
	}
	return m
}

// putControl writes a control message with a value of 2 or 4 bytes and gives the space that it takes.
func putControl(to []byte, level, option int32, size int, value uint32) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&to[0]))
	h.Level, h.Type = level, option
	h.SetLen(unix.CmsgLen(size))
	data := to[unix.CmsgLen(0):]
	if size == 2 {
		binary.NativeEndian.PutUint16(data, uint16(value))
	} else {
		binary.NativeEndian.PutUint32(data, value)
	}
	return unix.CmsgSpace(size)
}

// flush sends all packets and says how many the kernel took.
func (b *burst) flush(l *Loop, s *socket, dscp uint8) (packets, bytes int) {
	gso := !s.noGSO.Load()
	done := 0 // packets sent or given up
	for done < b.count {
		messages := b.build(done, gso, s.family, dscp)
		for at := 0; at < messages; {
			r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&b.headers[at])), uintptr(messages-at), unix.MSG_DONTWAIT, 0, 0)
			if errno == unix.EINTR {
				continue
			}
			if errno == 0 {
				for range int(r) {
					bytes += b.ends[done+b.runs[at]-1] - b.start(done)
					packets += b.runs[at]
					done += b.runs[at]
					at++
				}
				continue
			}
			if errno == unix.EAGAIN || errno == unix.ENOBUFS {
				return packets, bytes
			}
			if b.runs[at] > 1 && (errno == unix.EIO || errno == unix.EINVAL || errno == unix.EMSGSIZE) {
				// EIO: the device on this way has no checksum offload, and will have none. The others: a packet with its
				// headers is larger than the path takes, so that it has to be fragmented by itself.
				if errno == unix.EIO {
					s.noGSO.Store(true)
				}
				gso = false
				break
			}
			done += b.runs[at] // refused: no route, or a filter
			at++
		}
	}
	return packets, bytes
}
