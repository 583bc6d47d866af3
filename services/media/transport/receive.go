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
)

// batch is what recvmmsg fills; made once for a loop.
type batch struct {
	headers [batchSize]unix.Mmsghdr
	vectors [batchSize]unix.Iovec
	names   [batchSize]sockaddr
	stamps  [batchSize]stamp
	packets [batchSize][packetSize]byte
}

// stamp has room for one kernel time stamp.
type stamp [32]byte

func newBatch() *batch {
	b := new(batch)
	for i := range b.headers {
		b.vectors[i].Base = &b.packets[i][0]
		b.vectors[i].SetLen(packetSize)
		h := &b.headers[i].Hdr
		h.Name = b.names[i].pointer()
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Control = &b.stamps[i][0]
		b.reset(i)
	}
	return b
}

// reset undoes what the kernel wrote into the header of message i.
func (b *batch) reset(i int) {
	h := &b.headers[i].Hdr
	h.Namelen = unix.SizeofSockaddrInet6
	h.SetControllen(len(stamp{}))
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
		b.names[i].len = m.Hdr.Namelen
		clear(b.names[i].raw[min(m.Hdr.Namelen, unix.SizeofSockaddrInet6):])
		if m.Hdr.Flags&unix.MSG_TRUNC != 0 {
			e.dropped[dropMalformed].Add(1)
		} else {
			e.input(s, b.packets[i][:m.Len], &b.names[i], arrival(b.stamps[i][:m.Hdr.Controllen], now, wall))
		}
		b.reset(i)
	}
	e.tally()
}

// arrival is when the kernel saw the packet: the reading of its wall clock, turned into an age and taken from now, so that
// the time keeps Go's monotonic part and no step of the clock disturbs what is computed from it.
func arrival(control []byte, now time.Time, wall int64) time.Time {
	const header = unix.SizeofCmsghdr
	if len(control) < header+16 || binary.NativeEndian.Uint32(control[header-4:]) != unix.SO_TIMESTAMPNS {
		return now
	}
	seconds := int64(binary.NativeEndian.Uint64(control[header:]))
	nanoseconds := int64(binary.NativeEndian.Uint64(control[header+8:]))
	age := time.Duration(wall - seconds*int64(time.Second) - nanoseconds)
	if age < 0 || age > time.Second {
		return now
	}
	return now.Add(-age)
}
