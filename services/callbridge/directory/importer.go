package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// Options are what an Importer needs.
type Options struct {
	Store *store.Store
	// Machine is this Call Bridge: it finds the synchronisation that it had begun before a restart.
	Machine store.ID
	// TLS returns the settings of `tls ldap` as they are now. Nil stands for the zero value, which checks no certificate.
	TLS func() TLS
	// Log may be nil.
	Log *slog.Logger
}

// Importer carries out ldapSyncs objects, one at a time in the order in which they were asked for.
//
// States: pending → inProgress → complete or failed; pending again after a restart of the Call Bridge, once. Clients may delete
// them in every state but inProgress.
type Importer struct {
	Options
}

// New makes an Importer. Its checks work at once; Run carries out what was asked for.
func New(o Options) *Importer {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.TLS == nil {
		o.TLS = func() TLS { return TLS{} }
	}
	return &Importer{o}
}

// restarted ends what detail says of a synchronisation that a restart interrupted.
const restarted = "begun again after a restart of the Call Bridge"

// Run carries out synchronisations until ctx ends, and returns its error. One that goes on then is begun again at the next Run.
func (im *Importer) Run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	cancel := im.Store.Subscribe(func(before, after *store.Record) {
		select {
		case wake <- struct{}{}:
		default:
		}
	}, schema.LDAPSync)
	defer cancel()
	for {
		err := im.serve(ctx, wake)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The database refuses: it is full, say. Imports wait for better times; they do not end the Call Bridge.
		im.Log.Warn("LDAP synchronisations stand still", "error", err)
		if err := rest(ctx, 10*time.Second); err != nil {
			return err
		}
	}
}

