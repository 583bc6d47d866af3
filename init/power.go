package main

import (
	"context"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	actionReboot   = "reboot"
	actionShutdown = "shutdown"
)

// run is the main loop: it feeds the watchdog and waits for the end. If it stands still the machine is reset.
func (m *machine) run(ctx context.Context, signals <-chan os.Signal) string {
	feed := time.NewTicker(watchdogTimeout / 3)
	defer feed.Stop()
	for {
		select {
		case <-feed.C:
			m.watchdog.feed()
		case s := <-signals:
			if s == syscall.SIGINT {
				return actionReboot
			}
			return actionShutdown
		case action := <-m.ending:
			return action
		case <-ctx.Done():
			return actionReboot
		}
	}
}

// downLimit is how long the way down may take: services that do not want to end, and a slow disk that has all of the
// memory's unwritten data to take.
const downLimit = time.Minute

// end undoes the start in reverse and leaves. The watchdog is left armed: should the way down hang, it cuts the hang
// short.
func (m *machine) end(action string, undo []func()) {
	m.say("going down: " + action)
	m.info("going down: %s", action)
	m.watchdog.allow(downLimit)
	for i := len(undo) - 1; i >= 0; i-- {
		undo[i]()
	}
	unix.Sync()
	how := unix.LINUX_REBOOT_CMD_RESTART
	if action == actionShutdown {
		m.watchdog.disarm()
		how = unix.LINUX_REBOOT_CMD_POWER_OFF
	}
	_ = unix.Reboot(how)
	// Only a kernel without the right to do so comes back here; a panic restarts as well.
	os.Exit(1)
}

func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
