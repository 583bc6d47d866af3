package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

const (
	// batch is how many users one transaction writes, each with a space, its member and a template or two.
	batch = 200
	// mostLoad is how much of what [weight] counts one transaction takes on before it ends: the database takes some 8000 changes.
	mostLoad = 1500
	// mostDeferred bounds those that wait for a value which another user may give up.
	mostDeferred = 10_000
	// mostTold is how many troubles are told of one by one.
	mostTold = 10
)

// run is one synchronisation going on. One goroutine owns it.
type run struct {
	im   *Importer
	sync *store.Record

	// sources are those to read, in their order; positions are those of every source there is.
	sources   []*store.Record
	positions map[store.ID]int
	// claimed are the users whose entry was seen.
	claimed  claims
	deferred []deferred
	// finished are the sources that were read to their end so far.
	finished map[store.ID]bool

	imported, created, changed, removed, skipped, complete int
	// unfit counts values that their field does not take, up to where they are no longer told of.
	unfit int
	told  time.Time

	// missing is tenantDoesNotExist or ldapSourceDoesNotExist.
	missing string
	// failed are sources that could not be read, and clashes, each with the reason; the counts go on when there is no more room.
	failed, clashes       []string
	numFailed, numClashes int
}

// deferred is a person who could not be written because a value was taken: it is tried again at the end.
type deferred struct {
	person person
	source *source
	// own is the user that the entry has already; counted says that it is among those that were imported.
	own     store.ID
	counted bool
}

// do reads the sources, writes users, removes those who left.
func (x *run) do(ctx context.Context) {
	if !x.choose() {
		return
	}
	read := map[store.ID]*source{}
	for _, r := range x.sources {
		s, err := x.source(ctx, r)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			x.fail(r, err)
			continue
		}
		read[r.ID()] = s
		x.finished[r.ID()] = true
		x.complete++
	}
	steps := []func() error{
		func() error { return x.again(ctx, false) },
		func() error { return x.templates(ctx, read) },
	}
	if x.numFailed == 0 {
		steps = []func() error{
			func() error { return x.again(ctx, true) },
			func() error { return x.removeGone(ctx) },
			func() error { return x.again(ctx, false) },
			func() error { return x.templates(ctx, read) },
		}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			if ctx.Err() == nil {
				x.fail(nil, err)
			}
			return
		}
	}
	for _, d := range x.deferred {
		x.clashed(d.person, errors.New("its values are taken"))
	}
}

// choose finds the sources; false when what the synchronisation is of is gone.
func (x *run) choose() bool {
	v := x.im.Store
	of := x.sync.Text("detail")
	oneSource := x.sync.Has("ldapSource") || strings.HasPrefix(of, ofSource)
	oneTenant := x.sync.Has("tenant") || strings.HasPrefix(of, ofTenant)
	tenant := v.Ref(x.sync, "tenant")
	switch {
	case oneSource && v.Ref(x.sync, "ldapSource") == nil:
		x.missing = "ldapSourceDoesNotExist"
		return false
	case oneTenant && !oneSource && tenant == nil || x.sync.Has("tenant") && tenant == nil:
		x.missing = "tenantDoesNotExist"
		return false
	}
	v.Each(schema.LDAPSource, func(r *store.Record) bool {
		x.positions[r.ID()] = len(x.positions)
		if oneSource && r.ID().String() != x.sync.Text("ldapSource") || tenant != nil && r.Text("tenant") != tenant.ID().String() {
			return true
		}
		x.sources = append(x.sources, r)
		return true
	})
	return true
}

