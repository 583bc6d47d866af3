package identity

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"rotunda/init/callers"
	"rotunda/init/config"
	"rotunda/init/notify"
)

const watchdogEvery = 5 * time.Second

// Main is the verb "identity". It serves until SIGTERM; at SIGHUP it reads its settings anew.
func Main(args []string) error {
	flags := flag.NewFlagSet("identity", flag.ContinueOnError)
	settings := flags.String("settings", "", "`file` of the settings, which PID 1 writes")
	socket := flags.String("socket", SocketPath, "`socket` on which the shell asks")
	allowed := flags.Uint("for", uint(os.Getuid()), "`user` by number who may ask")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	return run(ctx, *settings, *socket, uint32(*allowed), hangup, func(line string) { fmt.Println("<28>identity: " + line) })
}

// run serves until the context ends. log takes warnings.
func run(ctx context.Context, settings, socket string, allowed uint32, reread <-chan os.Signal, log func(string)) error {
	first, err := config.ReadService[config.IdentityService](settings)
	if err != nil {
		return err
	}
	s := &server{allowed: allowed, log: log}
	s.settings.Store(&first)
	l, err := callers.Listen(socket)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- s.serve(ctx, l) }()
	if err := notify.Ready(); err != nil {
		return err
	}
	go func() { _ = notify.Watchdog(ctx, watchdogEvery, func() {}) }()
	for {
		select {
		case err := <-served:
			return err
		case <-reread:
			next, err := config.ReadService[config.IdentityService](settings)
			if err != nil {
				log("the settings stay as they are: " + err.Error())
				continue
			}
			if err := keepPair(&next, s.settings.Load()); err != nil {
				log("the certificate for OCSP responders stays as it was: " + err.Error())
			}
			s.settings.Store(&next)
		}
	}
}
