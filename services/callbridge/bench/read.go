package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/qemu/figures"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// read is the process of the copy. It says when it has loaded, waits until its memory was looked at, and measures the rest.
func (b *bench) read(ctx context.Context) error {
	settle := store.Hurry()
	s, end, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	if n := s.Count(schema.User); n != b.users {
		return fmt.Errorf("%d users were loaded, not %d", n, b.users)
	}
	// Everything can be read from now on; that the memory is what it will be takes a moment more.
	fmt.Println("loaded")
	settle()
	fmt.Println("settled")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	m := measured{PageMillis: map[string]float64{}}
	for _, o := range schema.All() {
		if !o.Live {
			m.Objects += s.Count(o)
		}
	}
	m.ReadMicros = readOne(s)
	b.readPages(s, &m)
	if m.WritesPerS, err = writesPerSecond(ctx, s); err != nil {
		return err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	fmt.Printf("measured %s\n", text)
	return nil
}

// readOne is the median time of reading one space with its fields.
func readOne(s *store.Store) float64 {
	var ids []store.ID
	s.Each(schema.CoSpace, func(r *store.Record) bool { ids = append(ids, r.ID()); return true })
	var times []float64
	for range 20_000 {
		id := ids[rand.IntN(len(ids))]
		began := time.Now()
		r := s.Get(schema.CoSpace, id)
		n := 0
		for _, v := range r.Values {
			n += len(v)
		}
		if n == 0 {
			panic("an empty space")
		}
		times = append(times, float64(time.Since(began).Nanoseconds())/1000)
	}
	return figures.Median(times)
}

// readPages measures pages of filters that were not asked before.
func (b *bench) readPages(s *store.Store, m *measured) {
	tenant := s.List(schema.Tenants, store.Query{Limit: 1}).Records[0].ID().String()
	kinds := map[string]func(i int) store.Query{
		"one space by a number": func(i int) store.Query { return store.Query{Filter: personOf(rand.IntN(b.users)).login} },
		"a part of a number":    func(i int) store.Query { return store.Query{Filter: fmt.Sprintf("%03d", 100+i)} },
		"a name":                func(i int) store.Query { return store.Query{Filter: personOf(i * 41).name} },
		"a surname":             func(i int) store.Query { return store.Query{Filter: last[i%len(last)]} },
		"a first name":          func(i int) store.Query { return store.Query{Filter: first[i%len(first)]} },
		"one letter":            func(i int) store.Query { return store.Query{Filter: string(rune('a' + i%26))} },
		"two letters":           func(i int) store.Query { return store.Query{Filter: string([]byte{"aeiou"[i%5], byte('a' + i/5%26)})} },
		"what nobody has":       func(i int) store.Query { return store.Query{Filter: fmt.Sprintf("nobody%d", i)} },
		"a tenant and a part": func(i int) store.Query {
			return store.Query{Filter: fmt.Sprintf("er %d", i), Equal: map[string]string{"tenant": tenant}}
		},
		"a number within a tenant": func(i int) store.Query {
			return store.Query{Filter: fmt.Sprintf("%04d", 1000+i), Equal: map[string]string{"tenant": tenant}}
		},
	}
	var next []float64
	for name, query := range kinds {
		var times []float64
		// More than are remembered, and each only once.
		for i := range 40 {
			q := query(i)
			q.Limit = 20
			began := time.Now()
			s.List(schema.CoSpace, q)
			times = append(times, float64(time.Since(began).Nanoseconds())/1e6)
			q.Offset = 20
			began = time.Now()
			s.List(schema.CoSpace, q)
			next = append(next, float64(time.Since(began).Nanoseconds())/1e3)
		}
		m.PageMillis[name] = figures.Median(times)
		if m.Slowest == "" || m.PageMillis[name] > m.PageMillis[m.Slowest] {
			m.Slowest = name
		}
	}
	m.NextMicros = figures.Median(next)
}

// writesPerSecond is what 16 writers do in ten seconds.
func writesPerSecond(ctx context.Context, s *store.Store) (float64, error) {
	const writers, window = 16, 10 * time.Second
	var done atomic.Int64
	var wait sync.WaitGroup
	failed := make(chan error, writers)
	began := time.Now()
	for w := range writers {
		wait.Go(func() {
			for i := 0; time.Since(began) < window; i++ {
				err := s.Write(ctx, func(tx *store.Tx) error {
					d := tx.New(schema.CoSpace, store.ID{})
					d.Set("name", fmt.Sprint("New ", w, " ", i))
					d.Set("uri", fmt.Sprintf("new.%d.%d", w, i))
					d.Set("callId", fmt.Sprintf("9%02d%06d", w, i))
					return tx.Put(d)
				})
				if err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	wait.Wait()
	close(failed)
	return float64(done.Load()) / time.Since(began).Seconds(), <-failed
}
