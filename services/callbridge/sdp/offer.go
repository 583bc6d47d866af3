package sdp

import (
	"slices"
	"strconv"
	"strings"
)

// ReadOffer takes an offer, the first one or a later one. What comes of it is in force from WriteAnswer on.
func (s *Session) ReadOffer(b []byte) error {
	d, err := parse(b)
	if err != nil {
		return err
	}
	if len(d.media) == 0 {
		return refuse(304, "the offer has no m-line")
	}
	next := s.now.clone()
	next.theirs = true
	if next.peer != "" && next.peer != d.peer {
		// Somebody else is at the other end now: keys that the one before knows are worth nothing.
		for i := range next.lines {
			next.lines[i].keys, next.lines[i].remoteKey = nil, nil
		}
	}
	next.peer, next.user, next.limit = d.peer, strings.Clone(d.user), d.limit()
	next.lite = d.has("ice-lite")
	// Lines are never taken away (RFC 3264, 8); of one who does so all the same, the rest stays.
	next.lines = next.lines[:min(len(next.lines), len(d.media))]
	for len(next.lines) < len(d.media) {
		next.lines = append(next.lines, line{home: -1})
	}
	a := &arrangement{session: s, d: d, state: next, bundle: d.bundle()}
	if err := a.arrange(); err != nil {
		return err
	}
	s.next, s.offering = next, false
	return nil
}

// bundle are the mids of the first BUNDLE group (RFC 8843).
func (d *description) bundle() []string {
	for _, a := range d.attributes {
		if f := strings.Fields(a.value); a.name == "group" && len(f) > 1 && f[0] == "BUNDLE" {
			return f[1:min(len(f), 1+maxMedia)]
		}
	}
	return nil
}

// arrangement finds what each m-line of an offer is for.
type arrangement struct {
	session *Session
	d       *description
	state   *state
	bundle  []string
	why     map[role]*Refused
}

// arrange takes at most one line for each role, the best that there is, and rejects the others.
func (a *arrangement) arrange() error {
	s := a.session
	a.why = map[role]*Refused{}
	for i, m := range a.d.media {
		l := &a.state.lines[i]
		if l.media != m.kind || !l.on && protectionOf(strings.ToUpper(l.proto)) != protectionOf(m.proto) {
			l.role = noRole
		}
		// Copies: a piece of the offer would hold it whole for as long as the call lasts.
		l.media, l.proto, l.formats = strings.Clone(m.kind), strings.Clone(m.written), strings.Join(m.formats, " ")
		l.reject()
		mid, _ := m.get("mid")
		l.mid = strings.Clone(mid)
		if len(l.mid) > 16 || strings.ContainsAny(l.mid, " \t") {
			l.mid = ""
		}
	}
	a.state.content = slices.ContainsFunc(a.d.media, func(m *media) bool { return m.has("content") })
	a.state.lacks = a.missing()
	a.take(audioRole, func(m *media) bool { return m.kind == "audio" })
	if s.policy.Video && s.videoShare(s.policy.sendBandwidth()) > 0 {
		a.take(mainRole, func(m *media) bool { return m.kind == "video" && !slides(m) })
	}
	if s.policy.Presentation && a.state.find(mainRole) != nil {
		a.take(screenRole, a.presents)
	}
	if s.policy.Floor != NoFloor && a.state.find(screenRole) != nil {
		a.take(floorRole, func(m *media) bool { return m.proto == "UDP/BFCP" })
		a.take(floorRole, func(m *media) bool { return m.proto == "TCP/BFCP" })
	}
	if s.policy.Camera && a.state.find(mainRole) != nil {
		a.take(cameraRole, func(m *media) bool { return m.kind == "application" && protectionOf(m.proto) != foreign })
	}
	if a.state.find(audioRole) == nil && a.state.find(mainRole) == nil {
		for _, r := range []role{audioRole, mainRole} {
			if a.why[r] != nil {
				return a.why[r]
			}
		}
		return refuse(304, "neither audio nor video is offered: want an m=audio line with a port")
	}
	a.share()
	return nil
}

// missing are the roles that nothing in the offer is for, whatever the policy would make of it.
func (a *arrangement) missing() (roles [cameraRole + 1]bool) {
	var sounds, pictures, floors, cameras int
	for _, m := range a.d.media {
		switch {
		case !a.there(m):
		case m.kind == "audio":
			sounds++
		case m.kind == "video":
			pictures++
		case strings.HasSuffix(m.proto, "/BFCP"):
			floors++
		case m.kind == "application" && protectionOf(m.proto) != foreign:
			cameras++
		}
	}
	roles[audioRole], roles[mainRole], roles[screenRole] = sounds == 0, pictures == 0, pictures < 2
	roles[floorRole], roles[cameraRole] = floors == 0, cameras == 0
	return roles
}

// slides tells a presentation by a=content (RFC 4796).
func slides(m *media) bool {
	value, _ := m.get("content")
	return slices.Contains(strings.Split(strings.ToLower(value), ","), "slides")
}

