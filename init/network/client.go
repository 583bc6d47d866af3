package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"rotunda/init/network/dhcp"
)

// Spawn starts PID 1's own program with the verb "dhcp" and arguments, as an unprivileged user, with files as
// descriptors 3 and up. The child's standard output is a pipe to read from; its standard error belongs to the
// journal. stop ends the child and waits for it; it may be called more than once and while stdout is being read,
// which then ends.
type Spawn func(ctx context.Context, ifname string, args []string, files []*os.File) (stdout io.ReadCloser, stop func(), err error)

const (
	// firstBackoff doubles up to lastBackoff, as for services.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// steady is how long a client must live to be taken for sound again.
	steady = time.Minute
	// maxEvents a minute is far above what a sound client says: it renews once a minute at most.
	maxEvents = 60
)

// clientKey is what a running DHCP client depends on; when it changes, the client is started anew.
type clientKey struct {
	index    int
	kernel   string
	mac      string
	hostname string
}

// clientsWanted returns the interfaces that need a DHCP client: configured, up and with carrier. A link that comes
// back gets a new client, which asks for the address that is still leased (RFC 2131, section 3.7). The caller holds
// mu.
func (r *Reconciler) clientsWanted() map[string]clientKey {
	wants := map[string]clientKey{}
	if r.document == nil {
		return wants
	}
	for letter, port := range r.options.Ports {
		cfg, link := r.document.Interfaces[letter].IPv4, r.last.Links[port.Kernel]
		if cfg.Enabled && cfg.DHCP && link.Up && link.Carrier {
			wants[letter] = clientKey{link.Index, link.Name, link.MAC, r.document.Hostname}
		}
	}
	return wants
}

// clients are the running DHCP clients; only Run touches them.
type clients struct {
	reconciler *Reconciler
	running    map[string]*client
}

// client is the goroutine that looks after one interface's child.
type client struct {
	key    clientKey
	cancel context.CancelFunc
	done   chan struct{}
}

// tend starts and stops clients.
func (c *clients) tend(ctx context.Context, wants map[string]clientKey) {
	for letter, running := range c.running {
		if key, ok := wants[letter]; !ok || key != running.key {
			running.cancel()
			<-running.done
			delete(c.running, letter)
			c.reconciler.options.Log("interface " + letter + ": DHCP client stopped")
		}
	}
	for letter, key := range wants {
		if _, ok := c.running[letter]; ok {
			continue
		}
		ctx, cancel := context.WithCancel(ctx)
		n := &client{key, cancel, make(chan struct{})}
		c.running[letter] = n
		go func() {
			defer close(n.done)
			c.reconciler.lookAfter(ctx, letter, key)
		}()
	}
}

// stop ends all clients and waits for them.
func (c *clients) stop() { c.tend(context.Background(), nil) }

// lookAfter keeps a DHCP client running on an interface until ctx ends.
func (r *Reconciler) lookAfter(ctx context.Context, letter string, key clientKey) {
	backoff := firstBackoff
	for {
		started := time.Now()
		err := r.runClient(ctx, letter, key)
		if ctx.Err() != nil {
			return
		}
		r.options.Log(fmt.Sprintf("interface %s: DHCP client: %v", letter, err))
		if time.Since(started) > steady {
			backoff = firstBackoff
		}
		if !wait(ctx, backoff) {
			return
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// runClient runs one child and takes its events until it ends, says something that it must not, or ctx ends.
func (r *Reconciler) runClient(ctx context.Context, letter string, key clientKey) error {
	mac, err := net.ParseMAC(key.mac)
	if err != nil {
		return err
	}
	sockets, err := r.options.Kernel.Sockets(key.index)
	if err != nil {
		return err
	}
	defer sockets.Close()
	args := dhcp.Arguments{
		Interface: key.kernel, Index: key.index, MAC: mac, Hostname: key.hostname, Request: r.requestable(letter),
	}
	stdout, stop, err := r.options.Spawn(ctx, key.kernel, args.List(), []*os.File{sockets.Packet, sockets.ARP})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer stdout.Close()
	defer stop()
	// Reading ends when the child does.
	defer context.AfterFunc(ctx, stop)()

	lines := bufio.NewScanner(stdout)
	lines.Buffer(make([]byte, 0, 1024), dhcp.MaxLine)
	minute, events := time.Now(), 0
	for lines.Scan() {
		if time.Since(minute) > time.Minute {
			minute, events = time.Now(), 0
		}
		if events++; events > maxEvents {
			return fmt.Errorf("more than %d events a minute", maxEvents)
		}
		event, err := dhcp.Decode(lines.Bytes())
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.take(letter, event)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return errors.New("ended")
}

// requestable is the address that a new client asks for first: the one of a lease that is still valid.
func (r *Reconciler) requestable(letter string) netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.leases[letter]
	if !ok || !l.valid(time.Now()) {
		return netip.Addr{}
	}
	return l.Address.Addr()
}

// take applies one event.
func (r *Reconciler) take(letter string, e dhcp.Event) {
	if e.Event == dhcp.Lost {
		r.options.Log(fmt.Sprintf("interface %s: lease lost: %s", letter, e.Reason))
		r.setLease(letter, nil)
		return
	}
	l := Lease{Lease: *e.Lease}
	until := "without end"
	if l.Lifetime != dhcp.Infinite {
		lifetime := time.Duration(l.Lifetime) * time.Second
		l.Expires = time.Now().Add(lifetime)
		until = "for " + lifetime.String()
	}
	r.options.Log(fmt.Sprintf("interface %s: leased %v from %v %s", letter, l.Address, l.Server, until))
	r.setLease(letter, &l)
}
