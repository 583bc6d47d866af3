package store

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// cleaner unsets references to what was deleted. Until it has, they read as not set by [View.Ref]; a crash in between is made up for by
// the next load.
type cleaner struct {
	mu   sync.Mutex
	ids  []ID
	wake chan struct{}
}

const (
	// cleanAtOnce is how many objects one transaction of the cleaner changes: few, for it competes with people.
	cleanAtOnce = 200
	// Call Bridges of a cluster all see a deletion; the first one to wake does the work.
	cleanWithin = 250 * time.Millisecond
	cleanAgain  = 2 * time.Second
)

func (c *cleaner) add(ids ...ID) {
	if len(ids) == 0 {
		return
	}
	c.mu.Lock()
	c.ids = append(c.ids, ids...)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *cleaner) takeAll() []ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := c.ids
	c.ids = nil
	return ids
}

// noticeGone is a subscriber.
func (s *Store) noticeGone(before, after *Record) {
	if after == nil && s.isReferenced(before.id) {
		s.cleaner.add(before.id)
	}
}

// clean unsets references until the Store is closed.
func (s *Store) clean() {
	for {
		select {
		case <-s.cleaner.wake:
		case <-s.ctx.Done():
			return
		}
		pause(s.ctx, rand.N(cleanWithin))
		for _, id := range s.cleaner.takeAll() {
			for s.ctx.Err() == nil {
				n, err := s.cleanSome(s.ctx, id)
				if err != nil {
					s.log.Warn("references to a deleted object stay for now", "id", id, "error", err)
					pause(s.ctx, cleanAgain)
					continue
				}
				if n == 0 {
					break
				}
			}
		}
	}
}

// cleanSome unsets some of the references to an object that is gone, and returns how many.
func (s *Store) cleanSome(ctx context.Context, id ID) (n int, err error) {
	err = s.Write(ctx, func(tx *Tx) error {
		n = 0
		type use struct {
			record *Record
			field  int
		}
		var uses []use
		tx.batch.referrers(id, func(r *Record, by reference) bool {
			if by.to != nil && !by.required && tx.batch.get(by.to, id) == nil {
				uses = append(uses, use{r, by.field})
			}
			return len(uses) < cleanAtOnce
		})
		for _, u := range uses {
			d := tx.Edit(u.record)
			d.values[u.field] = ""
			if err := tx.Put(d); err != nil {
				s.log.Warn("a reference to a deleted object stays", "object", u.record.String(), "error", err)
				continue
			}
			n++
		}
		return nil
	})
	return n, err
}
