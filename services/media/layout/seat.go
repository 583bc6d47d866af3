package layout

import (
	"slices"
	"time"

	"rotunda/services/media/control"
)

// How long a pane is left alone once it has changed, however much is said meanwhile. The dominant speaker is already
// found with some inertia; two seconds more keep two people who interrupt each other from blinking, five keep a small
// picture long enough to be recognised.
const (
	MainStays = 2 * time.Second
	PaneStays = 5 * time.Second
)

// Seating says who has which seat of a layout. It is not changed once made.
type Seating struct {
	family
	// Seats are sources in the order of the layout's panes; 0 is a seat that is kept free.
	Seats []uint32
	// since is when the seat was taken.
	since []time.Time
	// placed is how many seats at the front are reserved by importance.
	placed int
	// A viewer who is not shown himself leaves a gap. runnerUp would have the main pane if its holder were not there,
	// reserve would have a seat if there were one more.
	runnerUp, reserve uint32
	// dominant is the speaker among the candidates, 0 for none.
	dominant uint32
}

// candidate is a participant with video, and what decides between him and others.
type candidate struct {
	*Participant
	pinned bool
	// importance is the participant's, as far as it says who is preferred to whom or sits where.
	importance int
	// spoke is the place in the order of speakers, 0 the latest; joined the order of joining.
	spoke, joined int
}

// Whether a is rather to be shown than b. Camera says whether a camera that is off counts: it does for small panes, but
// whoever speaks has the main one with or without.
func (a *candidate) before(b *candidate, camera bool) bool {
	switch {
	case a.pinned != b.pinned:
		return a.pinned
	case a.importance != b.importance:
		return a.importance > b.importance
	case camera && a.CameraOff != b.CameraOff:
		return b.CameraOff
	case a.spoke != b.spoke:
		return a.spoke < b.spoke
	}
	return a.joined < b.joined
}

// Whether a change in favour of a is wanted by somebody, and thus not to be delayed.
func (a *candidate) ordered(b *candidate) bool {
	return a.pinned && !b.pinned || a.importance > b.importance
}

// Seat gives seats to the participants of a room. Previous is the result of before, nil at first; it is returned as it is if
// nothing changes. A time other than zero is when to ask again, because somebody waits for a pane that has just changed.
func Seat(view *control.View, room *Room, previous *Seating, now time.Time) (*Seating, time.Time) {
	s := seater{view: view, room: room, now: now, previous: previous}
	s.gather()
	s.family = resolve(view, len(s.list), presented(view, room))
	s.seats = make([]uint32, 0, s.family.seats)
	s.since = make([]time.Time, 0, s.family.seats)
	s.place()
	s.keep()
	s.fill()
	s.claim()
	if s.family.main && s.placed == 0 {
		s.promote()
	}
	return s.finish(), s.again
}

// Whether the presentation is drawn into the main picture.
func presented(view *control.View, room *Room) bool {
	return view.PresentationIn && room.Presentation.Source != 0
}

// seater is one run of Seat.
type seater struct {
	view     *control.View
	room     *Room
	now      time.Time
	previous *Seating

	family   family
	list     []candidate // best first
	dominant uint32
	seats    []uint32
	since    []time.Time
	placed   int
	again    time.Time
}

func (s *seater) gather() {
	spoke := make(map[uint32]int, len(s.room.Speakers))
	for i, source := range s.room.Speakers {
		if _, known := spoke[source]; !known {
			spoke[source] = i
		}
	}
	pinned := s.room.leg(s.view.Pinned)
	latest := len(s.room.Speakers)
	for i := range s.room.Participants {
		p := &s.room.Participants[i]
		if !p.Video || p.Source == 0 || reserved(s.view.Template, p.Leg) {
			continue
		}
		c := candidate{Participant: p, pinned: p == pinned, importance: p.Importance, spoke: len(s.room.Speakers), joined: i}
		if at, ok := spoke[p.Source]; ok {
			c.spoke = at
			if at < latest {
				latest, s.dominant = at, p.Source
			}
		}
		if s.view.HighestImportance > 0 {
			// With pane placement importance means a place, not a preference.
			c.importance = 0
			if p.Importance <= s.view.HighestImportance {
				c.importance = max(p.Importance, 0)
			}
		}
		s.list = append(s.list, c)
	}
	slices.SortFunc(s.list, func(a, b candidate) int {
		if a.before(&b, true) {
			return -1
		}
		return 1
	})
}

