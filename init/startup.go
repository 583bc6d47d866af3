package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/boards"
	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/journal"
	"rotunda/init/modules"
	"rotunda/init/supervise"
)

// step is one link of the start-up chain. What it returns is called when the machine goes down, in reverse order.
type step struct {
	name string
	run  func(m *machine, ctx context.Context) (undo func(), err error)
}

// steps are the chain, in order. A step that fails raises an alarm and the chain goes on: each of the later steps
// copes with what is missing.
var steps = []step{
	{"mounts", (*machine).startMounts},
	{"board", (*machine).startBoard},
	{"modules", (*machine).startModules},
	{"watchdog", (*machine).startWatchdog},
	{"system", (*machine).startSystem},
	{"storage", (*machine).startStorage},
	{"config", (*machine).startConfig},
	{"control", (*machine).startControl},
	{"firewall", (*machine).startFirewall},
	{"interfaces", (*machine).startInterfaces},
	{"services", (*machine).startServices},
	{"buttons", (*machine).watchButtons},
	{"seal", (*machine).seal},
}

// startLimit is beyond what any step needs, storagePatience included.
const startLimit = 10 * time.Minute

// start runs the chain and returns what undoes it.
func (m *machine) start(ctx context.Context) []func() {
	// A hang before there is a watchdog, in a driver for example, must count as a failed try as well.
	guard := time.AfterFunc(startLimit, func() {
		m.say("the start does not come to its end; restarting")
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	})
	defer guard.Stop()
	var undo []func()
	for _, s := range steps {
		begin := time.Now()
		u, err := s.run(m, ctx)
		if u != nil {
			undo = append(undo, u)
		}
		done := control.Step{Name: s.name, Duration: time.Since(begin)}
		if err != nil {
			done.Error = err.Error()
			m.alarm("start:"+s.name, err.Error())
		}
		// The main loop, which feeds from now on, begins when the chain is through.
		m.watchdog.feed()
		m.mu.Lock()
		m.steps = append(m.steps, done)
		m.mu.Unlock()
		m.info("start %s: %v, %v since power-on", s.name, done.Duration.Round(time.Microsecond), uptime().Round(time.Millisecond))
	}
	go m.settleVersions(ctx)
	return undo
}

func (m *machine) startMounts(ctx context.Context) (func(), error) {
	err := errors.Join(mountAll(earlyMounts), os.MkdirAll("/run/rotunda", 0o755), setSysctls("/proc/sys"), settleHugePages("/sys", memory().Total), goFirst("/proc"), raiseFileLimit(), traceToKernelLog())
	go m.reaper.Run(ctx)
	go m.followKernel()
	// Ctrl-Alt-Del becomes SIGINT, so that the machine goes down in order.
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF)
	cmdline, _ := os.ReadFile("/proc/cmdline")
	m.fault = askedFault(string(cmdline))
	return nil, err
}

