package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"rotunda/init/config"
)

const (
	// interval is how often wanted and actual are compared without an event.
	interval = 30 * time.Second
	// settle gathers the events of one change, most of which are our own, into one comparison.
	settle = 20 * time.Millisecond
	// A neighbour may send router advertisements without end, each of which is an event. After rapidPasses, none more
	// than a second behind the one before, calm is what gathers; a start or a change of the document takes a dozen.
	rapidPasses = 50
	calm        = time.Second / 2
	// maxRounds of observing, planning and applying follow one change. Two are usual; what the kernel does by itself
	// after an address change takes a third.
	maxRounds = 5
)

// Options of a [Reconciler]. The functions may ask it for what it knows, but must not call [Reconciler.Apply].
type Options struct {
	Kernel Kernel
	// Ports by letter, from [Identify].
	Ports map[string]NIC
	// Spawn starts DHCP clients.
	Spawn Spawn
	// Log takes one line of the journal; nil for none.
	Log func(line string)
	// Changed is called after what [Reconciler.Observed] or [Reconciler.Leases] returns has changed; nil for none.
	Changed func()
	// Problems is called with all problems after they have changed; nil for none.
	Problems func([]Problem)
}

// Reconciler keeps the interfaces as the document wants them.
type Reconciler struct {
	options Options
	// wake asks Run for a pass, because the document or a lease has changed.
	wake chan struct{}

	// mu is held through each pass, so that no two plans are under way.
	mu        sync.Mutex
	document  *config.Document
	leases    map[string]Lease
	driverMTU map[string]int
	// last is the observation that the last pass ended with.
	last     Observation
	problems []Problem
	// changed is whether Changed is due.
	changed bool

	// telling orders the calls of Changed and Problems; it is never asked for with mu held. told is what Problems has
	// been given.
	telling sync.Mutex
	told    []Problem
}

// New returns a reconciler that wants nothing yet and touches nothing before [Reconciler.Apply].
func New(o Options) *Reconciler {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Problems == nil {
		o.Problems = func([]Problem) {}
	}
	return &Reconciler{
		options: o, wake: make(chan struct{}, 1), leases: map[string]Lease{}, driverMTU: map[string]int{},
	}
}

// Check refuses what this machine cannot do of the difference between two documents, before the new one is stored.
// What did not change is not judged: a document restored from a machine with more ports can still be edited.
func (r *Reconciler) Check(before, after *config.Document) error {
	var errs []error
	if d := after.DefaultInterface; d != before.DefaultInterface && !r.carried(d) {
		errs = append(errs, fmt.Errorf("interface %s: this machine has no such port", d))
	}
	for _, letter := range slices.Sorted(maps.Keys(after.Interfaces)) {
		now, was := after.Interfaces[letter], before.Interfaces[letter]
		if !r.carried(letter) {
			if isOn(now) && !isOn(was) {
				errs = append(errs, fmt.Errorf("interface %s: this machine has no such port", letter))
			}
			continue
		}
		if driver := r.options.Ports[letter].Driver; now.Link != was.Link && now.Link.Speed != 0 && isVirtual(driver) {
			errs = append(errs, fmt.Errorf("interface %s: %w, driver %s is virtual", letter, errVirtual, driver))
		}
	}
	return errors.Join(errs...)
}

func (r *Reconciler) carried(letter string) bool {
	_, ok := r.options.Ports[letter]
	return ok
}

// isOn tells whether anything is wanted of an interface.
func isOn(i config.Interface) bool { return i.IPv4.Enabled || i.IPv6.Enabled }

// Apply makes a document the wanted one and returns what could not be reached. It works with and without
// [Reconciler.Run]; DHCP clients are started and stopped by Run, so that nothing here waits for a lease. The document
// must not be changed afterwards.
func (r *Reconciler) Apply(ctx context.Context, doc *config.Document) []Problem {
	problems, same := r.wanted(doc)
	if same {
		return problems
	}
	problems = r.want(ctx, doc)
	r.poke()
	r.tell()
	return problems
}

// wanted says whether a document asks for what the one before did and there is nothing left to do for that. A change of something else is
// no reason to ask the kernel for everything; the comparison every 30 seconds goes on.
func (r *Reconciler) wanted(doc *config.Document) (problems []Problem, same bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.document
	if old == nil || len(r.problems) > 0 || r.changed || old.Hostname != doc.Hostname || old.DefaultInterface != doc.DefaultInterface ||
		!reflect.DeepEqual(old.Interfaces, doc.Interfaces) {
		return nil, false
	}
	r.document = doc
	return nil, true
}

func (r *Reconciler) want(ctx context.Context, doc *config.Document) []Problem {
	r.mu.Lock()
	// By defer: who calls may recover from a panic, and must not leave the lock behind.
	defer r.mu.Unlock()
	r.document = doc
	for letter := range r.leases {
		if cfg := doc.Interfaces[letter].IPv4; !cfg.Enabled || !cfg.DHCP {
			delete(r.leases, letter)
		}
	}
	r.pass(ctx)
	return slices.Clone(r.problems)
}

// tell makes the calls that are due, the latest problems last.
func (r *Reconciler) tell() {
	r.telling.Lock()
	defer r.telling.Unlock()
	r.mu.Lock()
	problems, changed := slices.Clone(r.problems), r.changed
	r.changed = false
	r.mu.Unlock()
	if !slices.Equal(problems, r.told) {
		r.told = problems
		r.options.Problems(slices.Clone(problems))
	}
	if changed {
		r.options.Changed()
	}
}

// Leases returns the leases in use by letter, with what DNS and NTP may want of them.
func (r *Reconciler) Leases() map[string]Lease {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.leases)
}

