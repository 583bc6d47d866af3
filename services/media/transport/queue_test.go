package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

func TestAQueueKeepsOrderAndDropsWhatDoesNotFit(t *testing.T) {
	q := newQueue(2)
	from := netip.MustParseAddrPort("192.0.2.1:5")
	for i, want := range []bool{true, true, false} {
		if got := q.push([]byte{byte(i)}, from); got != want {
			t.Errorf("datagram %d fits: %v, want %v", i, got, want)
		}
	}
	var p [4]byte
	for i := range byte(2) {
		n, at, err := q.read(p[:])
		if err != nil || n != 1 || p[0] != i || at != from {
			t.Errorf("read %x from %v, %v: want %d from %v", p[:n], at, err, i, from)
		}
	}
	if _, _, ok := q.pop(p[:]); ok {
		t.Error("an empty queue gives something")
	}
	q.push([]byte("too long for the reader"), from)
	if n, _, _ := q.pop(p[:]); n != len(p) {
		t.Errorf("%d bytes, want the %d that fit", n, len(p))
	}
}

func TestAReaderIsWokenByTheDeadlineAndByClose(t *testing.T) {
	q := newQueue(1)
	read := func() <-chan error {
		result := make(chan error, 1)
		go func() {
			_, _, err := q.read(make([]byte, 1))
			result <- err
		}()
		return result
	}
	result := read()
	q.limit.Set(time.Unix(1, 0))
	if err := await(t, "end of the read", result); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v, want that the deadline is over", err)
	}
	q.limit.Set(time.Time{})
	result = read()
	q.push([]byte{1}, netip.AddrPort{})
	if err := await(t, "datagram", result); err != nil {
		t.Errorf("error %v without a deadline, want none", err)
	}
	result = read()
	q.close()
	if err := await(t, "end of the read", result); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v, want that it is closed", err)
	}
	if err := await(t, "end of another read", read()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v, want that it is still closed", err)
	}
	if q.push([]byte{2}, netip.AddrPort{}) {
		t.Error("a closed queue takes something")
	}
}
