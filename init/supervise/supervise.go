// Package supervise keeps the services running: it starts each as its own user, confined and in its own cgroup,
// waits for readiness by the sd_notify protocol, restarts it with a growing pause, and ends it with everything it
// started.
//
// A service is a [Spec]; its life is the states of [State]. One goroutine owns one service, so that nothing in here
// needs to guess who changes what; the mutex guards only what [Supervisor.Services] shows. A service that dies takes
// nothing else with it. When PID 1 dies the kernel panics, and every service ends with it.
package supervise

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"rotunda/init/control"
	"rotunda/init/journal"
)

// Children starts and collects processes; [rotunda/init/reap.Reaper] in PID 1.
type Children interface {
	Start(*exec.Cmd) error
	Wait(*exec.Cmd) error
}

// Report is where a supervisor says what happens.
type Report struct {
	// Line takes a line that a service printed; audits is that of its [Spec].
	Line func(service string, audits []string, text string)
	// Event takes a change of state.
	Event func(service, text string)
	// Alarm is raised or, with an empty text, cleared.
	Alarm func(id, text string)
}

// Supervisor runs services. Make it with [New].
type Supervisor struct {
	children Children
	report   Report
	// shim is the program that confines itself and becomes the service: PID 1's own, with the verb "exec".
	shim string
	// runDir holds the notify sockets, cgroupDir the services' cgroups; without a cgroup file system it is "".
	runDir, cgroupDir string

	mu       sync.Mutex
	services []*service
	changed  chan struct{}
	// common is the environment of every service, beside its own.
	common []string
}

// SetEnvironment gives every service that starts from now on variables beside its own.
func (s *Supervisor) SetEnvironment(env []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.common = env
}

func (s *Supervisor) environment() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.common
}

// New returns a supervisor without services. The folder runDir is made; cgroupDir may be "" where there are no cgroups,
// as in a test.
func New(children Children, report Report, shim, runDir, cgroupDir string) (*Supervisor, error) {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, fmt.Errorf("make notify folder: %w", err)
	}
	if cgroupDir != "" {
		if err := os.MkdirAll(cgroupDir, 0o755); err != nil {
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
		// Controllers that this kernel lacks are left out: each write stands for itself.
		for _, c := range []string{"+cpuset", "+cpu", "+memory", "+pids"} {
			_ = os.WriteFile(filepath.Join(filepath.Dir(cgroupDir), "cgroup.subtree_control"), []byte(c), 0)
			_ = os.WriteFile(filepath.Join(cgroupDir, "cgroup.subtree_control"), []byte(c), 0)
		}
	}
	return &Supervisor{children: children, report: report, shim: shim, runDir: runDir, cgroupDir: cgroupDir, changed: make(chan struct{})}, nil
}

type service struct {
	s    *Supervisor
	spec Spec
	// stop ends the service for good; done is closed when its goroutine has ended.
	stop context.CancelFunc
	done chan struct{}

	// Guarded by Supervisor.mu.
	state    State
	pid      int
	restarts int
	since    time.Time
	lastExit string
	lastLine string
	loop     bool
}

// Start adds a service and starts it. It goes on until [Supervisor.Stop].
func (s *Supervisor) Start(spec Spec) {
	ctx, cancel := context.WithCancel(context.Background())
	v := &service{s: s, spec: spec, stop: cancel, done: make(chan struct{}), state: Starting, since: time.Now()}
	s.mu.Lock()
	s.services = append(s.services, v)
	s.mu.Unlock()
	go v.run(ctx)
}

// End ends one service and forgets it, and returns when no process of it is left. It says whether there was one.
func (s *Supervisor) End(name string) bool {
	s.mu.Lock()
	i := slices.IndexFunc(s.services, func(v *service) bool { return v.spec.Name == name })
	if i < 0 {
		s.mu.Unlock()
		return false
	}
	v := s.services[i]
	s.mu.Unlock()
	v.stop()
	<-v.done
	v.setLoop(false)
	s.mu.Lock()
	s.services = slices.DeleteFunc(slices.Clone(s.services), func(o *service) bool { return o == v })
	s.mu.Unlock()
	return true
}

// Signal sends a signal to a service that is ready. One that is starting reads its settings anyway.
func (s *Supervisor) Signal(name string, sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.services {
		if v.spec.Name == name && v.state == Ready {
			if err := syscall.Kill(v.pid, sig); err != nil {
				return fmt.Errorf("signal %s: %w", name, err)
			}
		}
	}
	return nil
}

// Runs tells whether there is a service of a name.
func (s *Supervisor) Runs(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.services, func(v *service) bool { return v.spec.Name == name })
}

// Stop ends all services, the last started first, and returns when no process of theirs is left.
func (s *Supervisor) Stop() {
	s.mu.Lock()
	services := s.services
	s.mu.Unlock()
	for i := len(services) - 1; i >= 0; i-- {
		services[i].stop()
		<-services[i].done
	}
}