// serve carries out what is queued until something fails that is no failure of one synchronisation.
func (im *Importer) serve(ctx context.Context, wake <-chan struct{}) error {
	if err := im.resume(ctx); err != nil {
		return err
	}
	for {
		next, err := im.next(ctx)
		if err != nil {
			return err
		}
		if next != nil {
			if err := im.carryOut(ctx, next); err != nil {
				return err
			}
			continue
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// resume puts what a restart interrupted back into the queue. The second time it fails: it may be what ended the Call Bridge.
func (im *Importer) resume(ctx context.Context) error {
	return im.write(ctx, func(tx *store.Tx) error {
		var interrupted []*store.Record
		tx.Each(schema.LDAPSync, func(r *store.Record) bool {
			if r.Text("state") == "inProgress" && r.Text("callBridge") == im.Machine.String() {
				interrupted = append(interrupted, r)
			}
			return true
		})
		for _, r := range interrupted {
			d := tx.Edit(r)
			if strings.HasSuffix(r.Text("detail"), restarted) {
				if err := end(tx, r, "ldapError", "interrupted twice: the Call Bridge or its database went away meanwhile"); err != nil {
					return err
				}
				im.Log.Warn("LDAP synchronisation given up: interrupted twice", "ldapSync", r.ID())
				continue
			}
			d.Set("state", "pending")
			// What it is of stands before: see PrepareSync.
			d.Set("detail", strings.TrimPrefix(r.Text("detail")+", "+restarted, ", "))
			d.Set("callBridge", "")
			if err := tx.Put(d); err != nil {
				return err
			}
			im.Log.Info("LDAP synchronisation begins again after a restart", "ldapSync", r.ID())
		}
		return nil
	})
}

// next claims the one that waits longest; nil when there is none, or another Call Bridge carries one out.
func (im *Importer) next(ctx context.Context) (*store.Record, error) {
	choose := func(v store.View) (chosen *store.Record) {
		v.Each(schema.LDAPSync, func(r *store.Record) bool {
			switch r.Text("state") {
			case "inProgress":
				chosen = nil
				return false
			case "pending":
				if chosen == nil || r.Text("created") < chosen.Text("created") {
					chosen = r
				}
			}
			return true
		})
		return chosen
	}
	if choose(im.Store) == nil {
		return nil, nil
	}
	var id store.ID
	err := im.write(ctx, func(tx *store.Tx) error {
		id = store.ID{}
		r := choose(tx)
		if r == nil {
			return nil
		}
		id = r.ID()
		d := tx.Edit(r)
		d.Set("state", "inProgress")
		d.SetRef("callBridge", im.Machine)
		return tx.Put(d)
	})
	if err != nil || id == (store.ID{}) {
		return nil, err
	}
	return im.Store.Get(schema.LDAPSync, id), nil
}

// carryOut does one and writes its end.
func (im *Importer) carryOut(ctx context.Context, r *store.Record) error {
	began := time.Now()
	im.Log.Info("LDAP synchronisation begins", "ldapSync", r.ID())
	x := &run{im: im, sync: r, positions: map[store.ID]int{}, claimed: claims{}, finished: map[store.ID]bool{}}
	x.do(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	reason, detail := x.verdict()
	level := slog.LevelInfo
	if reason != "" {
		level = slog.LevelWarn
	}
	im.Log.Log(ctx, level, "LDAP synchronisation ends", "ldapSync", r.ID(), "failureReason", reason, "detail", detail, "users", x.imported, "sources", x.complete,
		"new", x.created, "changed", x.changed, "removed", x.removed, "leftOut", x.skipped, "took", time.Since(began).Round(time.Millisecond))
	err := im.write(ctx, func(tx *store.Tx) error {
		now := tx.Get(schema.LDAPSync, r.ID())
		if now == nil {
			return nil
		}
		d := tx.Edit(now)
		x.count(d)
		if err := tx.Put(d); err != nil {
			return err
		}
		return end(tx, tx.Get(schema.LDAPSync, r.ID()), reason, detail)
	})
	if x.imported >= manyUsers {
		// What the import took beside the objects goes back to the machine at once.
		x.claimed, x.deferred = nil, nil
		debug.FreeOSMemory()
	}
	return err
}

// manyUsers is from where on an import leaves so much behind that it is worth a look at all of memory.
const manyUsers = 10_000

// end writes the last state, or takes the object away where it was asked for.
func end(tx *store.Tx, r *store.Record, reason, detail string) error {
	if r.Text("removeWhenFinished") != "false" {
		return tx.Delete(r)
	}
	d := tx.Edit(r)
	d.Set("state", "complete")
	if reason != "" {
		d.Set("state", "failed")
	}
	d.Set("failureReason", reason)
	d.Set("detail", clipTo(detail, 4000))
	d.Set("callBridge", "")
	return tx.Put(d)
}

// write is Store.Write with patience: an import goes on when the database was away for a moment.
func (im *Importer) write(ctx context.Context, f func(tx *store.Tx) error) error {
	const patience, pause = time.Minute, time.Second
	until := time.Now().Add(patience)
	for {
		err := im.Store.Write(ctx, f)
		if !errors.Is(err, store.ErrUnavailable) || time.Now().After(until) {
			return err
		}
		if err := rest(ctx, pause); err != nil {
			return err
		}
	}
}

// rest pauses, or ends with ctx.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PrepareSync holds a new ldapSyncs object against the rules: it is queued, and what finished long ago makes room. Its scope is kept
// in words, too: a tenant that is deleted while the synchronisation waits fails it, rather than making it one of everything.
func (im *Importer) PrepareSync(tx *store.Tx, d *store.Draft, _ map[string]string) error {
	if d.Before() != nil {
		return failure.InvalidOperation
	}
	// Nine digits always: the order of the texts is that of the times.
	d.Set("created", time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z07:00"))
	d.Set("state", "pending")
	switch {
	case d.Text("ldapSource") != "":
		d.Set("detail", ofSource)
	case d.Text("tenant") != "":
		d.Set("detail", ofTenant)
	}
	if tx.Count(schema.LDAPSync) < schema.LDAPSync.Most {
		return nil
	}
	var oldest *store.Record
	tx.Each(schema.LDAPSync, func(r *store.Record) bool {
		if s := r.Text("state"); (s == "complete" || s == "failed") && (oldest == nil || r.Text("created") < oldest.Text("created")) {
			oldest = r
		}
		return true
	})
	if oldest == nil {
		return failure.Code(schema.LDAPSync.TooMany)
	}
	return tx.Delete(oldest)
}

const (
	ofSource = "of one source"
	ofTenant = "of one tenant"
)

// RemoveSync refuses to delete one that is going on.
func (im *Importer) RemoveSync(_ *store.Tx, r *store.Record) error {
	if r.Text("state") == "inProgress" {
		return failure.LDAPSyncCannotBeCancelled
	}
	return nil
}

// count writes the figures into a draft; 0 is left out.
func (x *run) count(d *store.Draft) {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	d.Set("numUsersImported", number(x.imported))
	d.Set("numLdapSourcesComplete", number(x.complete))
}

func clipTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most -= len("…"); most > 0 && s[most]&0xc0 == 0x80; most-- {
	}
	return s[:most] + "…"
}

// clash says that two entries, or an entry and an object that is there, want one value.
type clash struct{ why string }

func (c *clash) Error() string { return c.why }

func clashf(format string, a ...any) error { return &clash{fmt.Sprintf(format, a...)} }
