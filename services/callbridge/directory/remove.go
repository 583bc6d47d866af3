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
	for len(gone) > 0 {
		some := gone[:min(batch, len(gone))]
		began := time.Now()
		var removed, done int
		err := x.lighten(ctx, some[0])
		if err == nil {
			err = x.im.write(ctx, func(tx *store.Tx) error {
				removed = 0
				load := 0
				for i, id := range some {
					u := tx.Get(schema.User, id)
					if u == nil {
						continue
					}
					load += weight(tx, id)
					if done = i; i > 0 && load > mostLoad {
						return nil
					}
					if err := x.removeUser(tx, u); err != nil {
						return err
					}
					removed++
				}
				done = len(some)
				return nil
			})
		}
		if err != nil {
			return fmt.Errorf("remove users: %w", err)
		}
		gone = gone[done:]
		x.removed += removed
		if err := rest(ctx, min(time.Since(began)/4, 50*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

// weight is how many objects go with a user and the space that was made for it.
func weight(v store.View, user store.ID) int {
	n := len(v.Lookup(schema.CoSpaceUser, "userId", user.String())) + len(v.Below(schema.UserCoSpaceTemplate, user))
	if _, space := provisioned(v, user); space != nil {
		n += len(v.Below(schema.CoSpaceUser, space.ID())) + len(v.Below(schema.AccessMethod, space.ID()))
	}
	return n
}

// lighten removes memberships of a user, or of the user's space, that are more than one transaction takes with the user.
func (x *run) lighten(ctx context.Context, user store.ID) error {
	for weight(x.im.Store, user) > mostLoad {
		err := x.im.write(ctx, func(tx *store.Tx) error {
			all := tx.Lookup(schema.CoSpaceUser, "userId", user.String())
			if _, space := provisioned(tx, user); space != nil {
				all = append(all, tx.Below(schema.CoSpaceUser, space.ID())...)
			}
			for _, m := range all[:min(mostLoad, len(all))] {
				// The owner is in both.
				if m = tx.Get(schema.CoSpaceUser, m.ID()); m == nil {
					continue
				}
				if err := tx.Delete(m); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(x.im.Store.Lookup(schema.CoSpaceUser, "userId", user.String())) == 0 {
			if _, space := provisioned(x.im.Store, user); space == nil || len(x.im.Store.Below(schema.CoSpaceUser, space.ID())) == 0 {
				return nil
			}
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
