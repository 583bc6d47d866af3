package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/durable"
)

// What is kept of a crash: the kernel writes the end of its log into EFI variables when it panics (efi-pstore); the
// next start copies that to /data/crash and then frees the variables. A panic of PID 1 is in that log because its trace
// goes to /dev/kmsg first.

const (
	crashStore = "/sys/fs/pstore"
	crashDir   = "/data/crash"
	crashFile  = crashDir + "/last"
	// maxCrash bounds what is read of the crash store, whose records are some KiB each.
	maxCrash = 256 << 10
)

// traceToKernelLog sends the trace of a panic in PID 1 into the kernel's log, before the kernel panics in turn.
func traceToKernelLog() error {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("crash output: %w", err)
	}
	defer f.Close()
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		return fmt.Errorf("crash output: %w", err)
	}
	// The trace goes to the console as well, and there first: a line that flow control has stopped would hold the panic
	// half-way for ever, with a main loop that goes on to feed the watchdog.
	if err := unix.SetNonblock(unix.Stderr, true); err != nil {
		return fmt.Errorf("crash output: %w", err)
	}
	return nil
}

// crashRecords are the files of the crash store.
func crashRecords(store string) []string {
	// The pattern is a good one.
	names, _ := filepath.Glob(filepath.Join(store, "dmesg-*"))
	return names
}

// readCrashStore puts the records of the crash store together. Without a crash it returns "".
func readCrashStore(store string) string {
	var records []crashRecord
	size := 0
	for _, name := range crashRecords(store) {
		b, err := os.ReadFile(name)
		if err == nil && size+len(b) <= maxCrash {
			size += len(b)
			records = append(records, parseCrashRecord(string(b)))
		}
	}
	// An oops and the panic that follows are two dumps. The kernel writes the newest part of each first and numbers it 1.
	slices.SortStableFunc(records, func(a, b crashRecord) int {
		return cmp.Or(cmp.Compare(a.dump, b.dump), cmp.Compare(b.part, a.part))
	})
	var text strings.Builder
	for _, r := range records {
		text.WriteString(r.text)
	}
	return joinTrace(text.String())
}

// forgetCrash empties the crash store: removing a file erases its EFI variable.
func (m *machine) forgetCrash() {
	for _, name := range crashRecords(crashStore) {
		if err := os.Remove(name); err != nil {
			m.warn("free the crash store: %v", err)
		}
	}
}

var kernelLine = regexp.MustCompile(`^(<\d+>)?\[ *\d+\.\d+\] ?`)

// joinTrace puts a Go trace together again. The runtime writes it in fragments of some bytes, each of which has become
// a line of the kernel's log with its own time stamp; an empty one stands for the end of a line.
func joinTrace(log string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(log) {
		text := strings.TrimSuffix(line, "\n")
		message := text[len(kernelLine.FindString(text)):]
		switch {
		case strings.Contains(message, "Kernel panic"):
			if inside {
				b.WriteByte('\n')
			}
			inside = false
		case !inside && (strings.HasPrefix(message, "panic: ") || strings.HasPrefix(message, "fatal error: ")):
			inside = true
			b.WriteString(text)
			continue
		}
		switch {
		case !inside:
			b.WriteString(line)
		case message == "":
			b.WriteByte('\n')
		default:
			b.WriteString(message)
			// The head of a goroutine ends its line in the fragment itself.
			if strings.HasSuffix(message, "]:") {
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// crashRecord is one part of one dump of the kernel's log.
type crashRecord struct {
	dump, part int
	text       string
}

// parseCrashRecord takes "Panic#2 Part3\n…" apart; what is not of that form is all text.
func parseCrashRecord(s string) crashRecord {
	head, rest, _ := strings.Cut(s, "\n")
	why, part, ok := strings.Cut(head, " Part")
	_, dump, ok2 := strings.Cut(why, "#")
	d, err1 := strconv.Atoi(dump)
	p, err2 := strconv.Atoi(strings.TrimSpace(part))
	if !ok || !ok2 || err1 != nil || err2 != nil {
		return crashRecord{text: s}
	}
	return crashRecord{d, p, strings.TrimRight(rest, "\x00\n") + "\n"}
}

// keepCrash writes the trace where it outlives further starts; readCrash gives the last one kept.
func keepCrash(text string) error {
	if err := os.MkdirAll(crashDir, 0o700); err != nil {
		return fmt.Errorf("keep crash: %w", err)
	}
	disk, err := durable.OpenDisk(crashDir)
	if err != nil {
		return fmt.Errorf("keep crash: %w", err)
	}
	defer disk.Close()
	if err := durable.WriteFile(disk, "last", []byte(text), 0o600, nil); err != nil {
		return fmt.Errorf("keep crash: %w", err)
	}
	return nil
}

func readCrash() (string, time.Time) {
	st, err := os.Stat(crashFile)
	if err != nil || st.Size() > maxCrash {
		return "", time.Time{}
	}
	b, err := os.ReadFile(crashFile)
	if err != nil {
		return "", time.Time{}
	}
	return string(b), st.ModTime()
}

// before is how many lines ahead of a crash are shown with it.
const before = 10

// excerpt is the part of a kept trace that a person wants first: the crash and the lines just before it. The kernel
// stores the end of its log, which on a short run reaches back to power-on; the file has all of it.
func excerpt(log string) string {
	lines := strings.SplitAfter(log, "\n")
	at := slices.IndexFunc(lines, func(l string) bool {
		message := l[len(kernelLine.FindString(l)):]
		for _, start := range []string{"panic: ", "fatal error: ", "Kernel panic", "BUG: ", "Oops: ", "watchdog: BUG", "general protection fault"} {
			if strings.HasPrefix(message, start) {
				return true
			}
		}
		return false
	})
	return strings.Join(lines[max(at-before, 0):], "")
}
