package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"net/netip"

	"rotunda/init/durable"
	"rotunda/init/durable/powercut"
)

func newStore(fsys durable.FS) *Store {
	s := NewStore(fsys, ".")
	s.now = func() time.Time { return time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC) }
	return s
}

type loaded struct {
	Document   *Document
	Generation int
	Warning    string
}

func load(t *testing.T, s *Store) loaded {
	t.Helper()
	doc, n, warning, err := s.Load()
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return loaded{doc, n, warning}
}

func named(hostname string) *Document {
	d := Factory()
	d.Hostname = hostname
	return d
}

func put(t *testing.T, s *Store, running int, doc *Document) int {
	t.Helper()
	n, err := s.Put(doc, running)
	if err != nil {
		t.Fatalf("Put(%d): %v", running, err)
	}
	return n
}

func damage(t *testing.T, fsys durable.FS, name, contents string) {
	t.Helper()
	if err := durable.WriteFile(fsys, name, []byte(contents), 0o600, nil); err != nil {
		t.Fatal(err)
	}
}

func TestEmptyStoreHoldsTheFactoryDocumentAsGenerationOne(t *testing.T) {
	disk := powercut.New()
	l := load(t, newStore(disk))
	if l.Generation != 1 || l.Document.Hostname != "rotunda" || l.Warning != "" {
		t.Errorf("wanted the factory document as generation 1 without warnings, got %+v", l)
	}
	if again := load(t, newStore(disk)); again.Generation != 1 {
		t.Errorf("second start: wanted generation 1, got %d", again.Generation)
	}
}

func TestPutIsReadBackByTheNextStart(t *testing.T) {
	disk := powercut.New()
	s := newStore(disk)
	load(t, s)
	if n := put(t, s, 1, static()); n != 2 {
		t.Fatalf("Put: wanted generation 2, got %d", n)
	}
	l := load(t, newStore(disk))
	equal := cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})
	if diff := cmp.Diff(static(), l.Document, equal); diff != "" || l.Generation != 2 {
		t.Errorf("generation %d differs from what was put:\n%s", l.Generation, diff)
	}
}

func TestPutRefusesAStaleGenerationAndAnInvalidDocument(t *testing.T) {
	disk := powercut.New()
	s := newStore(disk)
	load(t, s)
	put(t, s, 1, named("first"))
	if _, err := s.Put(named("second"), 1); !errors.Is(err, ErrConflict) {
		t.Errorf("stale generation: wanted ErrConflict, got %v", err)
	}
	if _, err := s.Put(named("no_name"), 2); err == nil {
		t.Error("invalid document: wanted an error, got none")
	}
	if _, err := s.Put(nil, 2); err == nil {
		t.Error("nil document: wanted an error, got none")
	}
	if l := load(t, s); l.Document.Hostname != "first" || l.Generation != 2 {
		t.Errorf("wanted generation 2 of first, got generation %d of %s", l.Generation, l.Document.Hostname)
	}
}

func TestDamagedNewestGenerationGivesTheOneBeforeWithAWarning(t *testing.T) {
	for what, contents := range map[string]string{
		"empty":             "",
		"cut short":         `{"schema":1,"gener`,
		"wrong hash":        `{"schema":1,"generation":3,"saved":"2026-01-01T00:00:00Z","document":{"hostname":"x"},"sha256":"00"}`,
		"too large":         strings.Repeat(" ", MaxSize+1),
		"followed by bytes": generationFile(t, 3, named("third")) + "{}",
		"another number":    generationFile(t, 4, named("third")),
		"invalid":           generationFile(t, 3, named("no_name")),
	} {
		t.Run(what, func(t *testing.T) {
			disk := powercut.New()
			s := newStore(disk)
			load(t, s)
			put(t, s, 1, named("second"))
			put(t, s, 2, named("third"))
			damage(t, disk, "v1/000003.json", contents)

			s = newStore(disk)
			l := load(t, s)
			if l.Generation != 2 || l.Document.Hostname != "second" {
				t.Fatalf("wanted generation 2 of second, got generation %d of %s", l.Generation, l.Document.Hostname)
			}
			if !strings.HasPrefix(l.Warning, "configuration 3 passed over: ") {
				t.Errorf("wanted one warning about configuration 3, got %q", l.Warning)
			}
			if n := put(t, s, 2, named("fourth")); n != 4 {
				t.Errorf("wanted the next change to be generation 4, got %d", n)
			}
		})
	}
}

func generationFile(t *testing.T, number int, doc *Document) string {
	t.Helper()
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	file, err := encodeGeneration(Schema, number, time.Unix(0, 0), nil, data)
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}

