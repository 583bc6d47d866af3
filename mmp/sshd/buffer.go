package sshd

import (
	"bufio"
	"net"
)

// readAhead is how much one read takes from the network. The SSH library reads 4 KiB at a time, which costs an upload
// eight system calls for each of its 32 KiB packets.
const readAhead = 64 << 10

// bufferedConn reads ahead. Only the library's reading goroutine reads from it.
type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func buffered(c net.Conn) *bufferedConn {
	return &bufferedConn{c, bufio.NewReaderSize(c, readAhead)}
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }
