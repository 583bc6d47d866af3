package timesync

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/beevik/ntp"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/notify"
)

const (
	// answerWithin is how long a server may take, name look-up included.
	answerWithin  = 5 * time.Second
	watchdogEvery = 5 * time.Second
	// lookEvery is how long it may take until it is seen that somebody has set the clock.
	lookEvery = 5 * time.Second
)

// options of the command line.
type options struct {
	settings, status, listen string
	port                     int
}

// Main is the verb "timesync". It serves until SIGTERM; at SIGHUP it reads its settings anew.
func Main(args []string) error {
	var o options
	flags := flag.NewFlagSet("timesync", flag.ContinueOnError)
	flags.StringVar(&o.settings, "settings", "", "`file` of the settings, which PID 1 writes")
	flags.StringVar(&o.status, "status", control.TimeStatusFile, "`file` that says how the clock is getting on")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:123", "loopback `address` for programs that ask for the time")
	flags.IntVar(&o.port, "port", 123, "`port` of the servers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	clock := kernel{}
	defer clock.leave()
	return run(ctx, o, clock, hangup, func(line string) { fmt.Println(line) })
}

// heard is what became of a question.
type heard struct {
	server, address string
	sample          Sample
	err             error
}

func run(ctx context.Context, o options, clock Clock, reread <-chan os.Signal, log func(string)) error {
	s, err := readSettings(o.settings)
	if err != nil {
		return err
	}
	t, err := listen(o.listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- t.serve(ctx) }()
	k := NewKeeper(clock, log)
	k.SetServers(s.names)
	if err := notify.Ready(); err != nil {
		return err
	}
	go func() { _ = notify.Watchdog(ctx, watchdogEvery, func() {}) }()
	answers := make(chan heard)
	addresses := map[string]string{}
	under := map[string]bool{}
	for {
		due, again := k.Due()
		for _, name := range due {
			if under[name] {
				continue
			}
			under[name] = true
			key, fault := s.keys[name], s.faults[name]
			go func() {
				h := heard{server: name, err: fault}
				if fault == nil {
					h.address, h.sample, h.err = ask(ctx, name, o.port, key, clock.Now)
				}
				select {
				case answers <- h:
				case <-ctx.Done():
				}
			}()
		}
		tell(k, t, o.status, addresses, log)
		pause := time.NewTimer(min(max(again.Sub(clock.Now()), 100*time.Millisecond), lookEvery))
		select {
		case <-ctx.Done():
			pause.Stop()
			return <-served
		case err := <-served:
			pause.Stop()
			return err
		case h := <-answers:
			delete(under, h.server)
			addresses[h.server] = h.address
			k.Heard(h.server, h.sample, h.err)
		case <-reread:
			if next, err := readSettings(o.settings); err != nil {
				log("the settings stay as they are: " + err.Error())
			} else {
				s = next
				k.SetServers(s.names)
			}
		case <-pause.C:
		}
		pause.Stop()
	}
}

// ask asks one server.
func ask(ctx context.Context, name string, port int, key ntp.AuthOptions, now func() time.Time) (address string, a Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	ip, err := netip.ParseAddr(name)
	if err != nil {
		list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		if err != nil {
			return "", a, fmt.Errorf("look up %s: %w", name, err)
		}
		ip = list[0]
		for _, one := range list {
			if one.Unmap().Is4() {
				ip = one
				break
			}
		}
	}
	address = ip.Unmap().String()
	deadline, _ := ctx.Deadline()
	r, err := query(net.JoinHostPort(address, strconv.Itoa(port)), ntp.QueryOptions{Timeout: time.Until(deadline), Auth: key})
	if err != nil {
		return address, a, err
	}
	if err := r.Validate(); err != nil {
		return address, a, err
	}
	return address, Sample{Offset: r.ClockOffset, Delay: r.RTT, RootDelay: r.RootDelay, RootDispersion: r.RootDispersion, Stratum: r.Stratum, At: now()}, nil
}

// query asks at an address. The library crashes on some answers, such as one with a poll interval of 2 to the -128 (1.6.0); nobody out there
// is to end this process by one.
func query(address string, o ntp.QueryOptions) (r *ntp.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("the answer cannot be read: %v", p)
		}
	}()
	r, err = ntp.QueryWithOptions(address, o)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		err = errors.New("nothing answers on UDP port 123")
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errors.New("no answer")
	}
	return r, err
}

// tell writes the status, and lets programs of this machine know how good the clock is.
func tell(k *Keeper, t *teller, file string, addresses map[string]string, log func(string)) {
	s := k.Status()
	var kept *standing
	for i := range s.Servers {
		s.Servers[i].Address = addresses[s.Servers[i].Name]
		if s.Synchronized && s.Servers[i].State == "used" {
			kept = &standing{stratum: s.Servers[i].Stratum, distance: s.Within, at: s.Servers[i].Last}
		}
	}
	t.kept.Store(kept)
	if err := control.WriteStatus(file, s); err != nil {
		log("the status of the clock cannot be written: " + err.Error())
	}
}

// settings are what the file says.
type settings struct {
	names []string
	keys  map[string]ntp.AuthOptions
	// faults are why a server cannot be asked. They concern that server alone.
	faults map[string]error
}

func readSettings(file string) (settings, error) {
	s, err := config.ReadService[config.NTPService](file)
	if err != nil {
		return settings{}, err
	}
	list, unread := config.ParseNTPKeys(s.Keys)
	out := settings{keys: map[string]ntp.AuthOptions{}, faults: map[string]error{}}
	for _, one := range s.Servers {
		out.names = append(out.names, one.Host)
		if one.Key == 0 {
			continue
		}
		key, ok := list[one.Key]
		switch {
		case unread != nil:
			out.faults[one.Host] = unread
		case !ok:
			out.faults[one.Host] = fmt.Errorf("the file of NTP keys has no key %d", one.Key)
		default:
			out.keys[one.Host] = authOptions(one.Key, key)
		}
	}
	if len(out.names) == 0 {
		for _, a := range s.Leased {
			out.names = append(out.names, a.String())
		}
	}
	return out, nil
}
