package sftpd

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
)

// gate is a channel whose writes wait until they are let through.
type gate struct {
	io.Reader
	let chan struct{}

	mu     sync.Mutex
	writes [][]byte
	err    error
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.let
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return 0, g.err
	}
	g.writes = append(g.writes, bytes.Clone(p))
	return len(p), nil
}

func (g *gate) Close() error { return nil }

func TestAnswersGatherWhileOthersAreOnTheirWay(t *testing.T) {
	g := &gate{Reader: &bytes.Buffer{}, let: make(chan struct{})}
	s := newWire(g)
	for _, text := range []string{"one", "two", "three", "four"} {
		if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("write %q: got %d, %v", text, n, err)
		}
	}
	close(g.let)
	s.drain()
	if got := string(bytes.Join(g.writes, nil)); got != "onetwothreefour" {
		t.Errorf("want every answer in order, got %q", got)
	}
	if len(g.writes) > 2 {
		t.Errorf("want two writes at most, got %q", g.writes)
	}
	if _, err := s.Write([]byte("late")); !errors.Is(err, errClosed) {
		t.Errorf("want %v, got %v", errClosed, err)
	}
}

func TestAnErrorOfTheChannelReachesTheWriter(t *testing.T) {
	broken := errors.New("broken")
	g := &gate{Reader: &bytes.Buffer{}, let: make(chan struct{}), err: broken}
	s := newWire(g)
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	close(g.let)
	<-s.sent
	if _, err := s.Write([]byte("y")); !errors.Is(err, broken) {
		t.Errorf("want %v, got %v", broken, err)
	}
}
