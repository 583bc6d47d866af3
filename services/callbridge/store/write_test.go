package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

var everything = []clientv3.OpOption{clientv3.WithFromKey()}

func TestNoUpdateIsLostBetweenCallBridges(t *testing.T) {
	c := databasetest.Start(t)
	stores := []*store.Store{open(t, c), open(t, c), open(t, c)}
	counter := add(t, stores[0], schema.CoSpace, none, "name", "0")
	for _, s := range stores {
		follow(t, s, stores[0])
	}
	const each = 40
	var wait sync.WaitGroup
	for _, s := range stores {
		for range 2 {
			wait.Go(func() {
				for range each {
					err := s.Write(t.Context(), func(tx *store.Tx) error {
						d := tx.Edit(counter)
						var n int
						if _, err := fmt.Sscan(d.Text("name"), &n); err != nil {
							return err
						}
						d.Set("name", fmt.Sprint(n+1))
						return tx.Put(d)
					})
					if err != nil {
						t.Errorf("count: %v", err)
					}
				}
			})
		}
	}
	wait.Wait()
	fresh := open(t, c)
	if got, want := fresh.Get(schema.CoSpace, counter.ID()).Text("name"), fmt.Sprint(each*2*len(stores)); got != want {
		t.Errorf("counted to %s, want %s", got, want)
	}
}

// TestWhatWasOnlyReadHolds has two writers that each look at an object of the other before they change their own.
func TestWhatWasOnlyReadHolds(t *testing.T) {
	c := databasetest.Start(t)
	stores := []*store.Store{open(t, c), open(t, c)}
	for range 20 {
		a, b := add(t, stores[0], schema.CoSpace, none, "name", "free"), add(t, stores[0], schema.CoSpace, none, "name", "free")
		follow(t, stores[1], stores[0])
		errBusy := errors.New("busy")
		var wait sync.WaitGroup
		results := make([]error, 2)
		for i, s := range stores {
			mine, others := a, b
			if i == 1 {
				mine, others = b, a
			}
			wait.Go(func() {
				results[i] = s.Write(t.Context(), func(tx *store.Tx) error {
					if tx.Get(schema.CoSpace, others.ID()).Text("name") != "free" {
						return errBusy
					}
					return tx.Put(set(tx.Edit(mine), "name", "taken"))
				})
			})
		}
		wait.Wait()
		if (results[0] == nil) == (results[1] == nil) {
			t.Fatalf("got %v and %v, want that one of both is busy", results[0], results[1])
		}
		follow(t, stores[0], stores[1])
		follow(t, stores[1], stores[0])
	}
}

func TestARefusalSawTheLatestState(t *testing.T) {
	c := databasetest.Start(t)
	s, other := open(t, c), open(t, c)
	for i := range 30 {
		// As soon as one has given a value up, the other one may have it, whatever its copy says.
		held := add(t, s, schema.CoSpace, none, "uri", "u")
		must(t, remove(t, s, held))
		if _, err := tryAdd(t, other, schema.CoSpace, none, "uri", "u"); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		must(t, remove(t, other, other.Find("coSpaceUri", "u")[0]))
	}
}

func TestThereAreOnlySoMany(t *testing.T) {
	c := databasetest.Start(t)
	receivers, machine := schema.Of("cdrReceivers"), uuid.New()
	stores := []*store.Store{openAs(t, c, machine), openAs(t, c, machine)}
	var wait sync.WaitGroup
	var mu sync.Mutex
	added, refused := 0, 0
	for i := range 10 {
		wait.Go(func() {
			_, err := tryAdd(t, stores[i%2], receivers, none)
			var many *store.TooMany
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				added++
			case errors.As(err, &many) && many.Object == receivers:
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if added != 4 || refused != 6 {
		t.Errorf("%d were added and %d refused, want 4 and 6", added, refused)
	}
	// They belong to the machine.
	far := open(t, c)
	if n := far.Count(receivers); n != 0 {
		t.Errorf("another machine sees %d of them", n)
	}
	add(t, far, receivers, none)
}

func TestWhatAnotherCannotBeWithoutStays(t *testing.T) {
	s := open(t, databasetest.Start(t))
	server, mapping := add(t, s, schema.LDAPServer, none), add(t, s, schema.Of("ldapMappings"), none)
	source := add(t, s, schema.Of("ldapSources"), none, "server", server.ID().String(), "mapping", mapping.ID().String())
	var use *store.InUse
	if err := remove(t, s, server); !errors.As(err, &use) || use.By.ID() != source.ID() || use.Record.ID() != server.ID() {
		t.Errorf("got %v, want that the source uses the server", err)
	}
	if s.Get(schema.LDAPServer, server.ID()) == nil {
		t.Error("the server is gone nevertheless")
	}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		if err := tx.Delete(source); err != nil {
			return err
		}
		return tx.Delete(server)
	}))
	if s.Count(schema.LDAPServer) != 0 || s.Count(schema.Of("ldapMappings")) != 1 {
		t.Error("the server is still there, or the mapping is not")
	}
}

