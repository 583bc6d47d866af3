package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/services/database/copying"
)

// While a copy is loaded nearly everything that is allocated stays: a collector that looks after each 40 % would look at all of it again
// and again. loadingLimit is from where on it looks more often all the same: both processes, this and the database, are to keep
// within 1.5 GiB with 300,000 users. keptPercent is for afterwards: at Go's usual 100 % an import would need room for as much
// garbage again. At 30 % one of 300,000 users takes 4 % less memory and a third more of the processors.
const (
	loadingPercent = 400
	loadingLimit   = 600 << 20
	keptPercent    = 40
)

// Hurry sets the collector of a process for [Open] of the only Store that it will have; what it returns, for the time after.
func Hurry() (settle func()) {
	debug.SetGCPercent(loadingPercent)
	before := debug.SetMemoryLimit(loadingLimit)
	return func() {
		debug.SetMemoryLimit(before)
		debug.SetGCPercent(keptPercent)
		// What loading took beside the objects goes back to the machine at once: with 300,000 users it is hundreds of MiB.
		debug.FreeOSMemory()
	}
}

// loaded is a copy that nobody reads yet.
type loaded struct {
	set      *set
	lists    []*sorted
	revision int64
	origin   origin
	// missing are the IDs that references name and that no object has.
	missing []ID
}

// origin tells a database from another one that took its place, such as one restored from a backup, which has older
// revisions than those seen before.
type origin struct {
	cluster, term uint64
}

func originOf(h *etcdserverpb.ResponseHeader) origin { return origin{h.ClusterId, h.RaftTerm} }

// follows says whether an answer is of the same database, later.
func (o origin) follows(before origin) bool {
	return o.cluster == before.cluster && o.term >= before.term
}

// pauseBefore is between attempts to reach a database that does not answer.
const pauseBefore = 100 * time.Millisecond

// loadUntil tries to load until ctx ends.
func (s *Store) loadUntil(ctx context.Context) (*loaded, error) {
	told := false
	for {
		c, err := s.load(ctx, nil)
		if err == nil {
			return c, nil
		}
		if !told && ctx.Err() == nil {
			s.log.Warn("the database is not there yet", "error", err)
			told = true
		}
		select {
		case <-time.After(pauseBefore):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

// load reads everything at one revision. Records that an earlier copy has at their revision are taken from there.
func (s *Store) load(ctx context.Context, earlier *set) (*loaded, error) {
	now, err := s.client.Get(ctx, fencesKey, clientv3.WithCountOnly())
	if err != nil {
		return nil, err
	}
	c := &loaded{set: newSet(s.model), lists: make([]*sorted, len(s.model.kinds)), revision: now.Header.Revision, origin: originOf(now.Header)}
	if earlier != nil && (!c.origin.follows(s.origin) || c.revision < s.Revision()) {
		earlier = nil // another database: its revisions are others
	}
	rows, err := s.copyAll(ctx, c, earlier)
	if errors.Is(err, copying.ErrUnknown) {
		rows, err = s.rangeAll(ctx, c, earlier)
	}
	if err != nil {
		return nil, err
	}
	c.set.fill(rows)
	var wait sync.WaitGroup
	wait.Go(func() { c.missing = c.set.dangling() })
	for i, k := range s.model.kinds {
		if k.parent == nil {
			wait.Go(func() {
				c.lists[i] = newSorted(k, rows[i])
				c.lists[i].warm(k)
			})
		}
	}
	wait.Wait()
	return c, nil
}

// rangeAll reads everything from a database that has no stream of it.
func (s *Store) rangeAll(ctx context.Context, c *loaded, earlier *set) ([][]*Record, error) {
	rows := make([][]*Record, len(s.model.kinds))
	for _, prefix := range []string{shared, local + s.machine.String() + "/"} {
		// A stream, because each page of a range counts everything behind it.
		pages, err := s.client.GetStream(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(c.revision))
		if err != nil {
			return nil, err
		}
		for p := range pages {
			if err = p.Err(); err != nil {
				break
			}
			for _, kv := range p.Kvs {
				if k, r := s.read(string(kv.Key), kv.Value, kv.ModRevision, earlier); r != nil {
					rows[k.at] = append(rows[k.at], r)
				}
			}
		}
		for range pages {
		}
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// read makes a record of a key and its value; nil when it is none of ours.
func (s *Store) read(key string, value []byte, revision int64, earlier *set) (*kind, *Record) {
	k, parent, id := s.model.parse(s.machine, key)
	if k == nil {
		return nil, nil
	}
	if earlier != nil {
		if r := earlier.get(k, id); r != nil && r.revision == revision {
			return k, r
		}
	}
	r, err := k.decode(id, parent, revision, value)
	if err != nil {
		// It stays in the database as it is, for a version that understands it.
		s.log.Error("an object cannot be read", "key", key, "error", err)
		return nil, nil
	}
	return k, r
}

// dangling are the IDs that references name and that no object has.
func (s *set) dangling() []ID {
	missing := map[ID]bool{}
	for i, k := range s.model.kinds {
		for _, at := range s.kinds[i].byID {
			for _, ref := range k.refs {
				if id, ok := ParseID(at.record.at(ref.field)); ok && ref.to != nil && s.get(ref.to, id) == nil {
					missing[id] = true
				}
			}
		}
	}
	ids := make([]ID, 0, len(missing))
	for id := range missing {
		ids = append(ids, id)
	}
	return ids
}
