package snmp

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"rotunda/init/config"
	"rotunda/init/observe"
)

const (
	// freshFor is how long one look at the machine serves: a walk is many questions.
	freshFor = time.Second
	// loadLooks of one each loadEvery are what hrProcessorLoad is over (RFC 2790: a minute).
	loadEvery = 5 * time.Second
	loadLooks = 12
)

// watch looks at the machine, for answers.
type watch struct {
	pid1 observe.Source
	// root has proc and run.
	root fs.FS
	// hostname is sysName.
	hostname string
	agent    *agent

	mu    sync.Mutex
	tree  *tree
	when  time.Time
	loads [][]observe.Jiffies
	taken time.Time
}

// look is the tree, not older than a second.
func (w *watch) look() *tree {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); w.tree == nil || now.Sub(w.when) > freshFor {
		w.tree, w.when = w.grow(observe.Look(context.Background(), w.pid1, w.root)), time.Now()
	}
	return w.tree
}

// measure remembers what the processors have done, and says how busy each was since the oldest that is remembered, in percent. The
// caller holds mu.
func (w *watch) measure(now time.Time, cpu []observe.Jiffies) []int {
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
		all, idle := after.All()-before.All(), after.Idle+after.Wait-before.Idle-before.Wait
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
