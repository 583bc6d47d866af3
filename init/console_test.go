package main

import (
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

func TestATerminalThatIsStoppedDoesNotHoldPID1(t *testing.T) {
	far, near, err := pty.Open()
	if err != nil {
		t.Skipf("this machine has no pseudo terminals: %v", err)
	}
	defer far.Close()
	defer near.Close()
	const stop = 0 // TCOOFF
	if err := unix.IoctlSetInt(int(near.Fd()), unix.TCXONC, stop); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		writeTerminal(near.Name(), "alarm")
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("want the text dropped at once, the write still waits after 10 s")
	}
}
