package store

import (
	"context"

	"rotunda/services/callbridge/schema"
)

// Tx is one transaction: a consistent view, and the changes that it is to commit, which its own reads show.
type Tx struct{}

// Write runs f on a consistent view and commits what it put and deleted in one transaction. f runs again when another writer was
// faster, so it has no effects but those on tx. When Write returns nil, the data is durable and reads of this Store show it.
func (s *Store) Write(ctx context.Context, f func(tx *Tx) error) error { return ErrUnavailable }

// New makes a draft with a fresh ID and the defaults of the table. parent is the zero ID where the type has none.
func (tx *Tx) New(o *schema.Object, parent ID) *Draft { return nil }

// NewWithID is New with an ID that is given.
func (tx *Tx) NewWithID(o *schema.Object, parent, id ID) *Draft { return nil }

// Edit makes a draft of a change.
func (tx *Tx) Edit(r *Record) *Draft { return r.draft() }

// Put makes a draft a part of the transaction.
func (tx *Tx) Put(d *Draft) error { return nil }

// Delete makes the deletion of an object and of everything below it a part of the transaction.
func (tx *Tx) Delete(r *Record) error { return nil }

func (tx *Tx) Get(o *schema.Object, id ID) *Record                    { return nil }
func (tx *Tx) Only(o *schema.Object) *Record                          { return nil }
func (tx *Tx) Below(o *schema.Object, parent ID) []*Record            { return nil }
func (tx *Tx) Find(index, value string) []*Record                     { return nil }
func (tx *Tx) Lookup(o *schema.Object, field, value string) []*Record { return nil }
func (tx *Tx) Ref(r *Record, field string) *Record                    { return nil }
func (tx *Tx) Count(o *schema.Object) int                             { return 0 }
func (tx *Tx) Each(o *schema.Object, f func(*Record) bool)            {}