func TestSingletonsAreThereBeforeTheyAreWritten(t *testing.T) {
	c := databasetest.Start(t)
	s, profiles := open(t, c), schema.Of("profiles")
	if r := s.Only(profiles); r.Has("callLegProfile") || r.ID() != none {
		t.Errorf("got %v", r)
	}
	profile := add(t, s, schema.Of("callLegProfiles"), none)
	must(t, edit(t, s, s.Only(profiles), "callLegProfile", profile.ID().String()))
	if got := s.Ref(s.Only(profiles), "callLegProfile"); got != profile {
		t.Errorf("got %v, want %v", got, profile)
	}
	yes, no := true, false
	o := schema.Of("callLegProfiles")
	add(t, s, o, none)
	if a, b := s.List(o, store.Query{Referenced: &yes, Limit: -1}), s.List(o, store.Query{Referenced: &no, Limit: -1}); a.Total != 1 || a.Records[0] != profile || b.Total != 1 {
		t.Errorf("%d are referenced and %d are not, want one of each", a.Total, b.Total)
	}
	if got := open(t, c).Only(profiles).Text("callLegProfile"); got != profile.ID().String() {
		t.Errorf("after a new open: %q", got)
	}
}

func TestImportsWriteHundredsAtOnce(t *testing.T) {
	s := open(t, databasetest.Start(t))
	const many = 1500
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		for i := range many {
			d := set(tx.New(schema.CoSpace, none), "name", fmt.Sprintf("%04d", i), "uri", fmt.Sprint("u", i), "callId", fmt.Sprint(i))
			if err := tx.Put(d); err != nil {
				return err
			}
			if err := tx.Put(set(tx.New(schema.AccessMethod, d.ID()), "name", "m")); err != nil {
				return err
			}
		}
		return nil
	}))
	page := s.List(schema.CoSpace, store.Query{Offset: 1490, Limit: 20})
	if page.Total != many || len(page.Records) != 10 || page.Records[0].Text("name") != "1490" || s.Count(schema.AccessMethod) != many {
		t.Errorf("got %d in total and %d on the last page", page.Total, len(page.Records))
	}
	revision := s.Revision()
	err := s.Write(t.Context(), func(tx *store.Tx) error {
		for range 9000 {
			if err := tx.Put(tx.New(schema.CoSpace, none)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "too big") || s.Revision() != revision {
		t.Errorf("9000 at once: got %v", err)
	}
	add(t, s, schema.CoSpace, none, "name", "after")
}

func TestWhatANewerVersionWroteIsKept(t *testing.T) {
	c := databasetest.Start(t)
	id := uuid.New()
	key := "/o/coSpaces/" + id.String()
	for k, v := range map[string]string{
		key:                               `{"name":"Bö\"ard","colour":"red","shape":{"round":[1,2,{"a":null}]},"callId":"1"}`,
		key + "/doors/" + id.String():     `{"handle":"left"}`,
		"/o/buildings/" + id.String():     `{"floors":"3"}`,
		"/o/coSpaces/broken":              `{}`,
		"/o/coSpaces/" + uuid.NewString(): `{"name":["no text"]}`,
	} {
		_, err := c.Put(t.Context(), k, v)
		must(t, err)
	}
	s := open(t, c)
	room := s.Get(schema.CoSpace, id)
	if room == nil || room.Text("name") != "Bö\"ard" || s.Count(schema.CoSpace) != 1 {
		t.Fatalf("got %v of %d", room, s.Count(schema.CoSpace))
	}
	must(t, edit(t, s, room, "name", "New", "callId", ""))
	kv, err := c.Get(t.Context(), key)
	must(t, err)
	var got struct {
		Name, Colour string
		CallID       *string
		Shape        struct{ Round []any }
	}
	must(t, json.Unmarshal(kv.Kvs[0].Value, &got))
	if got.Name != "New" || got.Colour != "red" || got.CallID != nil || len(got.Shape.Round) != 3 {
		t.Errorf("stored is %s", kv.Kvs[0].Value)
	}
	must(t, remove(t, s, room))
	if kv, err := c.Get(t.Context(), key, clientv3.WithPrefix()); err != nil || len(kv.Kvs) != 0 {
		t.Errorf("what a newer version has below a space is left: %v, %v", kv, err)
	}
	if kv, err := c.Get(t.Context(), "/o/buildings/", clientv3.WithPrefix()); err != nil || len(kv.Kvs) != 1 {
		t.Errorf("what only a newer version knows is gone: %v, %v", kv, err)
	}
}

func TestSubscribersAreToldInOrder(t *testing.T) {
	c := databasetest.Start(t)
	s, other := open(t, c), open(t, c)
	got := make(chan string, 100)
	cancel := s.Subscribe(func(before, after *store.Record) {
		switch {
		case before == nil:
			got <- "+" + after.Text("name")
		case after == nil:
			got <- "-" + before.Text("name")
		default:
			got <- before.Text("name") + ">" + after.Text("name")
		}
	}, schema.Tenants)
	room := add(t, other, schema.CoSpace, none, "name", "not this")
	one := add(t, other, schema.Tenants, none, "name", "1")
	must(t, edit(t, other, one, "name", "2"))
	must(t, edit(t, other, one, "name", "3"))
	must(t, remove(t, other, room))
	must(t, remove(t, other, one))
	for _, want := range []string{"+1", "1>2", "2>3", "-3"} {
		if g := <-got; g != want {
			t.Errorf("got %s, want %s", g, want)
		}
	}
	cancel()
	add(t, s, schema.Tenants, none, "name", "4")
	if len(got) != 0 {
		t.Errorf("after cancel: %s", <-got)
	}
}

func TestASubscriberMayWrite(t *testing.T) {
	s := open(t, databasetest.Start(t))
	done := make(chan error, 1)
	s.Subscribe(func(before, after *store.Record) {
		if before == nil {
			// Reads show it by now.
			done <- edit(t, s, after, "cdrTag", "seen")
		}
	}, schema.CoSpace)
	room := add(t, s, schema.CoSpace, none)
	must(t, <-done)
	if got := s.Get(schema.CoSpace, room.ID()).Text("cdrTag"); got != "seen" {
		t.Errorf("got %q", got)
	}
}

func TestAPanicIsThatOfItsWriter(t *testing.T) {
	s := open(t, databasetest.Start(t))
	func() {
		defer func() {
			if got := recover(); got != "oh" {
				t.Errorf("recovered %v", got)
			}
		}()
		_ = s.Write(t.Context(), func(tx *store.Tx) error {
			_ = tx.Put(set(tx.New(schema.CoSpace, none), "uri", "half"))
			panic("oh")
		})
	}()
	if len(s.Find("coSpaceUri", "half")) != 0 {
		t.Error("half a transaction is there")
	}
	add(t, s, schema.CoSpace, none, "uri", "half")
}

func TestAWriteThatIsNotWantedAnyMoreDoesNotRun(t *testing.T) {
	s := open(t, databasetest.Start(t))
	entered, leave := make(chan struct{}), make(chan struct{})
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		first <- s.Write(context.Background(), func(tx *store.Tx) error {
			close(entered)
			<-leave
			return tx.Put(set(tx.New(schema.CoSpace, none), "name", "first"))
		})
	}()
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		second <- s.Write(ctx, func(tx *store.Tx) error {
			t.Error("it ran")
			return nil
		})
	}()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(leave)
	must(t, <-first)
}

