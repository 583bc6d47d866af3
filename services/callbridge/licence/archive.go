package licence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"rotunda/init/durable"
)

// How often snapshots are taken and how long they are kept (guide chapter 17.1.11).
const (
	Interval = 5 * time.Minute
	Kept     = 90 * 24 * time.Hour
)

const (
	// maxHosts bounds the Call Bridges whose snapshots are kept: more than a cluster may have.
	maxHosts = 64
	// ahead is how far in the future a snapshot may be; what is further was taken while the clock was wrong.
	ahead = 24 * time.Hour
	// maxFile bounds a day of snapshots, 288 lines of 60 bytes.
	maxFile = 256 << 10
	suffix  = ".usage"
	dayForm = "2006-01-02"
)

// Archive keeps snapshots: in memory for questions, and in a folder with a file for each day and Call Bridge. A day's file is replaced as a
// whole with each snapshot, about 20 KB in the evening, so that it is always whole. It is safe for concurrent use.
type Archive struct {
	fsys durable.FS
	log  *slog.Logger

	mu    sync.Mutex
	hosts map[string][]Snapshot // in the order of time, one for each interval
}

// OpenArchive reads what there is. Lines that cannot be read are left out and logged; what has become too old is removed.
func OpenArchive(fsys durable.FS, now time.Time, log *slog.Logger) (*Archive, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a := &Archive{fsys: fsys, log: log, hosts: map[string][]Snapshot{}}
	entries, err := fsys.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("read usage of licences: %w", err)
	}
	for _, e := range entries {
		if durable.IsTemporary(e.Name()) && strings.Contains(e.Name(), suffix) {
			if err := fsys.Remove(e.Name()); err != nil {
				return nil, fmt.Errorf("remove leftover: %w", err)
			}
			continue
		}
		day, host, ok := split(e.Name())
		if !ok {
			continue
		}
		if err := a.read(e.Name(), day, host); err != nil {
			// A file that cannot be read is one day of figures; the others count.
			log.Error("usage of licences of one day is lost", "file", e.Name(), "error", err)
		}
	}
	for _, list := range a.hosts {
		slices.SortFunc(list, func(x, y Snapshot) int { return x.At.Compare(y.At) })
	}
	return a, a.prune(now)
}

// name of the file of a day and a host.
func name(day time.Time, host string) string { return day.UTC().Format(dayForm) + "_" + host + suffix }

func split(name string) (day time.Time, host string, ok bool) {
	base, is := strings.CutSuffix(name, suffix)
	date, host, found := strings.Cut(base, "_")
	day, err := time.Parse(dayForm, date)
	return day, host, is && found && err == nil && checkHost(host) == nil
}

// checkHost takes what may be part of a file name: a GUID or a hexadecimal number.
func checkHost(host string) error {
	if host == "" || len(host) > 64 || strings.Trim(host, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		return fmt.Errorf("%q is no host ID: it has letters, digits and hyphens, 64 at most", host)
	}
	return nil
}

func (a *Archive) read(file string, day time.Time, host string) error {
	if len(a.hosts) >= maxHosts && a.hosts[host] == nil {
		return fmt.Errorf("more than %d hosts", maxHosts)
	}
	f, err := a.fsys.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	if len(b) > maxFile {
		return fmt.Errorf("more than %d bytes", maxFile)
	}
	bad := 0
	before := time.Time{}
	for line := range strings.Lines(string(b)) {
		s, err := parseLine(strings.TrimSuffix(line, "\n"), host)
		// Only what this program writes counts: in order, on that day.
		if err != nil || !s.At.After(before) || s.At.Format(dayForm) != day.Format(dayForm) {
			bad++
			continue
		}
		before = s.At
		a.hosts[host] = append(a.hosts[host], s)
	}
	if bad > 0 {
		a.log.Warn("some usage of licences cannot be read", "file", file, "lines", bad)
	}
	return nil
}

