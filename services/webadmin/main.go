package webadmin

import (
	"context"
	"crypto/subtle"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"rotunda/init/config"
	"rotunda/init/metrics"
	"rotunda/init/notify"
	"rotunda/init/plain"
	"rotunda/mmp/admission"
)

const (
	// LoopbackAddress serves the API without TLS to the other services of this machine (guide appendix B.4).
	LoopbackAddress = "127.0.0.1:8081"
	// APISocket is the Call Bridge's.
	APISocket = "/run/rotunda/callbridge/api.sock"
	// LogFolder is the machine's log.
	LogFolder = "/data/log"
	// lookEvery is how often the addresses of the interface are looked at: DHCP may give others.
	lookEvery = 2 * time.Second
	// sweepEvery is how often sessions are looked at that nobody uses.
	sweepEvery = admission.KeepEvery
	// watchdogEvery is a sixth of the limit that PID 1 sets.
	watchdogEvery = 5 * time.Second
)

// Main is the verb "webadmin". It serves until SIGTERM; at SIGHUP it reads its settings anew.
func Main(args []string) error {
	flags := flag.NewFlagSet("webadmin", flag.ContinueOnError)
	file := flags.String("settings", "/run/rotunda/webadmin/settings.json", "`file` of the settings, which PID 1 writes")
	socket := flags.String("api", APISocket, "unix `socket` of the Call Bridge")
	admits := flags.String("admission", admission.SocketPath, "unix `socket` of the management shell")
	logs := flags.String("logs", LogFolder, "`folder` of the machine's log")
	loopback := flags.String("loopback", LoopbackAddress, "`address` on which the API is served without TLS, empty for none")
	count := flags.String("metrics", "", "unix `socket` for figures, empty for none")
	gatherer := flags.String("gatherer", metrics.Address, "loopback `address` of the figures of the whole machine")
	only := flags.String("developer", "", "`name:password` of the only login, in place of the management shell's; for developers' machines")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	client := admission.NewClient(*admits)
	var accounts Accounts = shell{client}
	var keeper Keeper = client
	if name, password, ok := strings.Cut(*only, ":"); ok {
		accounts, keeper = developer{name, password}, nil
	} else if *only != "" {
		return errors.New("-developer: want name:password")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	return serve(ctx, service{settings: *file, loopback: *loopback, metrics: *count, redirectPort: 80, options: Options{Socket: *socket, Logs: *logs,
		Accounts: accounts, Keeper: keeper, Log: slog.New(&lines{}), Audit: audit, Cards: shell{client}, Gatherer: *gatherer}}, hangup)
}

// service is what serve needs.
type service struct {
	settings, loopback, metrics string
	redirectPort                int
	options                     Options
	// opened is told the addresses after each look, in tests.
	opened func([]netip.AddrPort)
}

// serve serves by the settings in a file until the context ends.
func serve(ctx context.Context, v service, reread <-chan os.Signal) error {
	first, err := readSettings(v.settings)
	if err != nil {
		return err
	}
	var current certificates
	current.current.Store(first)
	if v.options.Hostname = first.Hostname; v.options.Hostname == "" {
		v.options.Hostname, _ = os.Hostname()
	}
	v.options.CardPolicy = func() config.Cards { return current.current.Load().Cards }
	logger := v.options.Log
	web := New(v.options)
	defer web.sessions.endAll()
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	secure := newPort("HTTPS", web.Handler(), current.config(), logger)
	plain := newPort("redirect", redirect(&current.current), nil, logger)
	inner := newPort("loopback", web.Loopback(), nil, logger)
	defer secure.close()
	defer plain.close()
	defer inner.close()
	if v.loopback != "" {
		a, err := netip.ParseAddrPort(v.loopback)
		if err != nil {
			return fmt.Errorf("loopback address: %w", err)
		}
		if err := inner.follow([]netip.AddrPort{a}); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	said := ""
	look := func() {
		s := current.current.Load()
		var list []netip.Addr
		err := s.trouble
		if err == nil {
			list, err = s.addresses(interfaces)
		}
		var https, http []netip.AddrPort
		for _, a := range list {
			https = append(https, netip.AddrPortFrom(a, uint16(s.Port)))
			if s.HTTPRedirect {
				http = append(http, netip.AddrPortFrom(a, uint16(v.redirectPort)))
			}
		}
		err = errors.Join(err, secure.follow(https), plain.follow(http))
		// The same trouble is told once: an interface may have no address for as long as its cable is out.
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != said && text != "" {
			logger.Warn(text)
		}
		said = text
		if v.opened != nil {
			v.opened(https)
		}
	}
	look()
	if err := notify.Ready(); err != nil {
		return err
	}
	group.Go(func() {
		if err := metrics.Serve(ctx, v.metrics, "webadmin", web.count); err != nil {
			logger.Warn(err.Error())
		}
	})
	group.Go(func() {
		if err := notify.Watchdog(ctx, watchdogEvery, web.sessions.sweep); err != nil {
			cancel(err)
		}
	})
	tick, sweep := time.NewTicker(lookEvery), time.NewTicker(sweepEvery)
	defer tick.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return cause
			}
			return nil
		case <-reread:
			changed, err := readSettings(v.settings)
			if err != nil {
				logger.Error("the settings stay as they are", "error", err)
				continue
			}
			if err := changed.keep(current.current.Load()); err != nil {
				logger.Error("the certificate stays as it was", "error", err)
			}
			current.current.Store(changed)
			logger.Info("settings read anew")
		case <-sweep.C:
			web.sessions.sweep()
			web.sessions.keepAll(ctx)
			continue
		case <-tick.C:
		}
		look()
	}
}

