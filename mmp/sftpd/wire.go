package sftpd

import (
	"bufio"
	"errors"
	"io"
	"sync"
)

const (
	// aheadSize is two of the largest packets that clients send.
	aheadSize = 64 << 10
	// maxWaiting bytes of answers wait while others are on their way; more than that and the library waits.
	maxWaiting = 1 << 20
)

var errClosed = errors.New("the session has ended")

// wire is the client's channel with fewer, larger pieces. The library reads length and body of a packet one after
// the other, and writes one small answer for each packet of an upload; every one of those would be an encrypted packet
// of its own. A single goroutine writes, and takes with it whatever has gathered since its last write.
type wire struct {
	channel io.ReadWriteCloser
	reader  *bufio.Reader

	mu      sync.Mutex
	changed sync.Cond
	waiting []byte
	// err ends the wire for the library; sent is closed when nothing more is written.
	err  error
	sent chan struct{}
}

func newWire(channel io.ReadWriteCloser) *wire {
	s := &wire{channel: channel, reader: bufio.NewReaderSize(channel, aheadSize), sent: make(chan struct{})}
	s.changed.L = &s.mu
	go s.send()
	return s
}

func (s *wire) Read(p []byte) (int, error) { return s.reader.Read(p) }

// Write takes an answer. An error of the channel comes back from a later Write.
func (s *wire) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && len(s.waiting) > 0 && len(s.waiting)+len(p) > maxWaiting {
		s.changed.Wait()
	}
	if s.err != nil {
		return 0, s.err
	}
	s.waiting = append(s.waiting, p...)
	s.changed.Broadcast()
	return len(p), nil
}

// Close closes the channel, which ends a Read or a Write that waits.
func (s *wire) Close() error {
	s.fail(errClosed)
	return s.channel.Close()
}

func (s *wire) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.changed.Broadcast()
	s.mu.Unlock()
}

// drain waits until every answer taken has been sent, or cannot be.
func (s *wire) drain() {
	s.fail(errClosed)
	<-s.sent
}

func (s *wire) send() {
	defer close(s.sent)
	var batch []byte
	for {
		s.mu.Lock()
		for len(s.waiting) == 0 && s.err == nil {
			s.changed.Wait()
		}
		batch, s.waiting = s.waiting, batch[:0]
		s.changed.Broadcast()
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		if _, err := s.channel.Write(batch); err != nil {
			s.fail(err)
			return
		}
	}
}