// Add keeps a snapshot. One of the same interval is replaced. After an error it is in memory and is written with the next one of the day.
func (a *Archive) Add(s Snapshot, now time.Time) error {
	if err := checkHost(s.Host); err != nil {
		return err
	}
	s.At = s.At.UTC().Truncate(Interval)
	a.mu.Lock()
	defer a.mu.Unlock()
	list, known := a.hosts[s.Host]
	if !known && len(a.hosts) >= maxHosts {
		return fmt.Errorf("there are snapshots of %d hosts, the most that are kept", maxHosts)
	}
	i, there := slices.BinarySearchFunc(list, s.At, func(x Snapshot, at time.Time) int { return x.At.Compare(at) })
	if there {
		list[i] = s
	} else {
		list = slices.Insert(list, i, s)
	}
	a.hosts[s.Host] = list
	return errors.Join(a.write(s.At, s.Host), a.prune(now))
}

func (a *Archive) write(day time.Time, host string) error {
	first := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC)
	var b strings.Builder
	for _, s := range within(a.hosts[host], first, first.AddDate(0, 0, 1).Add(-1)) {
		b.WriteString(s.line())
	}
	if err := durable.WriteFile(a.fsys, name(first, host), []byte(b.String()), 0o600, nil); err != nil {
		return fmt.Errorf("keep usage of licences: %w", err)
	}
	return nil
}

// prune removes what is too old or was taken with a wrong clock.
func (a *Archive) prune(now time.Time) error {
	oldest, newest := now.UTC().Add(-Kept), now.UTC().Add(ahead)
	for host, list := range a.hosts {
		if len(list) > 0 && (list[0].At.Before(oldest) || list[len(list)-1].At.After(newest)) {
			list = slices.Clone(within(list, oldest, newest))
			a.hosts[host] = list
		}
		if len(list) == 0 {
			delete(a.hosts, host)
		}
	}
	entries, err := a.fsys.ReadDir(".")
	if err != nil {
		return fmt.Errorf("remove old usage of licences: %w", err)
	}
	var errs []error
	for _, e := range entries {
		day, _, ok := split(e.Name())
		if ok && (day.AddDate(0, 0, 1).Before(oldest) || day.After(newest)) {
			if err := a.fsys.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove old usage of licences: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

// within returns the part of a list from one time to another, both included.
func within(list []Snapshot, from, to time.Time) []Snapshot {
	compare := func(s Snapshot, at time.Time) int { return s.At.Compare(at) }
	first, _ := slices.BinarySearchFunc(list, from, compare)
	last, there := slices.BinarySearchFunc(list, to, compare)
	if there {
		last++
	}
	if first >= last {
		return nil
	}
	return list[first:last]
}

// Query returns a page of snapshots, the newest first, and how many there are in all. Zero times and an empty host stand for all; both times are
// included. A limit below 0 is none.
func (a *Archive) Query(from, to time.Time, host string, offset, limit int) (total int, page []Snapshot) {
	if to.IsZero() {
		to = time.Unix(1<<40, 0)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Snapshot
	for _, h := range a.names() {
		if host == "" || strings.EqualFold(h, host) {
			all = append(all, within(a.hosts[h], from, to)...)
		}
	}
	slices.SortStableFunc(all, func(x, y Snapshot) int { return y.At.Compare(x.At) })
	total = len(all)
	offset = min(max(offset, 0), total)
	end := total
	if limit >= 0 && limit < total-offset {
		end = offset + limit
	}
	return total, slices.Clip(all[offset:end])
}

// Hosts are the Call Bridges of which there are snapshots.
func (a *Archive) Hosts() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.names()
}

func (a *Archive) names() []string {
	names := make([]string, 0, len(a.hosts))
	for h := range a.hosts {
		names = append(names, h)
	}
	slices.Sort(names)
	return names
}

// Run takes a snapshot at each full interval until the context ends. What cannot be kept is logged.
func (a *Archive) Run(ctx context.Context, take func(at time.Time) Snapshot) {
	for {
		now := time.Now()
		timer := time.NewTimer(now.Truncate(Interval).Add(Interval).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		at := time.Now()
		if err := a.Add(take(at), at); err != nil {
			a.log.Error("a snapshot of the usage of licences", "error", err)
		}
	}
}
