package main

import (
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

// disarm writes the magic close character (watchdog-api of the kernel's documentation).
func (w *watchdog) disarm() {
	if w != nil {
		_, _ = w.f.Write([]byte("V"))
		w.f.Close()
	}
}
