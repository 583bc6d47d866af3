package qemu

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// maxFrame bounds what a card may send: an Ethernet frame with the largest MTU that QEMU's virtual cards offer, plus
// header and VLAN tag.
const maxFrame = 65535 + 18

// Segment is the far end of a network cable: everything the machine sends arrives here frame by frame, and what is sent
// here arrives at the machine. It speaks the framing of QEMU's stream backend: a 32-bit length, then the frame.
type Segment struct {
	mu       sync.Mutex
	conn     net.Conn
	handlers []func(frame []byte)
	frames   chan []byte
}

// NewSegment returns a cable that is not plugged in yet. A handler sees every frame, in the order of arrival and one at
// a time, before the test does; that is how a test plays DHCP server or router.
func NewSegment(handlers ...func(s *Segment, frame []byte)) *Segment {
	s := &Segment{frames: make(chan []byte, 1024)}
	for _, h := range handlers {
		s.handlers = append(s.handlers, func(f []byte) { h(s, f) })
	}
	return s
}

func (s *Segment) plug(conn net.Conn) {
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	go func() {
		r := bufio.NewReaderSize(conn, maxFrame+4)
		for {
			frame, err := readFrame(r)
			if err != nil {
				_ = conn.Close()
				return
			}
			for _, h := range s.handlers {
				h(frame)
			}
			select {
			case s.frames <- frame:
			default: // nobody looks; a test that does reads as it goes
			}
		}
	}()
}

func readFrame(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, fmt.Errorf("read frame length: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxFrame {
		return nil, fmt.Errorf("frame of %d bytes is larger than %d", n, maxFrame)
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, fmt.Errorf("read frame: %w", err)
	}
	return frame, nil
}

// Send puts a frame on the wire.
func (s *Segment) Send(frame []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return errors.New("send frame: the cable is not plugged in")
	}
	out := binary.BigEndian.AppendUint32(make([]byte, 0, len(frame)+4), uint32(len(frame)))
	if _, err := s.conn.Write(append(out, frame...)); err != nil {
		return fmt.Errorf("send frame: %w", err)
	}
	return nil
}

// Await returns the next frame for which want is true.
func (s *Segment) Await(ctx context.Context, want func(frame []byte) bool) ([]byte, error) {
	for {
		select {
		case f := <-s.frames:
			if want(f) {
				return f, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a frame: %w", ctx.Err())
		}
	}
}
