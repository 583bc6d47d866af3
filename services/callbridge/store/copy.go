package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"rotunda/services/database/copying"
)

// batchesAhead is how many batches may wait for each reader of them.
const batchesAhead = 4

// row is what an entry of the database is to the copy.
type row struct {
	kind   *kind
	id     ID
	record *Record // nil for one that was deleted
}

// copyAll reads everything from the database's stream: several goroutines read batches as they come, and one puts the rows of batches
// in order. It sets the revision of c to that of the stream.
func (s *Store) copyAll(ctx context.Context, c *loaded, earlier *set) ([][]*Record, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := copying.Open(ctx, s.client.ActiveConnection())
	if err != nil {
		return nil, err
	}
	if stream.Revision < c.revision {
		return nil, fmt.Errorf("the database sends everything at revision %d and has been at %d", stream.Revision, c.revision)
	}
	c.revision = stream.Revision

	type batch struct {
		bytes []byte
		rows  chan []row // takes one
	}
	readers := runtime.GOMAXPROCS(0)
	coming, inOrder := make(chan batch, readers*batchesAhead), make(chan batch, readers*batchesAhead)
	var wait sync.WaitGroup
	var lost, wrong error
	wait.Go(func() {
		defer close(inOrder)
		defer close(coming)
		for {
			b, err := stream.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					lost = err
				}
				return
			}
			one := batch{b, make(chan []row, 1)}
			inOrder <- one
			coming <- one
		}
	})
	var once sync.Once
	for range readers {
		wait.Go(func() {
			for b := range coming {
				rows, err := s.rows(b.bytes, earlier)
				if err != nil {
					once.Do(func() { wrong = err })
					cancel()
				}
				b.rows <- rows
			}
		})
	}
	all := s.gather(func(yield func([]row) bool) {
		for b := range inOrder {
			yield(<-b.rows)
		}
	})
	wait.Wait()
	if wrong != nil {
		return nil, wrong
	}
	return all, lost
}

// rows reads a batch.
func (s *Store) rows(batch []byte, earlier *set) ([]row, error) {
	var rows []row
	err := copying.Each(batch, func(e copying.Entry) bool {
		if e.Gone {
			if k, _, id := s.model.parse(s.machine, string(e.Key)); k != nil {
				rows = append(rows, row{kind: k, id: id})
			}
			return true
		}
		// Nothing keeps the key.
		key := unsafe.String(unsafe.SliceData(e.Key), len(e.Key))
		if k, r := s.read(key, e.Value, e.Revision, earlier); r != nil {
			rows = append(rows, row{k, r.id, r})
		} else if k, _, id := s.model.parse(s.machine, key); k != nil {
			// What cannot be read takes the place of what could.
			rows = append(rows, row{kind: k, id: id})
		}
		return true
	})
	return rows, err
}

// gather leaves the last of each object, by kind.
func (s *Store) gather(batches func(func([]row) bool)) [][]*Record {
	all := make([][]*Record, len(s.model.kinds))
	// Most objects come once: those that come again are looked for at the end, and all that was deleted.
	again := make([]bool, len(s.model.kinds))
	for rows := range batches {
		for _, r := range rows {
			at := r.kind.at
			if r.record == nil {
				// A place in the order, which says that what came before it is gone.
				all[at] = append(all[at], &Record{object: r.kind.object, id: r.id, revision: deleted})
				again[at] = true
				continue
			}
			all[at] = append(all[at], r.record)
		}
	}
	for at, records := range all {
		all[at] = latest(records, again[at])
	}
	return all
}

// deleted is the revision of a record that stands for an object that is not there.
const deleted = -1

// latest leaves the last record of each object, in any order, and none of those that were deleted last.
func latest(records []*Record, again bool) []*Record {
	last := make(map[ID]int, len(records))
	for i, r := range records {
		last[r.id] = i
	}
	if len(last) == len(records) && !again {
		return records
	}
	return slices.DeleteFunc(slices.Collect(func(yield func(*Record) bool) {
		for i, r := range records {
			if last[r.id] == i && !yield(r) {
				return
			}
		}
	}), func(r *Record) bool { return r.revision == deleted })
}
