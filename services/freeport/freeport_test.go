package freeport

import (
	"net"
	"testing"
)

func TestPortsAreFreeBelowTheKernelsAndGivenOnce(t *testing.T) {
	seen := map[int]bool{}
	for range 500 {
		port := For(t)
		if port < first || port > last || seen[port] {
			t.Fatalf("got port %d, want one from %d to %d that was not given before", port, first, last)
		}
		seen[port] = true
	}
}

func TestAPortThatIsTakenIsNotFree(t *testing.T) {
	for network, take := range map[string]func(port int) (interface{ Close() error }, error){
		"tcp": func(port int) (interface{ Close() error }, error) {
			return net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		},
		"udp": func(port int) (interface{ Close() error }, error) {
			return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		},
	} {
		port := For(t)
		taken, err := take(port)
		if err != nil {
			t.Fatal(err)
		}
		if free(port) {
			t.Errorf("port %d is called free while somebody has it for %s", port, network)
		}
		taken.Close()
		if !free(port) {
			t.Errorf("port %d is not called free again", port)
		}
	}
}
