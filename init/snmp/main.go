package snmp

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/notify"
	"rotunda/init/observe"
)

const (
	watchdogEvery = 5 * time.Second
	tellEvery     = 5 * time.Second
)

// options of the command line.
type options struct {
	settings, status, folder, listen string
	trapPort                         int
	pid1                             observe.Source
	root                             fs.FS
	// opened is told where the agent listens, in tests.
	opened func([]string)
}

// Main is the verb "snmp". It answers until SIGTERM; at SIGHUP it reads its settings anew.
func Main(args []string) error {
	var o options
	flags := flag.NewFlagSet("snmp", flag.ContinueOnError)
	flags.StringVar(&o.settings, "settings", "", "`file` of the settings, which PID 1 writes")
	flags.StringVar(&o.status, "status", control.SNMPStatusFile, "`file` that says what the agent has done")
	flags.StringVar(&o.folder, "folder", "", "`folder` that remembers how often the agent was started")
	flags.StringVar(&o.listen, "listen", "0.0.0.0:161,[::]:161", "`addresses`, with commas between")
	flags.IntVar(&o.trapPort, "traps", 162, "`port` of those who are told")
	socket := flags.String("control", control.SocketPath, "unix `socket` of PID 1")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.pid1, o.root = control.NewClient(*socket), hostRoot()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	// 30 is daemon.info.
	return run(ctx, o, hangup, func(line string) { fmt.Println("<30>" + line) })
}

func run(ctx context.Context, o options, reread <-chan os.Signal, log func(string)) error {
	s, err := config.ReadService[config.SNMPService](o.settings)
	if err != nil {
		return err
	}
	boots, err := countBoot(o.folder)
	if err != nil {
		log("no message of SNMPv3 can be trusted: " + err.Error())
	}
	w := &watch{pid1: o.pid1, root: o.root, hostname: s.Hostname}
	a := newAgent(boots, time.Now(), w.look)
	w.agent = a
	t := newTeller(a, o.trapPort, log)
	defer t.end()
	a.refused = (&failures{tell: t.tell}).refused
	listeners := &sockets{addresses: strings.Split(o.listen, ","), agent: a}
	defer func() { _ = listeners.set(false) }()
	problem := ""
	apply := func() {
		if out := a.configure(s); len(out) > 0 {
			log("these users may not be used here: " + strings.Join(out, ", "))
		}
		t.configure(s.Traps)
		problem = ""
		if err := listeners.set(s.Enabled); err != nil {
			problem = err.Error()
			log(problem)
		}
		if o.opened != nil {
			var at []string
			for _, one := range listeners.at {
				at = append(at, one.String())
			}
			o.opened(at)
		}
	}
	apply()
	t.tell(event{name: startKind(filepath.Dir(o.status))})
	ctx, cancel := context.WithCancel(ctx)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		tick := time.NewTicker(changesEvery)
		defer tick.Stop()
		follow(ctx, o.pid1, tick.C, t.tell)
	}()
	defer func() {
		cancel()
		<-followed
	}()
	if err := notify.Ready(); err != nil {
		return err
	}
	alive := notify.Alive(ctx, watchdogEvery)
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		status(o.status, a, t, problem)
		select {
		case <-ctx.Done():
			return nil
		case <-reread:
			if next, err := config.ReadService[config.SNMPService](o.settings); err != nil {
				log("the settings stay as they are: " + err.Error())
			} else {
				s = next
				apply()
			}
		case <-alive:
		case <-tick.C:
			if problem != "" {
				apply()
			}
		}
	}
}

// startKind is a cold start for the first agent of a start of the machine, and a warm one after that (RFC 3418).
func startKind(folder string) oid {
	f, err := os.OpenFile(filepath.Join(folder, "started"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return warmStart
	}
	if err == nil {
		f.Close()
	}
	return coldStart
}

// status writes what the agent has done.
func status(file string, a *agent, t *teller, problem string) {
	s := control.SNMPStatus{Boots: a.boots, Problem: problem, Requests: a.in.Load(), Limited: a.limited.Load(),
		Refused:   a.badCommunity.Load() + a.users.Load() + a.digests.Load(),
		Malformed: a.parse.Load() + a.badVersions.Load() + a.invalid.Load() + a.badModels.Load(),
		Receivers: t.receivers()}
	// Where it cannot be written there is nothing to say that would not be said every time.
	_ = control.WriteStatus(file, s)
}
