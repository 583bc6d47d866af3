package spaces

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// MaxBulk is how many spaces one parameter set makes: a third of the largest system.
const MaxBulk = 100_000

const (
	// batch is how many spaces are made or deleted in one transaction. Each claims an address and a call ID, and other writers wait
	// meanwhile, so it is a few milliseconds' worth.
	batch = 200
	// again is the pause before a write is tried again while the database does not answer.
	again = time.Second
)

// PrepareBulkSync puts a sync into the queue.
func PrepareBulkSync(_ *store.Tx, d *store.Draft, _ map[string]string) error {
	if d.Before() == nil {
		d.Set("created", time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z"))
		d.Set("status", "pending")
	}
	return nil
}

// PrepareBulkParameterSet refuses mappings of which no index makes what a space can have.
func PrepareBulkParameterSet(_ *store.Tx, d *store.Draft, _ map[string]string) error {
	for _, m := range mappings {
		s := d.Text(m.mapping)
		if s == "" {
			continue
		}
		if _, err := schema.CoSpace.Field(m.field).Parse(expand(s, 0)); err != nil {
			return &failure.Parameter{Name: m.mapping, Fault: failure.Invalid, Why: err.Error()}
		}
	}
	return nil
}

var mappings = []struct{ mapping, field string }{
	{"coSpaceNameMapping", "name"}, {"coSpaceUriMapping", "uri"}, {"coSpaceCallIdMapping", "callId"},
}

// RemoveBulkParameterSet deletes the syncs of the set with it, which cannot be without one; a sync that runs stops at its next
// batch. The spaces stay.
func RemoveBulkParameterSet(tx *store.Tx, r *store.Record) error {
	var syncs []*store.Record
	tx.Each(schema.BulkSync, func(s *store.Record) bool {
		if id, _ := s.Ref(setField); id == r.ID() {
			syncs = append(syncs, s)
		}
		return true
	})
	for _, s := range syncs {
		if err := tx.Delete(s); err != nil {
			return err
		}
	}
	return nil
}

// bulkID is the ID of the space of an index: a name-based UUID (RFC 9562, version 5) of the set and the index. So a space has the
// same ID after every sync, and carrying out a batch twice does it once.
func bulkID(set store.ID, index int64) store.ID {
	return uuid.NewSHA1(set, strconv.AppendInt(nil, index, 10))
}

// madeBy says whether a space was made by a sync of a set.
func madeBy(space *store.Record, set store.ID) bool {
	id, ok := space.Ref(setField)
	return ok && id == set
}

// setField names the parameter set, in a sync and in what it makes.
const setField = "cospaceBulkParameterSet"

// Bulk carries out bulk syncs in the background, one after the other in the order in which they were asked for.
//
// A sync is many transactions, since one of 100,000 spaces would keep all other writers waiting. It first looks for clashes, so
// that a sync that cannot succeed changes nothing. After a restart a sync that had begun is carried out from its beginning: what is
// there is deleted and made again. A sync that is deleted while it runs stops after its batch.
type Bulk struct {
	store   *store.Store
	machine store.ID
	log     *slog.Logger
	wake    chan struct{}
}

// NewBulk makes it; Run starts it. machine marks the syncs that this Call Bridge has begun, and log may be nil.
func NewBulk(s *store.Store, machine store.ID, log *slog.Logger) *Bulk {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Bulk{store: s, machine: machine, log: log, wake: make(chan struct{}, 1)}
}

// Run carries out syncs until the context ends.
func (b *Bulk) Run(ctx context.Context) {
	cancel := b.store.Subscribe(func(before, after *store.Record) {
		if before == nil {
			select {
			case b.wake <- struct{}{}:
			default:
			}
		}
	}, schema.BulkSync)
	defer cancel()
	for {
		next := b.next()
		if next == nil {
			select {
			case <-ctx.Done():
				return
			case <-b.wake:
			}
			continue
		}
		b.carryOut(ctx, next)
		if ctx.Err() != nil {
			return
		}
	}
}

// next returns what this machine had begun before it was restarted, or else what waits longest.
func (b *Bulk) next() *store.Record {
	var next *store.Record
	b.store.Each(schema.BulkSync, func(r *store.Record) bool {
		switch r.Text("status") {
		case "running":
			if r.Text("callBridge") == b.machine.String() {
				next = r
				return false
			}
		case "pending":
			if next == nil {
				next = r
			}
		}
		return true
	})
	return next
}

// errStopped says that the sync is none of ours any more: it was deleted, or another machine has it.
var errStopped = errors.New("the sync was deleted")

// status is the failure of a sync, as its field says it.
type status string

func (s status) Error() string { return string(s) }

func (b *Bulk) carryOut(ctx context.Context, sync *store.Record) {
	err := b.edit(ctx, sync.ID(), func(d *store.Draft) error {
		if mine := d.Text("callBridge") == b.machine.String(); d.Text("status") != "pending" && !(d.Text("status") == "running" && mine) {
			return errStopped
		}
		d.Set("status", "running")
		d.Set("callBridge", b.machine.String())
		return nil
	})
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, errStopped) {
			b.log.Error("bulk sync not begun", "sync", sync.ID(), "error", err)
		}
		return
	}
	began := time.Now()
	err = b.sync(ctx, sync)
	if ctx.Err() != nil || errors.Is(err, errStopped) {
		return // it stays running, and is taken up again; or it is gone
	}
	end := status("complete")
	if err != nil && !errors.As(err, &end) {
		end = "failed"
	}
	took := time.Since(began).Round(time.Millisecond)
	if end == "complete" {
		b.log.Info("bulk sync is complete", "sync", sync.ID(), "took", took)
	} else {
		b.log.Warn("bulk sync ended", "sync", sync.ID(), "status", string(end), "error", err, "took", took)
	}
	err = b.edit(ctx, sync.ID(), func(d *store.Draft) error {
		d.Set("status", string(end))
		return nil
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, errStopped) {
		b.log.Error("the end of a bulk sync is not noted", "sync", sync.ID(), "error", err)
	}
}

