package main

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"rotunda/init/journal"
)

// followKernel copies the kernel's warnings and errors into the journal, from the first line of this start. It ends
// with the machine.
func (m *machine) followKernel() {
	f, err := os.Open("/dev/kmsg")
	if err != nil {
		m.journal.Log(journal.DaemonWarning, "init", "read kernel log: "+err.Error())
		return
	}
	defer f.Close()
	// One read gives one record, at most 8 KiB.
	b := make([]byte, 8<<10)
	for {
		n, err := f.Read(b)
		if errors.Is(err, unix.EPIPE) {
			// The ring buffer has overtaken us; the next read goes on with the oldest record.
			continue
		}
		if err != nil {
			return
		}
		if p, text, ok := parseKernelRecord(string(b[:n])); ok {
			m.journal.Log(p, "kernel", text)
		}
	}
}

// parseKernelRecord takes "4,339,5140900,-;text\n KEY=value\n" and keeps what is a warning or worse from the kernel
// itself (Documentation/ABI/testing/dev-kmsg).
func parseKernelRecord(s string) (journal.Priority, string, bool) {
	head, text, ok := strings.Cut(s, ";")
	if !ok {
		return 0, "", false
	}
	first, _, _ := strings.Cut(head, ",")
	p, err := strconv.Atoi(first)
	if err != nil || p < 0 || p > int(journal.KernWarning) {
		return 0, "", false
	}
	text, _, _ = strings.Cut(text, "\n")
	return journal.Priority(p), text, true
}
