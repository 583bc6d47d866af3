package callers

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestOneUserCannotTakeAllConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	inner, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	const each = 8
	l := Listener(inner, each)
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var last net.Conn
	for range each {
		dial()
		last = <-accepted
	}
	refused := dial()
	if n, err := refused.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("connection %d of one user: want it closed, got %d bytes, %v", each+1, n, err)
	}
	if uid, ok := UID(last); !ok || uid != uint32(os.Getuid()) {
		t.Errorf("user at the other end: want %d, got %d, %v", os.Getuid(), uid, ok)
	}
	last.Close()
	last.Close()
	dial()
	if c := <-accepted; c == nil {
		t.Error("want a connection accepted after another was closed")
	}
	if got := l.(*listener).open[uint32(os.Getuid())]; got != each {
		t.Errorf("closing twice: want %d connections counted, got %d", each, got)
	}
}
