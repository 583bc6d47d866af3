package sdp

import (
	"slices"
	"strings"

	"rotunda/services/media/control"
)

// Prepare decides what our next offer has: everything that the policy wants when there is no session yet, otherwise what was agreed on (with
// Hold and the policy's refusals). Call it before the Apply of an offer.
func (s *Session) Prepare() {
	all := len(s.now.lines) == 0
	s.prepare(func(role) bool { return all })
}

// PrepareMore is Prepare for a policy that has more than before: it also offers what there is no agreement on yet, unless the far end has shown
// that it has no use for it. A gateway of telephones answers an offer of pictures with 488.
func (s *Session) PrepareMore() { s.prepare(func(r role) bool { return !s.now.lacks[r] }) }

// PrepareAll is Prepare, but also offers again what was refused or not there: for a re-INVITE without a body (RFC 3261, 14.2).
func (s *Session) PrepareAll() { s.prepare(func(role) bool { return true }) }

// Rollback forgets an offer of either side that came to nothing; what was agreed on before is in force again.
func (s *Session) Rollback() { s.next, s.offering = nil, false }

func (s *Session) prepare(too func(role) bool) {
	next := s.now.clone()
	next.theirs = false
	if next.rekey {
		for i := range next.lines {
			next.lines[i].keys = nil
		}
		next.rekey = false
	}
	wanted := s.wanted()
	for i := range next.lines {
		l := &next.lines[i]
		if l.on && !wanted[l.role] {
			l.reject()
		}
		if l.on {
			l.wish = s.wish()
			s.revise(next, l)
		}
	}
	for r := audioRole; r <= cameraRole; r++ {
		if wanted[r] && too(r) {
			s.propose(next, r)
		}
	}
	s.next, s.offering = next, true
}

// revise brings a line that was agreed on to a policy that has changed since: other codecs, and encryption where there is none or must be none.
func (s *Session) revise(st *state, l *line) {
	if l.role == floorRole {
		if !l.floor.Server && s.policy.Floor != ServerAndClient {
			l.reject()
		}
		return
	}
	if e := s.encryption(); e == Required && l.security == control.Plain || e == Prohibited && l.security != control.Plain {
		// All of a bundle is protected alike.
		st.bundle = nil
		l.on = false
		s.propose(st, l.role)
		return
	}
	if s.encryption() == Required && protectionOf(strings.ToUpper(l.proto)) == open {
		// What may be plain might be answered so.
		if l.proto = strings.Replace(strings.ToUpper(l.proto), "/AVP", "/SAVP", 1); l.security == control.DTLS {
			l.proto = "UDP/TLS/" + l.proto
		}
	}
	if l.role.streamed() {
		codecs := s.policy.codecs(l.role)
		l.list = slices.DeleteFunc(slices.Clone(l.list), func(f format) bool { return !slices.Contains(codecs, f.codec) })
		if len(l.list) == 0 {
			l.dtmf = nil
			s.fill(l)
		}
	}
}

// wanted are the roles that the policy has.
func (s *Session) wanted() map[role]bool {
	p := &s.policy
	video := p.Video && s.videoShare(p.sendBandwidth()) > 0 && len(p.codecs(mainRole)) > 0
	screen := video && p.Presentation
	return map[role]bool{audioRole: len(p.codecs(audioRole)) > 0, mainRole: video, screenRole: screen, floorRole: screen && p.Floor != NoFloor, cameraRole: video && p.Camera}
}

// propose has a role in the offer: in the line that it is in already or was, or in a new one.
func (s *Session) propose(st *state, r role) {
	l := st.find(r)
	if l != nil {
		if r.streamed() {
			s.fill(l)
		}
		return
	}
	// A place that is free now, rather than a new one: that of the role, or else of the same kind.
	for _, same := range []bool{true, false} {
		for i := range st.lines {
			o := &st.lines[i]
			if l == nil && !o.on && (same && o.role == r || !same && o.media == mediaOf(r) && (r == floorRole) == strings.HasSuffix(strings.ToUpper(o.proto), "/BFCP")) {
				l = o
			}
		}
	}
	if l == nil {
		if len(st.lines) == maxMedia {
			return
		}
		st.lines = append(st.lines, line{role: r, home: -1})
		l = &st.lines[len(st.lines)-1]
	}
	fresh := line{role: r, home: l.home, types: l.types, keys: l.keys, on: true, wish: s.wish(), theirs: way{true, true}, packet: s.ownPacketTime()}
	*l = fresh
	if r == screenRole {
		st.content = true
	}
	l.media = mediaOf(r)
	if r == floorRole {
		l.proto = "UDP/BFCP"
		l.floor = &Floor{Transport: "udp", Server: true}
		if s.policy.FloorTCP {
			l.proto, l.floor.Transport, l.floor.Fresh = "TCP/BFCP", "tcp", true
		}
		s.nameFloor(l.floor, nil)
		return
	}
	l.proto = "RTP/AVP"
	l.mux = true // offered; see Apply for the ports
	switch e := s.encryption(); {
	case e == Prohibited:
	case s.policy.OfferDTLS && r != cameraRole:
		l.proto, l.security = "UDP/TLS/RTP/SAVP", control.DTLS
	case e == Required:
		l.proto, l.security = "RTP/SAVP", control.SDES
	default:
		l.security = control.SDES
	}
	if l.security == control.SDES {
		l.suite = s.policy.suites()[0]
	}
	if r == cameraRole {
		l.mux = false
		pt := l.assign("H224", h224Type)
		l.list = []format{{key: "H224", encoding: "H224/4800", clock: 4800, pt: pt, sendPT: pt}}
		return
	}
	s.fill(l)
	if r != audioRole {
		l.fb = feedback{nack: true, pli: true, fir: true, tmmbr: true, wild: true}
	}
	if r == screenRole {
		l.label = screenLabel
	}
	for i := range st.lines {
		if o := &st.lines[i]; st.content && o.on {
			o.content = contentOf(o.role)
		}
	}
}

// mediaOf is what an m-line of a role begins with.
func mediaOf(r role) string {
	switch r {
	case audioRole:
		return "audio"
	case mainRole, screenRole:
		return "video"
	}
	return "application"
}

func contentOf(r role) string {
	switch r {
	case mainRole:
		return "main"
	case screenRole:
		return "slides"
	}
	return ""
}