// Services shows every service in order of start.
func (s *Supervisor) Services() []control.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]control.Service, 0, len(s.services))
	for _, v := range s.services {
		c := control.Service{Name: v.spec.Name, State: string(v.state), PID: v.pid, Restarts: v.restarts, LastExit: v.lastExit}
		if v.state == Ready {
			c.Uptime = time.Since(v.since)
		}
		list = append(list, c)
	}
	return list
}

// ErrLoop is what [Supervisor.Settled] returns for a service that ends again and again.
var ErrLoop = errors.New("crash loop")

// Settled says whether all services are ready and none is in a crash loop, and otherwise what is missing.
func (s *Supervisor) Settled() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.services {
		if v.loop {
			return fmt.Errorf("service %s: %w: %s", v.spec.Name, ErrLoop, v.lastExit)
		}
		if v.state != Ready {
			return fmt.Errorf("service %s is not ready but %s", v.spec.Name, v.state)
		}
	}
	return nil
}

// enter is the one place where a state changes.
func (v *service) enter(state State, pid int, why string) {
	v.s.mu.Lock()
	v.state, v.pid, v.since = state, pid, time.Now()
	v.s.mu.Unlock()
	text := string(state)
	if why != "" {
		text += ": " + why
	}
	v.s.report.Event(v.spec.Name, text)
}

func (v *service) run(ctx context.Context) {
	defer close(v.done)
	var starts []time.Time
	short := 0
	for {
		starts = append(starts, time.Now())
		if len(starts) > 2*loopStarts {
			starts = starts[len(starts)-loopStarts-1:]
		}
		if looping(starts, short) {
			v.setLoop(true)
		}
		life, why := v.live(ctx)
		if ctx.Err() != nil {
			v.enter(Stopped, 0, why)
			return
		}
		if life >= steady {
			short = 0
		}
		pause := backoff(cmp.Or(v.spec.Pause, backoffFirst), short)
		short++
		v.s.mu.Lock()
		v.restarts++
		v.lastExit = why
		v.s.mu.Unlock()
		v.enter(Backoff, 0, fmt.Sprintf("%s; next start in %v", why, pause))
		select {
		case <-ctx.Done():
			v.enter(Stopped, 0, "")
			return
		case <-time.After(pause):
		}
	}
}

func (v *service) setLoop(on bool) {
	v.s.mu.Lock()
	was, last := v.loop, v.lastExit
	v.loop = on
	v.s.mu.Unlock()
	if was == on {
		return
	}
	text := ""
	if on {
		text = fmt.Sprintf("service %s ends again and again: %s", v.spec.Name, last)
	}
	v.s.report.Alarm("crash-loop:"+v.spec.Name, text)
}

// live runs the process once and returns how long it was ready and why it ended.
func (v *service) live(ctx context.Context) (ready time.Duration, why string) {
	spec := v.spec
	notify, err := v.listen()
	if err != nil {
		return 0, err.Error()
	}
	defer notify.Close()
	// A service without its limits is better than a machine without the service.
	group, err := v.makeCgroup()
	if err != nil {
		v.s.report.Event(v.spec.Name, err.Error())
	}
	if group != nil {
		defer group.Close()
	}
	cmd, output, err := v.command(group)
	if err != nil {
		return 0, err.Error()
	}
	v.enter(Starting, 0, "")
	err = v.s.children.Start(cmd)
	cmd.Stdout.(*os.File).Close()
	if err != nil {
		output.Close()
		return 0, fmt.Sprintf("start %s: %v", spec.Program, err)
	}
	v.s.mu.Lock()
	v.pid, v.lastLine = cmd.Process.Pid, ""
	v.s.mu.Unlock()

	lines := make(chan struct{})
	go func() {
		defer close(lines)
		v.read(output)
	}()
	exited := make(chan error, 1)
	go func() { exited <- v.s.children.Wait(cmd) }()
	said := make(chan string)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		hear(notify, said)
	}()
	defer func() {
		notify.Close()
		for range said {
		}
		<-heard
		v.killCgroup()
		// A grandchild outside the cgroup may hold the pipe open; its lines are not worth waiting for.
		output.Close()
		<-lines
	}()

	limit := time.NewTimer(spec.ReadyWithin)
	defer limit.Stop()
	var readySince time.Time
	var calm <-chan time.Time
	for {
		select {
		case message, ok := <-said:
			if !ok {
				said = nil
				continue
			}
			for field := range strings.SplitSeq(message, "\n") {
				switch {
				case field == "READY=1" && readySince.IsZero():
					readySince = time.Now()
					calm = time.After(loopWindow)
					v.enter(Ready, cmd.Process.Pid, "")
					if spec.Watchdog == 0 {
						limit.Stop()
						break
					}
					limit.Reset(spec.Watchdog)
				case field == "WATCHDOG=1" && !readySince.IsZero() && spec.Watchdog > 0:
					limit.Reset(spec.Watchdog)
				}
			}
		case <-calm:
			v.setLoop(false)
		case err := <-exited:
			lived := since(readySince)
			v.hearOut(lines)
			return lived, v.ending(err)
		case <-limit.C:
			why := fmt.Sprintf("not ready after %v", spec.ReadyWithin)
			if !readySince.IsZero() {
				why = fmt.Sprintf("silent for %v", spec.Watchdog)
			}
			// SIGABRT makes a Go program print where every goroutine stands.
			_ = cmd.Process.Signal(syscall.SIGABRT)
			v.finish(cmd, exited, lines)
			return since(readySince), why
		case <-ctx.Done():
			v.enter(Stopping, cmd.Process.Pid, "")
			_ = cmd.Process.Signal(syscall.SIGTERM)
			return since(readySince), v.finish(cmd, exited, lines)
		}
	}
}

