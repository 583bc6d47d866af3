package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// BeatEvery is the time between two heartbeats of a worker; BeatLimit is the silence after which it counts as dead.
	BeatEvery = 500 * time.Millisecond
	BeatLimit = 2 * time.Second
	// redialFirst and redialMost are the pauses between attempts to reach a server that is not there.
	redialFirst = 20 * time.Millisecond
	redialMost  = 500 * time.Millisecond
	dialTimeout = 3 * time.Second
)

// Registration is how a worker finds its manager.
type Registration struct {
	// Address is the manager's host:port; TLS is wanted where that is not this machine.
	Address string
	TLS     *tls.Config
	// Status is asked for each heartbeat.
	Status func() WorkerStatus
	// Every is the time between heartbeats; 0 means [BeatEvery].
	Every time.Duration
}

// Register keeps the server registered with a manager until ctx ends: it dials, tells what is held, serves, and when the
// connection ends it begins again. Objects outlive the connection by their owners' grace. The one error that it gives
// up for is a manager of another version.
func (d *Dispatcher) Register(ctx context.Context, r Registration) error {
	if r.Every == 0 {
		r.Every = BeatEvery
	}
	said := ""
	pause := redialFirst
	for ctx.Err() == nil {
		worked, err := d.register(ctx, r)
		if CodeOf(err) == CodeVersion {
			return fmt.Errorf("register with %s: %w", r.Address, err)
		}
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			err = errors.New("the manager closed the connection")
		}
		// A manager that is away says the same fifty times a second; once is enough.
		if err.Error() != said {
			said = err.Error()
			d.o.Log(fmt.Sprintf("register with %s: %v", r.Address, err))
		}
		if worked {
			pause = redialFirst
		}
		sleep(ctx, pause)
		pause = min(2*pause, redialMost)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// dial connects, with TLS where a configuration is given.
func dial(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	// A peer that loses its power without a word is noticed after about five seconds.
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 3}}
	if config == nil {
		return d.DialContext(ctx, "tcp", address)
	}
	t := tls.Dialer{NetDialer: &d, Config: config}
	return t.DialContext(ctx, "tcp", address)
}

// register is one connection to the manager. It worked when the manager could ask.
func (d *Dispatcher) register(ctx context.Context, r Registration) (worked bool, err error) {
	conn, err := dial(ctx, r.Address, r.TLS)
	if err != nil {
		return false, err
	}
	w := newWire(conn)
	defer w.close(net.ErrClosed)
	stop := context.AfterFunc(ctx, func() { w.end(ctx.Err()) })
	defer stop()
	status := r.Status()
	if err := w.send(Line{Hello: &Hello{Version: Version, Role: RoleWorker, Name: status.Name, Worker: &status}}); err != nil {
		return false, err
	}
	h, err := readHello(w, RoleManager)
	if err != nil {
		return false, err
	}
	// The manager carries these owners from here on; events that waited for one go first.
	defer d.forget(w)
	held := d.handler.Holdings()
	for i := range held {
		d.come(held[i].Owner, w, 0, false)
		grace := Milliseconds(d.Grace(held[i].Owner) / time.Millisecond)
		held[i].Grace = &grace
	}
	for _, part := range split(held, maxHeld) {
		if err := w.send(Line{Holding: &part}); err != nil {
			return false, err
		}
	}
	if err := w.send(Line{Beat: &status}); err != nil {
		return false, err
	}
	beating, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		beat(beating, w, r)
	}()
	err = d.serve(ctx, w, h)
	cancel()
	<-done
	return true, err
}

// beat sends the heartbeat until ctx or the connection ends.
func beat(ctx context.Context, w *wire, r Registration) {
	t := time.NewTicker(r.Every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.closed:
			return
		case <-t.C:
			status := r.Status()
			if w.send(Line{Beat: &status}) != nil {
				return
			}
		}
	}
}

// split cuts holdings so that none carries more than most legs or conferences.
func split(held []Holding, most int) []Holding {
	var parts []Holding
	for _, h := range held {
		for len(h.Legs) > most || len(h.Conferences) > most {
			part := Holding{Owner: h.Owner, Grace: h.Grace}
			n := min(most, len(h.Legs))
			part.Legs, h.Legs = h.Legs[:n], h.Legs[n:]
			n = min(most, len(h.Conferences))
			part.Conferences, h.Conferences = h.Conferences[:n], h.Conferences[n:]
			parts = append(parts, part)
		}
		parts = append(parts, h)
	}
	return parts
}