// startBoard finds out where we are and what we are.
func (m *machine) startBoard(context.Context) (func(), error) {
	m.board = boards.Match(boards.ReadDMI(os.DirFS("/sys")))
	m.cores = m.board.Cores(onlineProcessors("/sys"))
	var kept error
	if !m.cores.Shared() {
		// Before the modules: drivers then start with their interrupts where they should be.
		kept = keepToSystem("/proc", "/sys", m.cores.System)
	}
	var r struct {
		Version    string    `json:"version"`
		Build      string    `json:"build"`
		Date       time.Time `json:"date"`
		SigningKey string    `json:"signingKey"`
	}
	b, err := os.ReadFile("/etc/rotunda/release.json")
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	m.mu.Lock()
	m.release = control.Release{Version: r.Version, Build: r.Build, SigningKey: r.SigningKey,
		Kernel: kernelRelease(), Platform: m.board.Platform, Board: m.board.Title}
	m.release.Hardware, m.release.Serial = hardware(os.DirFS("/sys"))
	m.mu.Unlock()
	m.info("board %s (%s), platform %s, version %s build %s", m.board.Name, m.board.Title, m.board.Platform, r.Version, r.Build)
	if err != nil {
		return nil, errors.Join(kept, fmt.Errorf("read release: %w", err))
	}
	// A clock without a battery starts in the past, where no certificate is valid yet.
	if now := time.Now(); now.Before(r.Date) {
		m.info("the clock says %s, which is before this version was made; it is set to %s", now.UTC().Format(time.RFC3339), r.Date.UTC().Format(time.RFC3339))
		return nil, errors.Join(kept, setClock(r.Date))
	}
	return nil, kept
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func (m *machine) startModules(context.Context) (func(), error) {
	l, err := modules.Open(filepath.Join("/lib/modules", kernelRelease()))
	if err != nil {
		return nil, err
	}
	m.loader = l
	var errs []error
	// What the board names loads beside what the devices ask for: the two rarely wait for each other.
	always := make(chan error, 1)
	go func() {
		var errs []error
		for _, name := range m.board.Modules.Always {
			if err := l.Load(name, ""); err != nil {
				errs = append(errs, err)
			}
		}
		always <- errors.Join(errs...)
	}()
	loaded, err := l.Coldplug("/sys")
	errs = append(errs, err, <-always)
	m.info("modules for devices: %s", strings.Join(loaded, " "))
	errs = append(errs, mountAll(lateMounts))
	m.crash, m.crashAt = readCrashStore(crashStore), time.Now()
	return nil, errors.Join(errs...)
}

func (m *machine) startWatchdog(context.Context) (func(), error) {
	if m.loader == nil {
		return nil, errors.New("no modules")
	}
	w, driver, err := openWatchdog(m.loader, m.board.Watchdogs)
	m.watchdog = w
	if w != nil {
		m.info("watchdog %s, %v", driver, watchdogTimeout)
	}
	return nil, err
}

// startConfig reads the document, or makes the one that a fresh machine has.
func (m *machine) startConfig(context.Context) (func(), error) {
	doc, generation, err := m.loadConfig()
	c := control.Config{Generation: generation, Document: doc}
	if err != nil {
		c = control.Config{Document: config.FailSafe(), FailSafe: err.Error()}
		m.alarm("fail-safe", fmt.Sprintf("running on the fail-safe configuration (console and IPv6 link-local SSH): %v", err))
	}
	m.mu.Lock()
	m.config, m.started = c, c.Document
	m.mu.Unlock()
	if herr := unix.Sethostname([]byte(c.Document.Hostname)); herr != nil && err == nil {
		err = fmt.Errorf("set hostname: %w", herr)
	}
	m.journal.SetHostname(c.Document.Hostname)
	m.resumeUndo()
	return nil, err
}

func (m *machine) loadConfig() (*config.Document, int, error) {
	if m.sets == nil {
		return nil, 0, errNoStorage
	}
	store, err := config.OpenStore(m.sets.Path("config"))
	if err != nil {
		return nil, 0, err
	}
	m.store = store
	doc, generation, warning, err := store.Load()
	if warning != "" {
		m.alarm("config", warning)
	}
	return doc, generation, err
}

func (m *machine) startControl(ctx context.Context) (func(), error) {
	s := &control.Server{
		Machine: m,
		Writers: map[uint32]bool{0: true, mmpUser.UID: true},
		Log:     func(text string) { m.journal.Log(journal.DaemonWarning, "control", text) },
	}
	go func() {
		if err := s.Serve(ctx, control.SocketPath); err != nil {
			m.alarm("control", err.Error())
		}
	}()
	return nil, nil
}

func (m *machine) startServices(context.Context) (func(), error) {
	report := supervise.Report{
		Line:  m.journal.Line,
		Event: func(service, text string) { m.info("service %s: %s", service, text) },
		Alarm: m.alarm,
	}
	const notify = "/run/rotunda/notify"
	s, limits := supervise.New(&m.reaper, report, "/init", notify, "/sys/fs/cgroup/rotunda")
	if limits != nil {
		// Without cgroups there are no limits, but there is a login.
		var err error
		if s, err = supervise.New(&m.reaper, report, "/init", notify, ""); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	m.supervisor = s
	m.mu.Unlock()
	for _, c := range m.board.Consoles {
		// The shell's user owns the terminals it serves; PID 1 writes to them all the same.
		if err := os.Chown("/dev/"+c.Device, int(mmpUser.UID), int(mmpUser.GID)); err != nil {
			m.warn("give console to the shell: %v", err)
		}
	}
	if err := os.MkdirAll(recordings, 0o755); err != nil {
		m.warn("make the folder for recordings: %v", err)
	}
	for _, spec := range m.specs() {
		s.Start(m.countsOn(spec))
	}
	m.changing.Lock()
	m.mu.Lock()
	doc := m.config.Document
	m.mu.Unlock()
	err := m.applyServices(doc)
	m.changing.Unlock()
	m.strike()
	return s.Stop, errors.Join(limits, err)
}

// seal makes the root read-only: from here on nothing but /data, /run and /tmp changes.
func (m *machine) seal(context.Context) (func(), error) {
	if !m.cores.Shared() {
		var media []int
		for _, w := range mediaWorkers(m.cores) {
			media = append(media, w.CPU)
		}
		if total, stray := strayInterrupts("/proc", m.cores.System, media); len(stray) > 0 {
			m.info("%d of %d interrupts are kept off the media cores, all but %s", total-len(stray), total, strings.Join(stray, ", "))
		} else {
			m.info("all %d interrupts are kept off the media cores", total)
		}
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return nil, fmt.Errorf("make root read-only: %w", err)
	}
	return nil, nil
}