func TestStoreWithoutAnyUsableGenerationIsAnErrorAndCanBeRepaired(t *testing.T) {
	for _, name := range []string{"v1/000007.json", "v1/lost+found"} {
		disk := powercut.New()
		if err := disk.Mkdir("v1", 0o700); err != nil {
			t.Fatal(err)
		}
		damage(t, disk, name, "garbage")
		s := newStore(disk)
		if _, n, _, err := s.Load(); err == nil {
			t.Fatalf("%s: wanted an error, got generation %d", name, n)
		}
		n := put(t, s, 0, named("repaired"))
		if l := load(t, newStore(disk)); l.Generation != n || l.Document.Hostname != "repaired" {
			t.Errorf("%s: wanted generation %d of repaired, got %d of %s", name, n, l.Generation, l.Document.Hostname)
		}
	}
}

func TestLeftoverOfAWriteCutShortCountsAsEmpty(t *testing.T) {
	disk := powercut.New()
	if err := disk.Mkdir("v1", 0o700); err != nil {
		t.Fatal(err)
	}
	damage(t, disk, durable.Temporary("v1/000001.json"), "half")
	if l := load(t, newStore(disk)); l.Generation != 1 || l.Document.Hostname != "rotunda" {
		t.Errorf("wanted the factory document, got generation %d of %s", l.Generation, l.Document.Hostname)
	}
}

func TestTheLastTenGenerationsAreKept(t *testing.T) {
	disk := powercut.New()
	s := newStore(disk)
	load(t, s)
	for n := 1; n < 25; n++ {
		put(t, s, n, named(fmt.Sprintf("host%dx", n)))
	}
	entries, err := disk.ReadDir("v1")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 10 || entries[0].Name() != "000016.json" || entries[9].Name() != "000025.json" {
		t.Errorf("wanted 000016.json to 000025.json, got %v", entries)
	}
}

func TestPowerCutAtAnyOperationOfPutLeavesOldOrNew(t *testing.T) {
	prepare := func() (*powercut.Disk, *Store) {
		disk := powercut.New()
		s := newStore(disk)
		load(t, s)
		for n := 1; n < 11; n++ {
			put(t, s, n, named("old")) // eleven generations, so that Put also removes one
		}
		return disk, s
	}
	disk, s := prepare()
	before := disk.Operations()
	put(t, s, 11, named("new"))
	operations := disk.Operations() - before

	seen := map[string]int{}
	for cut := 1; cut <= operations+1; cut++ {
		for seed := range uint64(30) {
			disk, s := prepare()
			disk.CutAt(cut)
			_, err := s.Put(named("new"), 11)
			l := load(t, newStore(disk.AfterCut(rand.New(rand.NewPCG(seed, 1)))))
			if got := l.Document.Hostname; got != "old" && got != "new" || err == nil && got != "new" {
				t.Fatalf("cut at operation %d, seed %d, Put said %v: got %q", cut, seed, err, got)
			}
			if l.Warning != "" {
				t.Fatalf("cut at operation %d, seed %d: wanted no damaged generation, got %q", cut, seed, l.Warning)
			}
			seen[l.Document.Hostname]++
		}
	}
	if seen["old"] == 0 || seen["new"] == 0 {
		t.Errorf("wanted both outcomes to occur, got %v", seen)
	}
}

func TestPowerCutAtAnyOperationOfTheFirstStartGivesTheFactoryDocument(t *testing.T) {
	disk := powercut.New()
	load(t, newStore(disk))
	for cut := 1; cut <= disk.Operations(); cut++ {
		for seed := range uint64(30) {
			disk := powercut.New()
			disk.CutAt(cut)
			if _, _, _, err := newStore(disk).Load(); !errors.Is(err, powercut.ErrCut) {
				t.Fatalf("cut at operation %d: wanted the power cut reported, got %v", cut, err)
			}
			l := load(t, newStore(disk.AfterCut(rand.New(rand.NewPCG(seed, 2)))))
			if l.Generation != 1 || l.Document.Hostname != "rotunda" {
				t.Fatalf("cut at operation %d, seed %d: wanted the factory document, got %+v", cut, seed, l)
			}
		}
	}
}

