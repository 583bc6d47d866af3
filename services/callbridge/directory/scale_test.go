package directory

import (
	"context"
	"fmt"
	"testing"
	"time"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

func TestTenThousandUsersAreImportedWhileOthersWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: takes some seconds")
	}
	x := newScene(t, some(scale))
	x.source(nil)
	// Somebody changes a space again and again: the import must not keep it waiting.
	busy := x.add(schema.CoSpace, store.ID{}, "name", "busy")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan time.Duration)
	go func() {
		var longest time.Duration
		for n := 0; ctx.Err() == nil; n++ {
			began := time.Now()
			err := x.store.Write(t.Context(), func(tx *store.Tx) error {
				d := tx.Edit(tx.Get(schema.CoSpace, busy.ID()))
				d.Set("name", fmt.Sprintf("busy %d", n))
				return tx.Put(d)
			})
			if err != nil {
				t.Error(err)
			}
			longest = max(longest, time.Since(began))
		}
		done <- longest
	}()
	began := time.Now()
	x.succeed(scale)
	took := time.Since(began)
	cancel()
	longest := <-done
	x.count(scale, scale+1)
	began = time.Now()
	if n := x.writes(func() { x.succeed(scale) }); n != 0 {
		t.Errorf("%d objects were written", n)
	}
	t.Logf("%d users in %s, again in %s; another writer waited at most %s", scale, took, time.Since(began), longest)
	// A transaction of 200 users takes some tens of milliseconds; the bounds are for a machine that is laden and the race detector.
	if longest > max(10*time.Second, took/2) {
		t.Errorf("another writer waited %s", longest)
	}
}
