package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/modules"
)

// watchdogTimeout is how long PID 1 may stand still before the hardware resets the machine; it is fed at a third of
// that. In a trial boot the reset counts as a failed try, so a version that hangs ends on the one before.
const watchdogTimeout = 20 * time.Second

// watchdog is the open device; nil where the machine has none.
type watchdog struct{ f *os.File }

// openWatchdog loads the drivers in the board's order and opens the first device that appears. The last of the list
// is the kernel's own timer (softdog), which guards against a hanging PID 1 but not against a hanging kernel.
func openWatchdog(l *modules.Loader, drivers []string) (*watchdog, string, error) {
	for _, driver := range drivers {
		if !l.Has(driver) || l.Load(driver, "") != nil {
			continue
		}
		f, err := os.OpenFile("/dev/watchdog0", os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		w := &watchdog{f}
		if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.WDIOC_SETTIMEOUT, int(watchdogTimeout/time.Second)); err != nil {
			return w, driver, fmt.Errorf("set watchdog timeout: %w", err)
		}
		return w, driver, nil
	}
	return nil, "", fmt.Errorf("no watchdog device: tried %v", drivers)
}

func (w *watchdog) feed() {
	if w != nil {
		_, _ = w.f.Write([]byte{0})
	}
}

// feedFor feeds until the function that it returns is called, but no longer than limit: a step that takes its time is no
// hang, and one that takes for ever is.
func (w *watchdog) feedFor(limit time.Duration) (stop func()) {
	if w == nil {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(watchdogTimeout / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				w.feed()
			}
		}
	}()
	return func() { cancel(); <-done }
}

// allow feeds once more and gives what comes, the way down, another time than the usual. A device that cannot count so
// far keeps its own.
func (w *watchdog) allow(d time.Duration) {
	if w != nil {
		_ = unix.IoctlSetPointerInt(int(w.f.Fd()), unix.WDIOC_SETTIMEOUT, int(d/time.Second))
		w.feed()
	}
}

// disarm writes the magic close character (watchdog-api of the kernel's documentation).
func (w *watchdog) disarm() {
	if w != nil {
		_, _ = w.f.Write([]byte("V"))
		w.f.Close()
	}
}
