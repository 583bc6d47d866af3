package events

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"rotunda/services/callbridge/meeting"
)

// hub knows what goes on and who wants to hear of what. It is fed by [meeting.Control.Subscribe], and never calls it under its lock.
type hub struct {
	mu    sync.Mutex
	rooms map[meeting.ID]*room
	// where are the calls of participants.
	where map[meeting.ID]meeting.ID
	lists map[*subscription]struct{}
	// waiting are subscriptions to calls that are not known yet.
	waiting map[meeting.ID]map[*subscription]struct{}
	count   uint64
	// gone are what ended while the hub was made; nil afterwards.
	gone map[meeting.ID]bool
}

// room is a call.
type room struct {
	info   *meeting.CallInfo
	number uint64
	people map[meeting.ID]*person
	subs   map[*subscription]struct{}
}

type person struct {
	info   *meeting.ParticipantInfo
	number uint64
}

// The states of subscriptions.
const (
	pending     = "pending"
	active      = "active"
	deactivated = "deactivated"
)

// subscription is one of a client. It is guarded by the hub's lock.
type subscription struct {
	client   *client
	index    int64
	kind     *kind
	call     meeting.ID
	elements []*element

	state string
	// changed are objects that may differ from what the client was told, and told is that.
	changed ids
	told    map[meeting.ID]view
	queued  bool // among the client's ready ones
	closed  bool // replaced by another set, or its client is gone
}

// newHub makes a hub of what goes on, and follows it.
func newHub(c meeting.Control) (h *hub, stop func()) {
	h = &hub{rooms: map[meeting.ID]*room{}, where: map[meeting.ID]meeting.ID{}, lists: map[*subscription]struct{}{},
		waiting: map[meeting.ID]map[*subscription]struct{}{}, gone: map[meeting.ID]bool{}}
	_, stop = c.Subscribe(h.hear)
	// These lists may be newer than changes that are told yet; what is told last counts.
	calls, people := c.Calls(), c.Participants(meeting.ID{})
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range calls {
		if one := &calls[i]; h.rooms[one.ID] == nil && !h.gone[one.ID] {
			h.open(one)
		}
	}
	for i := range people {
		if one := &people[i]; !h.gone[one.ID] {
			if _, known := h.where[one.ID]; !known {
				h.enter(one)
			}
		}
	}
	h.gone = nil
	return h, stop
}

// hear takes one change. It waits for nothing but the lock, which nobody holds for long.
func (h *hub) hear(c meeting.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch c.Kind {
	case meeting.CallBegan, meeting.CallChanged:
		if c.Call == nil {
			return
		}
		r := h.rooms[c.Call.ID]
		if r == nil {
			h.open(c.Call)
			return
		}
		r.info = c.Call
		h.callChanged(r)
	case meeting.CallOver:
		if c.Call != nil {
			h.shut(c.Call.ID)
		}
	case meeting.ParticipantBegan, meeting.ParticipantChanged:
		if c.Participant != nil {
			h.enter(c.Participant)
		}
	case meeting.ParticipantOver:
		if c.Participant != nil {
			h.leave(c.Participant.ID)
			if h.gone != nil {
				h.gone[c.Participant.ID] = true
			}
		}
	}
}

// open makes a room of a call that began.
func (h *hub) open(info *meeting.CallInfo) {
	h.count++
	r := &room{info: info, number: h.count, people: map[meeting.ID]*person{}, subs: map[*subscription]struct{}{}}
	h.rooms[info.ID] = r
	for s := range h.lists {
		s.mark(info.ID)
	}
	for s := range h.waiting[info.ID] {
		h.activate(s, r)
	}
	delete(h.waiting, info.ID)
}

// shut ends a room.
func (h *hub) shut(id meeting.ID) {
	if h.gone != nil {
		h.gone[id] = true
	}
	r := h.rooms[id]
	if r == nil {
		return
	}
	delete(h.rooms, id)
	for p := range r.people {
		delete(h.where, p)
	}
	for s := range h.lists {
		s.removed(id)
	}
	for s := range r.subs {
		s.deactivate()
	}
}

func (h *hub) callChanged(r *room) {
	for s := range h.lists {
		s.mark(r.info.ID)
	}
	for s := range r.subs {
		if s.kind == callInfo {
			s.mark(r.info.ID)
		}
	}
}

