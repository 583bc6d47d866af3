package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rotunda/init/config"
)

// children are DHCP clients that say what a test tells them to.
type children struct {
	mu      sync.Mutex
	started [][]string
	stopped int
	say     chan string
}

func (c *children) spawn(_ context.Context, _ string, args []string, _ []*os.File) (io.ReadCloser, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = append(c.started, args)
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case line := <-c.say:
				if _, err := io.WriteString(in, line+"\n"); err != nil {
					return
				}
			case <-ended:
				in.Close()
				return
			}
		}
	}()
	return out, sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stopped++
		close(ended)
	}), nil
}

func (c *children) counts() (started, stopped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.started), c.stopped
}

const goodLine = `{"event":"bound","lease":{"address":"192.0.2.5/24","router":"192.0.2.1","server":"192.0.2.1","lifetime":3600}}`

// withClients runs a test against a reconciler with the factory document, in a bubble where time passes by itself.
func withClients(t *testing.T, test func(r *Reconciler, k *fakeKernel, c *children)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k, ports := newFakeKernel("a")
		c := &children{say: make(chan string)}
		r := New(Options{Kernel: k, Ports: ports, Spawn: c.spawn})
		r.Apply(t.Context(), config.Factory())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Run(ctx)
		}()
		synctest.Wait()
		test(r, k, c)
		cancel()
		<-done
		if started, stopped := c.counts(); started != stopped {
			t.Errorf("%d clients were started and %d stopped", started, stopped)
		}
	})
}

// pass lets time go by until nothing moves.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func addressesOf(k *fakeKernel) []netip.Prefix {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []netip.Prefix
	for _, a := range k.state.Addresses {
		out = append(out, a.Prefix)
	}
	return out
}

func TestALeaseIsAppliedAndTakenAway(t *testing.T) {
	withClients(t, func(r *Reconciler, k *fakeKernel, c *children) {
		c.say <- goodLine
		pass(settle)
		if got := addressesOf(k); !slices.Equal(got, []netip.Prefix{prefix("192.0.2.5/24")}) {
			t.Errorf("leased: got %v, want 192.0.2.5/24", got)
		}
		c.say <- `{"event":"lost","reason":"refused"}`
		pass(settle)
		if got := addressesOf(k); len(got) > 0 {
			t.Errorf("lost: got %v, want none", got)
		}
	})
}

func TestALeaseEndsThoughItsClientHangs(t *testing.T) {
	withClients(t, func(r *Reconciler, k *fakeKernel, c *children) {
		c.say <- goodLine
		pass(time.Hour - time.Second)
		if got := addressesOf(k); len(got) != 1 {
			t.Errorf("just before the end: got %v, want one address", got)
		}
		pass(interval + time.Second + settle)
		if got := addressesOf(k); len(got) > 0 {
			t.Errorf("after the end: got %v, want none", got)
		}
	})
}

func TestAClientThatMisbehavesIsReplacedAndItsLeaseKept(t *testing.T) {
	for name, lines := range map[string][]string{
		"no JSON":         {goodLine, "Segmentation fault"},
		"an odd address":  {goodLine, strings.Replace(goodLine, "192.0.2.5", "127.0.0.1", 1)},
		"a line too long": {goodLine, strings.Repeat("x", 100<<10)},
		"a flood":         slices.Repeat([]string{goodLine}, maxEvents+1),
	} {
		t.Run(name, func(t *testing.T) {
			withClients(t, func(r *Reconciler, k *fakeKernel, c *children) {
				for _, line := range lines {
					c.say <- line
				}
				pass(firstBackoff)
				started, stopped := c.counts()
				if started != 2 || stopped != 1 {
					t.Errorf("%d started, %d stopped, want 2 and 1", started, stopped)
				}
				if got := addressesOf(k); !slices.Equal(got, []netip.Prefix{prefix("192.0.2.5/24")}) {
					t.Errorf("got %v, want the lease in use", got)
				}
				if got := c.started[len(c.started)-1]; !slices.Contains(got, "192.0.2.5") {
					t.Errorf("the next client is started with %q, want it to ask for 192.0.2.5", got)
				}
			})
		})
	}
}

func TestAClientThatCrashesIsStartedMoreAndMoreSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, ports := newFakeKernel("a")
		var starts []time.Duration
		began := time.Now()
		r := New(Options{Kernel: k, Ports: ports,
			Spawn: func(context.Context, string, []string, []*os.File) (io.ReadCloser, func(), error) {
				starts = append(starts, time.Since(began))
				return nil, nil, errors.New("no memory")
			},
		})
		r.Apply(t.Context(), config.Factory())
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r.Run(ctx)
		want := "[0s 100ms 300ms 700ms 1.5s 3.1s 6.3s 11.3s 16.3s]"
		if got := fmt.Sprint(starts); got != want {
			t.Errorf("started at %s, want %s", got, want)
		}
	})
}

func TestAFloodOfEventsDoesNotKeepTheReconcilerBusy(t *testing.T) {
	withClients(t, func(_ *Reconciler, k *fakeKernel, _ *children) {
		looks := func() int {
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.looks
		}
		flood := func(d time.Duration) {
			for range d / time.Millisecond {
				select {
				case k.events <- struct{}{}:
				default:
				}
				pass(time.Millisecond)
			}
		}
		flood(5 * time.Second)
		before := looks()
		flood(10 * time.Second)
		if got := looks() - before; got > 21 {
			t.Errorf("10 s of a flood: want two looks a second, got %d", got)
		}
		// Back to normal after a quiet second, once what is in the pipe is through.
		pass(4 * time.Second)
		before = looks()
		k.events <- struct{}{}
		pass(settle)
		if got := looks() - before; got != 1 {
			t.Errorf("one event after the flood: want one look within %v, got %d", settle, got)
		}
	})
}

func TestTheClientFollowsCarrierAndConfiguration(t *testing.T) {
	withClients(t, func(r *Reconciler, k *fakeKernel, c *children) {
		carrier := func(on bool) {
			k.mu.Lock()
			l := k.state.Links["eth0"]
			l.Carrier = on
			k.state.Links["eth0"] = l
			k.mu.Unlock()
			k.events <- struct{}{}
			pass(settle)
		}
		c.say <- goodLine
		carrier(false)
		if started, stopped := c.counts(); started != 1 || stopped != 1 {
			t.Errorf("without carrier: %d started, %d stopped, want 1 and 1", started, stopped)
		}
		if got := addressesOf(k); len(got) != 1 {
			t.Errorf("without carrier: got %v, want the lease kept", got)
		}
		carrier(true)
		if got := c.started[len(c.started)-1]; len(c.started) != 2 || !slices.Contains(got, "192.0.2.5") {
			t.Errorf("with carrier again: client %d is started with %q, want the second to ask for 192.0.2.5", len(c.started), got)
		}
		r.Apply(t.Context(), document(map[string]config.Interface{"a": staticFour("198.51.100.2/24", "")}))
		pass(settle)
		if started, stopped := c.counts(); started != 2 || stopped != 2 {
			t.Errorf("a static address: %d started, %d stopped, want 2 and 2", started, stopped)
		}
		if got := addressesOf(k); !slices.Equal(got, []netip.Prefix{prefix("198.51.100.2/24")}) {
			t.Errorf("a static address: got %v", got)
		}
	})
}
