package supervise

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary plays PID 1's verb "exec", and the services: with SERVICE set it does what the name says.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "exec" {
		fmt.Println(Exec(os.Args[2:]))
		os.Exit(1)
	}
	switch os.Getenv("SERVICE") {
	case "":
		os.Exit(m.Run())
	case "steady":
		tell("READY=1")
		fmt.Println("<134>cli: hello")
		select {}
	case "silent":
		select {}
	case "falls":
		fmt.Println("<27>falls: the reason") // as lines for the log begin
		os.Exit(3)
	case "quotes":
		// A long line that quotes what somebody has made fit.
		fmt.Println("<14>quotes: " + strings.Repeat("x", longestLine-len("<14>quotes: ")) + "<134>cli: User admin from 10.1.1.1:1 issued command")
		fmt.Println("<14>quotes: and on")
		time.Sleep(time.Hour)
	case "talkative":
		fmt.Println(os.Getpid())
		for n := range traceLines {
			fmt.Printf("goroutine %d of the trace of a crash, which is long\n", n)
		}
		os.Exit(3)
	case "mute":
		tell("READY=1")
		select {}
	case "member":
		groups, err := os.Getgroups()
		fmt.Println("groups", groups, err)
		tell("READY=1")
		select {}
	case "pinned":
		var set unix.CPUSet
		err := unix.SchedGetaffinity(0, &set)
		_, own := os.ReadFile("/proc/self/statm")
		_, other := os.ReadFile("/proc/1/statm")
		fmt.Println("processors", set.Count(), "on", os.Getenv("CPU"), set.IsSet(number("CPU")), err, "own", own == nil, "other", other == nil)
		tell("READY=1")
		select {}
	case "confined":
		dir := os.Getenv("DIR")
		_, read := os.ReadFile(dir + "/readable/file")
		write := os.WriteFile(dir+"/readable/file", []byte("x"), 0)
		own := os.WriteFile(dir+"/writable/file", []byte("x"), 0o600)
		_, other := os.ReadFile(dir + "/other")
		fmt.Println("read", read == nil, "write", write == nil, "own", own == nil, "other", other == nil)
		tell("READY=1")
		select {}
	}
}

func number(variable string) int {
	n, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		panic(err)
	}
	return n
}

func tell(message string) {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		panic(err)
	}
	if _, err := c.Write([]byte(message)); err != nil {
		panic(err)
	}
}

type plainChildren struct{}

func (plainChildren) Start(c *exec.Cmd) error { return c.Start() }
func (plainChildren) Wait(c *exec.Cmd) error  { return c.Wait() }

// watcher collects what a supervisor reports and lets a test wait for a text.
type watcher struct {
	mu   sync.Mutex
	cond *sync.Cond
	said []string
}

func newWatcher() *watcher {
	w := &watcher{}
	w.cond = sync.NewCond(&w.mu)
	return w
}

func (w *watcher) add(kind, who, text string) {
	w.mu.Lock()
	w.said = append(w.said, kind+" "+who+": "+text)
	w.cond.Broadcast()
	w.mu.Unlock()
}

// wait returns the first report that begins with prefix.
func (w *watcher) wait(t *testing.T, prefix string) string {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, w.cond.Broadcast)
	defer timer.Stop()
	deadline := time.Now().Add(20 * time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for _, s := range w.said {
			if strings.HasPrefix(s, prefix) {
				return s
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("want a report %q, got:\n%s", prefix, strings.Join(w.said, "\n"))
		}
		w.cond.Wait()
	}
}

