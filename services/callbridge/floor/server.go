package floor

import "time"

// supported are for HelloAck. Attribute types have their place in the upper 7 bits of an octet (RFC 8855, 5.2.10).
func supported() []Attribute {
	var primitives, attributes []byte
	for p := FloorRequest; p <= GoodbyeAck; p++ {
		if p != ChairAction && p != ChairActionAck {
			primitives = append(primitives, byte(p))
		}
	}
	for t := BeneficiaryID; t <= OverallRequestStatus; t++ {
		attributes = append(attributes, byte(t)<<1)
	}
	return []Attribute{{Type: SupportedPrimitives, Mandatory: true, Value: primitives}, {Type: SupportedAttributes, Mandatory: true, Value: attributes}}
}

// serve answers a client's request.
func (m *machine) serve(q Message, parseErr error, now time.Time) {
	switch {
	case q.ConferenceID != m.a.ConferenceID:
		m.refuse(q, NoConference, "", now)
		return
	case q.UserID != m.a.UserID:
		m.refuse(q, NoUser, "", now)
		return
	case parseErr == errLength:
		m.refuse(q, IncorrectLength, "", now)
		return
	case parseErr != nil:
		m.refuse(q, UnableToParse, parseErr.Error(), now)
		return
	}
	if unknown := unknownMandatory(q.Attributes, nil); len(unknown) > 0 {
		m.refuse(q, UnknownMandatoryAttribute, "", now, unknown...)
		return
	}
	came := !m.up
	m.up = true
	if came && m.subscribed && q.Primitive != FloorQuery && q.Primitive != Goodbye {
		defer m.announce(now) // it was gone and may have missed something
	}
	id, hasID := find(q.Attributes, FloorRequestID)
	ours := hasID && m.request.status != 0 && id.Number == m.request.id
	switch q.Primitive {
	case Hello:
		m.reply(q, HelloAck, now, supported()...)
	case FloorQuery:
		m.subscribed = false
		for _, a := range q.Attributes {
			if a.Type == FloorID && a.Number != m.a.FloorID {
				m.refuse(q, InvalidFloor, "", now)
				return
			}
			m.subscribed = m.subscribed || a.Type == FloorID
		}
		m.reply(q, FloorStatus, now, m.floorStatus()...)
	case FloorRequest:
		if code := m.checkRequest(q); code != 0 {
			m.refuse(q, code, "", now)
			return
		}
		if m.request.status == 0 {
			if m.lastID++; m.lastID == 0 {
				m.lastID = 1
			}
			m.request.id, m.request.status = m.lastID, Pending
			m.tell = append(m.tell, event{name: "requested"})
		}
		// Who asks again for what it has, or waits for, is told so: it may have started anew.
		m.reply(q, FloorRequestStatus, now, m.information(m.request.id, m.request.status))
	case FloorRelease:
		if !ours {
			m.refuse(q, NoSuchRequest, "", now)
			return
		}
		status := Released
		if m.request.status == Pending {
			status = Cancelled
		}
		had := m.request.id
		held := m.request.status == Granted
		m.request.status, m.request.id = 0, 0
		m.reply(q, FloorRequestStatus, now, m.information(had, status))
		m.tell = append(m.tell, event{name: "released"})
		if held {
			m.announce(now)
		}
	case FloorRequestQuery:
		if !ours {
			m.refuse(q, NoSuchRequest, "", now)
			return
		}
		m.reply(q, FloorRequestStatus, now, m.information(m.request.id, m.request.status))
	case UserQuery:
		if b, ok := find(q.Attributes, BeneficiaryID); ok && b.Number != m.a.UserID {
			m.refuse(q, NoUser, "", now)
			return
		}
		list := []Attribute{{Type: BeneficiaryInformation, Mandatory: true, Number: m.a.UserID}}
		if m.request.status != 0 {
			list = append(list, m.information(m.request.id, m.request.status))
		}
		m.reply(q, UserStatus, now, list...)
	case ChairAction:
		m.refuse(q, Unauthorized, "the meeting decides", now)
	case Goodbye:
		m.reply(q, GoodbyeAck, now)
		answers := m.answers
		m.reset()
		m.answers = answers // its repetition gets the same answer
	default:
		m.refuse(q, UnknownPrimitive, "", now)
	}
}

func (m *machine) checkRequest(q Message) Code {
	floors := 0
	for _, a := range q.Attributes {
		switch {
		case a.Type == FloorID && a.Number != m.a.FloorID:
			return InvalidFloor
		case a.Type == FloorID:
			floors++
		case a.Type == BeneficiaryID && a.Number != m.a.UserID:
			return Unauthorized
		}
	}
	if floors == 0 {
		return InvalidFloor
	}
	return 0
}

// unknownMandatory are types that must be understood and are not, as the error's details show them.
func unknownMandatory(list []Attribute, found []byte) []byte {
	for _, a := range list {
		if a.Mandatory && (a.Type < BeneficiaryID || a.Type > OverallRequestStatus) && len(found) < 16 {
			found = append(found, byte(a.Type)<<1)
		}
		found = unknownMandatory(a.Attributes, found)
	}
	return found
}

// decide is the meeting's word on the far end's request.
func (m *machine) decide(s Status, now time.Time) {
	if !m.a.Server || m.request.status == 0 || s == m.request.status {
		return
	}
	if s == Denied && m.request.status != Pending {
		return
	}
	if s == Revoked && m.request.status == Pending {
		s = Denied
	}
	m.request.status = s
	m.send(Message{Primitive: FloorRequestStatus, Attributes: []Attribute{m.information(m.request.id, s)}}, now)
	if s != Granted {
		m.request.status, m.request.id = 0, 0
	}
	if s != Denied {
		m.announce(now)
	}
	m.schedule()
}

// showOther says whether somebody else has the floor.
func (m *machine) showOther(on bool, now time.Time) {
	if m.other == on {
		return
	}
	m.other = on
	if m.a.Server {
		m.announce(now)
		m.schedule()
	}
}

// announce tells who asked for it how the floor is.
func (m *machine) announce(now time.Time) {
	if m.subscribed {
		m.send(Message{Primitive: FloorStatus, Attributes: m.floorStatus()}, now)
	}
}

// someone is the user that stands for all others of the meeting: 0 cannot be a client's (RFC 8855, 5.1 leaves it free, package sdp begins at 1).
const someone = 0

// floorStatus names the floor and who has it or waits for it.
func (m *machine) floorStatus() []Attribute {
	list := []Attribute{{Type: FloorID, Mandatory: true, Number: m.a.FloorID}}
	if m.request.status != 0 {
		list = append(list, m.information(m.request.id, m.request.status))
	}
	if m.other && m.request.status != Granted {
		// Its number is out of the way of those that count up from 1.
		a := m.information(0xffff, Granted)
		a.Attributes = append(a.Attributes, Attribute{Type: BeneficiaryInformation, Mandatory: true, Number: someone})
		list = append(list, a)
	}
	return list
}

// information is FLOOR-REQUEST-INFORMATION of a request (RFC 8855, 5.2.15).
func (m *machine) information(id uint16, s Status) Attribute {
	state := Attribute{Type: RequestStatus, Mandatory: true, Number: uint16(s) << 8}
	return Attribute{Type: FloorRequestInformation, Mandatory: true, Number: id, Attributes: []Attribute{
		{Type: OverallRequestStatus, Mandatory: true, Number: id, Attributes: []Attribute{state}},
		{Type: FloorRequestStatusAttribute, Mandatory: true, Number: m.a.FloorID, Attributes: []Attribute{state}},
	}}
}
