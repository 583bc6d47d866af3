// Package freeport finds ports of the loopback interface, for tests of programs that must be told one. Whoever can bind port 0 does that
// instead: between the finding and the use of a port somebody else may take it.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// The ports lie below those that Linux gives to whoever asks for none (ip_local_port_range, from 32768): there, one that was free a moment ago is
// soon the near end of anybody's connection. Programs that look at the same time choose by chance, and seldom the same.
const (
	first = 20000
	last  = 29999
)

var (
	mu sync.Mutex
	// given are never given again in this process, as nobody says when a port is not needed any more.
	given = map[int]bool{}
)

// Find returns a port that is free for UDP and TCP on 127.0.0.1, a different one each time.
func Find() (int, error) {
	mu.Lock()
	defer mu.Unlock()
	for range 1000 {
		port := first + rand.N(last-first+1)
		if given[port] || !free(port) {
			continue
		}
		given[port] = true
		return port, nil
	}
	return 0, errors.New("find a free port: none of those that were tried is free for UDP and TCP")
}

func free(port int) bool {
	loopback := net.IPv4(127, 0, 0, 1)
	stream, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback, Port: port})
	if err != nil {
		return false
	}
	defer stream.Close()
	packets, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback, Port: port})
	if err != nil {
		return false
	}
	packets.Close()
	return true
}

// For is Find for a test.
func For(t testing.TB) int {
	t.Helper()
	port, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
