package shell

import (
	"context"
	"time"
)

// idleLimit is how long a session may be idle, 0 for as long as it likes.
func (sh *Shell) idleLimit() time.Duration {
	switch {
	case sh.IdleTimeout == 0:
		return DefaultIdleTimeout
	case sh.IdleTimeout < 0:
		return 0
	}
	return sh.IdleTimeout
}

// timedOut records that a session was idle for too long.
func (sh *Shell) timedOut(login *Login) {
	sh.Log.Audit("User %s from %s timed out", login.User, login.Source)
}

// WatchIdle ends the context, by [ErrIdle], when a session has been idle for too long; idle says for how long it has been. The returned
// function stops the watch and waits for it.
func (sh *Shell) WatchIdle(ctx context.Context, login *Login, idle func() time.Duration) (context.Context, func()) {
	limit := sh.idleLimit()
	if limit == 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer sh.recovered("the watch for idle sessions")
		timer := time.NewTimer(limit)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			so := idle()
			if so >= limit {
				sh.timedOut(login)
				cancel(ErrIdle)
				return
			}
			timer.Reset(limit - so)
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}
