package attendant

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

func open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Options{Client: databasetest.Start(t), Machine: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// put makes an object of names and values and returns it.
func put(t testing.TB, s *store.Store, o *schema.Object, parent store.ID, fields ...string) *store.Record {
	t.Helper()
	var id store.ID
	err := s.Write(context.Background(), func(tx *store.Tx) error {
		d := tx.New(o, parent)
		id = d.ID()
		for i := 0; i < len(fields); i += 2 {
			d.Set(fields[i], fields[i+1])
		}
		return tx.Put(d)
	})
	if err != nil {
		t.Fatalf("put %s %v: %v", o.Name, fields, err)
	}
	return s.Get(o, id)
}

func space(t testing.TB, s *store.Store, fields ...string) *store.Record {
	return put(t, s, schema.CoSpace, store.ID{}, fields...)
}

func method(t testing.TB, s *store.Store, of *store.Record, fields ...string) *store.Record {
	return put(t, s, schema.AccessMethod, of.ID(), fields...)
}
