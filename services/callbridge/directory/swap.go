package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// mostSwapped bounds how many users one transaction gives each other's values.
const mostSwapped = 100

// errSwap takes a swap back that did not come out.
var errSwap = errors.New("a value is taken by somebody who keeps it")

// swap tries those whose values are taken together: two who exchange their names or numbers each wait for the other. All of them give up what
// they have, and take what they are to have, in one transaction. Who still clashes stays as before, and the others are tried without.
func (x *run) swap(ctx context.Context, people []deferred, why []error) error {
	var group []deferred
	var reasons []error
	for i, d := range people {
		if d.own == (store.ID{}) || len(group) == mostSwapped {
			x.clashed(d.person, why[i])
			continue
		}
		group, reasons = append(group, d), append(reasons, why[i])
	}
	for len(group) > 1 {
		var offender int
		err := x.im.write(ctx, func(tx *store.Tx) error {
			for _, d := range group {
				if err := vacate(tx, d); err != nil {
					return err
				}
			}
			for i, d := range group {
				offender = i
				at := x.place(tx, x.claimed, d.source, d.person, d.own, false)
				err := at.taken
				if err == nil && !at.elsewhere {
					_, err = x.apply(tx, d.source, d.person, at.user)
				}
				var taken *clash
				if errors.As(err, &taken) || at.elsewhere {
					return errSwap
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			for _, d := range group {
				if !d.counted {
					x.imported++
					x.changed++
				}
			}
			return nil
		}
		if !errors.Is(err, errSwap) {
			return fmt.Errorf("write users: %w", err)
		}
		x.clashed(group[offender].person, reasons[offender])
		group, reasons = slices.Delete(group, offender, offender+1), slices.Delete(reasons, offender, offender+1)
	}
	for i, d := range group {
		x.clashed(d.person, reasons[i])
	}
	return nil
}

// vacate takes from a user and the space what is to change and nobody else may have.
func vacate(tx *store.Tx, d deferred) error {
	u := tx.Get(schema.User, d.own)
	if u == nil {
		return nil
	}
	if u.Text("userJid") != d.person.jid {
		e := tx.Edit(u)
		// A user has a JID always; this one is nobody's, and does not outlive the transaction.
		e.Set("userJid", u.ID().String())
		if err := tx.Put(e); err != nil {
			return err
		}
	}
	_, space := provisioned(tx, u.ID())
	if space == nil {
		return nil
	}
	e := tx.Edit(space)
	for _, f := range d.person.coSpace(*d.source, u.ID()) {
		if (f.field == "uri" || f.field == "secondaryUri" || f.field == "callId") && f.text != space.Text(f.field) {
			e.Set(f.field, "")
		}
	}
	return tx.Put(e)
}