func TestNothingIsWrittenForNoChange(t *testing.T) {
	s := open(t, databasetest.Start(t))
	room := add(t, s, schema.CoSpace, none, "name", "a")
	revision := s.Revision()
	must(t, edit(t, s, room, "name", "a"))
	must(t, edit(t, s, s.Only(schema.Of("profiles"))))
	if s.Revision() != revision {
		t.Error("an edit without a change was written")
	}
	var gone *store.Gone
	err := s.Write(t.Context(), func(tx *store.Tx) error {
		// A second Put of one draft changes what the first one made.
		d := set(tx.New(schema.CoSpace, none), "name", "b")
		must(t, tx.Put(d))
		d.Set("uri", "b")
		must(t, tx.Put(d))
		if d.Before() != nil {
			t.Error("a new draft has something before it")
		}
		return tx.Put(tx.NewWithID(schema.AccessMethod, uuid.New(), uuid.New()))
	})
	if !errors.As(err, &gone) {
		t.Errorf("got %v, want that the space does not exist", err)
	}
}

func TestAClosedStoreRefusesWrites(t *testing.T) {
	c := databasetest.Start(t)
	s := open(t, c)
	add(t, s, schema.CoSpace, none)
	s.Close()
	if _, err := tryAdd(t, s, schema.CoSpace, none); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if kv, err := c.Get(t.Context(), "/f/writer/", clientv3.WithPrefix()); err != nil || len(kv.Kvs) != 0 {
		t.Errorf("a closed Store left %v", kv)
	}
}
