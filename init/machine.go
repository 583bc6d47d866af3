package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/boards"
	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/firewall"
	"rotunda/init/journal"
	"rotunda/init/modules"
	"rotunda/init/network"
	"rotunda/init/reap"
	"rotunda/init/state"
	"rotunda/init/supervise"
)

// machine is everything that PID 1 knows, and the [control.Machine] behind the socket.
type machine struct {
	reaper   reap.Reaper
	journal  *journal.Journal
	store    *config.Store
	loader   *modules.Loader
	watchdog *watchdog
	board    boards.Board
	// cores is how the board's processors are shared out.
	cores   boards.Cores
	release control.Release
	fault   string
	storage storage
	// sets is nil without a data partition.
	sets *state.Sets
	// ending takes the one action that ends this boot.
	ending chan string
	// errands serialises what runs on the partition and the sets.
	errands sync.Mutex
	// changing serialises changes of the configuration.
	changing sync.Mutex
	// firewall and ports come before the interfaces; they are nil if that step did not run.
	firewall *firewall.Keeper
	ports    map[string]network.NIC
	// undo is what an unconfirmed change is taken back to, nil for none, and undoing the timer that does it; changing guards both.
	undo    *config.Undo
	undoing *time.Timer
	// triedAt is when that change was made, zero when an earlier start did: no connection is older than the machine's start. Same guard.
	triedAt time.Time
	// stamps are what the settings of services that run were made of, by their names; changing guards them. See [machine.stamp].
	stamps map[string]stamp
	// undoAt is where a test has the file of the undo.
	undoAt string

	mu sync.Mutex
	// supervisor and network come when the control socket answers already; see parts.
	supervisor *supervise.Supervisor
	network    *network.Reconciler
	config     control.Config
	// started is the document of this start, nil before it is read.
	started *config.Document
	applied bool
	alarms  map[string]control.Alarm
	// captures are the ends of those that run, by interface.
	captures map[string]func()
	steps    []control.Step
	crash    string
	crashAt  time.Time
}

// parts are the steps of the chain that requests may ask for before they are there, or when they did not start: then
// they are nil.
func (m *machine) parts() (*network.Reconciler, *supervise.Supervisor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.network, m.supervisor
}

func newMachine() *machine {
	return &machine{
		journal: journal.New(),
		ending:  make(chan string, 1),
		alarms:  map[string]control.Alarm{},
		stamps:  map[string]stamp{},
		config:  control.Config{Document: config.FailSafe(), FailSafe: "the machine is starting"},
	}
}

func (m *machine) info(format string, args ...any) {
	m.journal.Log(journal.DaemonInfo, "init", fmt.Sprintf(format, args...))
}

// warn also prints on the console: whoever stands there has no other way to know.
func (m *machine) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	m.journal.Log(journal.DaemonWarning, "init", text)
	first, _, _ := strings.Cut(text, "\n")
	m.say(first)
}

// say prints a line on every console. The shell's prompt may be there already, so it starts on a new line.
func (m *machine) say(text string) {
	consoles := m.board.Consoles
	if len(consoles) == 0 {
		consoles = []boards.Console{{Device: "console"}}
	}
	for _, c := range consoles {
		writeTerminal("/dev/"+c.Device, "\r\nrotunda: "+text+"\r\n")
	}
}

// writeTerminal drops what a terminal does not take at once. A line that flow control has stopped (a Ctrl-S, a peer that
// does not listen) must not hold PID 1, so this goes past package os: its files wait in the poller until they can be
// written, also with O_NONBLOCK.
func writeTerminal(file, text string) {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Write(fd, []byte(text))
	_ = unix.Close(fd)
}

// alarm raises an alarm, or clears it with an empty text.
func (m *machine) alarm(id, text string) {
	m.mu.Lock()
	old, was := m.alarms[id]
	if text == "" {
		delete(m.alarms, id)
	} else {
		since := time.Now()
		if was {
			since = old.Since
		}
		m.alarms[id] = control.Alarm{ID: id, Text: text, Since: since}
	}
	m.mu.Unlock()
	switch {
	case text != "" && old.Text != text:
		m.warn("alarm %s: %s", id, text)
	case text == "" && was:
		m.info("alarm %s cleared", id)
	}
}

// Config is part of [control.Machine], as is every exported method below.
func (m *machine) Config(context.Context) (control.Config, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.config, nil
}

// needsReboot lists what of a change takes effect at the next start: not what goes back to what runs.
func (m *machine) needsReboot(before, after *config.Document) []string {
	settings := config.NeedsReboot(before, after)
	if m.started == nil {
		return settings
	}
	runs := config.NeedsReboot(m.started, after)
	return slices.DeleteFunc(settings, func(s string) bool { return !slices.Contains(runs, s) })
}