// sync returns a status, or another error for "failed".
func (b *Bulk) sync(ctx context.Context, sync *store.Record) error {
	set := b.store.Ref(sync, setField)
	if set == nil {
		return status("failedNoSuchParameterSet")
	}
	first, _ := set.Number("startIndex")
	last, _ := set.Number("endIndex")
	removeAll := sync.Bool("removeAll")
	if !removeAll {
		switch {
		case first > last:
			return status("failedIndexRangeInvalid")
		case last-first >= MaxBulk:
			return status("failedIndexRangeTooGreat")
		}
		if err := clashes(b.store, set, first, last); err != nil {
			return err
		}
	}
	if err := b.remove(ctx, sync.ID(), set.ID()); err != nil || removeAll {
		return err
	}
	for ; first <= last; first += batch {
		if err := b.make(ctx, sync.ID(), set, first, min(first+batch-1, last)); err != nil {
			return err
		}
	}
	return nil
}

// clashes looks for addresses and call IDs that others have, or that two of these would have.
func clashes(v store.View, set *store.Record, first, last int64) error {
	tenant := store.ID{}
	if t := v.Ref(set, "tenant"); t != nil {
		tenant = t.ID()
	}
	group := groupOf(v, tenant)
	taken := func(index, value string, within func(*store.Record) bool) bool {
		for _, r := range v.Find(index, value) {
			space := r
			if r.Object() == schema.AccessMethod {
				space = v.Get(schema.CoSpace, r.Parent())
			}
			if space != nil && !madeBy(space, set.ID()) && within(r) {
				return true
			}
		}
		return false
	}
	seenURI, seenID := map[string]bool{}, map[string]bool{}
	for i := first; i <= last; i++ {
		for _, m := range mappings {
			if s := expand(set.Text(m.mapping), i); s != "" {
				if _, err := schema.CoSpace.Field(m.field).Parse(s); err != nil {
					return fmt.Errorf("index %d: %w", i, err)
				}
			}
		}
		uri := strings.ToLower(expand(set.Text("coSpaceUriMapping"), i))
		if uri != "" && (seenURI[uri] || taken(uriIndex, uri, func(*store.Record) bool { return true })) {
			return status("failedCoSpaceUriConflict")
		}
		seenURI[uri] = true
		id := expand(set.Text("coSpaceCallIdMapping"), i)
		if id != "" && (seenID[id] || taken(callIDIndex, id, func(r *store.Record) bool { return groupOf(v, tenantOf(v, r)) == group })) {
			return status("failedCallIdConflict")
		}
		seenID[id] = true
	}
	return nil
}

// remove deletes what the set has made before.
func (b *Bulk) remove(ctx context.Context, sync, set store.ID) error {
	made := b.store.Lookup(schema.CoSpace, setField, set.String())
	for len(made) > 0 {
		some := made[:min(batch, len(made))]
		made = made[len(some):]
		err := b.write(ctx, sync, func(tx *store.Tx) error {
			for _, r := range some {
				if r := tx.Get(schema.CoSpace, r.ID()); r != nil {
					if err := tx.Delete(r); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// make makes the spaces of some indexes, those that are there already excepted.
func (b *Bulk) make(ctx context.Context, sync store.ID, set *store.Record, first, last int64) error {
	err := b.write(ctx, sync, func(tx *store.Tx) error {
		for i := first; i <= last; i++ {
			id := bulkID(set.ID(), i)
			if tx.Get(schema.CoSpace, id) != nil {
				continue
			}
			d := tx.NewWithID(schema.CoSpace, store.ID{}, id)
			d.SetBool("autoGenerated", true)
			d.SetRef(setField, set.ID())
			for _, m := range mappings {
				d.Set(m.field, expand(set.Text(m.mapping), i))
			}
			for _, field := range []string{"tenant", "callProfile", "callBrandingProfile"} {
				if to := tx.Ref(set, field); to != nil {
					d.SetRef(field, to.ID())
				}
			}
			d.SetBool("nonMemberAccess", set.Bool("nonMemberAccess"))
			if err := Complete(tx, d); err != nil {
				return err
			}
			if err := tx.Put(d); err != nil {
				return err
			}
		}
		return nil
	})
	var conflict *store.Conflict
	if errors.As(err, &conflict) {
		// Somebody took it since we looked.
		if conflict.Unique.Name == callIDIndex {
			return status("failedCallIdConflict")
		}
		return status("failedCoSpaceUriConflict")
	}
	return err
}

// edit changes the sync itself.
func (b *Bulk) edit(ctx context.Context, sync store.ID, f func(*store.Draft) error) error {
	return b.write(ctx, sync, func(tx *store.Tx) error {
		d := tx.Edit(tx.Get(schema.BulkSync, sync))
		if err := f(d); err != nil {
			return err
		}
		return tx.Put(d)
	})
}

// write is a transaction of a sync that is still there. It waits for a database that does not answer; everything that is written here
// may be written twice.
func (b *Bulk) write(ctx context.Context, sync store.ID, f func(*store.Tx) error) error {
	for {
		err := b.store.Write(ctx, func(tx *store.Tx) error {
			if tx.Get(schema.BulkSync, sync) == nil {
				return errStopped
			}
			return f(tx)
		})
		if !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		b.log.Warn("bulk sync waits for the database", "sync", sync)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(again):
		}
	}
}
