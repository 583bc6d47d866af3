package turn

import (
	"encoding/binary"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many messages one round takes in.
	batchSize = 64
	// trainSize is the largest train of datagrams that the kernel couples (UDP GRO): one IP packet.
	trainSize = 65536
	// segments is how many datagrams one message may carry (UDP_MAX_SEGMENTS of Linux before 6.9), trainBytes how many bytes.
	segments   = 64
	trainBytes = 65000
)

// openSocket binds a UDP socket that is read with GRO and without waiting. What the kernel does not grant of the buffer it
// cuts down by itself.
func openSocket(local netip.AddrPort, buffer int, shared bool) (fd int, err error) {
	family := familyOf(local.Addr())
	fd, err = unix.Socket(int(family), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	fail := func(what string, err error) (int, error) {
		unix.Close(fd)
		return -1, os.NewSyscallError(what, err)
	}
	if shared {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fail("setsockopt", err)
		}
	}
	if buffer > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, buffer)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) // Linux 5.0 and later
	var to unix.Sockaddr
	if family == unix.AF_INET {
		to = &unix.SockaddrInet4{Port: int(local.Port()), Addr: local.Addr().Unmap().As4()}
	} else {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return fail("setsockopt", err)
		}
		to = &unix.SockaddrInet6{Port: int(local.Port()), Addr: local.Addr().As16()}
	}
	if err := unix.Bind(fd, to); err != nil {
		return fail("bind", err)
	}
	return fd, nil
}

// inbox is the memory that recvmmsg fills: of most slots only the first page is ever touched.
type inbox struct {
	headers [batchSize]unix.Mmsghdr
	vectors [batchSize]unix.Iovec
	names   [batchSize]sockaddr
	notes   [batchSize][32]byte // room for UDP_GRO
	trains  [batchSize][trainSize]byte
}

func newInbox() *inbox {
	b := new(inbox)
	for i := range b.headers {
		b.vectors[i].Base = &b.trains[i][0]
		b.vectors[i].SetLen(trainSize)
		h := &b.headers[i].Hdr
		h.Name = &b.names[i].raw[0]
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Control = &b.notes[i][0]
	}
	return b
}

// receive fills the slots from at on, count of them at most, and says how many. RawSyscall: it never waits, so the runtime
// need not prepare to give the processor away.
func (b *inbox) receive(fd, at, count int) int {
	for i := at; i < at+count; i++ {
		h := &b.headers[i].Hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(len(b.notes[i]))
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[at])), uintptr(count), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// train gives a message and the size of all of its datagrams but the last.
func (b *inbox) train(i int) (train []byte, size int) {
	train = b.trains[i][:b.headers[i].Len]
	size = len(train)
	notes := b.notes[i][:b.headers[i].Hdr.Controllen]
	for len(notes) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&notes[0]))
		length := int(h.Len)
		if length < unix.SizeofCmsghdr || length > len(notes) {
			break
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && length >= unix.SizeofCmsghdr+4 {
			if s := int(int32(binary.NativeEndian.Uint32(notes[unix.SizeofCmsghdr:]))); s > 0 {
				size = s
			}
		}
		notes = notes[min(unix.CmsgSpace(length-unix.SizeofCmsghdr), len(notes)):]
	}
	return train, size
}

// outbox collects what a round sends. Packets of one allocation for one receiver and of equal size, the last one possibly
// smaller, become one message that the kernel or the network card cuts (UDP GSO). Nothing is copied: a message is a list
// of pieces that lie where they were received, with our headers between them.
type outbox struct {
	runs    [batchSize]run
	count   int
	round   uint32
	headers [batchSize]unix.Mmsghdr
	control [batchSize][24]byte // room for UDP_SEGMENT
	noGSO   bool                // a device on the way cannot segment
	sent    int                 // datagrams so far
}

// run is one message in the making.
type run struct {
	fd     int
	to     *sockaddr
	size   int // of each datagram but the last
	bytes  int
	count  int
	pieces int
	open   bool
	iov    [2 * segments]unix.Iovec
	heads  [segments][4]byte
	note   [maxDataHead + 4]byte // head of a Data indication, and zeros behind it
}

