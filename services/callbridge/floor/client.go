package floor

import "time"

// want says whether we are to have the floor of the far end.
func (m *machine) want(on bool, now time.Time) {
	if m.a.Server && m.agreed || m.wanted == on {
		return
	}
	m.wanted = on
	m.pursue(now)
	m.schedule()
}

// pursue does the next step towards what is wanted, as far as nothing is under way about it.
func (m *machine) pursue(now time.Time) {
	if !m.up || m.askedFloor {
		return
	}
	switch {
	case m.wanted && m.request.status == 0:
		m.askedFloor = true
		m.send(Message{Primitive: FloorRequest, Attributes: []Attribute{{Type: FloorID, Mandatory: true, Number: m.a.FloorID}}}, now)
	case !m.wanted && m.request.status != 0 && m.request.id != 0:
		id := m.request.id
		m.request.status, m.request.id = 0, 0
		m.send(Message{Primitive: FloorRelease, Attributes: []Attribute{{Type: FloorRequestID, Mandatory: true, Number: id}}}, now)
	}
}

// answerClient takes the server's answer to asked.
func (m *machine) answerClient(asked, q Message, now time.Time) {
	switch asked.Primitive {
	case Hello:
		m.pause = again
		alive := aliveTCP
		if m.udp {
			alive = aliveUDP
		}
		first := !m.subscribed
		m.greet = now.Add(alive)
		if q.Primitive == ErrorPrimitive {
			return // a server that knows no Hello lives too
		}
		if first {
			m.subscribed = true
			m.send(Message{Primitive: FloorQuery, Attributes: []Attribute{{Type: FloorID, Mandatory: true, Number: m.a.FloorID}}}, now)
		} else if m.request.id != 0 {
			// A server that thought us gone knows nothing of our request any more, and may not have been able to tell.
			m.send(Message{Primitive: FloorRequestQuery, Attributes: []Attribute{{Type: FloorRequestID, Mandatory: true, Number: m.request.id}}}, now)
		}
		m.pursue(now)
	case FloorQuery:
		if q.Primitive == FloorStatus {
			m.floor(q)
		}
	case FloorRequest:
		m.askedFloor = false
		if q.Primitive == FloorRequestStatus {
			m.progress(q, true, now)
			return
		}
		m.request.status, m.request.id = 0, 0
		if m.wanted {
			m.wanted = false
			m.tell = append(m.tell, event{name: "denied"})
		}
	case FloorRelease:
		m.pursue(now)
	case FloorRequestQuery:
		if q.Primitive == FloorRequestStatus {
			m.progress(q, false, now)
		} else if e, ok := find(q.Attributes, ErrorCode); ok && Code(e.Value[0]) == NoSuchRequest && asked.Attributes[0].Number == m.request.id {
			if m.request.status == Granted && m.wanted {
				m.wanted = false
				m.tell = append(m.tell, event{name: "revoked"})
			}
			m.request.status, m.request.id = 0, 0
			m.pursue(now)
		}
	}
}

// notice takes what a server says by itself.
func (m *machine) notice(q Message, now time.Time) {
	if q.ConferenceID != m.a.ConferenceID || q.UserID != m.a.UserID {
		return
	}
	switch q.Primitive {
	case FloorRequestStatus:
		if m.udp {
			m.reply(q, FloorRequestStatusAck, now)
		}
		m.progress(q, false, now)
	case FloorStatus:
		if m.udp {
			m.reply(q, FloorStatusAck, now)
		}
		m.floor(q)
	case Hello:
		// Some endpoints greet in either role.
		m.reply(q, HelloAck, now, supported()...)
	case Goodbye:
		m.reply(q, GoodbyeAck, now)
		answers := m.answers
		m.reset()
		m.answers = answers
		if m.lost = !m.udp; m.udp {
			m.greet = now.Add(m.pause)
			m.pause = min(2*m.pause, againMost)
		}
	default:
		if m.udp {
			m.refuse(q, UnknownPrimitive, "", now)
		}
	}
}

// progress takes the state of our request. Which one it is the answer to FloorRequest tells.
func (m *machine) progress(q Message, answer bool, now time.Time) {
	a, ok := find(q.Attributes, FloorRequestInformation)
	if !ok || !answer && a.Number != m.request.id {
		return
	}
	s, ok := overall(a)
	if !ok {
		return
	}
	before := m.request.status
	m.request.id, m.request.status, m.lastID = a.Number, s, a.Number
	switch s {
	case Pending, Accepted:
	case Granted:
		if before != Granted && m.wanted {
			m.tell = append(m.tell, event{name: "granted"})
		}
	default:
		m.request.status, m.request.id = 0, 0
		switch {
		case before == Granted:
			m.tell = append(m.tell, event{name: "revoked"})
		case m.wanted:
			m.tell = append(m.tell, event{name: "denied"})
		}
		m.wanted = false
	}
	m.pursue(now)
}

// overall is the state of a request: that of OVERALL-REQUEST-STATUS, or else of its only floor.
func overall(a Attribute) (Status, bool) {
	for _, t := range []AttributeType{OverallRequestStatus, FloorRequestStatusAttribute} {
		if o, ok := find(a.Attributes, t); ok {
			if s, ok := find(o.Attributes, RequestStatus); ok {
				return Status(s.Number >> 8), true
			}
		}
	}
	return 0, false
}

// floor takes who has the floor: somebody else does when a request that is not ours was granted.
func (m *machine) floor(q Message) {
	if f, ok := find(q.Attributes, FloorID); ok && f.Number != m.a.FloorID {
		return
	}
	other := false
	for _, a := range q.Attributes {
		// Our own request counts no more, also when it was just given back and the server tells late of it.
		if a.Type != FloorRequestInformation || a.Number == m.lastID && m.lastID != 0 {
			continue
		}
		if b, ok := find(a.Attributes, BeneficiaryInformation); ok && b.Number == m.a.UserID {
			continue
		}
		if s, ok := overall(a); ok && s == Granted {
			other = true
		}
	}
	if other != m.otherThere {
		m.otherThere = other
		m.tell = append(m.tell, event{name: "other", on: other})
	}
}

// goodbye ends the connection politely; nobody waits for the answer.
func (m *machine) goodbye() {
	if m.udp && m.online && m.agreed && m.up {
		m.next++
		q := Message{Version: m.version, Primitive: Goodbye, ConferenceID: m.a.ConferenceID, UserID: m.a.UserID, Transaction: max(m.next, 1)}
		m.out = append(m.out, q.Append(nil))
	}
}