func (s *seater) find(source uint32) *candidate {
	for i := range s.list {
		if s.list[i].Source == source {
			return &s.list[i]
		}
	}
	return nil
}

func (s *seater) seated(source uint32) bool { return slices.Contains(s.seats, source) }

func (s *seater) sit(source uint32, since time.Time) {
	s.seats = append(s.seats, source)
	s.since = append(s.since, since)
}

// Notes that there is something to do at a time.
func (s *seater) wake(at time.Time) {
	if s.again.IsZero() || at.Before(s.again) {
		s.again = at
	}
}

// place reserves the first seats: importance N sits in the first one, N−1 in the second, down to 1. A seat whose importance
// nobody has stays free, so that everybody is always found at the same place; of several with the same importance the
// latest speaker sits there, and the others among those without importance. A template's pane may be reserved for a leg.
func (s *seater) place() {
	highest := min(s.view.HighestImportance, s.family.seats)
	for i := range max(highest, 0) {
		importance := s.view.HighestImportance - i
		var best *candidate
		for j := range s.list {
			if c := &s.list[j]; c.importance == importance && (best == nil || c.spoke < best.spoke) {
				best = c
			}
		}
		at := s.now
		source := uint32(0)
		if best != nil {
			source = best.Source
		}
		if s.previous != nil && i < len(s.previous.Seats) && i < s.previous.placed {
			held := s.previous.Seats[i]
			switch h := s.find(held); {
			case held == source:
				at = s.previous.since[i]
			case h != nil && h.importance == importance && s.now.Before(s.previous.since[i].Add(MainStays)):
				s.wake(s.previous.since[i].Add(MainStays))
				source, at = held, s.previous.since[i]
			}
		}
		s.sit(source, at)
	}
	s.placed = len(s.seats)
}

// keep lets everybody who had a seat and is still there have it. The seats of those who left are closed up from the end,
// so that one picture moves instead of all.
func (s *seater) keep() {
	if s.previous == nil {
		return
	}
	type seat struct {
		source uint32
		since  time.Time
	}
	var kept []seat
	gaps := 0
	for i, source := range s.previous.Seats {
		if i < s.previous.placed && (source == 0 || s.placed > 0) {
			continue
		}
		if s.find(source) == nil || s.seated(source) {
			kept = append(kept, seat{})
			gaps++
			continue
		}
		kept = append(kept, seat{source, s.previous.since[i]})
	}
	orphaned := s.family.main && s.placed == 0 && len(kept) > 0 && kept[0].source == 0
	for i := range kept {
		if kept[i].source != 0 || gaps == 0 {
			continue
		}
		gaps--
		// Whoever waits for a seat has this one, otherwise the last in the row.
		next := s.waiting(func(source uint32) bool {
			return slices.ContainsFunc(kept, func(k seat) bool { return k.source == source })
		})
		if next != nil {
			kept[i] = seat{next.Source, s.now}
			continue
		}
		for j := len(kept) - 1; j > i; j-- {
			if kept[j].source != 0 {
				kept[i], kept[j] = kept[j], seat{}
				break
			}
		}
	}
	for i, k := range kept {
		if k.source != 0 && len(s.seats) < s.family.seats {
			if i == 0 && orphaned {
				k.since = time.Time{} // whoever inherits the main pane gives it to the speaker at once
			}
			s.sit(k.source, k.since)
		}
	}
}

// The best who is not yet seated.
func (s *seater) waiting(taken func(uint32) bool) *candidate {
	for i := range s.list {
		if c := &s.list[i]; !s.seated(c.Source) && (taken == nil || !taken(c.Source)) {
			return c
		}
	}
	return nil
}

// fill gives free seats away, best first; those who come in one go sit in the order of joining, but for the main pane.
func (s *seater) fill() {
	from := len(s.seats)
	if c := s.first(); s.family.main && from == 0 && c != nil && s.family.seats > 0 {
		s.sit(c.Source, s.now)
		from = 1
	}
	for len(s.seats) < s.family.seats {
		c := s.waiting(nil)
		if c == nil {
			break
		}
		s.sit(c.Source, s.now)
	}
	slices.SortFunc(s.seats[from:], func(a, b uint32) int { return s.find(a).joined - s.find(b).joined })
}