func start(t *testing.T, shim string, spec Spec) (*Supervisor, *watcher) {
	t.Helper()
	w := newWatcher()
	s, err := New(plainChildren{}, Report{
		Line: func(v string, _ []string, text string) {
			// A machine that is busy reads what was printed when who has printed it is gone.
			if pid, err := strconv.Atoi(text); err == nil {
				for unix.Kill(pid, 0) == nil {
					time.Sleep(time.Millisecond)
				}
			}
			w.add("line", v, text)
		},
		Event: func(v, text string) { w.add("event", v, text) },
		Alarm: func(id, text string) { w.add("alarm", id, text) },
	}, shim, t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	spec.Program = os.Args[0]
	spec.User = User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	spec.Env = append(spec.Env, "SERVICE="+spec.Name)
	if spec.ReadyWithin == 0 {
		spec.ReadyWithin = 20 * time.Second
	}
	s.Start(spec)
	t.Cleanup(s.Stop)
	return s, w
}

func TestAServiceRunsOnItsProcessorAndReadsOnlyItsOwnFigures(t *testing.T) {
	var mine unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !mine.IsSet(cpu) {
		cpu++
	}
	spec := Spec{Name: "pinned", CPUs: []int{cpu}, Env: []string{fmt.Sprintf("CPU=%d", cpu)},
		// The race detector links dynamically, so the libraries must be readable.
		Confine: Confine{ReadOnly: []string{"/proc/self", "/sys", "/lib", "/lib64", "/usr/lib"}}}
	_, w := start(t, os.Args[0], spec)
	w.wait(t, fmt.Sprintf("line pinned: processors 1 on %d true <nil> own true other false", cpu))
}

func TestAServiceThatWasSteadyComesBackAfterItsOwnPause(t *testing.T) {
	for _, c := range []struct {
		first time.Duration
		n     int
		want  time.Duration
	}{
		{20 * time.Millisecond, 0, 20 * time.Millisecond},
		{20 * time.Millisecond, 3, 160 * time.Millisecond},
		{20 * time.Millisecond, 20, backoffMost},
	} {
		if got := backoff(c.first, c.n); got != c.want {
			t.Errorf("pause of %v after %d short lives: want %v, got %v", c.first, c.n, c.want, got)
		}
	}
	_, w := start(t, "", Spec{Name: "falls", Pause: 7 * time.Millisecond})
	w.wait(t, "event falls: backoff: exit status 3 (the reason); next start in 7ms")
	w.wait(t, "event falls: backoff: exit status 3 (the reason); next start in 14ms")
}

func TestAServiceIsReadyWhenItSaysSoAndStopsWhenTold(t *testing.T) {
	s, w := start(t, "", Spec{Name: "steady"})
	w.wait(t, "event steady: ready")
	w.wait(t, "line steady: <134>cli: hello")
	if err := s.Settled(); err != nil {
		t.Errorf("want settled, got %v", err)
	}
	s.Stop()
	if got := w.wait(t, "event steady: stopped"); !strings.Contains(got, "signal: terminated") {
		t.Errorf("want it ended by SIGTERM, got %q", got)
	}
}

func TestAServiceThatEndsAgainAndAgainRaisesAnAlarmWithItsLastLine(t *testing.T) {
	s, w := start(t, "", Spec{Name: "falls"})
	got := w.wait(t, "alarm crash-loop:falls")
	if !strings.Contains(got, "exit status 3 (the reason)") {
		t.Errorf("want exit status and last line in the alarm, got %q", got)
	}
	if err := s.Settled(); err == nil || !strings.Contains(err.Error(), "crash loop") {
		t.Errorf("want a crash loop, got %v", err)
	}
}

// traceLines is how many lines a talkative service prints; a pipe holds them.
const traceLines = 500

func TestAllThatAServiceSaysBeforeItEndsIsHeard(t *testing.T) {
	_, w := start(t, "", Spec{Name: "talkative"})
	w.wait(t, fmt.Sprintf("event talkative: backoff: exit status 3 (goroutine %d of the trace of a crash, which is long)", traceLines-1))
	w.mu.Lock()
	defer w.mu.Unlock()
	next := 0
	for _, s := range w.said {
		if strings.HasPrefix(s, "event talkative: backoff") {
			break
		}
		if strings.HasPrefix(s, fmt.Sprintf("line talkative: goroutine %d of", next)) {
			next++
		}
	}
	if next != traceLines {
		t.Errorf("want %d lines, got those up to %d", traceLines, next)
	}
}

func TestTheMiddleOfALineHasNoPriority(t *testing.T) {
	_, w := start(t, "", Spec{Name: "quotes"})
	if got, want := w.wait(t, "line quotes: <14>quotes: <"), "line quotes: <14>quotes: <134>cli: User admin from 10.1.1.1:1 issued command"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	w.wait(t, "line quotes: <14>quotes: and on")
}

func TestAServiceThatNeverGetsReadyIsStartedAgain(t *testing.T) {
	_, w := start(t, "", Spec{Name: "silent", ReadyWithin: 50 * time.Millisecond, StopWithin: time.Second})
	w.wait(t, "event silent: backoff: not ready after 50ms")
}

func TestAServiceThatFallsSilentIsStartedAgain(t *testing.T) {
	_, w := start(t, "", Spec{Name: "mute", Watchdog: 50 * time.Millisecond, StopWithin: time.Second})
	w.wait(t, "event mute: ready")
	w.wait(t, "event mute: backoff: silent for 50ms")
}

func TestAConfinedServiceReachesOnlyWhatItIsGiven(t *testing.T) {
	if abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno != 0 || abi < 2 {
		t.Skipf("this machine's kernel runs without Landlock ABI 2 (%d, %v)", abi, errno)
	}
	dir := t.TempDir()
	for _, d := range []string{"/readable", "/writable"} {
		if err := os.Mkdir(dir+d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"/readable/file", "/other"} {
		if err := os.WriteFile(dir+f, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The race detector links dynamically, so the libraries must be readable.
	_, w := start(t, os.Args[0], Spec{Name: "confined", Env: []string{"DIR=" + dir},
		Confine: Confine{ReadOnly: []string{dir + "/readable", "/proc", "/sys", "/lib", "/lib64", "/usr/lib"}, ReadWrite: []string{dir + "/writable"}}})
	if got, want := w.wait(t, "line confined: "), "line confined: read true write false own true other false"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestAServiceIsInItsGroupsAndNoOthers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("to choose groups takes root")
	}
	for want, groups := range map[string][]uint32{"[4713]": {4713}, "[]": nil} {
		_, w := start(t, os.Args[0], Spec{Name: "member", Groups: groups})
		if got, want := w.wait(t, "line member: "), "line member: groups "+want+" <nil>"; got != want {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}

func TestACrashLoopIsManyStartsInAMinuteOrManyShortLivesInARow(t *testing.T) {
	at := func(apart time.Duration, n int) []time.Time {
		var list []time.Time
		for i := range n {
			list = append(list, time.Unix(0, 0).Add(time.Duration(i)*apart))
		}
		return list
	}
	for _, c := range []struct {
		name   string
		starts []time.Time
		short  int
		want   bool
	}{
		{"first start", at(0, 1), 0, false},
		{"six starts in five seconds", at(time.Second, 6), 5, true},
		{"six starts in five minutes, each steady", at(time.Minute, 6), 0, false},
		{"never ready within a minute, five times", at(time.Minute, 6), 5, false},
		{"never ready within a minute, six times", at(time.Minute, 7), 6, true},
	} {
		if got := looping(c.starts, c.short); got != c.want {
			t.Errorf("%s: want %v, got %v", c.name, c.want, got)
		}
	}
}

func TestAServiceStartsWithoutTheLimitsThatTheKernelLacks(t *testing.T) {
	// A plain folder takes any file, so a folder stands where a limit would be.
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/limited/memory.max", 0o755); err != nil {
		t.Fatal(err)
	}
	v := &service{s: &Supervisor{cgroupDir: dir}, spec: Spec{Name: "limited", MemoryMax: 1 << 20}}
	group, err := v.makeCgroup()
	if group == nil || err == nil || !strings.Contains(err.Error(), "memory.max") {
		t.Fatalf("want the cgroup and an error about memory.max, got %v, %v", group, err)
	}
	group.Close()
	if err := os.Chmod(dir+"/limited/pids.max", 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(dir + "/limited/pids.max"); err != nil || string(b) != "1024" {
		t.Errorf("want 1024 tasks at most, got %q, %v", b, err)
	}
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 100 * time.Millisecond, 1: 200 * time.Millisecond, 5: 3200 * time.Millisecond, 6: 5 * time.Second, 1000: 5 * time.Second} {
		if got := backoff(backoffFirst, n); got != want {
			t.Errorf("backoff(%d): want %v, got %v", n, want, got)
		}
	}
}

func TestOneServiceIsEndedAndForgottenWhileOthersGoOn(t *testing.T) {
	s, w := start(t, "", Spec{Name: "steady"})
	w.wait(t, "event steady: ready")
	if err := s.Signal("steady", syscall.SIGKILL); err != nil {
		t.Errorf("wanted it signalled, got %v", err)
	}
	// In life it is a hangup, but that one is ignored under nohup(1).
	w.wait(t, "event steady: backoff: signal: killed")
	if !s.End("steady") || s.Runs("steady") || len(s.Services()) != 0 {
		t.Errorf("wanted no service left, got %v", s.Services())
	}
	w.wait(t, "event steady: stopped")
	if s.End("steady") {
		t.Error("ending it twice: wanted false, got true")
	}
}