func TestFailureAtAnyOperationOfPutKeepsTheRunningGeneration(t *testing.T) {
	for n := 1; ; n++ {
		disk := powercut.New()
		s := newStore(disk)
		load(t, s)
		put(t, s, 1, named("old"))
		before := disk.Operations()
		disk.FailAt(n, syscall.ENOSPC)
		_, err := s.Put(named("new"), 2)
		if err == nil {
			if disk.Operations()-before >= n {
				t.Fatalf("operation %d failed: wanted Put to say so", n)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("operation %d: wanted ENOSPC, got %v", n, err)
		}
		if l := load(t, s); l.Document.Hostname != "old" || l.Generation != 2 {
			t.Errorf("operation %d failed: wanted generation 2 of old, got %d of %s", n, l.Generation, l.Document.Hostname)
		}
		if got := put(t, s, 2, named("again")); got != 3 {
			t.Errorf("operation %d failed: wanted the next change to be generation 3, got %d", n, got)
		}
	}
}

// schemaTwo is a store of a schema that renames every machine on its way from schema 1.
func schemaTwo(fsys durable.FS) *Store {
	s := newStore(fsys)
	s.schema = 2
	s.migrations = map[int]migration{1: func(doc json.RawMessage) (json.RawMessage, error) {
		return bytes.ReplaceAll(doc, []byte(`"hostname":"`), []byte(`"hostname":"migrated-`)), nil
	}}
	return s
}

func readFile(t *testing.T, fsys durable.FS, name string) string {
	t.Helper()
	data, err := readBounded(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestOlderSchemaIsMigratedAsACopy(t *testing.T) {
	disk := powercut.New()
	old := newStore(disk)
	load(t, old)
	put(t, old, 1, named("london"))
	before := readFile(t, disk, "v1/000002.json")

	l := load(t, schemaTwo(disk))
	if l.Document.Hostname != "migrated-london" || l.Generation != 1 {
		t.Errorf("wanted generation 1 of migrated-london, got %d of %s", l.Generation, l.Document.Hostname)
	}
	if after := readFile(t, disk, "v1/000002.json"); after != before {
		t.Errorf("wanted the older schema's file byte for byte, it became %s", after)
	}
	if l := load(t, newStore(disk)); l.Document.Hostname != "london" || l.Generation != 2 {
		t.Errorf("back on the older version: wanted generation 2 of london, got %d of %s", l.Generation, l.Document.Hostname)
	}
}

func TestTheConfigurationThatRanLastCountsAfterGoingBackAndForth(t *testing.T) {
	disk := powercut.New()
	load(t, newStore(disk))
	two := schemaTwo(disk)
	load(t, two)
	put(t, two, 1, named("changed-under-two"))
	if l := load(t, schemaTwo(disk)); l.Document.Hostname != "changed-under-two" {
		t.Errorf("next start: wanted changed-under-two, got %s", l.Document.Hostname)
	}
	one := newStore(disk)
	load(t, one)
	put(t, one, 1, named("changed-under-one"))
	if l := load(t, schemaTwo(disk)); l.Document.Hostname != "migrated-changed-under-one" || l.Generation != 3 {
		t.Errorf("after a change under schema 1: wanted generation 3 of migrated-changed-under-one, got %d of %s", l.Generation, l.Document.Hostname)
	}
	if l := load(t, schemaTwo(disk)); l.Generation != 3 {
		t.Errorf("wanted one migration only, got generation %d", l.Generation)
	}
}

func TestNewerSchemaIsLeftAlone(t *testing.T) {
	disk := powercut.New()
	load(t, schemaTwo(disk))
	before := readFile(t, disk, "v2/000001.json")
	if l := load(t, newStore(disk)); l.Document.Hostname != "rotunda" || l.Generation != 1 {
		t.Errorf("wanted the factory document, got generation %d of %s", l.Generation, l.Document.Hostname)
	}
	if after := readFile(t, disk, "v2/000001.json"); after != before {
		t.Error("the newer schema's file changed")
	}
}

func TestMigrationThatCannotBeDoneIsAnErrorNotTheFactoryDocument(t *testing.T) {
	disk := powercut.New()
	load(t, newStore(disk))
	s := schemaTwo(disk)
	s.migrations = nil
	if doc, n, _, err := s.Load(); err == nil {
		t.Errorf("wanted an error, got generation %d of %s", n, doc.Hostname)
	}
	if _, err := disk.Lstat("v2/000001.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("wanted nothing stored under the new schema, got %v", err)
	}
}

func FuzzDecodeGeneration(f *testing.F) {
	for _, d := range []*Document{Factory(), FailSafe(), static()} {
		data, err := json.Marshal(d)
		if err != nil {
			f.Fatal(err)
		}
		file, err := encodeGeneration(Schema, 1, time.Unix(0, 0), &origin{1, 2}, data)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Add([]byte(`{"schema":1,"generation":1,"document":null,"sha256":"74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := DecodeGeneration(data)
		if err != nil {
			return
		}
		if err := d.Validate(); err != nil {
			t.Fatalf("decoded a document that is not valid: %v", err)
		}
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		if _, err := Decode(again); err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, d := range []*Document{Factory(), FailSafe(), static()} {
		data, err := json.Marshal(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"interfaces":{"a":{"ipv4":{"address":"","routes":[""]},"ipv6":{"addresses":[""],"routers":[""]}}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Decode(data)
		if err == nil && d == nil {
			t.Fatal("Decode returned neither a document nor an error")
		}
		if err != nil {
			return
		}
		if err := d.Validate(); err != nil && strings.Contains(err.Error(), "\n") {
			t.Fatalf("wanted one line, got %q", err)
		}
	})
}
