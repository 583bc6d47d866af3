package licence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rotunda/init/durable"
	"rotunda/init/durable/powercut"
)

func openArchive(t *testing.T, d durable.FS, now time.Time) *Archive {
	t.Helper()
	a, err := OpenArchive(d, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func snapshot(at time.Time, host string, full float64) Snapshot {
	return Snapshot{At: at, Host: host, Personal: 1.5, Assigned: 7, Audio: 0.25, PointToPoint: 1, Full: full, Recordings: 2, Streams: 1}
}

func TestArchiveAnswersQuestions(t *testing.T) {
	d := powercut.New()
	a := openArchive(t, d, began)
	// Two days of one Call Bridge and an hour of another.
	now := began
	for range 2 * 288 {
		if err := a.Add(snapshot(now, "host-a", 3), now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(Interval)
	}
	for i := range 12 {
		at := now.Add(-time.Duration(12-i) * Interval)
		if err := a.Add(snapshot(at, "host-b", 4), now); err != nil {
			t.Fatal(err)
		}
	}
	last := now.Add(-Interval)
	check := func(a *Archive) {
		t.Helper()
		if got := a.Hosts(); !cmp.Equal(got, []string{"host-a", "host-b"}) {
			t.Errorf("known hosts %v", got)
		}
		total, page := a.Query(time.Time{}, time.Time{}, "", 0, 3)
		if total != 588 || len(page) != 3 || !page[0].At.Equal(last) || page[0].Host != "host-a" || page[1].Host != "host-b" ||
			!page[2].At.Equal(last.Add(-Interval)) {
			t.Errorf("the first page is %d, %+v", total, page)
		}
		total, page = a.Query(last.Add(-time.Hour), last.Add(-30*time.Minute), "HOST-A", 1, 20)
		if total != 7 || len(page) != 6 || !page[0].At.Equal(last.Add(-35*time.Minute)) {
			t.Errorf("half an hour has %d, %+v", total, page)
		}
		if total, page := a.Query(time.Time{}, time.Time{}, "host-b", 500, 20); total != 12 || len(page) != 0 {
			t.Errorf("beyond the end there are %d of %d", len(page), total)
		}
		if total, _ := a.Query(time.Time{}, time.Time{}, "unknown", 0, 20); total != 0 {
			t.Errorf("an unknown host has %d", total)
		}
		if total, page := a.Query(time.Time{}, began, "", 0, -1); total != 1 || page[0] != snapshot(began, "host-a", 3) {
			t.Errorf("the first one is %+v", page)
		}
	}
	check(a)
	check(openArchive(t, d, now))
}

func TestOneSnapshotForEachInterval(t *testing.T) {
	a := openArchive(t, powercut.New(), began)
	for i, at := range []time.Time{began.Add(time.Second), began.Add(4 * time.Minute)} {
		if err := a.Add(snapshot(at, "h", float64(i)), at); err != nil {
			t.Fatal(err)
		}
	}
	if total, page := a.Query(time.Time{}, time.Time{}, "", 0, 9); total != 1 || page[0].Full != 1 || !page[0].At.Equal(began) {
		t.Errorf("got %+v, want the last one at the interval's beginning", page)
	}
}

func TestOldSnapshotsAreRemoved(t *testing.T) {
	d := powercut.New()
	a := openArchive(t, d, began)
	for day := range 100 {
		at := began.AddDate(0, 0, day)
		if err := a.Add(snapshot(at, "h", 1), at); err != nil {
			t.Fatal(err)
		}
	}
	now := began.AddDate(0, 0, 99)
	if total, _ := a.Query(time.Time{}, time.Time{}, "", 0, 0); total != 91 {
		t.Errorf("%d are kept, want those of 90 days and now", total)
	}
	if entries, err := d.ReadDir("."); err != nil || len(entries) > 92 {
		t.Errorf("%d files, %v; want at most 92", len(entries), err)
	}
	// Snapshots that a clock far ahead left behind go when it is right again.
	wrong := now.AddDate(20, 0, 0)
	if err := a.Add(snapshot(wrong, "h", 1), wrong); err != nil {
		t.Fatal(err)
	}
	if total, _ := a.Query(time.Time{}, time.Time{}, "", 0, 0); total != 1 {
		t.Errorf("%d are kept by a clock that is far ahead", total)
	}
	if err := a.Add(snapshot(now, "h", 1), now); err != nil {
		t.Fatal(err)
	}
	if total, page := openArchive(t, d, now).Query(time.Time{}, time.Time{}, "", 0, 1); total != 1 || !page[0].At.Equal(now) {
		t.Errorf("%d are kept, the newest %+v", total, page)
	}
	if got := openArchive(t, d, now.AddDate(1, 0, 0)).Hosts(); len(got) != 0 {
		t.Errorf("a year later there are %v", got)
	}
}

func TestArchiveIsBounded(t *testing.T) {
	a := openArchive(t, powercut.New(), began)
	for i := range maxHosts {
		if err := a.Add(snapshot(began, fmt.Sprint(i), 1), began); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Add(snapshot(began, "another", 1), began); err == nil {
		t.Errorf("more than %d hosts are kept", maxHosts)
	}
	for _, host := range []string{"", "../x", "a b", "a_b", strings.Repeat("a", 65)} {
		if err := a.Add(snapshot(began, host, 1), began); err == nil {
			t.Errorf("host %q is taken", host)
		}
	}
}

func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	d := powercut.New()
	a := openArchive(t, d, began)
	for i := range 3 {
		at := began.Add(time.Duration(i) * Interval)
		if err := a.Add(snapshot(at, "h", 1), at); err != nil {
			t.Fatal(err)
		}
	}
	good := name(began, "h")
	for file, text := range map[string]string{
		good:                        snapshot(began, "h", 1).line() + "nonsense\n" + snapshot(began.Add(Interval), "h", 1).line() + snapshot(began, "h", 9).line(),
		"2026-11-22_other.usage":    strings.Repeat("x", maxFile+1),
		"not-a-day_h.usage":         snapshot(began, "h", 1).line(),
		"2026-11-21_h.usage":        snapshot(began, "h", 1).line(),
		durable.Temporary(good):     "cut off",
		"2026-11-22_a b.usage":      snapshot(began, "h", 1).line(),
		"unrelated":                 "kept",
		"2026-11-22_folder-h.usage": "",
	} {
		_ = d.Remove(file)
		f, err := d.Create(file, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	total, page := openArchive(t, d, began).Query(time.Time{}, time.Time{}, "", 0, 9)
	if total != 2 || page[1] != snapshot(began, "h", 1) {
		t.Errorf("read %+v, want the two good lines", page)
	}
	if _, err := d.Lstat(durable.Temporary(good)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leftover is there: %v", err)
	}
	if _, err := d.Lstat("unrelated"); err != nil {
		t.Errorf("a file that is not ours is gone: %v", err)
	}
}

// Whatever was acknowledged is there after a power cut, and what is there is whole.
func TestPowerCuts(t *testing.T) {
	for seed := range uint64(20) {
		for cut := 1; ; cut++ {
			d := powercut.New()
			a := openArchive(t, d, began)
			d.CutAt(cut)
			acknowledged := 0
			for i := range 4 {
				at := began.Add(time.Duration(i) * Interval)
				if a.Add(snapshot(at, "h", float64(i)), at) != nil {
					break
				}
				acknowledged++
			}
			after := openArchive(t, d.AfterCut(rand.New(rand.NewPCG(seed, uint64(cut)))), began)
			total, page := after.Query(time.Time{}, time.Time{}, "", 0, 9)
			if total < acknowledged || total > acknowledged+1 {
				t.Fatalf("cut %d: %d were acknowledged, %d are there", cut, acknowledged, total)
			}
			for i, s := range page {
				if n := total - 1 - i; s != snapshot(began.Add(time.Duration(n)*Interval), "h", float64(n)) {
					t.Fatalf("cut %d: %+v is there", cut, s)
				}
			}
			if acknowledged == 4 {
				break
			}
		}
	}
}

func TestADiskThatFailsLosesNothingThatIsWrittenLater(t *testing.T) {
	d := powercut.New()
	a := openArchive(t, d, began)
	d.FailAt(2, syscall.ENOSPC)
	if err := a.Add(snapshot(began, "h", 1), began); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want %v", err, syscall.ENOSPC)
	}
	at := began.Add(Interval)
	if err := a.Add(snapshot(at, "h", 2), at); err != nil {
		t.Fatal(err)
	}
	if total, _ := openArchive(t, d, at).Query(time.Time{}, time.Time{}, "", 0, 9); total != 2 {
		t.Errorf("%d are kept, want both", total)
	}
}

func TestSnapshotsAreTakenEveryFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := openArchive(t, powercut.New(), time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.Run(ctx, func(at time.Time) Snapshot { return Take(at, "h", Count([]Call{meeting(1, nil)}), 3) })
		}()
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		total, page := a.Query(time.Time{}, time.Time{}, "", 0, 99)
		if total != 12 {
			t.Errorf("%d snapshots in an hour, want 12", total)
		}
		for i := range page[1:] {
			if gap := page[i].At.Sub(page[i+1].At); gap != Interval {
				t.Errorf("%v between two snapshots", gap)
			}
		}
		cancel()
		<-done
	})
}

func TestEntriesOfTheAPI(t *testing.T) {
	want := []Value{{"pmp", "1.500"}, {"pmpAssigned", "7"}, {"smpAud", "0.250"}, {"smpPtP", "1.000"}, {"smpFull", "3.000"}, {"rec", "2"}, {"str", "1"}}
	if d := cmp.Diff(want, snapshot(began, "h", 3).Values()); d != "" {
		t.Errorf("the entry differs (-want +got):\n%s", d)
	}
	if v := (Snapshot{At: began, Host: "h"}).Values(); v != nil {
		t.Errorf("nothing in use makes %v", v)
	}
}

func FuzzSnapshotLine(f *testing.F) {
	f.Add(strings.TrimSuffix(snapshot(began, "h", 3).line(), "\n"))
	f.Add("2026-11-22T13:35:00+02:00 NaN -1 1e9 0 0 0 0")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseLine(text, "h")
		if err != nil {
			return
		}
		again, err := parseLine(strings.TrimSuffix(s.line(), "\n"), "h")
		if err != nil || again.line() != s.line() {
			t.Errorf("%q is %+v, written again %+v, %v", text, s, again, err)
		}
	})
}
