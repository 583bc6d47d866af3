package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestDecide(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		name string
		s    sizes
		want decision
		line string
	}{
		{"new", sizes{File: mib / 4, Used: mib / 8, Quota: 2048 * mib, Room: 8000 * mib}, decision{}, ""},
		{"little to gain", sizes{File: 100 * mib, Used: 40 * mib, Quota: 2048 * mib, Room: 8000 * mib}, decision{}, ""},
		{"half is free", sizes{File: 400 * mib, Used: 200 * mib, Quota: 2048 * mib, Room: 8000 * mib}, decision{Defrag: true}, ""},
		{"a third is free", sizes{File: 400 * mib, Used: 270 * mib, Quota: 2048 * mib, Room: 8000 * mib}, decision{}, ""},
		{"half is free and the disk is full", sizes{File: 400 * mib, Used: 200 * mib, Quota: 2048 * mib, Room: 210 * mib}, decision{}, "no room to defragment the database: 232 MiB are needed and 210 MiB are free"},
		{"near the quota, a fifth is free", sizes{File: 1700 * mib, Used: 1300 * mib, Quota: 2048 * mib, Room: 8000 * mib}, decision{Defrag: true}, ""},
		{"near the quota, nothing is free", sizes{File: 1700 * mib, Used: 1690 * mib, Quota: 2048 * mib, Room: 8000 * mib}, decision{}, "the database takes 1700 of 2048 MiB"},
		{"disk nearly full", sizes{File: mib, Used: mib, Quota: 2048 * mib, Room: 10 * mib}, decision{}, "the disk is nearly full: 10 MiB are left"},
		{"full, something deleted", sizes{File: 2048 * mib, Used: 1900 * mib, Quota: 2048 * mib, Room: 8000 * mib, Full: true, Changed: true}, decision{Forget: true, Defrag: true}, ""},
		{"full, nothing deleted", sizes{File: 2048 * mib, Used: 2040 * mib, Quota: 2048 * mib, Room: 8000 * mib, Full: true}, decision{Forget: true}, "the database is full (2048 of 2048 MiB)"},
		{"full, something deleted, no room", sizes{File: 2048 * mib, Used: 1500 * mib, Quota: 2048 * mib, Room: 100 * mib, Full: true, Changed: true}, decision{Forget: true}, "the database is full"},
		{"was full", sizes{File: 1500 * mib, Used: 1500 * mib, Quota: 2048 * mib, Room: 8000 * mib, Full: true}, decision{Forget: true, Admit: true}, ""},
	} {
		got := decide(test.s)
		lines := got.Warning + " " + got.Error
		got.Warning, got.Error = "", ""
		if got != test.want {
			t.Errorf("%s: wanted %+v, got %+v", test.name, test.want, got)
		}
		if test.line == "" && lines != " " || !strings.Contains(lines, test.line) {
			t.Errorf("%s: wanted line %q, got %q", test.name, test.line, lines)
		}
	}
}

// kept is a node with a keeper whose clock and disk the test holds.
func kept(t *testing.T, quota int64) (*keeper, *said) {
	t.Helper()
	out := new(said)
	lines := &Lines{to: out}
	o := testOptions(t)
	o.Quota, o.Log = quota, lines.etcd()
	n := open(t, o)
	t.Cleanup(n.Close)
	k := newKeeper(n, lines)
	k.room = func() (int64, error) { return 100 << 30, nil }
	now := time.Now()
	k.now = func() time.Time { return now }
	return k, out
}

