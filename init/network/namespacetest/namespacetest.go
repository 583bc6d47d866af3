// Package namespacetest gives tests networks of their own: network namespaces (network_namespaces(7)) with cables between them. They are
// gone when the test ends, also when it is killed. Tests are skipped without root, and where the kernel does not allow it.
package namespacetest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Namespace is a network of its own.
type Namespace struct{ handle netns.NsHandle }

// New makes a network with nothing but a loopback interface, which is down.
func New(t testing.TB) *Namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	n := &Namespace{}
	err := aside(func() (err error) {
		n.handle, err = netns.New()
		return err
	})
	if err != nil {
		t.Skipf("network namespaces are not available: %v", err)
	}
	t.Cleanup(func() { n.handle.Close() })
	return n
}

// aside runs f on a thread that may enter another network, and takes it home afterwards. One that cannot go home stays locked and ends
// with its goroutine.
func aside(f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("the test has ended in here")
		// Also after a Fatal.
		defer func() { done <- err }()
		runtime.LockOSThread()
		home, e := netns.Get()
		if e != nil {
			err = e
			return
		}
		defer home.Close()
		defer func() {
			if netns.Set(home) == nil {
				runtime.UnlockOSThread()
			}
		}()
		err = f()
	}()
	return <-done
}

// Do runs f on a thread inside the network: sockets that it opens and programs that it starts stay there.
func (n *Namespace) Do(f func() error) error {
	return aside(func() error {
		if err := netns.Set(n.handle); err != nil {
			return fmt.Errorf("enter the network: %w", err)
		}
		return f()
	})
}

// Must is Do for steps that have to succeed.
func (n *Namespace) Must(t testing.TB, steps ...func() error) {
	t.Helper()
	for i, step := range steps {
		if err := n.Do(step); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

// FD is a descriptor of the network, which is open until the test ends.
func (n *Namespace) FD() int { return int(n.handle) }

// Cable connects a new link to a new link in another network; both are down.
func (n *Namespace) Cable(t testing.TB, name string, other *Namespace, otherName string) {
	t.Helper()
	n.Must(t, func() error {
		a := netlink.NewLinkAttrs()
		a.Name = name
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: otherName, PeerNamespace: netlink.NsFd(other.handle)})
	})
}

// Up is a step that brings a link up with addresses, which can be used at once.
func Up(name string, addresses ...string) func() error {
	return func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/accept_dad", []byte("0"), 0); err != nil {
			return err
		}
		for _, a := range addresses {
			parsed, err := netlink.ParseAddr(a)
			if err != nil {
				return err
			}
			parsed.Flags = syscall.IFA_F_NODAD
			if err := netlink.AddrAdd(l, parsed); err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(l)
	}
}