// presents tells the second video stream: it says so itself, or the floor is for it, or there is BFCP and it is no other choice of the
// main one.
func (a *arrangement) presents(m *media) bool {
	if m.kind != "video" {
		return false
	}
	if m.has("content") {
		return slides(m)
	}
	floor := slices.IndexFunc(a.d.media, func(m *media) bool { return strings.HasSuffix(m.proto, "/BFCP") && m.port != 0 })
	if floor < 0 {
		return false
	}
	if label, ok := m.get("label"); ok {
		if _, labels := floorID(a.d.media[floor]); len(labels) > 0 {
			return slices.Contains(labels, label)
		}
	}
	for i := range a.state.lines {
		if l := &a.state.lines[i]; l.on && l.role == mainRole {
			return a.d.media[i] != m && protectionOf(a.d.media[i].proto) == protectionOf(m.proto)
		}
	}
	return false
}

// take gives a role to the best of the lines that suit. Endpoints that encrypt when they can offer a stream twice, with and without keys; one
// that had the role before is left it when nothing else speaks for another.
func (a *arrangement) take(r role, suits func(*media) bool) {
	if a.state.find(r) != nil {
		return
	}
	var candidates []int
	for i, m := range a.d.media {
		if !a.state.lines[i].on && a.there(m) && suits(m) {
			candidates = append(candidates, i)
		}
	}
	rank := func(i int) int {
		m, n := a.d.media[i], 0
		if a.state.lines[i].role == r {
			n--
		}
		secured := protectionOf(m.proto) == keyed || protectionOf(m.proto) == shaken || m.has("crypto") || m.has("fingerprint")
		if secured == (a.session.encryption() == Prohibited) {
			n += 2
		}
		return n
	}
	slices.SortStableFunc(candidates, func(i, j int) int { return rank(i) - rank(j) })
	for _, i := range candidates {
		l := a.state.lines[i].clone()
		l.role = r
		err := a.session.acceptOffer(&l, a.d.media[i], a.state)
		if err == nil {
			l.on = true
			a.state.lines[i] = l
			return
		}
		if a.why[r] == nil {
			a.why[r] = err
		}
	}
}

// there tells that a line is offered: it has a port, or is one of a bundle that has only the bundle's.
func (a *arrangement) there(m *media) bool {
	if m.port != 0 {
		return true
	}
	mid, _ := m.get("mid")
	return mid != "" && m.has("bundle-only") && slices.Contains(a.bundle, mid)
}

// acceptOffer negotiates one line.
func (s *Session) acceptOffer(l *line, m *media, st *state) *Refused {
	switch l.role {
	case floorRole:
		return s.acceptFloor(l, m)
	case cameraRole:
		return s.acceptCamera(l, m, st.lite, false)
	}
	if err := s.takeTransport(l, m, st.lite, false); err != nil {
		return err
	}
	if err := s.offered(l, m); err != nil {
		return err
	}
	l.spare = nil
	l.theirs = m.way()
	l.wish = s.wish()
	s.takeRest(l, m)
	if l.role == screenRole {
		l.label = screenLabel
	}
	if l.content = ""; st.content {
		l.content = contentOf(l.role)
	}
	return nil
}

// takeRest reads what needs no agreement.
func (s *Session) takeRest(l *line, m *media) {
	l.extensions(m)
	l.limit = m.limit()
	l.packet = s.packetTime(m)
	l.fb, l.fps = feedback{}, 0
	if l.role != audioRole {
		l.takeFeedback(m)
		value, _ := m.get("framerate")
		whole, _, _ := strings.Cut(value, ".")
		if n, err := strconv.ParseUint(whole, 10, 10); err == nil {
			l.fps = int(n)
		}
	}
	if !l.fb.transport && l.role != audioRole {
		l.tcc = 0
	}
}

// share puts the lines of a bundle on one transport (RFC 8843): that of the first of the group which is taken. Two pictures whose payload types
// overlap can be told apart by their MID alone.
func (a *arrangement) share() {
	a.state.bundle = nil
	if len(a.bundle) == 0 {
		return
	}
	used := map[uint8]bool{}
	var first *line
	for _, mid := range a.bundle {
		for i := range a.state.lines {
			l, m := &a.state.lines[i], a.d.media[i]
			if !l.on || l.mid != mid || !l.role.streamed() || slices.Contains(a.state.bundle, mid) {
				continue
			}
			overlap := l.midx == 0 && slices.ContainsFunc(l.list, func(f format) bool { return used[f.pt] })
			if first == nil && (!l.mux || m.port == 0) || first != nil && (overlap || l.security != first.security) {
				if m.port == 0 {
					l.reject()
				}
				continue
			}
			if first == nil {
				first = l
			}
			for _, f := range l.list {
				used[f.pt] = true
			}
			l.bundled, l.mux = true, true
			a.state.bundle = append(a.state.bundle, mid)
		}
	}
}

// wish is the direction that we want.
func (s *Session) wish() way {
	return way{!s.held, !s.held}
}
