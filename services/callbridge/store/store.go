// Package store keeps the objects of package schema in etcd and a copy of all of them in memory.
package store

import (
	"context"
	"log/slog"

	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/services/callbridge/schema"
)

// Options are what a Store needs.
type Options struct {
	Client *clientv3.Client
	// Machine owns the objects whose type is Local.
	Machine ID
	// Log may be nil.
	Log *slog.Logger
}

// View is what can be read. A *Store is one, each call by itself, and a *Tx is one that is consistent.
type View interface {
	// Get returns an object by its ID, one that lives below another too; nil when there is none.
	Get(o *schema.Object, id ID) *Record
	// Only returns a singleton. It is never nil: one that was never written has the defaults of its table.
	Only(o *schema.Object) *Record
	// Below returns the objects of a type below one parent, in the order of lists.
	Below(o *schema.Object, parent ID) []*Record
	// Find returns the objects that claim a value in the index of a [schema.Unique], folded as that says. They may be of
	// several types, of one family, and of several tenants.
	Find(index, value string) []*Record
	// Lookup returns the objects with a value in a field of schema.Object.Lookup.
	Lookup(o *schema.Object, field, value string) []*Record
	// Ref returns what a reference names; nil when it is not set or what it names is gone.
	Ref(r *Record, field string) *Record
	// Count returns how many objects of a type there are.
	Count(o *schema.Object) int
	// Each calls f with every object of a type in the order of lists until it returns false.
	Each(o *schema.Object, f func(*Record) bool)
}

var (
	_ View = (*Store)(nil)
	_ View = (*Tx)(nil)
)

// Store is the objects.
type Store struct{}

// Open loads the whole copy and follows the database until Close.
func Open(ctx context.Context, o Options) (*Store, error) { return &Store{}, nil }

// Close ends following and waits for it.
func (s *Store) Close() {}

// Revision is that of the database that reads show.
func (s *Store) Revision() int64 { return 0 }

func (s *Store) Get(o *schema.Object, id ID) *Record                    { return nil }
func (s *Store) Only(o *schema.Object) *Record                          { return nil }
func (s *Store) Below(o *schema.Object, parent ID) []*Record            { return nil }
func (s *Store) Find(index, value string) []*Record                     { return nil }
func (s *Store) Lookup(o *schema.Object, field, value string) []*Record { return nil }
func (s *Store) Ref(r *Record, field string) *Record                    { return nil }
func (s *Store) Count(o *schema.Object) int                             { return 0 }
func (s *Store) Each(o *schema.Object, f func(*Record) bool)            {}

// Subscribe calls f after every change of objects of these types, of all without any, in order, after reads show it. before is
// nil for a new object and after for a deleted one.
func (s *Store) Subscribe(f func(before, after *Record), objects ...*schema.Object) (cancel func()) {
	return func() {}
}
