package resolver

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"rotunda/init/config"
	"rotunda/init/metrics"
	"rotunda/init/notify"
)

// Addresses are where the resolver answers.
var Addresses = []string{"127.0.0.1:53", "[::1]:53"}

const watchdogEvery = 5 * time.Second

// Main is the verb "resolver". It serves until SIGTERM; at SIGHUP it reads its settings anew.
func Main(args []string) error {
	flags := flag.NewFlagSet("resolver", flag.ContinueOnError)
	settings := flags.String("settings", "", "`file` of the settings, which PID 1 writes")
	listen := flags.String("listen", strings.Join(Addresses, ","), "loopback `addresses`, with commas between")
	figures := flags.String("metrics", "", "unix `socket` for figures, empty for none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	return run(ctx, *settings, *figures, strings.Split(*listen, ","), hangup, func(line string) { fmt.Println(line) })
}

func run(ctx context.Context, settings, figures string, listen []string, reread <-chan os.Signal, log func(string)) error {
	r := New(log)
	if err := configure(r, settings); err != nil {
		return err
	}
	s, err := Listen(r, listen...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	go func() {
		if err := metrics.Serve(ctx, figures, "resolver", r.figures); err != nil {
			log(err.Error())
		}
	}()
	if err := notify.Ready(); err != nil {
		return err
	}
	go func() { _ = notify.Watchdog(ctx, watchdogEvery, func() { ask(s.Address()) }) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-reread:
			if err := configure(r, settings); err != nil {
				log("the settings stay as they are: " + err.Error())
				continue
			}
			log("settings read anew, and the cache is empty")
		}
	}
}

// ask returns when the server has answered what it knows by itself.
func ask(address string) {
	m := new(dns.Msg)
	m.SetQuestion("localhost.", dns.TypeA)
	_, _ = dns.Exchange(m, address)
}

func configure(r *Resolver, settings string) error {
	s, err := config.ReadService[config.DNSService](settings)
	if err != nil {
		return err
	}
	return r.Configure(s)
}
