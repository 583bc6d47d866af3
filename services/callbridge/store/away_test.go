package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database"
	"rotunda/services/database/databasetest"
)

func TestReadsGoOnAndWritesFailWhileTheDatabaseIsAway(t *testing.T) {
	d := databasetest.New(t)
	s, other := open(t, d.Client()), open(t, d.Client())
	hasty := openWith(t, store.Options{Client: d.Client(), Machine: uuid.New(), Patience: time.Second})
	room := add(t, s, schema.CoSpace, none, "name", "before", "uri", "before")
	follow(t, other, s)
	follow(t, hasty, s)
	d.Stop()
	began := time.Now()
	if _, err := tryAdd(t, hasty, schema.CoSpace, none, "name", "never"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a write without a database: got %v", err)
	}
	// A refusal cannot be sure that it is right.
	if _, err := tryAdd(t, hasty, schema.CoSpace, none, "uri", "before"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a refusal without a database: got %v", err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("two writes failed after %s only", took)
	}
	wantNames(t, "read without a database", s.Find("coSpaceUri", "before"), "before")
	d.Start()
	must(t, edit(t, s, room, "name", "after"))
	follow(t, other, s)
	wantNames(t, "found when it is back", other.Find("coSpaceUri", "before"), "after")
	wantNames(t, "what was not written", s.List(schema.CoSpace, store.Query{Filter: "never", Limit: -1}).Records)
}

func TestAWriteOutlastsAShortAbsence(t *testing.T) {
	d := databasetest.New(t)
	s := open(t, d.Client())
	add(t, s, schema.CoSpace, none, "name", "before")
	d.Stop()
	ran, result := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		result <- s.Write(t.Context(), func(tx *store.Tx) error {
			select {
			case ran <- struct{}{}:
			default:
			}
			return tx.Put(set(tx.New(schema.CoSpace, none), "name", "meanwhile"))
		})
	}()
	<-ran
	d.Start()
	must(t, <-result)
	wantNames(t, "written once", s.List(schema.CoSpace, store.Query{Filter: "meanwhile", Limit: -1}).Records, "meanwhile")
}

// TestKillsLoseNothingAndDoubleNothing kills the database under writers again and again. What was acknowledged is there, and nothing is
// there twice, though writes are sent again when nobody answers.
func TestKillsLoseNothingAndDoubleNothing(t *testing.T) {
	kills := 12
	if testing.Short() {
		kills = 3
	}
	p := databasetest.NewProcess(t)
	h := record(t, p.Client())
	machines := []store.ID{uuid.New(), uuid.New()}
	stores := []*store.Store{openAs(t, p.Client(), machines[0]), openAs(t, p.Client(), machines[1])}
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	enough := make(chan struct{}, 100_000)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for w := range 6 {
		wait.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("%d-%d.", w, i)
				err := stores[w%2].Write(ctx, func(tx *store.Tx) error {
					if err := tx.Put(set(tx.New(schema.CoSpace, none), "name", name)); err != nil {
						return err
					}
					// Many want the same URI, and one gets it.
					return tx.Put(set(tx.New(schema.CoSpace, none), "name", "second "+name, "uri", fmt.Sprint(i/4)))
				})
				var conflict *store.Conflict
				switch {
				case err == nil:
					mu.Lock()
					acknowledged[name] = true
					mu.Unlock()
					enough <- struct{}{}
				case errors.As(err, &conflict), errors.Is(err, store.ErrUnavailable), ctx.Err() != nil:
				default:
					t.Errorf("a write failed: %v", err)
				}
			}
		})
	}
	for round := range kills {
		for range 5 + round%20 {
			<-enough
		}
		p.Kill()
		p.Start()
	}
	cancel()
	wait.Wait()
	h.check(t)
	count := map[string]int{}
	for _, x := range h.now {
		count[x.fields["name"]]++
	}
	for name, n := range count {
		if n > 1 {
			t.Errorf("%q is there %d times", name, n)
		}
	}
	for name := range acknowledged {
		if count[name] != 1 || count["second "+name] != 1 {
			t.Errorf("%q was acknowledged, and is there %d and %d times", name, count[name], count["second "+name])
		}
	}
	for i, s := range stores {
		eventually(t, s, func() bool { return s.Revision() >= h.at })
		h.now.compare(t, fmt.Sprint("store ", i), s, machines[i])
	}
	t.Logf("%d writes in %d kills", len(acknowledged), kills)
}

