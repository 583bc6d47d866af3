package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

// history is every revision of a database.
type history struct {
	client *clientv3.Client
	events clientv3.WatchChan
	now    plain
	at     int64
}

func record(t *testing.T, c *clientv3.Client) *history {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return &history{client: c, events: c.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(1)), now: plain{}}
}

// check replays everything up to the present, and checks the rules at each revision.
func (h *history) check(t *testing.T) {
	t.Helper()
	r, err := h.client.Get(t.Context(), "/")
	must(t, err)
	for h.at < r.Header.Revision {
		w, ok := <-h.events
		if !ok || w.Err() != nil {
			t.Fatalf("the watch ended: %v", w.Err())
		}
		for i := 0; i < len(w.Events); {
			h.at = w.Events[i].Kv.ModRevision
			before := map[string]*thing{}
			for ; i < len(w.Events) && w.Events[i].Kv.ModRevision == h.at; i++ {
				kv := w.Events[i].Kv
				before[string(kv.Key)] = h.now[string(kv.Key)]
				if w.Events[i].Type == clientv3.EventTypeDelete {
					delete(h.now, string(kv.Key))
				} else {
					h.now.put(t, kv)
				}
			}
			broken := h.now.check()
			for key, was := range before {
				if h.now[key] != nil {
					broken = append(broken, h.now.newlyGone(key, was)...)
				}
			}
			for _, b := range broken {
				t.Errorf("at revision %d: %s", h.at, b)
			}
		}
	}
}

// chaos does random things to a store.
type chaos struct {
	*rand.Rand
	s        *store.Store
	ok, fail int
}

func (c *chaos) text(n int) string { return fmt.Sprintf("%c%d", "aAbB"[c.IntN(4)], c.IntN(n)) }

// any returns one of the objects of a type, nil when there is none.
func (c *chaos) any(v store.View, o *schema.Object) *store.Record {
	var all []*store.Record
	v.Each(o, func(r *store.Record) bool { all = append(all, r); return true })
	if len(all) == 0 {
		return nil
	}
	return all[c.IntN(len(all))]
}

// ref is the ID of one of the objects, or none.
func (c *chaos) ref(v store.View, o *schema.Object) string {
	if r := c.any(v, o); r != nil && c.IntN(4) > 0 {
		return r.ID().String()
	}
	return ""
}

func (c *chaos) fill(v store.View, d *store.Draft) {
	for _, f := range d.Object().Fields {
		if c.IntN(2) > 0 {
			continue
		}
		switch f.Name {
		case "name", "uri", "secondaryUri", "domain":
			d.Set(f.Name, c.text(8))
		case "callId":
			d.Set(f.Name, fmt.Sprint(c.IntN(8)))
		case "tenant", "tenantGroup", "callLegProfile", "defaultAccessMethod":
			d.Set(f.Name, c.ref(v, schema.Of(f.To)))
		}
	}
	for _, f := range d.Object().Fields {
		if to := schema.Of(f.To); f.Required && f.Kind == schema.Reference && d.Before() == nil {
			if r := c.any(v, to); r != nil {
				d.Set(f.Name, r.ID().String())
			}
		}
	}
}

var chaotic = []*schema.Object{schema.CoSpace, schema.CoSpace, schema.AccessMethod, schema.AccessMethod, schema.Tenants, schema.TenantGroups,
	schema.Of("ldapServers"), schema.Of("ldapMappings"), schema.Of("ldapSources"), schema.Of("callLegProfiles"), schema.Of("cdrReceivers"),
	schema.Of("inboundDialPlanRules"), schema.Of("profiles")}

// act is one random transaction.
func (c *chaos) act(tx *store.Tx) error {
	for range 1 + c.IntN(3) {
		o := chaotic[c.IntN(len(chaotic))]
		var err error
		switch r := c.any(tx, o); {
		case o.Singleton:
			d := tx.Edit(tx.Only(o))
			d.Set("callLegProfile", c.ref(tx, schema.Of("callLegProfiles")))
			err = tx.Put(d)
		case r == nil || c.IntN(3) == 0:
			var parent store.ID
			if o.Parent != nil {
				p := c.any(tx, o.Parent)
				if p == nil {
					continue
				}
				parent = p.ID()
			}
			d := tx.New(o, parent)
			c.fill(tx, d)
			if o == schema.Of("ldapSources") && (d.Text("server") == "" || d.Text("mapping") == "") {
				continue
			}
			err = tx.Put(d)
		case c.IntN(8) == 0:
			err = tx.Delete(r)
		default:
			d := tx.Edit(r)
			c.fill(tx, d)
			err = tx.Put(d)
		}
		// Some go on after a refusal.
		if err != nil && (c.IntN(2) == 0 || !isRefusal(err)) {
			return err
		}
	}
	return nil
}

func isRefusal(err error) bool {
	var conflict *store.Conflict
	var gone *store.Gone
	var inUse *store.InUse
	var tooMany *store.TooMany
	return errors.As(err, &conflict) || errors.As(err, &gone) || errors.As(err, &inUse) || errors.As(err, &tooMany)
}

func (c *chaos) run(t *testing.T, n int) {
	for range n {
		err := c.s.Write(t.Context(), c.act)
		switch {
		case err == nil:
			c.ok++
		case isRefusal(err):
			c.fail++
		default:
			t.Errorf("a write failed: %v", err)
			return
		}
	}
}

// TestRandomWritersBreakNoRule has several writers in two Stores do random things to few values, and then looks at every
// revision that the database had.
func TestRandomWritersBreakNoRule(t *testing.T) {
	c := databasetest.Start(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	h := record(t, c)
	machines := []store.ID{uuid.New(), uuid.New()}
	stores := []*store.Store{openAs(t, c, machines[0]), openAs(t, c, machines[1])}
	const writers, writes = 3, 60
	var wait sync.WaitGroup
	var all []*chaos
	for i, s := range stores {
		for w := range writers {
			x := &chaos{Rand: rand.New(rand.NewPCG(seed, uint64(i*writers+w))), s: s}
			all = append(all, x)
			wait.Go(func() { x.run(t, writes) })
		}
	}
	wait.Wait()
	ok, fail := 0, 0
	for _, x := range all {
		ok += x.ok
		fail += x.fail
	}
	t.Logf("%d writes were committed, %d refused", ok, fail)
	if ok < writers*writes/2 {
		t.Errorf("only %d writes were committed", ok)
	}
	h.check(t)
	// The cleaners unset what names nothing, and then everybody sees the same.
	eventually(t, stores[0], func() bool { h.check(t); return !h.now.dangling() })
	third := uuid.New()
	fresh := openAs(t, c, third)
	h.check(t)
	for i, s := range stores {
		eventually(t, s, func() bool { return s.Revision() >= h.at })
		h.now.compare(t, fmt.Sprint("store ", i), s, machines[i])
	}
	h.now.compare(t, "a fresh store", fresh, third)
	if len(h.now) < 10 {
		t.Error("hardly anything is left to compare")
	}
}