// claim lets those in who have a better right than somebody seated: the pinned, the more important, whoever has a camera
// on where others have not, and the dominant speaker.
func (s *seater) claim() {
	for range s.list {
		var c *candidate
		for i := range s.list {
			if w := &s.list[i]; !s.seated(w.Source) && s.try(w) {
				c = w
				break
			}
		}
		if c == nil {
			return
		}
	}
}

// Gives c the seat of the worst one if it may have it.
func (s *seater) try(c *candidate) bool {
	first := s.placed
	if s.family.main && s.placed == 0 {
		first = 1 // the main pane is promote's
	}
	var worst *candidate
	at := -1
	for i := first; i < len(s.seats); i++ {
		if h := s.find(s.seats[i]); worst == nil || s.goes(h, worst) {
			worst, at = h, i
		}
	}
	if worst == nil || !c.before(worst, c.Source != s.dominant) {
		return false
	}
	switch {
	case c.ordered(worst):
	case c.Source == s.dominant, worst.CameraOff && !c.CameraOff && worst.Source != s.dominant:
		if ends := s.since[at].Add(PaneStays); s.now.Before(ends) {
			s.wake(ends)
			return false
		}
	default:
		return false
	}
	s.seats[at], s.since[at] = c.Source, s.now
	return true
}

// Whether a is rather to leave its seat than b.
func (s *seater) goes(a, b *candidate) bool {
	switch {
	case a.ordered(b) || b.ordered(a):
		return b.ordered(a)
	case a.Source == s.dominant || b.Source == s.dominant:
		return b.Source == s.dominant
	}
	return b.before(a, true)
}

// promote puts the speaker, or whoever is preferred to speakers, into the main pane.
func (s *seater) promote() {
	if len(s.seats) == 0 {
		return
	}
	holder := s.find(s.seats[0])
	want := s.first()
	if want == nil || want == holder || !want.before(holder, false) {
		return
	}
	if want.spoke == holder.spoke && !want.ordered(holder) {
		return // nobody has spoken: joining earlier is no reason to move
	}
	if ends := s.since[0].Add(MainStays); s.now.Before(ends) && !want.ordered(holder) {
		s.wake(ends)
		return
	}
	if at := slices.Index(s.seats, want.Source); at > 0 {
		s.seats[0], s.seats[at] = s.seats[at], s.seats[0]
		s.since[0], s.since[at] = s.now, s.now
		return
	}
	// The speaker comes from outside: whoever was in the main pane takes the seat of the least of the others.
	if len(s.seats) > 1 {
		least := 1
		for i := 2; i < len(s.seats); i++ {
			if s.find(s.seats[least]).before(s.find(s.seats[i]), true) {
				least = i
			}
		}
		if holder.before(s.find(s.seats[least]), true) {
			s.seats[least], s.since[least] = s.seats[0], s.now
		}
	}
	s.seats[0], s.since[0] = want.Source, s.now
}

// Who has the first right to the main pane.
func (s *seater) first() *candidate {
	var best *candidate
	for i := range s.list {
		if c := &s.list[i]; best == nil || c.before(best, false) {
			best = c
		}
	}
	return best
}

// Who would have the first seat if its holder were not there: the best of the others; among those who never spoke whoever
// is nearest to it.
func (s *seater) second() uint32 {
	var best *candidate
	consider := func(c *candidate) {
		if best == nil || c.ordered(best) || c.spoke < best.spoke && !best.ordered(c) {
			best = c
		}
	}
	for _, source := range s.seats[1:] {
		if c := s.find(source); c != nil {
			consider(c)
		}
	}
	for i := range s.list {
		if c := &s.list[i]; c.Source != s.seats[0] {
			consider(c)
		}
	}
	if best == nil {
		return 0
	}
	return best.Source
}

func (s *seater) finish() *Seating {
	n := &Seating{family: s.family, Seats: s.seats, since: s.since, placed: s.placed, dominant: s.dominant}
	if s.family.main && len(s.seats) > 0 {
		n.runnerUp = s.second()
	}
	if c := s.waiting(nil); c != nil {
		n.reserve = c.Source
	}
	if p := s.previous; p != nil && p.family == n.family && p.placed == n.placed && p.runnerUp == n.runnerUp &&
		p.reserve == n.reserve && p.dominant == n.dominant && slices.Equal(p.Seats, n.Seats) {
		return p
	}
	return n
}