// SetConfig stores before it applies: a crash between the two converges at the next start. A caller that goes away does
// not stop it half-way.
func (m *machine) SetConfig(ctx context.Context, generation int, doc *config.Document) (control.Applied, error) {
	m.changing.Lock()
	defer m.changing.Unlock()
	m.mu.Lock()
	failSafe := m.config.FailSafe
	m.mu.Unlock()
	a, err := m.setConfig(ctx, generation, doc)
	if err == nil && failSafe != "" && m.undo == nil {
		// What an undo on the disk would go back to is what could not be read.
		if err := m.storeUndo(nil); err != nil {
			m.warn("forget an unconfirmed change: %v", err)
		}
	}
	return a, err
}

// setConfig is SetConfig for who holds changing.
func (m *machine) setConfig(ctx context.Context, generation int, doc *config.Document) (control.Applied, error) {
	if m.store == nil {
		return control.Applied{}, control.Refuse(http.StatusServiceUnavailable, "the configuration cannot be stored: the data partition is not there")
	}
	m.mu.Lock()
	current := m.config
	m.mu.Unlock()
	if generation != current.Generation {
		return control.Applied{}, control.Refuse(http.StatusConflict,
			"the configuration has changed meanwhile: it is generation %d, not %d", current.Generation, generation)
	}
	interfaces, _ := m.parts()
	if interfaces != nil {
		if err := interfaces.Check(current.Document, doc); err != nil {
			return control.Applied{}, control.Invalid(err)
		}
	}
	stored, err := m.store.Put(doc, generation)
	if invalid := (config.Invalid{}); errors.As(err, &invalid) {
		return control.Applied{}, control.Invalid(invalid)
	}
	if err != nil {
		return control.Applied{}, fmt.Errorf("store configuration: %w", err)
	}
	m.mu.Lock()
	m.config = control.Config{Generation: stored, Document: doc}
	m.mu.Unlock()
	// What was wrong with the generations before does not concern the next start any more.
	for _, id := range []string{"fail-safe", "config", "start:config"} {
		m.alarm(id, "")
	}
	m.info("configuration generation %d stored", stored)
	a := control.Applied{Generation: stored, RebootNeeded: m.needsReboot(current.Document, doc)}
	guarded, problem := m.guard(doc)
	if problem != "" {
		a.Warnings = append(a.Warnings, problem)
	}
	if interfaces != nil {
		for _, p := range interfaces.Apply(context.WithoutCancel(ctx), guarded) {
			a.Warnings = append(a.Warnings, p.Text)
		}
	}
	if err := m.applyServices(doc); err != nil {
		a.Warnings = append(a.Warnings, err.Error())
	}
	return a, nil
}

func (m *machine) Interfaces(ctx context.Context) ([]control.Interface, error) {
	interfaces, _ := m.parts()
	if interfaces == nil {
		return nil, control.Refuse(http.StatusServiceUnavailable, "the interfaces did not start; health says why")
	}
	return interfaces.Observed(ctx)
}

func (m *machine) Release(context.Context) (control.Release, error) { return m.running(), nil }

func (m *machine) running() control.Release {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.release
}

func (m *machine) Health(context.Context) (control.Health, error) {
	h := control.Health{Uptime: uptime(), Memory: memory()}
	if _, services := m.parts(); services != nil {
		h.Services = services.Services()
		h.Media = mediaHealth(m.cores, h.Services)
		for n := range h.Services {
			h.Services[n].RSS = resident(h.Services[n].PID)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.alarms {
		h.Alarms = append(h.Alarms, a)
	}
	slices.SortFunc(h.Alarms, func(a, b control.Alarm) int { return strings.Compare(a.ID, b.ID) })
	h.Startup = slices.Clone(m.steps)
	h.LastCrash, h.LastCrashAt = excerpt(m.crash), m.crashAt
	return h, nil
}

func (m *machine) Filesystems(context.Context) ([]control.Filesystem, error) { return filesystems() }

func (m *machine) Clock(context.Context) (time.Time, error) { return time.Now(), nil }

func (m *machine) SetClock(_ context.Context, t time.Time) error {
	// The hardware clock holds a year of two digits on old machines.
	if t.Year() < 2000 || t.Year() > 2099 {
		return control.Refuse(http.StatusUnprocessableEntity, "year %d: want 2000 to 2099", t.Year())
	}
	if err := setClock(t); err != nil {
		return err
	}
	m.info("clock set to %s", t.UTC().Format(time.RFC3339))
	return nil
}

func (m *machine) Power(_ context.Context, action string) error {
	if action != actionReboot && action != actionShutdown {
		return control.Refuse(http.StatusBadRequest, "%q: want %s or %s", action, actionReboot, actionShutdown)
	}
	m.endSoon(action)
	return nil
}

// endSoon ends this boot once the answer to who asked has had time to leave.
func (m *machine) endSoon(action string) {
	time.AfterFunc(time.Second, func() {
		select {
		case m.ending <- action:
		default:
		}
	})
}

var _ control.Machine = (*machine)(nil)
