package cdr

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

// TestReceiversAreThoseOfTheDatabase changes them as the API does.
func TestReceiversAreThoseOfTheDatabase(t *testing.T) {
	objects, err := store.Open(t.Context(), store.Options{Client: databasetest.Start(t), Machine: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(objects.Close)
	var id store.ID
	write := func(f func(tx *store.Tx) error) {
		t.Helper()
		if err := objects.Write(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	one, two := newCollector(t, nil), newCollector(t, nil)
	write(func(tx *store.Tx) error {
		d := tx.New(schema.CDRReceiver, store.ID{})
		id = d.ID()
		d.Set("uri", one.URL)
		return tx.Put(d)
	})
	s := newScene(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.r.Run(ctx, objects) }()
	s.await("a receiver", func() bool { return s.count() == 1 })
	s.begin(0, 1)
	s.await("a record", func() bool { return len(one.took()) == 1 })
	set := func(uri string) {
		t.Helper()
		write(func(tx *store.Tx) error {
			d := tx.Edit(tx.Get(schema.CDRReceiver, id))
			d.Set("uri", uri)
			return tx.Put(d)
		})
	}
	set(two.URL)
	s.await("the other address", func() bool { return len(s.receiving()) == 1 && s.receiving()[0] == two.URL })
	s.begin(1, 1)
	s.await("a record there", func() bool { return len(two.took()) == 1 })
	set("")
	s.await("no receiver", func() bool { return s.count() == 0 })
	set(one.URL)
	s.await("a receiver again", func() bool { return s.count() == 1 })
	write(func(tx *store.Tx) error { return tx.Delete(tx.Get(schema.CDRReceiver, id)) })
	s.await("no receiver", func() bool { return s.count() == 0 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := s.r.Index(); got != 2 {
		t.Errorf("want 2 as the next correlatorIndex, got %d", got)
	}
}