// source reads one source and writes its users.
func (x *run) source(ctx context.Context, r *store.Record) (*source, error) {
	v := x.im.Store
	servers, mappings := v.Ref(r, "server"), v.Ref(r, "mapping")
	if servers == nil || mappings == nil {
		return nil, errors.New("its server or its mapping does not exist any more")
	}
	m, err := compiled(mappings)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", mappings.ID(), err)
	}
	filter, err := normalFilter(r.Text("filter"))
	if err != nil {
		return nil, err
	}
	s, err := sourceOf(v, r, m)
	if err != nil {
		return nil, err
	}
	session, err := connect(ctx, serverOf(servers), x.im.TLS())
	if err != nil {
		return nil, err
	}
	defer session.close()

	var waiting []person
	entries, people := 0, 0
	var last error
	flush := func() error {
		if len(waiting) == 0 {
			return nil
		}
		err := x.writeBatch(ctx, &s, waiting)
		waiting = waiting[:0]
		return err
	}
	err = session.search(ctx, r.Text("baseDn"), filter, m.attributes, serverOf(servers).paged, func(e entry) error {
		entries++
		p, err := m.of(e)
		if err != nil {
			last = err
			x.skip(e.dn, err)
			return nil
		}
		people++
		for _, why := range p.leftOut {
			if x.unfit++; x.unfit > mostTold {
				break
			}
			x.im.Log.Warn("LDAP synchronisation: a value does not fit and is left out", "dn", clipTo(e.dn, 200), "why", why)
		}
		if x.unchanged(&s, p) {
			return x.progress(ctx)
		}
		if waiting = append(waiting, p); len(waiting) < batch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return nil, errors.Join(err, flush())
	}
	if entries > 0 && people == 0 {
		// A slip in the mapping, such as the name of an attribute, must not remove every user.
		return nil, fmt.Errorf("none of its %d entries makes a user; the last one: %w", entries, last)
	}
	return &s, flush()
}

// unchanged claims a person who is stored already just so.
func (x *run) unchanged(s *source, p person) bool {
	v := x.im.Store
	at := x.place(v, x.claimed, s, p, store.ID{}, false)
	if at.elsewhere {
		return true
	}
	if at.user == nil || at.taken != nil || !x.matches(v, s, p, at.user) {
		return false
	}
	x.claimed[at.user.ID()] = struct{}{}
	x.imported++
	return true
}

// writeBatch writes people in one transaction and rests a while, for others who write.
func (x *run) writeBatch(ctx context.Context, s *source, people []person) error {
	began := time.Now()
	// The transaction may be run again: what it finds is kept only when it is done.
	var now claims
	var created, changed, imported int
	var later []deferred
	var done int
	err := x.im.write(ctx, func(tx *store.Tx) error {
		now, later = claims{}, nil
		created, changed, imported = 0, 0, 0
		load := 0
		for i, p := range people {
			if done = i; load > mostLoad {
				return nil
			}
			at := x.place(tx, overlay{x.claimed, now}, s, p, store.ID{}, false)
			if at.elsewhere {
				continue
			}
			if at.user != nil {
				if !p.space {
					load += weight(tx, at.user.ID())
				}
				now[at.user.ID()] = struct{}{}
			}
			wait := deferred{person: p, source: s}
			if at.user != nil {
				wait.own = at.user.ID()
			}
			if at.taken != nil {
				later = append(later, wait)
				continue
			}
			id, err := x.apply(tx, s, p, at.user)
			var taken *clash
			if errors.As(err, &taken) {
				wait.own, wait.counted = id, id != (store.ID{})
				later = append(later, wait)
			} else if err != nil {
				return err
			}
			if id == (store.ID{}) {
				continue
			}
			now[id] = struct{}{}
			imported++
			if at.user == nil {
				created++
			} else {
				changed++
			}
		}
		done = len(people)
		return nil
	})
	if err != nil {
		return fmt.Errorf("write users: %w", err)
	}
	for id := range now {
		x.claimed[id] = struct{}{}
	}
	x.created, x.changed, x.imported = x.created+created, x.changed+changed, x.imported+imported
	for _, d := range later {
		if len(x.deferred) == mostDeferred {
			x.clashed(d.person, errors.New("its values are taken"))
			continue
		}
		x.deferred = append(x.deferred, d)
	}
	if err := x.progress(ctx); err != nil {
		return err
	}
	if err := rest(ctx, min(time.Since(began)/4, 50*time.Millisecond)); err != nil || done == len(people) {
		return err
	}
	return x.writeBatch(ctx, s, people[done:])
}

