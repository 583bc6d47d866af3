package syslog

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/notify"
)

const (
	watchdogEvery = 5 * time.Second
	tellEvery     = time.Second
)

// options of the command line.
type options struct{ settings, status, logs, places string }

// Main is the verb "syslog". It forwards until SIGTERM; at SIGHUP it reads its settings anew.
func Main(args []string) error {
	var o options
	flags := flag.NewFlagSet("syslog", flag.ContinueOnError)
	flags.StringVar(&o.settings, "settings", "", "`file` of the settings, which PID 1 writes")
	flags.StringVar(&o.status, "status", control.SyslogStatusFile, "`file` that says how forwarding is getting on")
	flags.StringVar(&o.logs, "logs", "/data/log", "`folder` of the logs")
	flags.StringVar(&o.places, "places", "/data/log/servers", "`folder` that remembers what servers have")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	// 30 is daemon.info.
	return run(ctx, o, hangup, func(line string) { fmt.Println("<30>" + line) })
}

// running is a sender at work.
type running struct {
	*sender
	// order is how it is set up: a change ends it.
	order  string
	cancel context.CancelFunc
	done   chan struct{}
}

func (r *running) end() {
	r.cancel()
	<-r.done
}

// forwarder is all senders.
type forwarder struct {
	options
	log     func(string)
	senders map[string]*running
	// names are the senders in the order of the settings.
	names []string
	// told is the status that was written last.
	told string
}

func run(ctx context.Context, o options, reread <-chan os.Signal, log func(string)) error {
	s, err := config.ReadService[config.SyslogService](o.settings)
	if err != nil {
		return err
	}
	f := &forwarder{options: o, log: log, senders: map[string]*running{}}
	f.apply(s)
	defer f.endAll()
	if err := notify.Ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive := notify.Alive(ctx, watchdogEvery)
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		f.tell()
		select {
		case <-ctx.Done():
			return nil
		case <-reread:
			if s, err := config.ReadService[config.SyslogService](o.settings); err != nil {
				log("the settings stay as they are: " + err.Error())
			} else {
				f.apply(s)
			}
		case <-alive:
		case <-tick.C:
		}
	}
}

// apply ends the senders that are not wanted any more, and begins the new ones.
func (f *forwarder) apply(s config.SyslogService) {
	wanted, known := map[string]*running{}, map[string]bool{}
	f.names = nil
	add := func(list []config.SyslogServer, audit, on bool) {
		for _, one := range list {
			name := identity(one, audit)
			known[name] = true
			if !on {
				continue
			}
			r := &running{sender: &sender{server: one, audit: audit, logs: f.logs, places: places{f.places}, log: f.log, now: time.Now,
				status: control.SyslogServer{Audit: audit, Name: one.Name(), Port: one.ReachedAt(), Since: time.Now()}}}
			if one.TLS {
				r.tls = s.TLS
			}
			order, _ := json.Marshal([]any{one, r.tls})
			r.order = string(order)
			wanted[name] = r
			f.names = append(f.names, name)
		}
	}
	add(s.Servers, false, s.Enabled)
	add(s.Audit, true, true)
	for name, r := range f.senders {
		if w := wanted[name]; w == nil || w.order != r.order {
			r.cancel()
		}
	}
	for name, r := range f.senders {
		if w := wanted[name]; w == nil || w.order != r.order {
			r.end()
			delete(f.senders, name)
		}
	}
	// Those that are switched off go on where they were; those that are removed begin anew.
	places{f.places}.keep(known)
	for name, w := range wanted {
		if f.senders[name] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		w.cancel, w.done = cancel, make(chan struct{})
		f.senders[name] = w
		go func() {
			defer close(w.done)
			w.run(ctx)
		}()
	}
}

// endAll ends them together, so that they take their time together.
func (f *forwarder) endAll() {
	for _, r := range f.senders {
		r.cancel()
	}
	for _, r := range f.senders {
		r.end()
	}
}

// tell writes the status.
func (f *forwarder) tell() {
	var s control.SyslogStatus
	now := time.Now()
	for _, name := range f.names {
		one := f.senders[name].look()
		var err error
		if one.Waiting, err = f.senders[name].behind(now); err != nil {
			one.Problem = err.Error()
		}
		s.Servers = append(s.Servers, one)
	}
	text, err := json.Marshal(s)
	if err != nil || string(text) == f.told {
		return
	}
	// Where it cannot be written there is nothing to say that would not be said every second.
	if control.WriteStatus(f.status, s) == nil {
		f.told = string(text)
	}
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" || strings.ContainsAny(name, " \n") {
		return "rotunda"
	}
	return name
}