func TestFullDatabaseSaysSoAndTakesWritesAgainAfterDeletions(t *testing.T) {
	k, out := kept(t, 20<<20)
	c := k.node.Client()
	value := strings.Repeat("secret", 20_000)
	var err error
	for i := 0; err == nil; i++ {
		if i > 1000 {
			t.Fatal("wanted a full database")
		}
		_, err = c.Put(t.Context(), fmt.Sprintf("/o/users/%d", i), value)
	}
	if !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("wanted ErrNoSpace, got %v", err)
	}
	if err := k.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "<27>database: the database is full (") || !strings.Contains(got, "delete users or spaces") {
		t.Errorf("wanted a line about it, got %q", got)
	}
	if _, err := c.Put(t.Context(), "k", "v"); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("wanted ErrNoSpace still, got %v", err)
	}
	// What an administrator does.
	if _, err := c.Txn(t.Context()).If(clientv3.Compare(clientv3.ModRevision("/o/users/1"), ">", 0)).
		Then(clientv3.OpDelete("/o/users/", clientv3.WithPrefix())).Commit(); err != nil {
		t.Fatalf("delete from a full database: %v", err)
	}
	if err := k.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, c, "k", "v")
	wantValue(t, c, "k", "v")
	if got := out.String(); !strings.Contains(got, "takes writes again") || !strings.Contains(got, "defragmented: ") {
		t.Errorf("wanted lines about both, got %q", got)
	}
	if strings.Contains(out.String(), "secret") {
		t.Errorf("a value was logged: %q", out.String())
	}
}

func TestFreePagesAreGivenBackOnceAnHour(t *testing.T) {
	k, out := kept(t, 2<<30)
	c := k.node.Client()
	value := strings.Repeat("x", 1<<20)
	fill := func() {
		for i := range 100 {
			put(t, c, fmt.Sprintf("/o/%d", i%4), value)
		}
		if err := k.forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Pages that a commit frees count as free after the next.
		for range 2 {
			put(t, c, "k", "v")
			k.node.etcd.Server.Backend().ForceCommit()
		}
		if s, err := k.sizes(t.Context()); err != nil || !decide(s).Defrag {
			t.Fatalf("wanted sizes that are worth it, got %+v, %v", s, err)
		}
	}
	times := func() int { return strings.Count(out.String(), "defragmented: ") }
	fill()
	// A snapshot that somebody is reading goes first.
	k.node.copying.RLock()
	if err := k.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.node.copying.RUnlock()
	if times() != 0 {
		t.Fatalf("wanted no defragmentation beside a snapshot, got %q", out.String())
	}
	for range 2 {
		if err := k.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if times() != 1 {
		t.Fatalf("wanted one defragmentation, got %q", out.String())
	}
	if size := k.node.etcd.Server.Backend().Size(); size > 32<<20 {
		t.Errorf("wanted a small file, got %d bytes", size)
	}
	wantValue(t, c, "/o/3", value)
	fill()
	if err := k.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if times() != 1 {
		t.Errorf("wanted no second one within the hour, got %q", out.String())
	}
	later := k.now().Add(defragPause)
	k.now = func() time.Time { return later }
	if err := k.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if times() != 2 {
		t.Errorf("wanted a second one after an hour, got %q", out.String())
	}
}

func TestVerbServesAndEndsInOrder(t *testing.T) {
	o := testOptions(t)
	o.Group = os.Getegid()
	o.Quota = DefaultQuota
	out := new(said)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, o, &Lines{to: out}) }()
	c, err := Dial(o.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	put(t, c, "k", "v")
	info, err := os.Stat(o.Socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("wanted mode 0660, got %v, %v", info.Mode(), err)
	}
	// A watch that goes on does not hold the end up.
	watch := c.Watch(t.Context(), "k")
	put(t, c, "k", "w")
	<-watch
	begin := time.Now()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("wanted an end in order, got %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("wanted an end within what PID 1 waits, got %v", took)
	}
	got := out.String()
	for _, want := range []string{"<30>database: a new, empty database\n", "<30>database: serving "} {
		if !strings.Contains(got, want) {
			t.Errorf("wanted %q in %q", want, got)
		}
	}
	if strings.Contains(got, "<27>") || strings.Contains(got, "<28>") {
		t.Errorf("wanted no warning, got %q", got)
	}
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "-folder is missing"},
		{[]string{"-folder", "x", "y"}, `unexpected argument "y"`},
		{[]string{"-folder", "x", "-quota", "1"}, "want 16 to 8192 MiB"},
	} {
		if _, err := parse(test.args); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: wanted %q, got %v", test.args, test.want, err)
		}
	}
	o, err := parse([]string{"-folder", "x", "-group", "106", "-quota", "100"})
	if err != nil || o.Folder != "x" || o.Group != 106 || o.Quota != 100<<20 || o.Socket != Socket {
		t.Errorf("got %+v, %v", o, err)
	}
}
