package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/mmp/shell"
)

// notify tells PID 1 a state, by the protocol of sd_notify(3). Without a socket there is nobody to tell.
func notify(log *shell.Log, state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if err := send(path, state); err != nil {
		log.Error("tell PID 1 %s: %v", state, err)
	}
}

func send(path, state string) error {
	// A name that begins with @ is in the abstract name space, which net.Dial knows as well.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("open the notification socket: %w", err)
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}

// watchdogInterval is a sixth of the minute after which PID 1 starts the shell anew.
const watchdogInterval = 10 * time.Second

// keepWatchdog gives a sign of life as long as alive returns, until the context ends.
func keepWatchdog(ctx context.Context, log *shell.Log, alive func()) {
	tick := time.NewTicker(watchdogInterval)
	defer tick.Stop()
	for {
		done := make(chan struct{})
		go func() {
			defer close(done)
			alive()
		}()
		select {
		case <-ctx.Done():
			return
		case <-done:
			notify(log, "WATCHDOG=1")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// lowPriority makes this goroutine run when nothing else wants to. Linux keeps the niceness of a thread apart from its
// process's, and an unprivileged thread cannot raise it again, so the thread ends with the goroutine.
func lowPriority() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19)
}
