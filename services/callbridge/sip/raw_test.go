package sip

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// raw is a peer that sends what a test writes, byte by byte, over UDP.
type raw struct {
	t  *testing.T
	c  *net.UDPConn
	to Target
}

func newRaw(t *testing.T, e *end) *raw {
	t.Helper()
	return newRawFrom(t, e, "127.0.0.1")
}

func newRawFrom(t *testing.T, e *end, from string) *raw {
	t.Helper()
	to := e.at(UDP)
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(mustAddr(from+":0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &raw{t, c, to}
}

// here is the address of the peer.
func (r *raw) here() string { return r.c.LocalAddr().String() }

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// send sends lines; HERE is the peer's address.
func (r *raw) send(s string) {
	r.t.Helper()
	r.sendExact(crlf(strings.ReplaceAll(s, "HERE", r.here())))
}

func (r *raw) sendExact(s string) {
	r.t.Helper()
	if _, err := r.c.WriteToUDPAddrPort([]byte(s), r.to.Address); err != nil {
		r.t.Fatal(err)
	}
}

// get waits for a message that begins with one of the texts, and passes over others.
func (r *raw) get(first ...string) string {
	r.t.Helper()
	r.c.SetReadDeadline(time.Now().Add(patience))
	var b [65536]byte
	for {
		n, _, err := r.c.ReadFromUDPAddrPort(b[:])
		if err != nil {
			r.t.Fatalf("wanted %q: %v", first, err)
		}
		for _, f := range first {
			if strings.HasPrefix(string(b[:n]), f) {
				return string(b[:n])
			}
		}
	}
}

// all reads what there is until a last message comes; it returns those before.
func (r *raw) all(last string) []string {
	r.t.Helper()
	r.c.SetReadDeadline(time.Now().Add(patience))
	var b [65536]byte
	var l []string
	for {
		n, _, err := r.c.ReadFromUDPAddrPort(b[:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			r.t.Fatalf("%q did not come; %d others did: %q", last, len(l), l)
		}
		if err != nil {
			r.t.Fatal(err)
		}
		if strings.Contains(string(b[:n]), last) {
			return l
		}
		l = append(l, string(b[:n]))
	}
}

// field is the value of a header of a message.
func field(message, name string) string {
	m, _ := parse([]byte(message))
	if m == nil {
		return ""
	}
	return m.get(canonicalName(name))
}
