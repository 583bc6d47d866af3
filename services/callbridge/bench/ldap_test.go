package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/mmp/identity/slapdtest"
	"rotunda/qemu"
	"rotunda/qemu/figures"
	"rotunda/services/callbridge/directory"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

var ldapUsers = flag.Int("ldap", 0, "`number` of users that TestLDAPImport imports: 10000 for ldap_10k_s, 300000 for ldap_300k_s")

var heapProfile = flag.String("heap", "", "`file` for a profile of the heap when TestLDAPImport has taken most memory so far")

// TestLDAPImport measures how long an import of users takes, each with a space, a membership and the note that it was made for the user:
//
//	go test -count=1 -v -timeout 30m -run TestLDAPImport ./services/callbridge/bench -ldap 10000
//
// The directory is slapd on the same machine, by TLS. The database is the service, as a process of its own;
// the copy and the importer are in this one. Another writer changes a space twenty times a second meanwhile: the
// longest that it waits is what an administrator at the API would. The figure is from the request until the import is complete.
func TestLDAPImport(t *testing.T) {
	n := *ldapUsers
	if n == 0 {
		t.Skip("a measurement: -ldap 10000")
	}
	dir := slapdtest.Start(t, slapdtest.Options{}, func(w io.Writer) {
		for i := range n {
			p := personOf(i)
			fmt.Fprintf(w, "dn: uid=%s,%s\nobjectClass: inetOrgPerson\nobjectClass: user\nuid: %[1]s\ncn: %[3]s\nsn: %[4]s\ngivenName: %[5]s\nmail: %[1]s@example.com\n"+
				"telephoneNumber: +49 30 %07[6]d\nipPhone: %[7]d\nsAMAccountName: %[1]s\n\n", p.login, slapdtest.People, p.name,
				last[i/len(first)%len(last)], first[i%len(first)], i, 100_000_000+i)
		}
	})
	b := service(t)
	database, err := b.database(t.Context(), filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.end()
	// As PID 1 sets it for the Call Bridge.
	debug.SetMemoryLimit(2 << 30 / 10 * 9)
	// And as the Call Bridge does itself; without what it took to fill the directory.
	settle := store.Hurry()
	s, end, err := b.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	settle()
	im := directory.New(directory.Options{Store: s, Machine: uuid.New(), TLS: func() directory.TLS { return directory.TLS{Verify: true, Roots: dir.Roots} }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- im.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	var busy store.ID
	put := func(tx *store.Tx, o *schema.Object, fields ...string) (store.ID, error) {
		d := tx.New(o, store.ID{})
		for i := 0; i < len(fields); i += 2 {
			d.Set(fields[i], fields[i+1])
		}
		return d.ID(), tx.Put(d)
	}
	err = s.Write(t.Context(), func(tx *store.Tx) error {
		server, err := put(tx, schema.LDAPServer, "address", "127.0.0.1", "portNumber", strconv.Itoa(dir.TLSPort), "secure", "true",
			"username", slapdtest.Reader, "password", slapdtest.Password)
		if err != nil {
			return err
		}
		mapping, err := put(tx, schema.LDAPMapping, "jidMapping", "$sAMAccountName$@meet.example.com", "nameMapping", "$cn$",
			"coSpaceUriMapping", "$mail|'/@.*//'$.space", "coSpaceNameMapping", "$cn$'s space", "coSpaceCallIdMapping", "$ipPhone$")
		if err != nil {
			return err
		}
		if _, err = put(tx, schema.LDAPSource, "server", server.String(), "mapping", mapping.String(), "baseDn", slapdtest.People, "filter", "(mail=*)"); err != nil {
			return err
		}
		busy, err = put(tx, schema.CoSpace, "name", "busy")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan time.Duration, 1)
	writing, stop := context.WithCancel(t.Context())
	go func() {
		var longest time.Duration
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := 0; writing.Err() == nil; i++ {
			began := time.Now()
			err := s.Write(t.Context(), func(tx *store.Tx) error {
				d := tx.Edit(tx.Get(schema.CoSpace, busy))
				d.Set("name", strconv.Itoa(i))
				return tx.Put(d)
			})
			if err != nil {
				t.Error(err)
			}
			longest = max(longest, time.Since(began))
			<-tick.C
		}
		waited <- longest
	}()
	w := watch(t, database.command.Process.Pid)
	took := importAll(t, s, im, n)
	stop()
	longest := <-waited
	first := w.end()
	w = watch(t, database.command.Process.Pid)
	again := importAll(t, s, im, n)
	second := w.end()
	if users, spaces := s.Count(schema.User), s.Count(schema.CoSpace); users != n || spaces != n+1 {
		t.Fatalf("wanted %d users with a space each, got %d and %d", n, users, spaces)
	}
	conditions := fmt.Sprintf("slapd by TLS, %d users with a space each; again without changes %.1f s; another writer waits at most %.0f ms; at most %s; again %s",
		n, again.Seconds(), float64(longest.Microseconds())/1000, first, second)
	t.Logf("%.1f s: %s", took.Seconds(), conditions)
	f := figures.Figure{Value: took.Seconds(), Unit: "s", Peer: figures.None, Conditions: conditions}
	switch n {
	case 10_000:
		f.Name, f.Goal = "ldap_10k_s", "<= 20"
	case 300_000:
		f.Name, f.Goal = "ldap_300k_s", "<= 600, and <= 1536 MiB"
	default:
		return
	}
	tree, err := qemu.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	if err := figures.Store(filepath.Join(tree.Root, "build", "bench.jsonl"), []figures.Figure{f}); err != nil {
		t.Fatal(err)
	}
}

// service builds the program whose database is measured.
func service(t *testing.T) *bench {
	t.Helper()
	tree, err := qemu.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	// t.TempDir may be longer than the path of a socket can be.
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bench{services: filepath.Join(dir, "services"), socket: filepath.Join(dir, "client.sock")}
	build := exec.Command("go", "build", "-o", b.services, "./services")
	build.Dir, build.Env = tree.Root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build services: %v\n%s", err, out)
	}
	return b
}

// importAll asks for an import of everything and waits for its end.
func importAll(t *testing.T, s *store.Store, im *directory.Importer, users int) time.Duration {
	t.Helper()
	done := make(chan *store.Record, 1)
	cancel := s.Subscribe(func(_, after *store.Record) {
		if after != nil && (after.Text("state") == "complete" || after.Text("state") == "failed") {
			done <- after
		}
	}, schema.LDAPSync)
	defer cancel()
	began := time.Now()
	err := s.Write(t.Context(), func(tx *store.Tx) error {
		d := tx.New(schema.LDAPSync, store.ID{})
		d.SetBool("removeWhenFinished", false)
		if err := im.PrepareSync(tx, d, nil); err != nil {
			return err
		}
		return tx.Put(d)
	})
	if err != nil {
		t.Fatal(err)
	}
	r := <-done
	took := time.Since(began)
	if n, _ := r.Number("numUsersImported"); r.Text("state") != "complete" || int(n) != users {
		t.Fatalf("the import ended with %s, %d users: %s", r.Text("state"), n, r.Text("detail"))
	}
	return took
}

// taken is the resident memory of two processes at one moment, in MiB, and how much of the database's are pages of its file, which the machine
// takes back when it needs room.
type taken struct{ mine, its, file int }

func (m taken) sum() int { return m.mine + m.its }

func (m taken) String() string {
	return fmt.Sprintf("%d MiB, %d of them copy and importer, %d the database, of which %d are pages of its file", m.sum(), m.mine, m.its, m.file)
}

// watcher looks at both processes four times a second: what they take at one time counts, and the peaks of each are at other times.
type watcher struct {
	stop context.CancelFunc
	wait sync.WaitGroup
	most taken
}

func watch(t *testing.T, database int) *watcher {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watcher{stop: cancel}
	w.wait.Go(func() {
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		began, profiled := time.Now(), 0
		for n := 0; ctx.Err() == nil; n++ {
			own, its := resident(os.Getpid()), resident(database)
			now := taken{own["VmRSS"], its["VmRSS"], its["RssFile"]}
			if now.sum() > w.most.sum() {
				w.most = now
			}
			if n%40 == 0 {
				t.Logf("%3.0f s: %s", time.Since(began).Seconds(), now)
			}
			if *heapProfile != "" && now.mine > profiled+profiled/20 {
				profiled = now.mine
				if err := writeHeap(*heapProfile); err != nil {
					t.Error(err)
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return w
}

func (w *watcher) end() taken {
	w.stop()
	w.wait.Wait()
	return w.most
}

func writeHeap(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(pprof.WriteHeapProfile(f), f.Close())
}

// resident are the lines of /proc/…/status that are in KiB, in MiB.
func resident(pid int) map[string]int {
	lines := map[string]int{}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return lines
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if kib, ok := strings.CutSuffix(strings.TrimSpace(rest), " kB"); ok {
			n, _ := strconv.Atoi(kib)
			lines[name] = n >> 10
		}
	}
	return lines
}
