package shell

import (
	"context"
	"time"

	"rotunda/mmp/line"
)

// watchIdle ends the context when the terminal has waited for a key for too long. The returned function stops the
// watch and waits for it.
func (sh *Shell) watchIdle(ctx context.Context, term *line.Terminal) (context.Context, func()) {
	limit := sh.IdleTimeout
	switch {
	case limit == 0:
		limit = DefaultIdleTimeout
	case limit < 0:
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
			idle := term.Idle()
			if idle >= limit {
				cancel(ErrIdle)
				return
			}
			timer.Reset(limit - idle)
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}