// shell checks names and passwords at the management shell, whose accounts they are.
type shell struct{ client *admission.Client }

// Check implements [Accounts].
func (s shell) Check(ctx context.Context, by Door, user, password, source string) ([]string, error) {
	from, err := netip.ParseAddrPort(source)
	if err != nil {
		return nil, admission.ErrRefused
	}
	account, err := s.client.Check(ctx, admission.Question{User: user, Password: password, Source: from, Service: by.name, Roles: by.roles, Scripts: by.scripts})
	for _, known := range []error{admission.ErrRefused, admission.ErrPassword, admission.ErrUnavailable} {
		if errors.Is(err, known) {
			return nil, known // what it wraps has paths in it
		}
	}
	if err != nil {
		return nil, admission.ErrUnavailable
	}
	return []string{account.Role}, nil
}

// developer is the only login of a developer's machine.
type developer struct{ name, password string }

// Check implements [Accounts].
func (d developer) Check(_ context.Context, _ Door, user, password, _ string) ([]string, error) {
	if subtle.ConstantTimeCompare([]byte(user+":"+password), []byte(d.name+":"+d.password)) != 1 {
		return nil, admission.ErrRefused
	}
	return []string{roleAdmin}, nil
}

// lines writes the log as PID 1 takes it: a line each with its priority (init/journal).
type lines struct{ mu sync.Mutex }

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	priority := 8 + 6 // user.info
	switch {
	case r.Level >= slog.LevelError:
		priority = 8 + 3
	case r.Level >= slog.LevelWarn:
		priority = 8 + 4
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<%d>webadmin: %s", priority, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, ", %s: %v", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Println(strings.ReplaceAll(b.String(), "\n", " "))
	return nil
}

func (l *lines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *lines) WithGroup(string) slog.Handler      { return l }

// audit writes a line into the log and into the audit log (local0, guide 16.1).
func audit(text string) {
	text = plain.Line(text, ' ') // a line is a line, whatever is quoted in it
	fmt.Printf("<134>webadmin: %s\n", text)
	fmt.Printf("<14>webadmin: %s\n", text)
}