// enter takes the state of a participant, who may have come from another call.
func (h *hub) enter(info *meeting.ParticipantInfo) {
	if at, ok := h.where[info.ID]; ok && at != info.Call {
		h.leave(info.ID)
	}
	r := h.rooms[info.Call]
	if r == nil {
		// Nobody can have subscribed to where they are.
		return
	}
	p := r.people[info.ID]
	if p == nil {
		h.count++
		p = &person{number: h.count}
		r.people[info.ID] = p
		h.where[info.ID] = info.Call
		h.callChanged(r)
	}
	p.info = info
	for s := range r.subs {
		if s.kind == callRoster {
			s.mark(info.ID)
		}
	}
}

func (h *hub) leave(id meeting.ID) {
	at, ok := h.where[id]
	if !ok {
		return
	}
	delete(h.where, id)
	r := h.rooms[at]
	delete(r.people, id)
	h.callChanged(r)
	for s := range r.subs {
		if s.kind == callRoster {
			s.removed(id)
		}
	}
}

// look is what is known of an object of a subscription now.
func (h *hub) look(s *subscription, id meeting.ID) (view, bool) {
	if s.kind == callRoster {
		r := h.rooms[s.call]
		if r == nil || r.people[id] == nil {
			return view{}, false
		}
		return view{person: r.people[id].info}, true
	}
	r := h.rooms[id]
	if r == nil {
		return view{}, false
	}
	return view{call: r.info, people: len(r.people)}, true
}

// add begins a subscription.
func (h *hub) add(s *subscription) {
	s.told = map[meeting.ID]view{}
	if !s.kind.one {
		h.lists[s] = struct{}{}
		s.set(active)
		rooms := slices.SortedFunc(maps.Values(h.rooms), func(a, b *room) int { return cmp.Compare(a.number, b.number) })
		for _, r := range rooms {
			s.mark(r.info.ID)
		}
		return
	}
	if r := h.rooms[s.call]; r != nil {
		h.activate(s, r)
		return
	}
	if h.waiting[s.call] == nil {
		h.waiting[s.call] = map[*subscription]struct{}{}
	}
	h.waiting[s.call][s] = struct{}{}
	s.state = pending
}

// activate tells the whole state of a subscription's call.
func (h *hub) activate(s *subscription, r *room) {
	r.subs[s] = struct{}{}
	s.set(active)
	if s.kind == callInfo {
		s.mark(r.info.ID)
		return
	}
	people := slices.SortedFunc(maps.Values(r.people), func(a, b *person) int { return cmp.Compare(a.number, b.number) })
	for _, p := range people {
		s.mark(p.info.ID)
	}
}

// missing ends the wait of a subscription to a call that Control does not know.
func (h *hub) missing(s *subscription) {
	if s.closed || s.state != pending || h.rooms[s.call] != nil {
		return
	}
	h.forget(s)
	s.deactivate()
}

// forget takes a subscription out of the hub.
func (h *hub) forget(s *subscription) {
	delete(h.lists, s)
	if r := h.rooms[s.call]; r != nil {
		delete(r.subs, s)
	}
	if w := h.waiting[s.call]; w != nil {
		delete(w, s)
		if len(w) == 0 {
			delete(h.waiting, s.call)
		}
	}
}

// set changes the state of a subscription, which its client is told.
func (s *subscription) set(state string) {
	s.state = state
	s.client.states = append(s.client.states, stateOf{s.index, state})
	s.client.poke()
}

// deactivate ends a subscription; what was not told of it yet is left out.
func (s *subscription) deactivate() {
	s.client.entries -= s.changed.len() + len(s.told)
	s.changed, s.told = ids{}, nil
	s.set(deactivated)
}

// mark notes that an object may have changed.
func (s *subscription) mark(id meeting.ID) {
	if s.changed.add(id) {
		s.client.entries++
		s.ready()
	}
}

// removed notes that an object is gone; one that the client never heard of is not spoken of.
func (s *subscription) removed(id meeting.ID) {
	if _, known := s.told[id]; known {
		s.mark(id)
	} else if s.changed.remove(id) {
		s.client.entries--
	}
}

func (s *subscription) ready() {
	if s.queued {
		return
	}
	s.queued = true
	s.client.ready = append(s.client.ready, s)
	s.client.poke()
}
