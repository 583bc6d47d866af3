package turn

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxConnections of TCP clients, and of one source. The guide's large edge carries 1,000 video calls; what each holds is
	// about 200 kB.
	maxConnections       = 4000
	maxSourceConnections = 1000
	// helloLimit is how long a connection may take to say what it wants: the first byte, and the TLS handshake.
	helloLimit = 10 * time.Second
	// idleLimit is how long a connection may go on without an allocation.
	idleLimit = 30 * time.Second
	// writeLimit is how long a client may take no byte at all.
	writeLimit = 30 * time.Second
	// unsentBytes wait in the kernel: it would take megabytes, seconds of a call, and drop none of the old.
	unsentBytes = 32 << 10
	// writeChunk is what one write carries at most: one TLS record.
	writeChunk = 16 << 10
)

// stream is one TCP or TLS connection of a client. pion takes it for a net.PacketConn with one correspondent.
type stream struct {
	net.Conn
	front
	roster roster
	reader *bufio.Reader
	client address
	queue  *queue
	ended  chan struct{} // closed when pion reads no more
}

// serveStream serves a connection until either side ends it.
func (s *Server) serveStream(conn net.Conn, v *site) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(helloLimit))
	c, err := s.greet(conn)
	if err != nil {
		return
	}
	_ = c.SetDeadline(time.Time{})
	t := &stream{Conn: c, reader: bufio.NewReaderSize(c, 8<<10), client: netAddress(conn.RemoteAddr()), queue: newQueue()}
	t.front = front{server: s, site: v, counters: s.shared, limiter: s.limiter, find: t.roster.find, relay: relayFor(s, &t.roster)}
	t.send = func(m []byte, _ address) { t.answer(m) }
	t.ended = make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(t.write)
	if t.start(t) == nil {
		<-t.ended
	}
	t.queue.close()
	conn.Close()
	writer.Wait()
}

func boundUnsent(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
		})
	}
}

// greet finds out by the first byte whether the client speaks TLS (22, a handshake record), and shakes hands with it.
func (s *Server) greet(conn net.Conn) (net.Conn, error) {
	first := &firstByte{Conn: conn}
	if _, err := io.ReadFull(conn, first.b[:]); err != nil {
		return nil, err
	}
	const handshake = 22
	if first.b[0] != handshake {
		return first, nil
	}
	if s.certificate.Load() == nil {
		return nil, errNoCertificate
	}
	c := tls.Server(first, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return s.certificate.Load(), nil
	}})
	return c, c.Handshake()
}

var errNoCertificate = errors.New("no certificate")

// firstByte gives back the byte that was looked at.
type firstByte struct {
	net.Conn
	b    [1]byte
	read bool
}

func (f *firstByte) Read(p []byte) (int, error) {
	if !f.read && len(p) > 0 {
		f.read = true
		p[0] = f.b[0]
		return 1, nil
	}
	return f.Conn.Read(p)
}

// ReadFrom gives pion the next frame that it is to see.
func (t *stream) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, err := t.frame(p)
		if err != nil {
			close(t.ended) // pion asks no more after an error
			return 0, nil, err
		}
		switch {
		case n == 0:
		case p[0]>>6 == 1:
			t.counters.count(fromClients)
			return n, t.RemoteAddr(), nil
		default:
			if admitted := t.admit(p[:n], t.client); admitted != nil {
				return len(admitted), t.RemoteAddr(), nil
			}
		}
	}
}

// frame reads one frame; 0 means that it was too large for a packet and is passed over.
func (t *stream) frame(p []byte) (int, error) {
	for {
		_ = t.SetReadDeadline(time.Now().Add(idleLimit))
		head, err := t.reader.Peek(4)
		if errors.Is(err, os.ErrDeadlineExceeded) && t.find(t.client) != nil {
			continue // the allocation says how long the connection lives
		}
		if err != nil {
			return 0, err
		}
		size := frameSize(head)
		switch {
		case head[0]>>6 > 1:
			t.counters.count(dropMalformed)
			return 0, errFrame // there is no telling where the next one begins
		case size >= len(p):
			t.counters.count(dropMalformed)
			_, err := t.reader.Discard(size)
			return 0, err
		}
		return io.ReadFull(t.reader, p[:size])
	}
}

var errFrame = errors.New("neither STUN nor ChannelData")

// WriteTo takes pion's answers and media, and never waits.
func (t *stream) WriteTo(p []byte, _ net.Addr) (int, error) {
	if p[0]>>6 == 1 || isDataIndication(p) {
		if n := t.queue.push(p); n > 0 {
			t.counters.add(dropQueue, uint64(n))
		}
		return len(p), nil
	}
	t.answer(t.outgoing(p))
	return len(p), nil
}

func isDataIndication(p []byte) bool { return p[0] == 0x00 && p[1] == 0x17 }

func (t *stream) answer(m []byte) {
	if !t.queue.answer(m) {
		t.Conn.Close()
	}
}

// write moves the queue to the client.
func (t *stream) write() {
	b := make([]byte, writeChunk)
	for {
		n := t.queue.take(b)
		if n == 0 {
			return
		}
		_ = t.SetWriteDeadline(time.Now().Add(writeLimit))
		if _, err := t.Conn.Write(b[:n]); err != nil {
			t.Conn.Close()
			return
		}
	}
}
