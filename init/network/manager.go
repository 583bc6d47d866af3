package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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
	// maxRounds of observing, planning and applying follow one change. Two are usual; what the kernel does by itself
	// after an address change takes a third.
	maxRounds = 5
)

// Options of a [Manager].
type Options struct {
	// Names are the letters that the board has, in PCI order.
	Names []string
	// MapFile is where the map from letters to cards is stored.
	MapFile string
	// Spawn starts DHCP clients.
	Spawn Spawn
	// Log takes one line of the journal.
	Log func(text string)
	// Alarm raises an alarm; an empty text clears it. It must not call back.
	Alarm func(id, text string)
	// Changed is called after what [Manager.Observed] or [Manager.Leases] returns has changed; nil for none. It must
	// return soon and must not call back.
	Changed func()
}

// Manager keeps the interfaces as the document wants them.
type Manager struct {
	Options
	kernel Kernel
	// ports by letter; the map does not change.
	ports map[string]NIC
	// missing problems come from the start: letters without their card, a map that cannot be stored.
	missing []Problem
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
}

// New finds the ports and deals the letters. It always returns a manager: a machine without one port still starts.
// Nothing is changed before [Manager.Apply].
func New(o Options) *Manager {
	kernel := &Linux{}
	assignment, problems := Identify("/sys", o.MapFile, o.Names, kernel.PermanentMAC)
	for _, letter := range slices.Sorted(maps.Keys(assignment.Ports)) {
		n := assignment.Ports[letter]
		o.Log(fmt.Sprintf("interface %s: %s, card %s at %s, driver %s", letter, n.Kernel, n.MAC, n.PCI, n.Driver))
	}
	for _, n := range assignment.Unnamed {
		o.Log(fmt.Sprintf("card %s at %s has no letter", n.MAC, n.PCI))
	}
	return newManager(o, kernel, assignment.Ports, problems)
}

func newManager(o Options, k Kernel, ports map[string]NIC, missing []Problem) *Manager {
	return &Manager{
		Options: o, kernel: k, ports: ports, missing: missing,
		wake: make(chan struct{}, 1), leases: map[string]Lease{}, driverMTU: map[string]int{},
	}
}

// Check refuses what this machine cannot do of the difference between two documents, before the new one is stored.
// What did not change is not judged: a document restored from a machine with more ports can still be edited.
func (m *Manager) Check(before, after *config.Document) error {
	var errs []error
	if d := after.DefaultInterface; d != before.DefaultInterface && !m.carried(d) {
		errs = append(errs, fmt.Errorf("interface %s: this machine has no such port", d))
	}
	for _, letter := range slices.Sorted(maps.Keys(after.Interfaces)) {
		now, was := after.Interfaces[letter], before.Interfaces[letter]
		if !m.carried(letter) {
			if isOn(now) && !isOn(was) {
				errs = append(errs, fmt.Errorf("interface %s: this machine has no such port", letter))
			}
			continue
		}
		if driver := m.ports[letter].Driver; now.Link != was.Link && now.Link.Speed != 0 && isVirtual(driver) {
			errs = append(errs, fmt.Errorf("interface %s: %w, driver %s is virtual", letter, errVirtual, driver))
		}
	}
	return errors.Join(errs...)
}

func (m *Manager) carried(letter string) bool {
	_, ok := m.ports[letter]
	return ok
}

// isOn tells whether anything is wanted of an interface.
func isOn(i config.Interface) bool { return i.IPv4.Enabled || i.IPv6.Enabled }

// Apply makes a document the wanted one and says what could not be reached. It works with and without [Manager.Run];
// DHCP clients are started and stopped by Run, so that nothing here waits for a lease. The document must not be
// changed afterwards.
func (m *Manager) Apply(ctx context.Context, doc *config.Document) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.document = doc
	for letter := range m.leases {
		if cfg := doc.Interfaces[letter].IPv4; !cfg.Enabled || !cfg.DHCP {
			delete(m.leases, letter)
		}
	}
	m.pass(ctx)
	m.poke()
	var errs []error
	for _, p := range m.problems {
		errs = append(errs, errors.New(p.Text))
	}
	return errors.Join(errs...)
}

// Ready says why a version on trial should not commit itself: the first severe problem, nil if there is none. It does
// not ask for a carrier or a lease, which are not the version's to give.
func (m *Manager) Ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.document == nil {
		return errors.New("nothing applied yet")
	}
	for _, p := range m.problems {
		if p.Severe {
			return errors.New(p.Text)
		}
	}
	return nil
}

// Problems returns what cannot be reached at present.
func (m *Manager) Problems() []Problem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.problems)
}

// Leases returns the leases in use by letter, with what DNS and NTP may want of them.
func (m *Manager) Leases() map[string]Lease {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.leases)
}

// setLease records what a DHCP client reports; nil for a loss.
func (m *Manager) setLease(letter string, l *Lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cfg := m.document.Interfaces[letter].IPv4; l != nil && cfg.Enabled && cfg.DHCP {
		m.leases[letter] = *l
	} else {
		delete(m.leases, letter)
	}
	m.poke()
}