// proxy is a connection to a database that can be cut.
type proxy struct {
	socket, to string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "px")
	must(t, err)
	p := &proxy{socket: filepath.Join(dir, "s"), to: to, open: map[net.Conn]bool{}}
	t.Cleanup(func() { p.cut(); os.RemoveAll(dir) })
	p.join(t)
	return p
}

func (p *proxy) join(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", p.socket)
	must(t, err)
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", p.to)
			if err != nil {
				from.Close()
				continue
			}
			p.mu.Lock()
			p.open[from], p.open[to] = true, true
			p.mu.Unlock()
			go func() { _, _ = io.Copy(from, to); from.Close() }()
			go func() { _, _ = io.Copy(to, from); to.Close() }()
		}
	}()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for c := range p.open {
		c.Close()
	}
	clear(p.open)
}

func TestACopyThatWasCompactedAwayIsTakenAnew(t *testing.T) {
	d := databasetest.New(t)
	p := newProxy(t, d.Socket())
	far, err := database.Dial(p.socket)
	must(t, err)
	t.Cleanup(func() { far.Close() })
	near, machine := open(t, d.Client()), uuid.New()
	s := openAs(t, far, machine)
	keep := add(t, s, schema.CoSpace, none, "name", "keep")
	gone := add(t, s, schema.CoSpace, none, "name", "gone", "uri", "u")
	follow(t, near, s)

	type told struct{ before, after string }
	changes := make(chan told, 100)
	s.Subscribe(func(before, after *store.Record) {
		var c told
		if before != nil {
			c.before = before.Text("name")
		}
		if after != nil {
			c.after = after.Text("name")
		}
		changes <- c
	}, schema.CoSpace)

	p.cut()
	must(t, remove(t, near, gone))
	must(t, edit(t, near, keep, "name", "kept"))
	add(t, near, schema.CoSpace, none, "name", "new", "uri", "u")
	_, err = d.Client().Compact(t.Context(), near.Revision())
	must(t, err)
	p.join(t)
	follow(t, s, near)
	got := map[told]bool{<-changes: true, <-changes: true, <-changes: true}
	for _, want := range []told{{"gone", ""}, {"keep", "kept"}, {"", "new"}} {
		if !got[want] {
			t.Errorf("subscribers were told %v, which lacks %v", got, want)
		}
	}
	h := plain{}
	all, err := d.Client().Get(t.Context(), "\x00", everything...)
	must(t, err)
	for _, kv := range all.Kvs {
		h.put(t, kv)
	}
	h.compare(t, "after it was taken anew", s, machine)
	// Writes work on it.
	must(t, edit(t, s, keep, "uri", "kept"))
	_, err = tryAdd(t, s, schema.CoSpace, none, "uri", "u")
	wantConflict(t, err, "duplicateCoSpaceUri", near.Find("coSpaceUri", "u")[0])
}

func TestADatabaseThatWasPutBackIsNoticed(t *testing.T) {
	d := databasetest.New(t)
	s := open(t, d.Client())
	room := add(t, s, schema.CoSpace, none, "name", "a")
	d.Stop()
	backup := filepath.Join(t.TempDir(), "backup")
	if out, err := exec.Command("cp", "-a", d.Folder(), backup).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d.Start()
	for i := range 20 {
		must(t, edit(t, s, room, "name", fmt.Sprint("b", i)))
	}
	d.Stop()
	must(t, os.RemoveAll(d.Folder()))
	must(t, os.Rename(backup, d.Folder()))
	d.Start()
	eventually(t, s, func() bool { return s.Get(schema.CoSpace, room.ID()).Text("name") == "a" })
	must(t, edit(t, s, room, "name", "c"))
	if got := s.Get(schema.CoSpace, room.ID()).Text("name"); got != "c" {
		t.Errorf("after a write the name is %q, want c", got)
	}
}
