package snmp

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
)

const (
	// freshFor is how long one look at the machine serves: a walk is many questions.
	freshFor = time.Second
	// lookWithin bounds a look. Without an answer of PID 1 the rest is shown.
	lookWithin = 2 * time.Second
	// loadOver is the time that hrProcessorLoad is over (RFC 2790: a minute), in looks of one each loadEvery.
	loadEvery = 5 * time.Second
	loadLooks = 12
)

// source is what the agent asks PID 1.
type source interface {
	Release(context.Context) (control.Release, error)
	Health(context.Context) (control.Health, error)
	Interfaces(context.Context) ([]control.Interface, error)
	Filesystems(context.Context) ([]control.Filesystem, error)
}

// seen is the machine at one moment.
type seen struct {
	at          time.Time
	release     control.Release
	health      control.Health
	interfaces  []control.Interface
	filesystems []control.Filesystem
	clock       control.TimeStatus

	traffic   map[string]traffic
	memory    map[string]uint64 // of /proc/meminfo, in kB
	load      [3]float64
	processes uint64
	cpu       []jiffies // the first is all together
	busy      []int     // of each processor over the last minute, in percent
	switches  uint64
	irqs      uint64
}

// traffic is a line of /proc/net/dev.
type traffic struct{ inOctets, inPackets, inErrors, inDrops, inMulticast, outOctets, outPackets, outErrors, outDrops uint64 }

// jiffies are what a processor has done, in hundredths of a second.
type jiffies struct{ user, nice, system, idle, wait, irq, soft, steal uint64 }

func (j jiffies) all() uint64 {
	return j.user + j.nice + j.system + j.idle + j.wait + j.irq + j.soft + j.steal
}

// watch looks at the machine, for answers and for what is to be told.
type watch struct {
	pid1 source
	// root has proc and run.
	root fs.FS
	// hostname is sysName.
	hostname func() string
	agent    *agent

	mu    sync.Mutex
	tree  *tree
	when  time.Time
	loads [][]jiffies
	taken time.Time
}

// look is the tree, not older than a second.
func (w *watch) look() *tree {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); w.tree == nil || now.Sub(w.when) > freshFor {
		s := w.see(context.Background())
		w.tree, w.when = w.grow(s), time.Now()
	}
	return w.tree
}

// see asks everybody. What does not answer is empty.
func (w *watch) see(ctx context.Context) *seen {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	s := &seen{at: time.Now(), traffic: map[string]traffic{}, memory: map[string]uint64{}}
	s.release, _ = w.pid1.Release(ctx)
	s.health, _ = w.pid1.Health(ctx)
	s.interfaces, _ = w.pid1.Interfaces(ctx)
	s.filesystems, _ = w.pid1.Filesystems(ctx)
	if b, err := fs.ReadFile(w.root, strings.TrimPrefix(control.TimeStatusFile, "/")); err == nil {
		_ = json.Unmarshal(b, &s.clock)
	}
	w.lines("proc/meminfo", func(f []string) {
		if len(f) >= 2 {
			s.memory[strings.TrimSuffix(f[0], ":")] = number(f[1])
		}
	})
	w.lines("proc/net/dev", func(f []string) {
		name, first, _ := strings.Cut(strings.Join(f, " "), ":")
		n := strings.Fields(first)
		if len(n) < 12 {
			return
		}
		s.traffic[strings.TrimSpace(name)] = traffic{inOctets: number(n[0]), inPackets: number(n[1]), inErrors: number(n[2]), inDrops: number(n[3]), inMulticast: number(n[7]),
			outOctets: number(n[8]), outPackets: number(n[9]), outErrors: number(n[10]), outDrops: number(n[11])}
	})
	w.lines("proc/loadavg", func(f []string) {
		for i := range min(3, len(f)) {
			s.load[i], _ = strconv.ParseFloat(f[i], 64)
		}
		if len(f) > 3 {
			_, all, _ := strings.Cut(f[3], "/")
			s.processes = number(all)
		}
	})
	w.lines("proc/stat", func(f []string) {
		switch {
		case strings.HasPrefix(f[0], "cpu") && len(f) >= 9:
			s.cpu = append(s.cpu, jiffies{number(f[1]), number(f[2]), number(f[3]), number(f[4]), number(f[5]), number(f[6]), number(f[7]), number(f[8])})
		case f[0] == "ctxt" && len(f) > 1:
			s.switches = number(f[1])
		case f[0] == "intr" && len(f) > 1:
			s.irqs = number(f[1])
		}
	})
	return s
}

// maxLine bounds a line of /proc: that of interrupts grows with the machine.
const maxLine = 256 << 10

// lines reads the words of each line that has any.
func (w *watch) lines(name string, each func([]string)) {
	f, err := w.root.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	in := bufio.NewScanner(io.LimitReader(f, 4<<20))
	in.Buffer(make([]byte, 4096), maxLine)
	for in.Scan() {
		if words := strings.Fields(in.Text()); len(words) > 0 {
			each(words)
		}
	}
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// measure remembers what the processors have done, and says how busy each was since the oldest that is remembered. The caller
// holds mu.
func (w *watch) measure(now time.Time, cpu []jiffies) []int {
	if w.taken.IsZero() || now.Sub(w.taken) >= loadEvery {
		w.taken = now
		w.loads = append(w.loads, cpu)
		w.loads = w.loads[max(0, len(w.loads)-loadLooks):]
	}
	busy := make([]int, max(len(cpu)-1, 0))
	old := w.loads[0]
	for i := range busy {
		if i+1 >= len(old) {
			continue
		}
		before, after := old[i+1], cpu[i+1]
		all, idle := after.all()-before.all(), after.idle+after.wait-before.idle-before.wait
		if all > 0 && idle <= all {
			busy[i] = int((all - idle) * 100 / all)
		}
	}
	return busy
}

// interfaceNumber is the ifIndex: that of a name is always the same, whatever the machine has.
func interfaceNumber(name string) uint32 {
	return uint32(slices.Index(config.InterfaceNames, name) + 1)
}

// hostRoot is the file system that the agent sees.
func hostRoot() fs.FS { return os.DirFS("/") }
