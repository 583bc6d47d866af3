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
// next start moves that to /data/crash and frees the variables. A panic of PID 1 is in that log because its trace
// goes to /dev/kmsg first.

const (
	crashDir  = "/data/crash"
	crashFile = crashDir + "/last"
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

// collectCrash takes the records out of the crash store. Without a crash it returns "".
func collectCrash(store string) string {
	names, err := filepath.Glob(filepath.Join(store, "dmesg-*"))
	if err != nil || len(names) == 0 {
		return ""
	}
	type record struct {
		part int
		text string
	}
	var records []record
	size := 0
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err == nil && size+len(b) <= maxCrash {
			size += len(b)
			part, text := parseCrashRecord(string(b))
			records = append(records, record{part, text})
		}
		// Removing the file erases the EFI variable, whose space is scarce.
		_ = os.Remove(name)
	}
	// The kernel writes the newest part first and numbers it 1.
	slices.SortStableFunc(records, func(a, b record) int { return cmp.Compare(b.part, a.part) })
	var text strings.Builder
	for _, r := range records {
		text.WriteString(r.text)
	}
	return joinTrace(text.String())
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

// parseCrashRecord splits "Panic#2 Part3\n…" into the part number and the log text.
func parseCrashRecord(s string) (part int, text string) {
	head, rest, ok := strings.Cut(s, "\n")
	if _, after, found := strings.Cut(head, " Part"); ok && found {
		if n, err := strconv.Atoi(strings.TrimSpace(after)); err == nil {
			return n, strings.TrimRight(rest, "\x00\n") + "\n"
		}
	}
	return 0, s
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
