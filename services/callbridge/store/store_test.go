package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

// patience with what happens on other goroutines; a laden machine takes seconds.
const patience = 30 * time.Second

func open(t testing.TB, c *clientv3.Client) *store.Store {
	t.Helper()
	return openAs(t, c, uuid.New())
}

func openAs(t testing.TB, c *clientv3.Client, machine store.ID) *store.Store {
	t.Helper()
	return openWith(t, store.Options{Client: c, Machine: machine})
}

func openWith(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := store.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// fields are pairs of a name and a value.
func set(d *store.Draft, fields ...string) *store.Draft {
	for i := 0; i < len(fields); i += 2 {
		d.Set(fields[i], fields[i+1])
	}
	return d
}

// add writes a new object.
func add(t testing.TB, s *store.Store, o *schema.Object, parent store.ID, fields ...string) *store.Record {
	t.Helper()
	id, err := tryAdd(t, s, o, parent, fields...)
	if err != nil {
		t.Fatalf("add %s %v: %v", o.Name, fields, err)
	}
	r := s.Get(o, id)
	if r == nil {
		t.Fatalf("%s %v was added and is not read", o.Name, fields)
	}
	return r
}

func tryAdd(t testing.TB, s *store.Store, o *schema.Object, parent store.ID, fields ...string) (id store.ID, err error) {
	t.Helper()
	err = s.Write(t.Context(), func(tx *store.Tx) error {
		d := set(tx.New(o, parent), fields...)
		id = d.ID()
		return tx.Put(d)
	})
	return id, err
}

func edit(t testing.TB, s *store.Store, r *store.Record, fields ...string) error {
	t.Helper()
	return s.Write(t.Context(), func(tx *store.Tx) error { return tx.Put(set(tx.Edit(r), fields...)) })
}

func remove(t testing.TB, s *store.Store, r *store.Record) error {
	t.Helper()
	return s.Write(t.Context(), func(tx *store.Tx) error { return tx.Delete(r) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var none store.ID

// follow waits until a Store shows what another one has written.
func follow(t testing.TB, s, other *store.Store) {
	t.Helper()
	eventually(t, s, func() bool { return s.Revision() >= other.Revision() })
}

// eventually waits for something that changes of s bring about, or the passing of time.
func eventually(t testing.TB, s *store.Store, done func() bool) {
	t.Helper()
	changed := make(chan struct{}, 1)
	cancel := s.Subscribe(func(_, _ *store.Record) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer cancel()
	end := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-changed:
		case <-tick.C:
		case <-end:
			t.Fatal("what was waited for did not happen")
		}
	}
}

func names(records []*store.Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, r.Text("name"))
	}
	return all
}

func wantNames(t testing.TB, what string, records []*store.Record, want ...string) {
	t.Helper()
	if got := names(records); !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func wantConflict(t testing.TB, err error, code string, with *store.Record) {
	t.Helper()
	var c *store.Conflict
	if !errors.As(err, &c) {
		t.Errorf("got %v, want a conflict", err)
		return
	}
	if c.Unique.Code != code || c.With.ID() != with.ID() {
		t.Errorf("got conflict %s with %s, want %s with %s", c.Unique.Code, c.With, code, with)
	}
}

func TestAWriteIsReadAtOnceAndAfterAnewOpen(t *testing.T) {
	c := databasetest.Start(t)
	s := open(t, c)
	room := add(t, s, schema.CoSpace, none, "name", "Board", "uri", "board", "callId", "4711")
	if got := room.Text("nonMemberAccess"); got != "true" {
		t.Errorf("nonMemberAccess is %q, want the default of the table", got)
	}
	way := add(t, s, schema.AccessMethod, room.ID(), "name", "guests", "uri", "guests")
	other := open(t, c)
	for _, v := range []store.View{s, other} {
		if got := v.Get(schema.CoSpace, room.ID()); got == nil || got.Text("name") != "Board" {
			t.Fatalf("got %v, want the space", got)
		}
		if got := v.Get(schema.AccessMethod, way.ID()); got == nil || got.Parent() != room.ID() {
			t.Errorf("got %v, want the access method below the space", got)
		}
		wantNames(t, "below", v.Below(schema.AccessMethod, room.ID()), "guests")
		wantNames(t, "found by URI", v.Find("coSpaceUri", "BOARD"), "Board")
		wantNames(t, "found by URI of an access method", v.Find("coSpaceUri", "Guests"), "guests")
		if n := v.Count(schema.CoSpace); n != 1 {
			t.Errorf("%d spaces, want 1", n)
		}
	}
}

func TestEditsAndDeletionsAreSeenByAnotherCallBridge(t *testing.T) {
	c := databasetest.Start(t)
	s, other := open(t, c), open(t, c)
	room := add(t, s, schema.CoSpace, none, "name", "Board", "uri", "board")
	add(t, s, schema.AccessMethod, room.ID(), "name", "guests", "uri", "guests")
	must(t, edit(t, s, room, "name", "Bored", "uri", "bored"))
	follow(t, other, s)
	wantNames(t, "found by the new URI", other.Find("coSpaceUri", "bored"), "Bored")
	wantNames(t, "found by the old URI", other.Find("coSpaceUri", "board"))
	must(t, remove(t, other, other.Get(schema.CoSpace, room.ID())))
	follow(t, s, other)
	if s.Get(schema.CoSpace, room.ID()) != nil || s.Count(schema.AccessMethod) != 0 || len(s.Find("coSpaceUri", "guests")) != 0 {
		t.Error("a deleted space, or what was below it, is still there")
	}
	kv, err := c.Get(t.Context(), "/o/", clientv3.WithPrefix())
	must(t, err)
	if len(kv.Kvs) != 0 {
		t.Errorf("the database still has %s", kv.Kvs[0].Key)
	}
}

func TestValuesAreUnique(t *testing.T) {
	s := open(t, databasetest.Start(t))
	a := add(t, s, schema.CoSpace, none, "name", "a", "uri", "Room", "secondaryUri", "Second")
	_, err := tryAdd(t, s, schema.CoSpace, none, "uri", "rOOM")
	wantConflict(t, err, "duplicateCoSpaceUri", a)
	_, err = tryAdd(t, s, schema.CoSpace, none, "uri", "second")
	wantConflict(t, err, "duplicateCoSpaceUri", a)
	b := add(t, s, schema.CoSpace, none, "name", "b", "uri", "b")
	wantConflict(t, edit(t, s, b, "secondaryUri", "room"), "duplicateCoSpaceUri", a)
	_, err = tryAdd(t, s, schema.AccessMethod, b.ID(), "uri", "ROOM")
	wantConflict(t, err, "duplicateCoSpaceUri", a)
	// A family has one value as often as it likes.
	add(t, s, schema.AccessMethod, a.ID(), "uri", "room")
	must(t, edit(t, s, a, "uri", "free"))
	_, err = tryAdd(t, s, schema.CoSpace, none, "uri", "room")
	if err == nil {
		t.Error("a URI that an access method still has was taken")
	}
	must(t, remove(t, s, a))
	add(t, s, schema.CoSpace, none, "uri", "room")
	// Two in one transaction.
	err = s.Write(t.Context(), func(tx *store.Tx) error {
		if err := tx.Put(set(tx.New(schema.CoSpace, none), "uri", "twin")); err != nil {
			return err
		}
		return tx.Put(set(tx.New(schema.CoSpace, none), "uri", "TWIN"))
	})
	if c := (*store.Conflict)(nil); !errors.As(err, &c) || len(s.Find("coSpaceUri", "twin")) != 0 {
		t.Errorf("got %v and %d of them, want a conflict and none", err, len(s.Find("coSpaceUri", "twin")))
	}
}

func TestCallIDsAreUniqueWithinATenantGroup(t *testing.T) {
	s := open(t, databasetest.Start(t))
	group := add(t, s, schema.TenantGroups, none)
	second := add(t, s, schema.TenantGroups, none)
	inGroup := func(name string, g *store.Record) *store.Record {
		if g == nil {
			return add(t, s, schema.Tenants, none, "name", name)
		}
		return add(t, s, schema.Tenants, none, "name", name, "tenantGroup", g.ID().String())
	}
	a, b, c, alone := inGroup("a", group), inGroup("b", group), inGroup("c", second), inGroup("alone", nil)
	space := func(callID string, tenant *store.Record) (*store.Record, error) {
		var fields = []string{"callId", callID}
		if tenant != nil {
			fields = append(fields, "tenant", tenant.ID().String())
		}
		id, err := tryAdd(t, s, schema.CoSpace, none, fields...)
		return s.Get(schema.CoSpace, id), err
	}
	first, err := space("1", a)
	must(t, err)
	_, err = space("1", b)
	wantConflict(t, err, "duplicateCoSpaceId", first)
	other, err := space("1", c)
	must(t, err)
	free, err := space("1", nil)
	must(t, err)
	_, err = space("1", alone)
	wantConflict(t, err, "duplicateCoSpaceId", free)

	const code = "tenantGroupCoSpaceIdConflict"
	wantConflict(t, edit(t, s, c, "tenantGroup", group.ID().String()), code, first)
	wantConflict(t, edit(t, s, c, "tenantGroup", ""), code, free)
	var inUse *store.InUse
	if err := remove(t, s, c); !errors.As(err, &inUse) || inUse.By.ID() != other.ID() {
		t.Errorf("removing a tenant with a space: got %v, want that the space holds it", err)
	}
	wantConflict(t, remove(t, s, second), code, free)
	wantConflict(t, edit(t, s, other, "tenant", b.ID().String()), "duplicateCoSpaceId", first)
	if got := s.Get(schema.Tenants, c.ID()).Text("tenantGroup"); got != second.ID().String() {
		t.Errorf("after refusals the tenant is in %q", got)
	}
	must(t, remove(t, s, first))
	must(t, edit(t, s, c, "tenantGroup", group.ID().String()))
	_, err = space("1", b)
	wantConflict(t, err, "duplicateCoSpaceId", other)
}

func TestATenantMovesTheWaysIntoItsSpaces(t *testing.T) {
	s := open(t, databasetest.Start(t))
	tenant := add(t, s, schema.Tenants, none, "name", "t", "tenantGroup", add(t, s, schema.TenantGroups, none).ID().String())
	inside := add(t, s, schema.CoSpace, none, "tenant", tenant.ID().String())
	add(t, s, schema.AccessMethod, inside.ID(), "callId", "77")
	outside := add(t, s, schema.CoSpace, none, "callId", "77")
	wantConflict(t, edit(t, s, inside, "tenant", ""), "duplicateCoSpaceId", outside)
	wantConflict(t, edit(t, s, tenant, "tenantGroup", ""), "tenantGroupCoSpaceIdConflict", outside)
}

func TestReferencesMustExistAndDangleOnlyForAMoment(t *testing.T) {
	c := databasetest.Start(t)
	s, other := open(t, c), open(t, c)
	var gone *store.Gone
	if _, err := tryAdd(t, s, schema.CoSpace, none, "tenant", uuid.NewString()); !errors.As(err, &gone) || gone.Field != "tenant" || gone.Object != schema.Tenants {
		t.Errorf("got %v, want that the tenant does not exist", err)
	}
	if _, err := tryAdd(t, s, schema.AccessMethod, uuid.New()); !errors.As(err, &gone) || gone.Field != "" || gone.Object != schema.CoSpace {
		t.Errorf("got %v, want that the space does not exist", err)
	}
	profile := add(t, s, schema.CallProfile, none, "name", "t")
	const many = 450 // more than are cleaned at once
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		for i := range many {
			if err := tx.Put(set(tx.New(schema.CoSpace, none), "name", fmt.Sprint(i), "callProfile", profile.ID().String())); err != nil {
				return err
			}
		}
		return nil
	}))
	if n := len(s.Lookup(schema.CoSpace, "callProfile", profile.ID().String())); n != many {
		t.Errorf("%d spaces of the profile, want %d", n, many)
	}
	follow(t, other, s)
	must(t, remove(t, other, profile))
	if r := other.List(schema.CoSpace, store.Query{Limit: 1}).Records[0]; other.Ref(r, "callProfile") != nil {
		t.Error("a reference to a deleted profile is still followed")
	}
	for _, v := range []*store.Store{s, other} {
		eventually(t, v, func() bool {
			left := 0
			v.Each(schema.CoSpace, func(r *store.Record) bool {
				if r.Has("callProfile") {
					left++
				}
				return true
			})
			return left == 0
		})
	}
}