func since(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return time.Since(t)
}

// finish waits for a process that was told to end, and kills its cgroup when the time is up.
func (v *service) finish(cmd *exec.Cmd, exited <-chan error, lines <-chan struct{}) string {
	within := v.spec.StopWithin
	if within == 0 {
		within = defaultStop
	}
	select {
	case err := <-exited:
		v.hearOut(lines)
		return v.ending(err)
	case <-time.After(within):
	}
	v.killCgroup()
	_ = cmd.Process.Kill()
	<-exited
	return fmt.Sprintf("killed after %v", within)
}

// lastWords is how long the lines of a process that has ended may take to be read, on the slowest machine.
const lastWords = 2 * time.Second

// hearOut waits until all that a process has printed was read: what it says last is why it ended, and a trace of Go's is long. Others of
// its cgroup would hold its output open, and end with it anyway.
func (v *service) hearOut(lines <-chan struct{}) {
	v.killCgroup()
	late := time.NewTimer(lastWords)
	defer late.Stop()
	select {
	case <-lines:
	case <-late.C:
	}
}

// ending says how a process ended, with the last line it printed: the line is most often the reason.
func (v *service) ending(err error) string {
	text := "exit status 0"
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		text = exit.String()
	} else if err != nil {
		text = err.Error()
	}
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	if v.lastLine != "" {
		text += fmt.Sprintf(" (%s)", v.lastLine)
	}
	return text
}

func (v *service) read(output io.Reader) {
	r := bufio.NewReaderSize(output, longestLine)
	continues := false
	for {
		line, err := r.ReadSlice('\n')
		if text := strings.TrimRight(string(line), "\r\n"); text != "" {
			if continues {
				// What stands in the middle of a line, which may quote a far end, is no priority and no tag.
				text = fmt.Sprintf("<14>%s: %s", v.spec.Name, text)
			}
			// Its priority is for the log alone.
			_, _, said := journal.ParseLine(v.spec.Name, text)
			v.s.mu.Lock()
			v.lastLine = said[:min(len(said), 200)]
			v.s.mu.Unlock()
			v.s.report.Line(v.spec.Name, v.spec.Audits, text)
		}
		if continues = errors.Is(err, bufio.ErrBufferFull); err != nil && !continues {
			return
		}
	}
}

// longestLine is what is read of a line at once.
const longestLine = 16 << 10

// listen opens the notify socket, which only the service's user may write to.
func (v *service) listen() (*net.UnixConn, error) {
	path := v.notifyPath()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	err = os.Chmod(path, 0o200)
	if err == nil && os.Geteuid() == 0 {
		err = os.Chown(path, int(v.spec.User.UID), int(v.spec.User.GID))
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	return c, nil
}

func (v *service) notifyPath() string { return filepath.Join(v.s.runDir, v.spec.Name) }

// hear passes on datagrams of at most 4 KiB until the socket is closed.
func hear(c *net.UnixConn, said chan<- string) {
	defer close(said)
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		if err != nil {
			// Closed, as a rule. From a socket that is broken the service's silence is heard, which restarts it with another.
			return
		}
		said <- string(b[:n])
	}
}

func (v *service) command(group *os.File) (*exec.Cmd, *os.File, error) {
	spec := v.spec
	var cmd *exec.Cmd
	if v.s.shim == "" {
		cmd = exec.Command(spec.Program, spec.Args...)
	} else {
		o, err := json.Marshal(order{spec.Confine, spec.CPUs})
		if err != nil {
			return nil, nil, fmt.Errorf("encode confinement: %w", err)
		}
		cmd = exec.Command(v.s.shim, append([]string{"exec", string(o), spec.Program}, spec.Args...)...)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("output pipe: %w", err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=/bin", "HOME=/", "GOTRACEBACK=all", "NOTIFY_SOCKET=" + v.notifyPath()}, slices.Concat(v.s.environment(), spec.Env)...)
	attr := &syscall.SysProcAttr{Setsid: true, AmbientCaps: spec.Capabilities}
	if os.Geteuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: spec.User.UID, Gid: spec.User.GID, Groups: append([]uint32{}, spec.Groups...)}
	}
	if group != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(group.Fd())
	}
	cmd.SysProcAttr = attr
	return cmd, r, nil
}