// again tries those for whom a value was taken: before others are removed, to let an entry that was made anew have the user of the
// old one (adopt), and after that for good.
func (x *run) again(ctx context.Context, adopt bool) error {
	all := x.deferred
	x.deferred = nil
	var last []deferred
	var reasons []error
	for len(all) > 0 {
		some := all[:min(batch, len(all))]
		all = all[len(some):]
		var now claims
		var still []deferred
		var why []error
		var created, changed, imported int
		err := x.im.write(ctx, func(tx *store.Tx) error {
			now, still, why = claims{}, nil, nil
			created, changed, imported = 0, 0, 0
			for _, d := range some {
				at := x.place(tx, overlay{x.claimed, now}, d.source, d.person, d.own, adopt)
				err := at.taken
				id := d.own
				if at.elsewhere {
					continue
				}
				if err == nil {
					id, err = x.apply(tx, d.source, d.person, at.user)
				}
				var taken *clash
				if err != nil && !errors.As(err, &taken) {
					return err
				}
				// A space that clashes leaves a user that is written; a JID that does leaves the user as it was.
				if id != (store.ID{}) && at.taken == nil {
					now[id] = struct{}{}
					if !d.counted {
						imported++
						if at.user == nil {
							created++
						} else {
							changed++
						}
					}
					d.own, d.counted = id, true
				}
				if taken != nil {
					still, why = append(still, d), append(why, err)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write users: %w", err)
		}
		for id := range now {
			x.claimed[id] = struct{}{}
		}
		x.imported, x.created, x.changed = x.imported+imported, x.created+created, x.changed+changed
		if adopt {
			x.deferred = append(x.deferred, still...)
			continue
		}
		last, reasons = append(last, still...), append(reasons, why...)
	}
	return x.swap(ctx, last, reasons)
}

// progress shows the figures, at most once a second.
func (x *run) progress(ctx context.Context) error {
	if time.Since(x.told) < time.Second {
		return nil
	}
	x.told = time.Now()
	return x.im.write(ctx, func(tx *store.Tx) error {
		r := tx.Get(schema.LDAPSync, x.sync.ID())
		if r == nil {
			return nil
		}
		d := tx.Edit(r)
		x.count(d)
		if !d.Changed("numUsersImported") && !d.Changed("numLdapSourcesComplete") {
			return nil
		}
		return tx.Put(d)
	})
}

// skip leaves an entry out.
func (x *run) skip(dn string, why error) {
	if x.skipped++; x.skipped <= mostTold {
		x.im.Log.Warn("LDAP synchronisation: an entry is left out", "dn", clipTo(dn, 200), "why", why)
	}
}

// clashed notes a person whose values are taken.
func (x *run) clashed(p person, why error) {
	if x.numClashes++; x.numClashes <= mostTold {
		x.clashes = append(x.clashes, clipTo(p.dn, 200)+": "+why.Error())
	}
}

// fail notes a source that could not be read; nil for what concerns them all.
func (x *run) fail(r *store.Record, err error) {
	if x.numFailed++; x.numFailed > mostTold {
		return
	}
	if r == nil {
		x.failed = append(x.failed, err.Error())
		return
	}
	name := r.Text("name")
	if name == "" {
		name = r.Text("baseDn")
	}
	x.failed = append(x.failed, fmt.Sprintf("source %s: %s", clipTo(name, 200), err))
}

// verdict is the failureReason, "" for a success, and what happened in words.
func (x *run) verdict() (reason, detail string) {
	list := func(told []string, all int) string {
		text := strings.Join(told, "; ")
		if all > len(told) {
			text += fmt.Sprintf("; and %d more", all-len(told))
		}
		return text
	}
	left := ""
	if x.skipped > 0 {
		left = fmt.Sprintf("%d entries left out, which make no user", x.skipped)
	}
	switch {
	case x.missing != "":
		return x.missing, ""
	case x.numFailed > 0:
		return "ldapError", list(x.failed, x.numFailed)
	case x.numClashes > 0:
		return "clashOccurred", list(x.clashes, x.numClashes)
	}
	return "", left
}

// unread says that a source of the run was not read to its end, or not yet.
func (x *run) unread(id store.ID) bool { return !x.finished[id] }
