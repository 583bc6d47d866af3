package callbridge

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/init/callers"
	"rotunda/init/metrics"
	"rotunda/init/notify"
	"rotunda/mmp/admission"
	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/prompts"
	"rotunda/services/callbridge/store"
	"rotunda/services/database"
	"rotunda/services/media/manager"
)

const (
	// Address is where the API is on loopback, always.
	Address = "127.0.0.1:8080"
	// Socket is where the admin pages' service reaches it.
	Socket = "/run/rotunda/callbridge/api.sock"
	// watchdogEvery is a sixth of the limit that PID 1 sets.
	watchdogEvery = 5 * time.Second
)

// options are those of the command line.
type options struct {
	settings  string
	database  string
	admission string
	listen    string
	socket    string
	folder    string
	front     int
	readers   []int
	developer string
	metrics   string
	// media is the media manager; prompts and branding are folders of prompts, built in and local ones, and shelf is where media workers read what is
	// not built in.
	media, prompts, branding, shelf string
	ports                           ports
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("callbridge", flag.ContinueOnError)
	flags.StringVar(&o.settings, "settings", "/run/rotunda/callbridge/settings.json", "`file` of the settings, which PID 1 writes; it may be missing")
	flags.StringVar(&o.database, "database", database.Socket, "unix `socket` of the database")
	flags.StringVar(&o.admission, "admission", admission.SocketPath, "unix `socket` where the management shell checks logins")
	flags.StringVar(&o.listen, "listen", Address, "loopback `address` of the API, empty for none")
	flags.StringVar(&o.socket, "socket", Socket, "unix `socket` of the API, empty for none")
	flags.StringVar(&o.folder, "folder", "", "`folder` of what is this machine's own; it is made when it is missing")
	flags.IntVar(&o.front, "front", -1, "number of the `user` of the admin pages' service")
	flags.Func("reader", "number of a `user` who may read what log bundles have, without a login", func(text string) error {
		uid, err := strconv.Atoi(text)
		o.readers = append(o.readers, uid)
		return err
	})
	flags.StringVar(&o.metrics, "metrics", "", "unix `socket` for figures, empty for none")
	flags.StringVar(&o.developer, "developer", "", "`name:password` of the only login, in place of the management shell's; for developers' machines")
	flags.StringVar(&o.media, "media", fmt.Sprintf("127.0.0.1:%d", manager.ClientPort), "`address` of the media manager")
	flags.StringVar(&o.prompts, "prompts", prompts.BuiltIn, "`folder` of the built-in prompts")
	flags.StringVar(&o.branding, "branding", "", "`folder` of prompts and pictures that the administrator has put, empty for none")
	flags.StringVar(&o.shelf, "shelf", "", "`folder` for prompts and pictures that are not built in, which media workers can read; empty for one below -folder")
	port := func(to *uint16, name string, otherwise uint16, what string) {
		*to = otherwise
		flags.Func(name, fmt.Sprintf("`port` of %s, 0 for any (default %d)", what, otherwise), func(text string) error {
			n, err := strconv.ParseUint(text, 10, 16)
			if err != nil {
				return errors.New("use a number from 0 to 65535")
			}
			*to = uint16(n)
			return nil
		})
	}
	port(&o.ports.sip, "sip", sipPort, "SIP by UDP and TCP")
	port(&o.ports.sips, "sips", sipsPort, "SIP by TLS")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.folder == "":
		return o, errors.New("-folder is missing: name the folder of what is this machine's own")
	case o.developer != "" && !strings.Contains(o.developer, ":"):
		return o, errors.New("-developer: want name:password")
	}
	return o, nil
}

// Main is the verb "callbridge". It serves until SIGTERM; at SIGHUP it reads its settings anew.
func Main(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	return run(ctx, o, slog.New(&lines{to: os.Stdout}), hangup)
}

func run(ctx context.Context, o options, log *slog.Logger, reread <-chan os.Signal) error {
	machine, err := machineID(o.folder)
	if err != nil {
		return err
	}
	b, err := newBridge(o, machine, log)
	if err != nil {
		return err
	}
	defer b.licences.close()
	if err := b.readSettings(o.settings); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel(nil)
	part := func(f func() error) {
		group.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	for _, open := range []struct {
		network, address string
		mode             os.FileMode
	}{{"tcp", o.listen, 0}, {"unix", o.socket, 0o666}} {
		if open.address == "" {
			continue
		}
		l, err := listen(open.network, open.address, open.mode)
		if err != nil {
			return err
		}
		part(func() error { return b.api.Serve(ctx, l) })
	}
	part(func() error { return b.calls.run(ctx) })
	part(func() error {
		if err := metrics.Serve(ctx, o.metrics, "callbridge", b.figures); err != nil {
			log.Warn(err.Error())
		}
		return nil
	})
	part(func() error { return b.work(ctx, o.database) })
	if err := notify.Ready(); err != nil {
		return err
	}
	if o.socket != "" {
		alive := pulse(o.socket)
		part(func() error { return notify.Watchdog(ctx, watchdogEvery, alive) })
	}
	for {
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return cause
			}
			return nil
		case <-reread:
			if err := b.readSettings(o.settings); err != nil {
				log.Error("the settings stay as they are: " + err.Error())
				continue
			}
			log.Info("settings read anew")
		}
	}
}

// listen opens a socket. One on a path takes the place of what an earlier life left; everybody on this machine may connect to it, since
// the kernel says who it is, and only logins or the front's word count.
func listen(network, address string, mode os.FileMode) (net.Listener, error) {
	if network == "unix" {
		if err := os.Remove(address); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("make room for socket: %w", err)
		}
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen for the API: %w", err)
	}
	if network == "unix" {
		if err := os.Chmod(address, mode); err != nil {
			l.Close()
			return nil, fmt.Errorf("open the socket to others: %w", err)
		}
	}
	return l, nil
}

// pulse returns what asks the API on its socket, without a login, and returns when it has answered: then listener, scheduler and the
// machinery of requests all work.
func pulse(socket string) func() {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: callers.Dial(socket)}}
	return func() {
		answer, err := client.Get("http://callbridge/api/v1/system/status")
		if err != nil {
			// Too many connections, or an end: waiting is not being stuck.
			return
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<10))
		answer.Body.Close()
	}
}

// work opens the store and runs everything that needs it until the context ends.
func (b *bridge) work(ctx context.Context, socket string) error {
	client, err := database.Dial(socket)
	if err != nil {
		return fmt.Errorf("client of the database: %w", err)
	}
	defer client.Close()
	settle := store.Hurry()
	s, err := b.openStore(ctx, client)
	settle()
	if err != nil {
		return err
	}
	defer s.Close()
	return b.serve(ctx, s, client)
}

// serve runs the parts on a store.
func (b *bridge) serve(ctx context.Context, s *store.Store, client *clientv3.Client) error {
	b.importer.Store = s
	plan := dialplan.Follow(s)
	defer plan.Close()
	plan.Log = b.log
	b.calls.use(s, plan)
	list := append(b.parts(s), func(ctx context.Context) error { return b.watchDatabase(ctx, client, lookEvery) })
	b.api.Use(s)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for _, part := range list {
		group.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	group.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
