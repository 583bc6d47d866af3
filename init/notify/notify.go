// Package notify is how a service tells PID 1 that it is ready and that it lives, by the protocol of sd_notify(3). Without
// a NOTIFY_SOCKET in the environment, as on a developer's machine, there is nobody to tell.
package notify

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

// Ready tells that the service serves.
func Ready() error { return send(os.Getenv("NOTIFY_SOCKET"), "READY=1") }

// Watchdog gives a sign of life at once and then every so often, until ctx ends. Before each it calls alive, which
// returns only if the service does its work; while alive does not return there is no sign.
func Watchdog(ctx context.Context, every time.Duration, alive func()) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		alive()
		if err := send(path, "WATCHDOG=1"); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Alive is [Watchdog] for a service whose work is one loop: the loop receives from what is returned, and each time that it does is a sign
// of life.
func Alive(ctx context.Context, every time.Duration) <-chan struct{} {
	alive := make(chan struct{})
	go func() {
		_ = Watchdog(ctx, every, func() {
			select {
			case alive <- struct{}{}:
			case <-ctx.Done():
			}
		})
	}()
	return alive
}

func send(path, state string) error {
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell PID 1 %s: %w", state, err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("tell PID 1 %s: %w", state, err)
	}
	return nil
}
