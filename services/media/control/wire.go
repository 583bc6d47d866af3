package control

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// helloTimeout bounds the time from the connection to the end of the greeting.
	helloTimeout = 5 * time.Second
	// writeTimeout is how long a peer may leave a line unread once the kernel's buffers are full.
	writeTimeout = 5 * time.Second
	// queueLines and queueBytes wait for a peer who does not read; one more and it is cut off.
	queueLines = 4096
	queueBytes = 8 << 20
)

var errSlow = errors.New("the peer does not read what it is sent")

// wire is a connection as lines. Reading belongs to one goroutine; sending never waits: a goroutine of its own writes, and
// a peer who does not read is cut off.
type wire struct {
	conn   net.Conn
	reader *bufio.Reader
	long   []byte

	mu      sync.Mutex
	queue   [][]byte
	bytes   int // queued or being written
	err     error
	wake    chan struct{}
	closed  chan struct{}
	written chan struct{} // a token after each write; closed when the writer has ended
}

func newWire(conn net.Conn) *wire {
	w := &wire{conn: conn, reader: bufio.NewReaderSize(conn, 16<<10), wake: make(chan struct{}, 1),
		closed: make(chan struct{}), written: make(chan struct{}, 1)}
	go w.write()
	return w
}

// read returns the next message. It ends the connection on any error.
func (w *wire) read() (Line, error) {
	line, long, err := readLine(w.reader, w.long)
	w.long = long
	var m Line
	if err == nil {
		m, err = ParseLine(line)
	}
	if err != nil {
		w.end(err)
		return Line{}, w.reason()
	}
	return m, nil
}

// send queues a message.
func (w *wire) send(m Line) error {
	line, err := m.Append(nil)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if len(w.queue) >= queueLines || w.bytes+len(line) > queueBytes {
		w.endLocked(errSlow)
		return errSlow
	}
	w.queue = append(w.queue, line)
	w.bytes += len(line)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// end closes the connection at once, for the first reason given.
func (w *wire) end(why error) {
	w.mu.Lock()
	w.endLocked(why)
	w.mu.Unlock()
}

func (w *wire) endLocked(why error) {
	if w.err == nil {
		w.err = why
		close(w.closed)
		if t, ok := w.conn.(*tls.Conn); ok {
			// Without a farewell, for which a peer that does not read would make us wait.
			t.NetConn().Close()
			return
		}
		w.conn.Close()
	}
}

// refuse tells the peer why and closes when it has been told, or does not listen.
func (w *wire) refuse(e *Error) {
	if w.send(Line{Error: e}) == nil {
		w.drain()
	}
	w.end(e)
}

// drain waits until everything queued is written or the connection has ended; each write has its time limit.
func (w *wire) drain() {
	for {
		w.mu.Lock()
		empty := w.bytes == 0 || w.err != nil
		w.mu.Unlock()
		if empty {
			return
		}
		select {
		case <-w.written:
		case <-w.closed:
		}
	}
}

// close ends the connection and waits for the writer.
func (w *wire) close(why error) {
	w.end(why)
	for range w.written {
	}
}

func (w *wire) reason() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// write is the one goroutine that writes. All that waits goes out in one system call.
func (w *wire) write() {
	defer close(w.written)
	for {
		select {
		case <-w.closed:
			return
		case <-w.wake:
		}
		w.mu.Lock()
		lines, n := net.Buffers(w.queue), w.bytes
		w.queue = nil
		w.mu.Unlock()
		err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = lines.WriteTo(w.conn)
		}
		if err != nil {
			w.end(fmt.Errorf("write: %w", err))
			return
		}
		w.mu.Lock()
		w.bytes -= n
		w.mu.Unlock()
		select {
		case w.written <- struct{}{}:
		default:
		}
	}
}
