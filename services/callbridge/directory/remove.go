package directory

import (
	"context"
	"fmt"
	"time"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// removeGone removes the users whose entry was not seen, with the spaces that were made for them and their places in others.
// Spaces that they made themselves stay.
func (x *run) removeGone(ctx context.Context) error {
	var gone []store.ID
	x.im.Store.Each(schema.User, func(u *store.Record) bool {
		if _, seen := x.claimed[u.ID()]; !seen && x.removes(u) {
			gone = append(gone, u.ID())
		}
		return ctx.Err() == nil
	})
	atOnce := batch
	for len(gone) > 0 {
		some := gone[:min(atOnce, len(gone))]
		began := time.Now()
		removed := 0
		err := x.im.write(ctx, func(tx *store.Tx) error {
			removed = 0
			for _, id := range some {
				u := tx.Get(schema.User, id)
				if u == nil {
					continue
				}
				if err := x.removeUser(tx, u); err != nil {
					return err
				}
				removed++
			}
			return nil
		})
		if tooBig(err) && len(some) > 1 {
			atOnce = len(some) / 2
			continue
		}
		if err != nil {
			return fmt.Errorf("remove users: %w", err)
		}
		gone = gone[len(some):]
		x.removed += removed
		if err := rest(ctx, min(time.Since(began)/4, 50*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

func (x *run) removeUser(tx *store.Tx, u *store.Record) error {
	if _, space := provisioned(tx, u.ID()); space != nil {
		if err := tx.Delete(space); err != nil {
			return err
		}
	}
	for _, m := range tx.Lookup(schema.CoSpaceUser, "userId", u.ID().String()) {
		if err := tx.Delete(m); err != nil {
			return err
		}
	}
	return tx.Delete(u)
}
