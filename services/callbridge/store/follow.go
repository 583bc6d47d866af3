package store

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// How often the database is asked where it is. A watch says nothing while nothing changes, and nothing either when it is lost: when
// the database was put back to an earlier state, or a connection hangs.
const (
	pulseEvery   = 2 * time.Second
	pulseTimeout = time.Second
)

// follow brings every change into the copy.
func (s *Store) follow() {
	pulses := make(chan pulse)
	s.wait.Go(func() { s.beat(pulses) })
	for s.ctx.Err() == nil {
		if s.watch(pulses) {
			s.reload()
			continue
		}
		select {
		case <-time.After(pauseBefore):
		case <-s.ctx.Done():
		}
	}
}

// watch takes in changes until the watch ends; anew says that the copy must be taken anew.
func (s *Store) watch(pulses <-chan pulse) (anew bool) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(s.ctx))
	defer cancel()
	// Everything, so that every revision comes by, whoever made it.
	events := s.client.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(s.Revision()+1))
	behind := int64(0)
	for {
		select {
		case r, ok := <-events:
			if !ok || r.Canceled {
				if err := r.Err(); err != nil && s.ctx.Err() == nil {
					s.log.Warn("the watch of the database ended", "error", err, "compacted", r.CompactRevision)
				}
				return r.CompactRevision != 0
			}
			if len(r.Events) > 0 {
				s.apply(r.Events)
			} else if r.IsProgressNotify() {
				s.progress(r.Header.Revision)
			}
		case p := <-pulses:
			if !p.origin.follows(s.origin) || p.revision < p.copy {
				s.log.Warn("the database was replaced", "revision", p.revision, "copy", p.copy)
				return true
			}
			s.origin = p.origin
			at := s.Revision()
			// One pulse may overtake the watch, a second one does not.
			if p.revision > at && behind == at {
				s.log.Warn("the watch of the database is lost", "revision", p.revision, "copy", at)
				return false
			}
			behind = 0
			if p.revision > at {
				behind = at
			}
		case <-s.lost:
			s.log.Warn("the copy is taken anew")
			return true
		case <-s.ctx.Done():
			return false
		}
	}
}

// pulse is where the database is, and where the copy was when it was asked.
type pulse struct {
	origin         origin
	revision, copy int64
}

// beat asks the database where it is.
func (s *Store) beat(pulses chan<- pulse) {
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		at := s.Revision()
		ctx, cancel := context.WithTimeout(s.ctx, pulseTimeout)
		r, err := s.client.Get(ctx, fencesKey, clientv3.WithCountOnly())
		cancel()
		if err != nil {
			continue
		}
		select {
		case pulses <- pulse{originOf(r.Header), r.Header.Revision, at}:
		case <-s.ctx.Done():
			return
		}
	}
}

// apply brings the events of one or several whole revisions into the copy.
func (s *Store) apply(events []*clientv3.Event) {
	s.still.Lock()
	defer s.still.Unlock()

	// steps are every change, net is what they come to for each object.
	var steps []change
	var net []change
	at := map[place]int{}
	for _, e := range events {
		var c change
		if e.Type == clientv3.EventTypeDelete {
			k, _, id := s.model.parse(s.machine, string(e.Kv.Key))
			if k == nil {
				continue
			}
			c = change{kind: k, before: current(s.set, net, at, k, id)}
		} else {
			k, r := s.read(string(e.Kv.Key), e.Kv.Value, e.Kv.ModRevision, nil)
			if k == nil {
				continue
			}
			c = change{kind: k, before: current(s.set, net, at, k, r.id), after: r}
		}
		if c.before == nil && c.after == nil {
			continue
		}
		steps = append(steps, c)
		p := placeOf(c)
		if i, ok := at[p]; ok {
			net[i].after = c.after
			continue
		}
		at[p] = len(net)
		net = append(net, c)
	}

	// New lists are made before readers have to wait.
	byKind := map[*kind][]change{}
	for _, c := range net {
		if c.kind.parent == nil && !(c.before == nil && c.after == nil) {
			byKind[c.kind] = append(byKind[c.kind], c)
		}
	}
	lists := map[*kind]*sorted{}
	for k, changes := range byKind {
		lists[k] = s.lists[k.at].changed(k, changes)
	}

	s.mu.Lock()
	for _, c := range net {
		if c.after != nil {
			s.set.put(c.kind, c.after)
		} else if c.before != nil {
			s.set.remove(c.kind, c.before.id)
		}
	}
	for k, l := range lists {
		s.lists[k.at] = l
	}
	s.move(events[len(events)-1].Kv.ModRevision)
	s.mu.Unlock()
	s.subscribers.tell(steps)
}

// place is an object within a set.
type place struct {
	kind *kind
	id   ID
}

func placeOf(c change) place {
	if c.after != nil {
		return place{c.kind, c.after.id}
	}
	return place{c.kind, c.before.id}
}

// current is an object after the changes so far.
func current(s *set, net []change, at map[place]int, k *kind, id ID) *Record {
	if i, ok := at[place{k, id}]; ok {
		return net[i].after
	}
	return s.get(k, id)
}

// progress takes in that nothing happened up to a revision.
func (s *Store) progress(revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision > s.revision {
		s.move(revision)
	}
}

// reload takes the copy anew, while reads go on with the one there is, and tells subscribers what differs.
func (s *Store) reload() {
	began := time.Now()
	c, err := s.load(s.ctx, s.set)
	if err != nil {
		s.log.Warn("the copy cannot be taken anew yet", "error", err)
		select {
		case <-time.After(pauseBefore):
		case <-s.ctx.Done():
		}
		return
	}
	var steps []change
	for i, k := range s.model.kinds {
		was, now := s.set.kinds[i].byID, c.set.kinds[i].byID
		for id, at := range was {
			if now[id] == nil {
				steps = append(steps, change{k, at.record, nil})
			}
		}
		for id, at := range now {
			if old := was[id]; old == nil {
				steps = append(steps, change{k, nil, at.record})
			} else if old.record.packed != at.record.packed {
				steps = append(steps, change{k, old.record, at.record})
			}
		}
	}
	s.still.Lock()
	defer s.still.Unlock()
	s.mu.Lock()
	s.set, s.lists, s.origin = c.set, c.lists, c.origin
	s.move(c.revision)
	s.mu.Unlock()
	s.subscribers.tell(steps)
	s.log.Info("the copy was taken anew", "revision", c.revision, "changes", len(steps), "took", time.Since(began))
}
