package notify

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"
)

func TestPID1HearsThatAServiceIsReadyAndLives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	hear := func() string {
		b := make([]byte, 100)
		n, err := socket.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	if err := Ready(); err != nil {
		t.Fatal(err)
	}
	if got := hear(); got != "READY=1" {
		t.Errorf("want READY=1, got %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	done := make(chan error, 1)
	go func() { done <- Watchdog(ctx, time.Millisecond, func() { asked++ }) }()
	for range 2 {
		if got := hear(); got != "WATCHDOG=1" {
			t.Errorf("want WATCHDOG=1, got %q", got)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if asked < 2 {
		t.Errorf("two signs of life after asking %d times, want one question each", asked)
	}
}

func TestALoopGivesASignOfLifeEachTimeThatItComesRound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	alive := Alive(ctx, time.Millisecond)
	for range 2 {
		<-alive
		b := make([]byte, 100)
		if n, err := socket.Read(b); err != nil || string(b[:n]) != "WATCHDOG=1" {
			t.Errorf("want WATCHDOG=1, got %q, %v", b[:n], err)
		}
	}
}

func TestWithoutPID1NobodyIsTold(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Ready(); err != nil {
		t.Errorf("want no error, got %v", err)
	}
}
