package transport

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many packets one recvmmsg takes from one socket. 32 packets are one 1080p frame at 9 Mbit/s.
	batchSize = 32
	// packetSize is the largest datagram taken: more than an Ethernet frame carries. What is longer is dropped.
	packetSize = 2048
	// trainSize is the largest train of datagrams that the kernel couples (UDP GRO): one IP packet.
	trainSize = 65536
)

// batch is what recvmmsg fills; made once for a loop.
type batch struct {
	headers [batchSize]unix.Mmsghdr
	vectors [batchSize]unix.Iovec
	names   [batchSize]sockaddr
	notes   [batchSize]notes
	trains  [batchSize][trainSize]byte // of most only the first kilobyte is ever touched
}

// notes has room for the control messages of a train: a time stamp and the size of its datagrams.
type notes [64]byte

func newBatch() *batch {
	b := new(batch)
	for i := range b.headers {
		b.vectors[i].Base = &b.trains[i][0]
		b.vectors[i].SetLen(trainSize)
		h := &b.headers[i].Hdr
		h.Name = b.names[i].pointer()
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Control = &b.notes[i][0]
		b.reset(i)
	}
	return b
}

// reset undoes what the kernel wrote into the header of message i.
func (b *batch) reset(i int) {
	h := &b.headers[i].Hdr
	h.Namelen = unix.SizeofSockaddrInet6
	h.SetControllen(len(notes{}))
	h.Flags = 0
}

// receive takes what one socket has, at most a batch: epoll is level-triggered and comes back for more, after the others
// have had their turn.
func (l *Loop) receive(s *socket, now time.Time) {
	b := l.batch
	// RawSyscall: the call never blocks, so the runtime need not prepare to give the thread's processor away.
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&b.headers)), batchSize, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return
	}
	e := s.endpoint
	wall := now.UnixNano()
	for i := range int(r) {
		m := &b.headers[i]
		from := &b.names[i]
		from.len = m.Hdr.Namelen
		clear(from.raw[min(from.len, unix.SizeofSockaddrInet6):])
		at, size := readNotes(b.notes[i][:m.Hdr.Controllen], now, wall)
		train := b.trains[i][:m.Len]
		if size <= 0 {
			size = len(train)
		}
		for len(train) > 0 {
			packet := train[:min(size, len(train))]
			train = train[len(packet):]
			if len(packet) > packetSize {
				e.dropped[dropMalformed].Add(1)
				continue
			}
			e.input(s, packet, from, at)
		}
		b.reset(i)
	}
	e.tally(now)
}

// readNotes gives the arrival of a train of datagrams and the size of all but the last, 0 for a single one.
//
// The kernel's time stamp is a reading of its wall clock. It is turned into an age and taken from now, so that the result
// keeps Go's monotonic part and no step of the clock disturbs what is computed from it.
func readNotes(notes []byte, now time.Time, wall int64) (at time.Time, size int) {
	const header = unix.SizeofCmsghdr
	at = now
	for len(notes) >= header {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&notes[0]))
		length := int(h.Len)
		if length < header || length > len(notes) {
			break
		}
		data := notes[header:length]
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(data) >= 16:
			stamp := int64(binary.NativeEndian.Uint64(data))*int64(time.Second) + int64(binary.NativeEndian.Uint64(data[8:]))
			if age := time.Duration(wall - stamp); age > 0 && age <= time.Second {
				at = now.Add(-age)
			}
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			size = int(int32(binary.NativeEndian.Uint32(data)))
		}
		notes = notes[min(unix.CmsgSpace(length-header), len(notes)):]
	}
	return at, size
}