// begin starts a run; the caller has made sure that there is room.
func (o *outbox) begin(fd int, to *sockaddr) *run {
	r := &o.runs[o.count]
	o.count++
	r.fd, r.to, r.size, r.bytes, r.count, r.pieces, r.open = fd, to, 0, 0, 0, 0, true
	return r
}

func (o *outbox) full() bool { return o.count == batchSize }

// takes tells whether one more datagram of a size fits behind the others.
func (r *run) takes(fd int, to *sockaddr, size int) bool {
	return r.open && r.fd == fd && r.to == to && size <= r.size && r.count < segments && r.bytes+size <= trainBytes
}

func (r *run) piece(b []byte) {
	if len(b) > 0 {
		v := &r.iov[r.pieces]
		v.Base = &b[0]
		v.SetLen(len(b))
		r.pieces++
	}
}

// added counts a datagram whose pieces are there.
func (r *run) added(size int) {
	if r.count == 0 {
		r.size = size
	}
	r.open = size == r.size
	r.bytes += size
	r.count++
}

// flush sends all runs and returns how many datagrams the kernel did not take. Neighbours of one socket share a call.
func (o *outbox) flush() (lost int) {
	for i := range o.count {
		r, h := &o.runs[i], &o.headers[i].Hdr
		o.sent += r.count
		h.Name, h.Namelen = &r.to.raw[0], r.to.len
		h.Iov = &r.iov[0]
		h.SetIovlen(r.pieces)
		h.Control = nil
		h.SetControllen(0)
		if r.count > 1 {
			c := (*unix.Cmsghdr)(unsafe.Pointer(&o.control[i][0]))
			c.Level, c.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
			c.SetLen(unix.CmsgLen(2))
			binary.NativeEndian.PutUint16(o.control[i][unix.SizeofCmsghdr:], uint16(r.size))
			h.Control = &o.control[i][0]
			h.SetControllen(unix.CmsgSpace(2))
		}
	}
	for at := 0; at < o.count; {
		end := at + 1
		for end < o.count && o.runs[end].fd == o.runs[at].fd {
			end++
		}
		for at < end {
			r := &o.runs[at]
			if r.count > 1 && o.noGSO {
				lost += r.single()
				at++
				continue
			}
			n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(r.fd), uintptr(unsafe.Pointer(&o.headers[at])), uintptr(end-at), unix.MSG_DONTWAIT, 0, 0)
			switch {
			case errno == 0:
				at += int(n)
			case errno == unix.EINTR:
			case r.count > 1 && (errno == unix.EIO || errno == unix.EINVAL || errno == unix.EMSGSIZE):
				// EIO: the device has no checksum offload, and will have none. The others: a datagram with its headers is larger
				// than the way takes and has to be fragmented by itself.
				o.noGSO = o.noGSO || errno == unix.EIO
				lost += r.single()
				at++
			default:
				lost += r.count
				at++
			}
		}
	}
	o.count = 0
	o.round++
	return lost
}

// single sends each datagram of a run by itself.
func (r *run) single() (lost int) {
	each := r.pieces / r.count // pieces of a datagram: payload, or header and payload
	for i := range r.count {
		h := unix.Msghdr{Name: &r.to.raw[0], Namelen: r.to.len, Iov: &r.iov[i*each]}
		h.SetIovlen(each)
		if _, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(r.fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT); errno != 0 {
			lost++
		}
	}
	return lost
}

// sendTo sends one datagram without waiting.
func sendTo(fd int, p []byte, to *sockaddr) bool {
	var base unsafe.Pointer
	if len(p) > 0 {
		base = unsafe.Pointer(&p[0])
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(base), uintptr(len(p)), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&to.raw[0])), uintptr(to.len))
	return errno == 0
}

// pollNow gives what is ready, without waiting.
func pollNow(epoll int, events *[batchSize]unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(events)), batchSize, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}