func (m *Manager) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Run keeps comparing and tends the DHCP clients until ctx ends; it returns when all clients are stopped. The
// interfaces stay as they are, so that a shutdown can be followed over the network.
func (m *Manager) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	subscription, err := m.kernel.Events(ctx)
	if err != nil {
		// The comparison every 30 seconds does without.
		m.Log(fmt.Sprintf("no events from the kernel: %v", err))
	}
	events := subscription
	clients := clients{manager: m, running: map[string]*client{}}
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
	for {
		m.mu.Lock()
		m.pass(ctx)
		wants := m.clientsWanted()
		m.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		clients.tend(ctx, wants)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			continue
		case <-m.wake:
		case _, ok := <-events:
			if !ok {
				if ctx.Err() == nil {
					m.Log("the kernel sends no more events")
				}
				events = nil
			}
		}
		if !wait(ctx, settle) {
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
func (m *Manager) pass(ctx context.Context) {
	if m.document == nil {
		return
	}
	m.expire(time.Now())
	var problems, failed []Problem
	changed := false
	for round := 0; ctx.Err() == nil; round++ {
		o, err := m.observe()
		if err != nil {
			problems = append(problems, Problem{
				ID: "network-observe", Text: "network cannot be read: " + err.Error(), Severe: true,
			})
			break
		}
		changed = changed || !sameState(m.last, o)
		m.last = o
		var ops []operation
		ops, problems = plan(m.input(), o)
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
				ID: "network-settle", Text: "network does not settle: " + ops[0].text, Severe: true,
			})
			break
		}
		failed = m.perform(ops)
		changed = true
	}
	if ctx.Err() == nil {
		m.publish(append(problems, m.missingNow()...), changed)
	}
}

// expire drops leases that have ended. The client says so as well; this is for one that hangs.
func (m *Manager) expire(now time.Time) {
	for letter, l := range m.leases {
		if !l.valid(now) {
			m.Log(fmt.Sprintf("interface %s: lease of %v has ended", letter, l.Address))
			delete(m.leases, letter)
		}
	}
}

// missingNow are the problems from the start. A card that is not there is severe where it is needed.
func (m *Manager) missingNow() []Problem {
	missing := slices.Clone(m.missing)
	for i, p := range missing {
		missing[i].Severe = p.Interface != "" && isOn(m.document.Interfaces[p.Interface])
	}
	return missing
}

// perform applies a plan and returns one problem for each operation that failed.
func (m *Manager) perform(ops []operation) []Problem {
	var failed []Problem
	for _, op := range ops {
		if err := op.apply(m.kernel); err != nil {
			failed = append(failed, Problem{
				ID: "network-apply: " + op.text, Text: fmt.Sprintf("network: %s: %v", op.text, err), Severe: true,
			})
			continue
		}
		m.Log(op.text)
	}
	return failed
}

// input is what plan needs. The caller holds mu.
func (m *Manager) input() Input {
	return Input{Document: m.document, Ports: m.ports, Leases: m.leases, DriverMTU: m.driverMTU}
}

// observe looks at the kernel and remembers the MTU that each port came up with.
func (m *Manager) observe() (Observation, error) {
	links := []string{"lo"}
	var keys []string
	for _, s := range commonSysctls {
		keys = append(keys, s.key)
	}
	for _, port := range m.ports {
		links = append(links, port.Kernel)
		for _, s := range sysctlsOf(port.Kernel, config.IPv6{}, false) {
			keys = append(keys, s.key)
		}
	}
	o, err := m.kernel.Observe(links, keys)
	if err != nil {
		return o, err
	}
	for letter, port := range m.ports {
		if l, ok := o.Links[port.Kernel]; ok && m.driverMTU[letter] == 0 {
			m.driverMTU[letter] = l.MTU
		}
	}
	return o, nil
}

// sameState compares what outsiders can see of two observations.
func sameState(x, y Observation) bool {
	return maps.Equal(x.Links, y.Links) && slices.Equal(x.Addresses, y.Addresses) &&
		slices.Equal(x.Routes, y.Routes) && slices.Equal(x.Rules, y.Rules)
}

// publish keeps the problems, one for each ID, raises and clears alarms, and tells of changes.
func (m *Manager) publish(problems []Problem, changed bool) {
	slices.SortStableFunc(problems, func(x, y Problem) int { return cmp.Compare(x.ID, y.ID) })
	problems = slices.CompactFunc(problems, func(x, y Problem) bool { return x.ID == y.ID })
	for _, old := range m.problems {
		if !slices.ContainsFunc(problems, func(p Problem) bool { return p.ID == old.ID }) {
			m.Alarm(old.ID, "")
		}
	}
	for _, p := range problems {
		if !slices.Contains(m.problems, p) {
			m.Alarm(p.ID, p.Text)
		}
	}
	m.problems = problems
	if changed && m.Changed != nil {
		m.Changed()
	}
}
