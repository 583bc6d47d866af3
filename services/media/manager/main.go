package manager

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"rotunda/init/metrics"
	"rotunda/init/notify"
	"rotunda/services/media/control"
)

// The loopback ports of the deployment guide's table 23.
const (
	WorkerPort = 2829
	ClientPort = 2830
)

// tickEvery is how often silence of workers is looked for: a tenth of what may pass.
const tickEvery = control.BeatLimit / 10

// watchdogEvery is a sixth of the limit that PID 1 sets.
const watchdogEvery = 5 * time.Second

// settings are the command line.
type settings struct {
	workers, clients []string
	wanted           []int
	files            control.Files
	// remote are addresses beyond this machine: of workers, and of clients.
	remoteWorkers, remoteClients string
	// metrics is the socket for figures.
	metrics string
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("media", flag.ContinueOnError)
	list := func(into *[]string) func(string) error {
		return func(v string) error {
			*into = append(*into, v)
			return nil
		}
	}
	flags.Func("workers", "loopback `address` where media workers register; may be given more than once", list(&s.workers))
	flags.Func("clients", "loopback `address` for clients; may be given more than once", list(&s.clients))
	flags.Func("modules", "`workers` that each media module should have, such as 3 or 7,7,6", func(v string) (err error) {
		s.wanted, err = parseModules(v)
		return err
	})
	flags.StringVar(&s.remoteWorkers, "remote-workers", "", "`address` where workers of other machines register, by TLS")
	flags.StringVar(&s.remoteClients, "remote-clients", "", "`address` for clients of other machines, by TLS")
	flags.StringVar(&s.files.Certificate, "certificate", "", "`file` of this machine's certificate chain, for TLS")
	flags.StringVar(&s.files.Key, "key", "", "`file` of its key")
	flags.StringVar(&s.files.Trust, "trust", "", "`file` of the certificates that others' are signed by")
	flags.StringVar(&s.metrics, "metrics", "", "unix `socket` for figures, empty for none")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if len(s.workers) == 0 {
		s.workers = loopback(WorkerPort)
	}
	if len(s.clients) == 0 {
		s.clients = loopback(ClientPort)
	}
	return s, nil
}

func loopback(port int) []string {
	return []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), net.JoinHostPort("::1", strconv.Itoa(port))}
}

func parseModules(v string) ([]int, error) {
	var wanted []int
	for part := range strings.SplitSeq(v, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > 1024 {
			return nil, fmt.Errorf("module with %q workers: want a number up to 1024", part)
		}
		wanted = append(wanted, n)
	}
	if len(wanted) > control.MaxModules {
		return nil, fmt.Errorf("%d modules: the most is %d", len(wanted), control.MaxModules)
	}
	return wanted, nil
}

// Main runs the media manager until it is told to end. Its lines go to standard output for PID 1's journal.
func Main(args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return run(ctx, s, New(Options{
		Wanted: s.wanted,
		// The tag and the first word are those of the guide's example; 14 is user.info.
		Report: func(line string) { fmt.Printf("<14>host:server: INFO : %s\n", line) },
		Log:    func(text string) { fmt.Printf("<14>media: %s\n", text) },
	}))
}

// run serves until ctx ends or a listener breaks.
func run(ctx context.Context, s settings, m *Manager) error {
	workers, err := listen(s.workers, s.remoteWorkers, s.files)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer m.Close()
	defer cancel(nil)
	start := func(run func() error) {
		wait.Go(func() {
			if err := run(); err != nil {
				cancel(err)
			}
		})
	}
	for _, l := range workers {
		start(func() error { return m.ServeWorkers(ctx, l) })
	}
	start(func() error {
		tick := time.NewTicker(tickEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				m.Tick(time.Now())
			}
		}
	})
	start(func() error {
		if err := metrics.Serve(ctx, s.metrics, "media", m.figures); err != nil {
			// Calls go on without.
			m.o.Log(err.Error())
		}
		return nil
	})
	m.Settle(ctx)
	clients, err := listen(s.clients, s.remoteClients, s.files)
	if err != nil {
		return err
	}
	for _, l := range clients {
		start(func() error { return m.ServeClients(ctx, l) })
	}
	if err := notify.Ready(); err != nil {
		return err
	}
	start(func() error {
		// A status that can be asked is a manager that is not stuck.
		return notify.Watchdog(ctx, watchdogEvery, func() { _, _ = m.Owner("").Status(ctx) })
	})
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// listen opens the loopback addresses, and the remote one where there is one. A machine without IPv6 has no ::1.
func listen(local []string, remote string, files control.Files) ([]net.Listener, error) {
	var list []net.Listener
	fail := func(err error) ([]net.Listener, error) {
		for _, l := range list {
			l.Close()
		}
		return nil, err
	}
	for _, address := range local {
		l, err := control.Listen(address, nil)
		if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
			if host, _, _ := net.SplitHostPort(address); host == "::1" {
				continue
			}
		}
		if err != nil {
			return fail(err)
		}
		list = append(list, l)
	}
	if remote != "" {
		config, err := files.Config()
		if err != nil {
			return fail(err)
		}
		l, err := control.Listen(remote, config)
		if err != nil {
			return fail(err)
		}
		list = append(list, l)
	}
	if len(list) == 0 {
		return nil, errors.New("no address to listen on")
	}
	return list, nil
}
