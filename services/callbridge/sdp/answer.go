package sdp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ReadAnswer takes the answer to what WriteOffer wrote last. After an error that offer still stands; Rollback gives it up.
func (s *Session) ReadAnswer(b []byte) error {
	if s.next == nil || !s.offering {
		return errors.New("an answer, but nothing was offered")
	}
	d, err := parse(b)
	if err != nil {
		return err
	}
	if len(d.media) > len(s.next.lines) {
		return fmt.Errorf("the answer has %d m-lines, the offer had %d", len(d.media), len(s.next.lines))
	}
	next := s.next.clone()
	if next.peer != "" && next.peer != d.peer {
		// Who answers is another one than before. Our keys were in the offer that it has answered: they are known to both, and the next
		// offer has new ones.
		next.rekey = true
	}
	next.peer, next.user, next.limit, next.lite, next.theirs = d.peer, strings.Clone(d.user), d.limit(), d.has("ice-lite"), false
	bundle := d.bundle()
	var why *Refused
	for i := range next.lines {
		l := &next.lines[i]
		if !l.on {
			continue
		}
		if i >= len(d.media) {
			next.lacks[l.role] = true // lines that are left out are taken for rejected
			l.reject()
			continue
		}
		m := d.media[i]
		if m.kind != l.media {
			return fmt.Errorf("m-line %d of the answer is %.20q, of the offer %q", i+1, m.kind, l.media)
		}
		bundled := l.bundled && l.mid != "" && slices.Contains(bundle, l.mid)
		if m.port == 0 {
			next.lacks[l.role] = true
			l.reject()
			continue
		}
		if l.bundled && !bundled {
			l.bundled = false
		}
		if err := s.acceptAnswer(l, m, next); err != nil {
			if why == nil || l.role == audioRole {
				why = err
			}
			l.reject()
		}
	}
	if next.bundle != nil {
		next.bundle = slices.DeleteFunc(slices.Clone(next.bundle), func(mid string) bool {
			return !slices.ContainsFunc(next.lines, func(l line) bool { return l.bundled && l.mid == mid })
		})
	}
	if next.find(audioRole) == nil && next.find(mainRole) == nil {
		if why == nil {
			why = refuse(304, "the answer rejects audio and video")
		}
		return why
	}
	// What belongs to a stream that was rejected goes with it.
	if next.find(screenRole) == nil {
		if l := next.find(floorRole); l != nil {
			l.reject()
		}
	}
	s.now, s.next, s.offering = next, nil, false
	return nil
}

func (s *Session) acceptAnswer(l *line, m *media, st *state) *Refused {
	switch l.role {
	case floorRole:
		return s.answerFloor(l, m)
	case cameraRole:
		return s.acceptCamera(l, m, st.lite, true)
	}
	if err := s.takeTransport(l, m, st.lite, true); err != nil {
		return err
	}
	if err := s.answered(l, m); err != nil {
		return err
	}
	l.theirs = m.way()
	s.takeRest(l, m)
	return nil
}