func TestStaleEditsKeepWhatOthersChanged(t *testing.T) {
	s := open(t, databasetest.Start(t))
	room := add(t, s, schema.CoSpace, none, "name", "a", "passcode", "1")
	must(t, edit(t, s, room, "passcode", "2"))
	must(t, edit(t, s, room, "name", "b"))
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		one, two := tx.Edit(room), tx.Edit(room)
		one.Set("cdrTag", "x")
		two.Set("name", "c")
		if err := tx.Put(one); err != nil {
			return err
		}
		return tx.Put(two)
	}))
	got := s.Get(schema.CoSpace, room.ID())
	if got.Text("name") != "c" || got.Text("passcode") != "2" || got.Text("cdrTag") != "x" {
		t.Errorf("got name %q, passcode %q, tag %q, want c, 2, x", got.Text("name"), got.Text("passcode"), got.Text("cdrTag"))
	}
	must(t, remove(t, s, room))
	var gone *store.Gone
	if err := edit(t, s, room, "name", "d"); !errors.As(err, &gone) {
		t.Errorf("edit of what is gone: got %v", err)
	}
	if err := remove(t, s, room); !errors.As(err, &gone) {
		t.Errorf("deletion of what is gone: got %v", err)
	}
}

func TestATransactionReadsWhatItWrote(t *testing.T) {
	s := open(t, databasetest.Start(t))
	for _, n := range []string{"a", "C", "e"} {
		add(t, s, schema.CoSpace, none, "name", n, "uri", n)
	}
	revision := s.Revision()
	sentinel := errors.New("enough")
	err := s.Write(t.Context(), func(tx *store.Tx) error {
		must(t, tx.Put(set(tx.New(schema.CoSpace, none), "name", "B", "uri", "b")))
		must(t, tx.Delete(tx.Find("coSpaceUri", "c")[0]))
		must(t, tx.Put(set(tx.Edit(tx.Find("coSpaceUri", "a")[0]), "name", "f")))
		var all []*store.Record
		tx.Each(schema.CoSpace, func(r *store.Record) bool { all = append(all, r); return true })
		wantNames(t, "in the transaction", all, "B", "e", "f")
		wantNames(t, "the deleted one", tx.Find("coSpaceUri", "c"))
		wantNames(t, "the new one", tx.Find("coSpaceUri", "B"), "B")
		if n := tx.Count(schema.CoSpace); n != 3 {
			t.Errorf("%d in the transaction, want 3", n)
		}
		if n := s.Count(schema.CoSpace); n != 3 || len(s.Find("coSpaceUri", "b")) != 0 {
			t.Error("others see what is not committed")
		}
		return sentinel
	})
	if err != sentinel || s.Revision() != revision || len(s.Find("coSpaceUri", "c")) != 1 {
		t.Errorf("a transaction that failed with %v left something behind", err)
	}
}
