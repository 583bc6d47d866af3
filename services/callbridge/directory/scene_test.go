package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/uuid"

	"rotunda/mmp/identity/slapdtest"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

// patience with an import on a laden machine.
const patience = 4 * time.Minute

// scene is a directory, a database and an Importer that runs.
type scene struct {
	*testing.T
	dir *slapdtest.Directory
	// database can be stopped and started.
	database *databasetest.Database
	ldap     *ldap.Conn
	store    *store.Store
	im       *Importer
	server   *store.Record
}

func newScene(t *testing.T, entries func(io.Writer)) *scene {
	t.Helper()
	x := prepareScene(t, entries)
	x.run()
	return x
}

// prepareScene is one whose Importer does not run yet.
func prepareScene(t *testing.T, entries func(io.Writer)) *scene {
	t.Helper()
	dir := slapdtest.Start(t, slapdtest.Options{}, entries)
	database := databasetest.New(t)
	// A laden machine may take longer than usual over what thousands of users are written with.
	s, err := store.Open(t.Context(), store.Options{Client: database.Client(), Machine: uuid.New(), Patience: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	x := &scene{T: t, dir: dir, database: database, ldap: dir.Conn(), store: s}
	x.im = New(Options{Store: s, Machine: uuid.New(), TLS: func() TLS { return TLS{Verify: true, Roots: dir.Roots} }})
	x.server = x.add(schema.LDAPServer, store.ID{}, "address", "127.0.0.1", "portNumber", fmt.Sprint(dir.TLSPort), "secure", "true",
		"username", slapdtest.Reader, "password", slapdtest.Password)
	return x
}

// run starts the Importer until the test ends, or until what it returns is called.
func (x *scene) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.im.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			x.Errorf("the importer ended with %v", err)
		}
	})
	x.Cleanup(stop)
	return stop
}

func (x *scene) write(f func(tx *store.Tx) error) {
	x.Helper()
	if err := x.store.Write(x.Context(), f); err != nil {
		x.Fatal(err)
	}
}

// add writes an object of pairs of a field and a value.
func (x *scene) add(o *schema.Object, parent store.ID, fields ...string) *store.Record {
	x.Helper()
	var id store.ID
	x.write(func(tx *store.Tx) error {
		d := tx.New(o, parent)
		id = d.ID()
		for i := 0; i < len(fields); i += 2 {
			d.Set(fields[i], fields[i+1])
		}
		return tx.Put(d)
	})
	return x.store.Get(o, id)
}

func (x *scene) edit(r *store.Record, fields ...string) *store.Record {
	x.Helper()
	x.write(func(tx *store.Tx) error {
		d := tx.Edit(tx.Get(r.Object(), r.ID()))
		for i := 0; i < len(fields); i += 2 {
			d.Set(fields[i], fields[i+1])
		}
		return tx.Put(d)
	})
	return x.store.Get(r.Object(), r.ID())
}

func (x *scene) remove(r *store.Record) {
	x.Helper()
	x.write(func(tx *store.Tx) error { return tx.Delete(tx.Get(r.Object(), r.ID())) })
}

// usual are the expressions of a mapping with spaces.
var usual = []string{"jidMapping", "$sAMAccountName$@meet.example.com", "nameMapping", "$cn$", "coSpaceUriMapping", "$sAMAccountName$.space",
	"coSpaceNameMapping", "$cn$'s space", "coSpaceCallIdMapping", "$ipPhone$", "cdrTagMapping", "$ou$"}

// source adds one of everybody, by the usual mapping where mapping is nil.
func (x *scene) source(mapping []string, fields ...string) *store.Record {
	x.Helper()
	if mapping == nil {
		mapping = usual
	}
	m := x.add(schema.LDAPMapping, store.ID{}, mapping...)
	return x.add(schema.LDAPSource, store.ID{}, append([]string{"server", x.server.ID().String(), "mapping", m.ID().String(),
		"baseDn", slapdtest.People, "filter", "(sAMAccountName=*)"}, fields...)...)
}

// ask queues a synchronisation that stays when it is done.
func (x *scene) ask(fields ...string) *store.Record {
	x.Helper()
	var id store.ID
	x.write(func(tx *store.Tx) error {
		d := tx.New(schema.LDAPSync, store.ID{})
		id = d.ID()
		d.Set("removeWhenFinished", "false")
		for i := 0; i < len(fields); i += 2 {
			d.Set(fields[i], fields[i+1])
		}
		if err := x.im.PrepareSync(tx, d, nil); err != nil {
			return err
		}
		return tx.Put(d)
	})
	return x.store.Get(schema.LDAPSync, id)
}

