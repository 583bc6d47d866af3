package browser

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/pion/transport/v4/deadline"
)

// records is the way of DTLS over the load's socket.
type records struct {
	remote netip.AddrPort
	send   func([]byte)
	in     chan []byte
	limit  *deadline.Deadline
	closed chan struct{}
	once   sync.Once
}

func newRecords(remote netip.AddrPort, send func([]byte)) *records {
	return &records{remote: remote, send: send, in: make(chan []byte, 32), limit: deadline.New(), closed: make(chan struct{})}
}

// push takes a record; what comes too fast is lost, as on any path.
func (r *records) push(b []byte) {
	select {
	case r.in <- append([]byte(nil), b...):
	default:
	}
}

func (r *records) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case record := <-r.in:
		return copy(b, record), r.LocalAddr(), nil
	case <-r.limit.Done():
		return 0, nil, os.ErrDeadlineExceeded
	case <-r.closed:
		return 0, nil, io.EOF
	}
}

func (r *records) WriteTo(b []byte, _ net.Addr) (int, error) {
	r.send(b)
	return len(b), nil
}

func (r *records) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

func (r *records) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(r.remote) }

func (r *records) SetDeadline(t time.Time) error { r.limit.Set(t); return nil }

func (r *records) SetReadDeadline(t time.Time) error { r.limit.Set(t); return nil }

func (r *records) SetWriteDeadline(time.Time) error { return nil }
