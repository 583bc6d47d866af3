// Package observe looks at the machine: what PID 1 says on the control socket, what the kernel says in /proc, and the states that
// daemons write as files. Those who show it, the SNMP agent and the gatherer of metrics, look by it, so that they show the same numbers.
//
// It keeps nothing and changes nothing. What does not answer, or cannot be read, is empty.
package observe

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"rotunda/init/control"
)

// Source is what PID 1 is asked.
type Source interface {
	Release(context.Context) (control.Release, error)
	Health(context.Context) (control.Health, error)
	Interfaces(context.Context) ([]control.Interface, error)
	Filesystems(context.Context) ([]control.Filesystem, error)
}

// Within bounds a look.
const Within = 2 * time.Second

// Machine is what was seen at one moment.
type Machine struct {
	At          time.Time
	Release     control.Release
	Health      control.Health
	Interfaces  []control.Interface
	Filesystems []control.Filesystem
	Clock       control.TimeStatus

	// Answered says that PID 1 did.
	Answered bool

	// Traffic by the kernel's names of interfaces.
	Traffic map[string]Traffic
	// Memory is /proc/meminfo, in kB.
	Memory    map[string]uint64
	Load      [3]float64
	Processes uint64
	// CPU has all processors together first, and then each.
	CPU        []Jiffies
	Switches   uint64
	Interrupts uint64
}

// Traffic is a line of /proc/net/dev.
type Traffic struct {
	InBytes, InPackets, InErrors, InDrops, InMulticast uint64
	OutBytes, OutPackets, OutErrors, OutDrops          uint64
}

// Jiffies are what a processor has done, in hundredths of a second.
type Jiffies struct{ User, Nice, System, Idle, Wait, IRQ, SoftIRQ, Steal uint64 }

// All is the sum.
func (j Jiffies) All() uint64 {
	return j.User + j.Nice + j.System + j.Idle + j.Wait + j.IRQ + j.SoftIRQ + j.Steal
}

// Look looks. Root has proc and run.
func Look(ctx context.Context, pid1 Source, root fs.FS) *Machine {
	ctx, cancel := context.WithTimeout(ctx, Within)
	defer cancel()
	m := &Machine{At: time.Now(), Traffic: map[string]Traffic{}, Memory: map[string]uint64{}}
	var err error
	m.Release, _ = pid1.Release(ctx)
	m.Health, err = pid1.Health(ctx)
	m.Answered = err == nil
	m.Interfaces, _ = pid1.Interfaces(ctx)
	m.Filesystems, _ = pid1.Filesystems(ctx)
	_ = control.ReadStatus(root, control.TimeStatusFile, &m.Clock)
	lines(root, "proc/meminfo", func(f []string) {
		if len(f) >= 2 {
			m.Memory[strings.TrimSuffix(f[0], ":")] = number(f[1])
		}
	})
	lines(root, "proc/net/dev", func(f []string) {
		name, figures, _ := strings.Cut(strings.Join(f, " "), ":")
		n := strings.Fields(figures)
		if len(n) < 12 {
			return
		}
		m.Traffic[strings.TrimSpace(name)] = Traffic{InBytes: number(n[0]), InPackets: number(n[1]), InErrors: number(n[2]), InDrops: number(n[3]), InMulticast: number(n[7]),
			OutBytes: number(n[8]), OutPackets: number(n[9]), OutErrors: number(n[10]), OutDrops: number(n[11])}
	})
	lines(root, "proc/loadavg", func(f []string) {
		for i := range min(3, len(f)) {
			m.Load[i], _ = strconv.ParseFloat(f[i], 64)
		}
		if len(f) > 3 {
			_, all, _ := strings.Cut(f[3], "/")
			m.Processes = number(all)
		}
	})
	lines(root, "proc/stat", func(f []string) {
		switch {
		case strings.HasPrefix(f[0], "cpu") && len(f) >= 9:
			m.CPU = append(m.CPU, Jiffies{number(f[1]), number(f[2]), number(f[3]), number(f[4]), number(f[5]), number(f[6]), number(f[7]), number(f[8])})
		case f[0] == "ctxt" && len(f) > 1:
			m.Switches = number(f[1])
		case f[0] == "intr" && len(f) > 1:
			m.Interrupts = number(f[1])
		}
	})
	return m
}

// Number reads a file that has a number, or one in a line that begins with a word.
func Number(root fs.FS, file, word string) (n uint64, ok bool) {
	lines(root, file, func(f []string) {
		switch {
		case word == "" && len(f) == 1:
			n, ok = number(f[0]), true
		case word != "" && len(f) == 2 && f[0] == word:
			n, ok = number(f[1]), true
		}
	})
	return n, ok
}

// maxLine bounds a line of /proc: that of interrupts grows with the machine.
const maxLine = 256 << 10

// lines reads the words of each line that has any.
func lines(root fs.FS, name string, each func([]string)) {
	f, err := root.Open(name)
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