// wait returns a synchronisation when f holds; nil stands for one that is gone.
func (x *scene) wait(id store.ID, f func(*store.Record) bool) *store.Record {
	x.Helper()
	changed := make(chan struct{}, 1)
	cancel := x.store.Subscribe(func(_, _ *store.Record) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}, schema.LDAPSync)
	defer cancel()
	late := time.After(patience)
	for {
		r := x.store.Get(schema.LDAPSync, id)
		if f(r) {
			return r
		}
		select {
		case <-changed:
		case <-late:
			x.Fatalf("the synchronisation does not get there: %v", values(r))
		}
	}
}

func ended(r *store.Record) bool {
	return r != nil && (r.Text("state") == "complete" || r.Text("state") == "failed")
}

// sync carries one out.
func (x *scene) sync(fields ...string) *store.Record {
	x.Helper()
	return x.wait(x.ask(fields...).ID(), ended)
}

// succeed carries one out that is to succeed, with as many users.
func (x *scene) succeed(users int, fields ...string) {
	x.Helper()
	r := x.sync(fields...)
	if n, _ := r.Number("numUsersImported"); r.Text("state") != "complete" || int(n) != users {
		x.Fatalf("wanted a complete import of %d users, got %v", users, values(r))
	}
}

// fail carries one out that is to fail.
func (x *scene) failed(reason string, fields ...string) *store.Record {
	x.Helper()
	r := x.sync(fields...)
	if r.Text("state") != "failed" || r.Text("failureReason") != reason {
		x.Fatalf("wanted a failure %s, got %v", reason, values(r))
	}
	return r
}

func values(r *store.Record) map[string]string {
	if r == nil {
		return nil
	}
	m := map[string]string{}
	r.Values(func(f *schema.Field, v string) bool { m[f.Name] = v; return true })
	return m
}

// want compares fields of a record.
func (x *scene) want(r *store.Record, fields ...string) {
	x.Helper()
	if r == nil {
		x.Fatalf("there is none with %v", fields)
	}
	for i := 0; i < len(fields); i += 2 {
		if got := r.Text(fields[i]); got != fields[i+1] {
			x.Errorf("%s: %s: wanted %q, got %q", r, fields[i], fields[i+1], got)
		}
	}
}

func (x *scene) user(jid string) *store.Record {
	for _, r := range x.store.Find("userJid", jid) {
		return r
	}
	return nil
}

func (x *scene) space(jid string) *store.Record {
	u := x.user(jid)
	if u == nil {
		return nil
	}
	_, s := provisioned(x.store, u.ID())
	return s
}

func (x *scene) count(users, spaces int) {
	x.Helper()
	if u, s := x.store.Count(schema.User), x.store.Count(schema.CoSpace); u != users || s != spaces {
		x.Errorf("wanted %d users and %d spaces, got %d and %d", users, spaces, u, s)
	}
}

// writes counts changes of what an import makes while f runs.
func (x *scene) writes(f func()) int {
	n, mu := 0, sync.Mutex{}
	cancel := x.store.Subscribe(func(_, _ *store.Record) { mu.Lock(); n++; mu.Unlock() },
		schema.User, schema.CoSpace, schema.CoSpaceUser, schema.UserProvisionedCoSpace, schema.UserCoSpaceTemplate)
	f()
	cancel()
	mu.Lock()
	defer mu.Unlock()
	return n
}

func dn(uid string) string { return "uid=" + uid + "," + slapdtest.People }

func (x *scene) modify(uid string, attribute string, values ...string) {
	x.Helper()
	m := ldap.NewModifyRequest(dn(uid), nil)
	m.Replace(attribute, values)
	if err := x.ldap.Modify(m); err != nil {
		x.Fatal(err)
	}
}

func (x *scene) leave(uid string) {
	x.Helper()
	if err := x.ldap.Del(ldap.NewDelRequest(dn(uid), nil)); err != nil {
		x.Fatal(err)
	}
}

// join adds a person of pairs of an attribute and a value.
func (x *scene) join(uid string, attributes ...string) {
	x.Helper()
	a := ldap.NewAddRequest(dn(uid), nil)
	a.Attribute("objectClass", []string{"inetOrgPerson", "user"})
	for _, name := range []string{"uid", "cn", "sn", "sAMAccountName"} {
		a.Attribute(name, []string{uid})
	}
	for i := 0; i < len(attributes); i += 2 {
		a.Attribute(attributes[i], []string{attributes[i+1]})
	}
	if err := x.ldap.Add(a); err != nil {
		x.Fatal(err)
	}
}
