package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/services/media/control"
)

// spaces are those that calls go to in turn.
const spaces = 40

// house is what is measured, with all its processes.
type house struct {
	sip netip.AddrPort
	// counted are the processes that figures are of: of ours the Call Bridge, the media manager and the workers; others serve them.
	counted, others []*process
	// users are whom to call.
	users []string
}

// process is a program that runs on the last core.
type process struct {
	command *exec.Cmd
	said    said
}

type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// pin keeps this program, and what it starts without another word, on the first core.
func pin() error {
	var set unix.CPUSet
	set.Set(0)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
			return fmt.Errorf("run on core 0: %w", err)
		}
	}
	return nil
}

// launch starts a program on the last core, with one thread for Go code as taskset has the runtime choose; or on all cores, where time is not measured.
func (b *bench) launch(ctx context.Context, name string, args ...string) (*process, error) {
	cores := strconv.Itoa(runtime.NumCPU() - 1)
	if b.anywhere {
		cores = "0-" + cores
	}
	p := &process{command: exec.CommandContext(ctx, "taskset", append([]string{"-c", cores, name}, args...)...)}
	p.command.Stdout, p.command.Stderr = &p.said, &p.said
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// has waits until the program has said something, and returns the first group.
func (p *process) has(pattern string) (string, error) {
	r := regexp.MustCompile(pattern)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if m := r.FindStringSubmatch(p.said.String()); m != nil {
			return m[len(m)-1], nil
		}
	}
	return "", fmt.Errorf("%s does not say %s, but: %s", filepath.Base(p.command.Args[3]), pattern, p.said.String())
}

func (p *process) end() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		_ = p.command.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = p.command.Process.Kill()
		<-done
	}
}

func (h *house) end() {
	for _, p := range h.counted {
		p.end()
	}
	for _, p := range h.others {
		p.end()
	}
}

// last is what the processes said at the end.
func (h *house) last() string {
	var b strings.Builder
	for _, p := range h.counted {
		text := p.said.String()
		fmt.Fprintf(&b, "%s:\n%s\n", p.command.Args[3], text[max(0, len(text)-2000):])
	}
	return b.String()
}

// cpu is the time that each of the processes has run.
func (h *house) cpu() ([]time.Duration, error) {
	var l []time.Duration
	for _, p := range h.counted {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.command.Process.Pid))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("a server has ended: %s", p.said.String())
		}
		var sum time.Duration
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				continue // a thread that has just ended
			}
			ran, _, _ := strings.Cut(string(b), " ")
			n, err := strconv.ParseInt(ran, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
			sum += time.Duration(n)
		}
		l = append(l, sum)
	}
	return l, nil
}

// resident is the memory of each of the processes, in bytes.
func (h *house) resident() ([]int64, error) {
	var l []int64
	for _, p := range h.counted {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
		if err != nil {
			return nil, fmt.Errorf("a server has ended: %s", p.said.String())
		}
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				n, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
				if err != nil {
					return nil, fmt.Errorf("read VmRSS: %w", err)
				}
				l = append(l, n<<10)
			}
		}
	}
	return l, nil
}

// freeTCP finds a port that is free at this moment.
func freeTCP() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

const login = "bench:secret"

// mostWorkers is how many media workers run at once.
const mostWorkers = 20

// open starts all programs for a number of calls and makes the spaces.
func (b *bench) open(ctx context.Context, calls int) (h *house, err error) {
	h = &house{}
	defer func() {
		if err != nil {
			h.end()
		}
	}()
	folder, err := os.MkdirTemp(b.dir, "house")
	if err != nil {
		return h, err
	}
	var addresses [3]string
	for i := range addresses {
		if addresses[i], err = freeTCP(); err != nil {
			return h, err
		}
	}
	workers, clients, api := addresses[0], addresses[1], addresses[2]
	socket := filepath.Join(folder, "db.sock")
	start := func(list *[]*process, name string, args ...string) (*process, error) {
		p, err := b.launch(ctx, name, args...)
		if err == nil {
			*list = append(*list, p)
		}
		return p, err
	}
	if _, err = start(&h.others, b.services, "database", "-folder", filepath.Join(folder, "db"), "-socket", socket); err != nil {
		return h, err
	}
	if err = until("the database", func() bool { _, err := os.Stat(socket); return err == nil }); err != nil {
		return h, err
	}
	manager, err := start(&h.counted, b.services, "media", "-workers", workers, "-clients", clients, "-modules", strconv.Itoa(mostWorkers))
	if err != nil {
		return h, err
	}
	// As many workers as calls need by their load units, each with ports of its own.
	var all []*process
	for units := 0; units < calls*control.UnitsAudio; {
		n := len(all)
		if n == mostWorkers {
			return h, fmt.Errorf("%d media workers have %d load units, and %d calls need more: others have this machine's time", n, units, calls)
		}
		name := fmt.Sprintf("0.%d", n)
		worker, err := start(&h.counted, b.worker, "-manager", workers, "-worker", name, "-ports", fmt.Sprintf("%d-%d", 20000+2000*n, 21999+2000*n))
		if err != nil {
			return h, err
		}
		all = append(all, worker)
		has, err := manager.has(regexp.QuoteMeta(name) + ` is registered: cpu -?\d+, (\d+) load units`)
		if err != nil {
			return h, fmt.Errorf("%w; the worker says: %s", err, worker.said.String())
		}
		more, err := strconv.Atoi(has)
		if err != nil || more == 0 {
			return h, fmt.Errorf("a media worker with %s load units", has)
		}
		units += more
	}
	bridge, err := start(&h.counted, b.services, "callbridge", "-settings", filepath.Join(folder, "none.json"), "-database", socket, "-listen", api,
		"-socket", filepath.Join(folder, "api.sock"), "-folder", filepath.Join(folder, "bridge"), "-developer", login, "-media", clients,
		"-prompts", filepath.Join(b.root, "build", "prompts"), "-sip", "0", "-sips", "0")
	if err != nil {
		return h, err
	}
	h.counted = append([]*process{bridge, manager}, all...)
	at, err := bridge.has(`SIP listens transport=udp address=(127\.0\.0\.1:\d+)`)
	if err != nil {
		return h, err
	}
	h.sip = netip.MustParseAddrPort(at)
	if err = until("the API", func() bool {
		a, err := http.Get("http://" + login + "@" + api + "/api/v1/coSpaces")
		if err != nil {
			return false
		}
		a.Body.Close()
		return a.StatusCode == http.StatusOK
	}); err != nil {
		return h, err
	}
	for i := range spaces {
		user := fmt.Sprintf("space%d", i)
		a, err := http.PostForm("http://"+login+"@"+api+"/api/v1/coSpaces", url.Values{"name": {user}, "uri": {user}})
		if err != nil {
			return h, err
		}
		a.Body.Close()
		if a.StatusCode != http.StatusOK {
			return h, fmt.Errorf("make a space: %s", a.Status)
		}
		h.users = append(h.users, user)
	}
	return h, nil
}

// until waits for something to be so.
func until(what string, so func() bool) error {
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s does not come up", what)
		}
	}
	return nil
}

// openPeer starts the bare answerer.
func (b *bench) openPeer(ctx context.Context, _ int) (*house, error) {
	p, err := b.launch(ctx, b.self, "-answerer")
	if err != nil {
		return nil, err
	}
	h := &house{counted: []*process{p}, users: []string{"space"}}
	at, err := p.has(`listens at (\S+)`)
	if err != nil {
		h.end()
		return nil, err
	}
	h.sip = netip.MustParseAddrPort(at)
	return h, nil
}

// load is how much others have to do.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}
