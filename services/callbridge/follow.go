package callbridge

import (
	"context"
	"time"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// refreshShare keeps looking through all legs to a sixth of the time, however fast somebody writes: a single change counts at once, those that come
// while legs are looked through count together.
const refreshShare = 5

// followProfiles has meetings take over changes of profiles, and of what they are attached to, until the context ends.
func (c *calls) followProfiles(ctx context.Context, s *store.Store) error {
	changed := make(chan struct{}, 1)
	cancel := s.Subscribe(func(before, after *store.Record) {
		if !matters(before, after) {
			return
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}, meeting.ProfileObjects...)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		began := time.Now()
		c.meetings.Refresh()
		pause := time.NewTimer(refreshShare * time.Since(began))
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
	}
}

// matters says whether a change may be one of somebody's rights: an import of ten thousand spaces is none.
func matters(before, after *store.Record) bool {
	if before == nil {
		return after.Object().Singleton // nobody came in by what is new
	}
	if after == nil {
		return true
	}
	switch after.Object() {
	case schema.CallLegProfile, schema.LayoutTemplate:
		return true
	}
	if after.Object() == schema.CoSpace && before.Text("tenant") != after.Text("tenant") {
		return true
	}
	return before.Text("callLegProfile") != after.Text("callLegProfile")
}
