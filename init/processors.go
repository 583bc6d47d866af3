package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxProcessors is what Debian's kernel is built for (CONFIG_NR_CPUS).
const maxProcessors = 8192

// onlineProcessors reads the processors that are on. Without the list there is processor 0.
func onlineProcessors(sys string) []int {
	b, err := os.ReadFile(filepath.Join(sys, "devices/system/cpu/online"))
	if err == nil {
		if list, err := parseProcessors(strings.TrimSpace(string(b))); err == nil {
			return list
		}
	}
	return []int{0}
}

// parseProcessors reads the kernel's list format: "0-3,8".
func parseProcessors(s string) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		last := first
		if err == nil && isRange {
			last, err = strconv.Atoi(to)
		}
		if err != nil || first < 0 || last < first || last >= maxProcessors {
			return nil, fmt.Errorf("processors %q: %q is not a number or a range", s, part)
		}
		for n := first; n <= last; n++ {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// processorMask writes the kernel's mask format: groups of 32 bits in hexadecimal, the highest first.
func processorMask(list []int) string {
	groups := make([]uint32, 1)
	for _, n := range list {
		for len(groups) <= n/32 {
			groups = append(groups, 0)
		}
		groups[n/32] |= 1 << (n % 32)
	}
	text := make([]string, len(groups))
	for i, g := range groups {
		text[len(groups)-1-i] = fmt.Sprintf("%08x", g)
	}
	return strings.Join(text, ",")
}

// keepToSystem keeps the kernel and PID 1 off the media cores: interrupts that come from now on (drivers loaded later
// start with the default), those that are there already, the kernel's unbound work, and every thread of PID 1. What it
// starts inherits that, unless it is told otherwise (supervise.Spec.CPUs). How packets are spread over processors by
// software (RPS, XPS) is left alone: that they are handled where the interrupt came is what we want.
func keepToSystem(proc, sys string, system []int) error {
	var errs []error
	write := func(path, value string) {
		if err := os.WriteFile(path, []byte(value), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("keep off the media cores: %w", err))
		}
	}
	mask := processorMask(system)
	write(filepath.Join(proc, "irq/default_smp_affinity"), mask)
	write(filepath.Join(sys, "devices/virtual/workqueue/cpumask"), mask)
	irqs, _ := filepath.Glob(filepath.Join(proc, "irq/*/smp_affinity"))
	for _, irq := range irqs {
		// Interrupts of a processor's own, such as timers, and those that the kernel spreads over the queues of a device
		// cannot be moved, and say so with an error.
		_ = os.WriteFile(irq, []byte(mask), 0)
	}
	// The second pass finds threads that others made while the first went on.
	for range 2 {
		errs = append(errs, moveThreads(filepath.Join(proc, "self/task"), system))
	}
	return errors.Join(errs...)
}

// strayInterrupts moves interrupts off the media cores once more, since network drivers choose processors for their queues when an interface
// comes up, and returns those that stay: "25 virtio1-req.0". Those are queues of disks, one a processor, which the kernel ties to it; they
// come only where that processor itself reads or writes. total counts the interrupts of devices. An interrupt's wanted place
// counts, since many move only when they come the next time.
func strayInterrupts(proc string, system, media []int) (total int, stray []string) {
	mask := processorMask(system)
	irqs, _ := os.ReadDir(filepath.Join(proc, "irq"))
	for _, irq := range irqs {
		device := interruptOf(filepath.Join(proc, "irq", irq.Name()))
		if device == "" {
			continue
		}
		total++
		onMedia := func() bool {
			b, err := os.ReadFile(filepath.Join(proc, "irq", irq.Name(), "smp_affinity_list"))
			list, wrong := parseProcessors(strings.TrimSpace(string(b)))
			return err == nil && wrong == nil && slices.ContainsFunc(list, func(n int) bool { return slices.Contains(media, n) })
		}
		if onMedia() {
			_ = os.WriteFile(filepath.Join(proc, "irq", irq.Name(), "smp_affinity"), []byte(mask), 0)
			if onMedia() {
				stray = append(stray, irq.Name()+" "+device)
			}
		}
	}
	return total, stray
}

// interruptOf names the device behind an interrupt: the kernel has a folder of its name there. "" for one that nobody handles.
func interruptOf(folder string) string {
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if e.IsDir() {
			return e.Name()
		}
	}
	return ""
}

// moveThreads keeps the threads in a folder of /proc to processors.
func moveThreads(folder string, processors []int) error {
	tasks, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("list threads: %w", err)
	}
	var set unix.CPUSet
	for _, n := range processors {
		set.Set(n)
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err == nil {
			err = unix.SchedSetaffinity(id, &set)
		}
		// A thread may have ended meanwhile.
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("keep thread %s off the media cores: %w", t.Name(), err)
		}
	}
	return nil
}
