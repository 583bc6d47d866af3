package manager

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"sync"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// conference is where a conference is: on one worker, or on several of one machine when it has outgrown the first. Without
// legs it may be nowhere.
type conference struct {
	// telling is held while workers are told, before Manager.mu: of two who have something to tell the second one finds it
	// told.
	telling sync.Mutex
	// wanted is what the owner put; nil for one that only legs have named.
	wanted *control.Conference
	// at is each worker's share, in the order in which they came.
	at []*share
}

// share is what one worker has of a conference.
type share struct {
	worker *worker
	// mix is the number of its sound.
	mix uint32
	// legs are those of the conference that are placed there, pictures how many of them send one.
	legs, pictures int
	// told is what the worker was told last; nil for nothing.
	told *control.Conference
}

// share returns that of a worker, nil if it has none.
func (k *conference) share(w *worker) *share {
	if i := slices.IndexFunc(k.at, func(s *share) bool { return s.worker == w }); i >= 0 {
		return k.at[i]
	}
	return nil
}

// give returns the share of a worker, made if it has none.
func (k *conference) give(w *worker) *share {
	s := k.share(w)
	if s == nil {
		s = &share{worker: w, mix: rtp.NewSSRC()}
		k.at = append(k.at, s)
	}
	return s
}

func (k *conference) legs() (n int) {
	for _, s := range k.at {
		n += s.legs
	}
	return n
}

func (k *conference) pictures() (n int) {
	for _, s := range k.at {
		n += s.pictures
	}
	return n
}

// count adds a leg to the sums, or with -1 takes it away.
func (s *share) count(l *leg, n int) {
	s.legs += n
	if l.pictures {
		s.pictures += n
	}
}

// homes are the workers that have legs of the conference, the one with the most first: the more legs share an encode, the
// less each costs.
func (k *conference) homes() []string {
	shares := slices.DeleteFunc(slices.Clone(k.at), func(s *share) bool { return !s.worker.ready || s.legs == 0 })
	slices.SortStableFunc(shares, func(a, b *share) int { return cmp.Compare(b.legs, a.legs) })
	names := make([]string, len(shares))
	for i, s := range shares {
		names[i] = s.worker.name
	}
	return names
}

// span is what a worker bears for the guests of its conferences, in load units.
func (k *conference) span(w *worker) int {
	s := k.share(w)
	if s == nil || len(k.at) < 2 {
		return 0
	}
	return control.EstimateSpan(s.pictures, k.pictures()-s.pictures)
}

// prune takes out the shares without legs. The last one stays while the owner wants the conference.
func (k *conference) prune() (gone []*share) {
	empty := k.legs() == 0
	keep := 0
	for i, s := range k.at {
		if s.legs > 0 || empty && i == 0 && k.wanted != nil {
			k.at[keep] = s
			keep++
			continue
		}
		gone = append(gone, s)
	}
	clear(k.at[keep:])
	k.at = k.at[:keep]
	return gone
}

// compose is what each share's worker has to know. Guests are in the order of their names, so that it is the same after a
// restart of the manager.
func (k *conference) compose(id string, guests []control.Guest) []control.Conference {
	all := make([]control.Conference, len(k.at))
	for i, s := range k.at {
		c := &all[i]
		c.ID = id
		if k.wanted != nil {
			*c = *k.wanted
		}
		if len(k.at) == 1 {
			continue
		}
		c.Mix = s.mix
		for _, o := range k.at {
			if o != s {
				c.Others = append(c.Others, control.Other{Worker: o.worker.name, Exchange: o.worker.status.Exchange, Mix: o.mix})
			}
		}
		for _, g := range guests {
			if g.Worker != s.worker.name {
				c.Guests = append(c.Guests, g)
			}
		}
	}
	return all
}

// bare is what an owner may say of a conference: which workers have it is the manager's business.
func bare(c control.Conference) control.Conference {
	c.Mix, c.Others, c.Guests = 0, nil, nil
	return c
}

// guests are the participants of a conference. The caller holds mu.
func (o *objects) guests(id string) []control.Guest {
	var list []control.Guest
	for _, l := range o.legs {
		if l.conference == id && l.guest != nil {
			list = append(list, *l.guest)
		}
	}
	slices.SortFunc(list, func(a, b control.Guest) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// spread tells every worker of a conference what has changed for it, and takes the conference from those that have no leg
// of it any more.
func (s service) spread(ctx context.Context, id string) error {
	m := s.m
	m.mu.Lock()
	o := m.owners[s.owner]
	var k *conference
	if o != nil {
		k = o.conferences[id]
	}
	m.mu.Unlock()
	if k == nil {
		return nil
	}
	k.telling.Lock()
	defer k.telling.Unlock()

	m.mu.Lock()
	gone := slices.DeleteFunc(k.prune(), func(s *share) bool { return s.told == nil || !s.worker.ready })
	var guests []control.Guest
	if len(k.at) > 1 {
		guests = o.guests(id)
	}
	type news struct {
		to   *share
		what control.Conference
	}
	var fresh []news
	for i, c := range k.compose(id, guests) {
		to := k.at[i]
		named := k.wanted == nil && len(k.at) == 1 && to.told == nil // its legs bring it along
		if to.worker.ready && !named && (to.told == nil || !reflect.DeepEqual(*to.told, c)) {
			fresh = append(fresh, news{to, c})
		}
	}
	m.mu.Unlock()

	err := all(fresh, func(n news) error {
		if err := s.on(n.to.worker).PutConference(ctx, n.what); err != nil {
			return unlessLost(err)
		}
		m.mu.Lock()
		n.to.told = &n.what
		m.mu.Unlock()
		return nil
	})
	for _, at := range gone {
		if e := unlessLost(s.on(at.worker).DeleteConference(ctx, id)); err == nil {
			err = e
		}
	}
	m.mu.Lock()
	o.tidy(id)
	m.mu.Unlock()
	return err
}

// tidy forgets a conference that nobody put and nobody is in. The caller holds mu.
func (o *objects) tidy(id string) {
	if k := o.conferences[id]; k != nil && k.wanted == nil && k.legs() == 0 {
		delete(o.conferences, id)
	}
}
