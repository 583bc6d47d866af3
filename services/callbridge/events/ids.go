package events

import "rotunda/services/callbridge/meeting"

// ids is a set that gives back its members in the order in which they came. The zero ID is no member.
type ids struct {
	order []meeting.ID // the zero ID where one was taken out
	// at are positions in order, counted from base on.
	at   map[meeting.ID]int
	base int
}

func (s *ids) len() int { return len(s.at) }

// add says whether it is new.
func (s *ids) add(id meeting.ID) bool {
	if _, ok := s.at[id]; ok {
		return false
	}
	if s.at == nil {
		s.at = map[meeting.ID]int{}
	}
	s.at[id] = s.base + len(s.order)
	s.order = append(s.order, id)
	return true
}

// remove says whether it was there.
func (s *ids) remove(id meeting.ID) bool {
	at, ok := s.at[id]
	if !ok {
		return false
	}
	delete(s.at, id)
	s.order[at-s.base] = meeting.ID{}
	if len(s.order) > 2*len(s.at)+32 {
		kept := make([]meeting.ID, 0, len(s.at))
		for _, one := range s.order {
			if one != (meeting.ID{}) {
				s.at[one] = len(kept)
				kept = append(kept, one)
			}
		}
		s.order, s.base = kept, 0
	}
	return true
}

// pop takes the first one.
func (s *ids) pop() (id meeting.ID, ok bool) {
	for len(s.order) > 0 {
		id = s.order[0]
		s.order = s.order[1:]
		s.base++
		if id != (meeting.ID{}) {
			delete(s.at, id)
			if len(s.at) == 0 {
				*s = ids{}
			}
			return id, true
		}
	}
	return id, false
}
