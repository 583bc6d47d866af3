package metrics

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"rotunda/init/control"
	"rotunda/init/notify"
	"rotunda/init/observe"
)

const (
	// Address is where the gatherer listens.
	Address = "127.0.0.1:9100"
	// turnAddress is where the TURN server shows its figures, beside its status for the API.
	turnAddress   = "127.0.0.1:3479"
	askWithin     = 3 * time.Second
	watchdogEvery = 5 * time.Second
	// freshFor is how long one gathering serves, so that nobody makes daemons work by asking all the time.
	freshFor = time.Second
)

// asked are the daemons that answer on a socket of their own.
var asked = []string{"resolver", "mmp", "database", "callbridge", "media", "webadmin"}

// Asked says whether a daemon answers on a socket of its own.
func Asked(daemon string) bool { return slices.Contains(asked, daemon) }

// gatherer joins all.
type gatherer struct {
	pid1 observe.Source
	root fs.FS
	// folder has the sockets of daemons, in place of [Folder] in tests; turn is the TURN server's address.
	folder, turn string

	mu    sync.Mutex
	when  time.Time
	fresh *Page
}

// Main is the verb "metrics". It serves until SIGTERM.
func Main(args []string) error {
	flags := flag.NewFlagSet("metrics", flag.ContinueOnError)
	address := flags.String("listen", Address, "loopback `address`")
	socket := flags.String("control", control.SocketPath, "unix `socket` of PID 1")
	folder := flags.String("folder", Folder, "`folder` of the daemons' sockets")
	turn := flags.String("turn", turnAddress, "`address` of the TURN server's figures")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	g := &gatherer{pid1: control.NewClient(*socket), root: os.DirFS("/"), folder: *folder, turn: *turn}
	return g.serve(ctx, *address, nil)
}

// serve answers at an address of loopback; opened is told which, in tests.
func (g *gatherer) serve(ctx context.Context, address string, opened func(net.Addr)) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("serve metrics: %s is no address of loopback", address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	if opened != nil {
		opened(l.Addr())
	}
	if err := notify.Ready(); err != nil {
		l.Close()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A sign of life is an answer. What it says does not matter.
	client := &http.Client{Timeout: 4 * askWithin, Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		_ = notify.Watchdog(ctx, watchdogEvery, func() {
			if r, err := client.Get("http://" + l.Addr().String() + "/alive"); err == nil {
				r.Body.Close()
			}
		})
	}()
	return answer(ctx, l, g.page)
}

// page is all that there is, not older than a second. The callers' contexts do not count: the page is for all of them.
func (g *gatherer) page(context.Context) *Page {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fresh == nil || time.Since(g.when) > freshFor {
		g.fresh, g.when = g.gather(context.Background()), time.Now()
	}
	return g.fresh
}

func (g *gatherer) gather(ctx context.Context) *Page {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	all, up := NewPage("metrics"), NewPage("metrics")
	machine := observe.Look(ctx, g.pid1, g.root)
	all.take(ofInit(g.root, machine))
	up.Truth("rotunda_up", machine.Answered, "init")
	// Those whose state is a file are up while PID 1 runs them.
	for name, page := range map[string]*Page{"timesync": ofTimesync(g.root), "syslog": ofSyslog(g.root), "snmp": ofSNMP(g.root)} {
		if machine.Answered && !running(machine, name) {
			continue
		}
		up.Truth("rotunda_up", page != nil, name)
		if page != nil {
			all.take(page)
		}
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	ask := func(name, network, address string) {
		if machine.Answered && !running(machine, name) {
			return
		}
		wait.Go(func() {
			page, err := fetch(ctx, name, network, address)
			mu.Lock()
			defer mu.Unlock()
			up.Truth("rotunda_up", err == nil, name)
			if err == nil {
				all.take(page)
			}
		})
	}
	for _, name := range asked {
		ask(name, "unix", g.folder+"/"+name+"/socket")
	}
	ask("turn", "tcp", g.turn)
	wait.Wait()
	all.take(up)
	return all
}

var errAnswer = errors.New("the daemon does not answer with figures")

// fetch asks one daemon.
func fetch(ctx context.Context, name, network, address string) (*Page, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}, CheckRedirect: func(*http.Request, []*http.Request) error { return errAnswer }}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+name+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	a, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return nil, errAnswer
	}
	return Read(name, io.LimitReader(a.Body, maxText))
}