// setLease records what a DHCP client reports; nil for a loss.
func (r *Reconciler) setLease(letter string, l *Lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cfg := r.document.Interfaces[letter].IPv4; l != nil && cfg.Enabled && cfg.DHCP {
		r.leases[letter] = *l
	} else {
		delete(r.leases, letter)
	}
	r.changed = true
	r.poke()
}

func (r *Reconciler) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run keeps comparing and tends the DHCP clients until ctx ends; it returns when all clients are stopped. The
// interfaces stay as they are, so that a shutdown can be followed over the network.
func (r *Reconciler) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	subscription, err := r.options.Kernel.Events(ctx)
	if err != nil {
		// The comparison every 30 seconds does without.
		r.options.Log(fmt.Sprintf("no events from the kernel: %v", err))
	}
	events := subscription
	clients := clients{reconciler: r, running: map[string]*client{}}
	defer func() {
		cancel()
		clients.stop()
		if subscription != nil {
			for range subscription {
			}
		}
	}()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	rapid := 0
	for {
		began := time.Now()
		r.mu.Lock()
		r.pass(ctx)
		wants := r.clientsWanted()
		r.mu.Unlock()
		r.tell()
		if ctx.Err() != nil {
			return
		}
		clients.tend(ctx, wants)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			continue
		case <-r.wake:
		case _, ok := <-events:
			if !ok {
				if ctx.Err() == nil {
					r.options.Log("the kernel sends no more events")
				}
				events = nil
			}
		}
		pause := settle
		if rapid++; time.Since(began) > time.Second {
			rapid = 0
		} else if rapid > rapidPasses {
			pause = calm
		}
		if !wait(ctx, pause) {
			return
		}
	}
}

// wait sleeps; false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// pass brings the kernel to what is wanted, in rounds, because the kernel moves on by itself in between. The caller
// holds mu.
func (r *Reconciler) pass(ctx context.Context) {
	if r.document == nil {
		return
	}
	r.expire(time.Now())
	var problems, failed []Problem
	changed := false
	for round := 0; ctx.Err() == nil; round++ {
		o, err := r.observe()
		if err != nil {
			problems = append(problems, Problem{
				ID: "network-observe", Text: "network cannot be read: " + err.Error(),
			})
			break
		}
		changed = changed || !sameState(r.last, o)
		r.last = o
		var ops []operation
		ops, problems = plan(r.input(), o)
		if len(ops) == 0 {
			break
		}
		// What is left is what failed: trying again at once would fail again.
		if round > 0 && len(failed) >= len(ops) {
			problems = append(problems, failed...)
			break
		}
		if round == maxRounds {
			problems = append(problems, Problem{
				ID: "network-settle", Text: "network does not settle: " + ops[0].text,
			})
			break
		}
		failed = r.perform(ops)
		changed = true
	}
	if ctx.Err() == nil {
		r.publish(problems, changed)
	}
}

// expire drops leases that have ended. The client says so as well; this is for one that hangs.
func (r *Reconciler) expire(now time.Time) {
	for letter, l := range r.leases {
		if !l.valid(now) {
			r.options.Log(fmt.Sprintf("interface %s: lease of %v has ended", letter, l.Address))
			delete(r.leases, letter)
		}
	}
}

// perform applies a plan and returns one problem for each operation that failed.
func (r *Reconciler) perform(ops []operation) []Problem {
	var failed []Problem
	for _, op := range ops {
		if err := op.apply(r.options.Kernel); err != nil {
			failed = append(failed, Problem{
				ID: "network-apply: " + op.text, Text: fmt.Sprintf("network: %s: %v", op.text, err),
			})
			continue
		}
		r.options.Log(op.text)
	}
	return failed
}

// input is what plan needs. The caller holds mu.
func (r *Reconciler) input() Input {
	return Input{Document: r.document, Ports: r.options.Ports, Leases: r.leases, DriverMTU: r.driverMTU}
}

// observe looks at the kernel and remembers the MTU that each port came up with.
func (r *Reconciler) observe() (Observation, error) {
	var keys []string
	for _, s := range commonSysctls {
		keys = append(keys, s.key)
	}
	for _, port := range r.options.Ports {
		for _, s := range sysctlsOf(port.Kernel, config.IPv6{}, false) {
			keys = append(keys, s.key)
		}
	}
	return r.look(keys)
}

// look is observe with the sysctls that somebody wants to know.
func (r *Reconciler) look(sysctls []string) (Observation, error) {
	links := []string{"lo"}
	for _, port := range r.options.Ports {
		links = append(links, port.Kernel)
	}
	o, err := r.options.Kernel.Observe(links, sysctls)
	if err != nil {
		return o, err
	}
	for letter, port := range r.options.Ports {
		if l, ok := o.Links[port.Kernel]; ok && r.driverMTU[letter] == 0 {
			r.driverMTU[letter] = l.MTU
		}
	}
	return o, nil
}

// sameState compares what outsiders can see of two observations.
func sameState(x, y Observation) bool {
	return maps.Equal(x.Links, y.Links) && slices.Equal(x.Addresses, y.Addresses) &&
		slices.Equal(x.Routes, y.Routes) && slices.Equal(x.Rules, y.Rules)
}

// publish keeps the problems, one for each ID. The caller holds mu.
func (r *Reconciler) publish(problems []Problem, changed bool) {
	slices.SortStableFunc(problems, func(x, y Problem) int { return cmp.Compare(x.ID, y.ID) })
	r.problems = slices.CompactFunc(problems, func(x, y Problem) bool { return x.ID == y.ID })
	r.changed = r.changed || changed
}
