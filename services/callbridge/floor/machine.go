package floor

import (
	"time"
)

// The times of RFC 8855, 8.3, and of keep-alives.
const (
	t1 = 500 * time.Millisecond // first repetition of a request; doubled with each
	t2 = 10 * time.Second       // how long answers are kept for repeated requests
	// tries are the request and its three repetitions.
	tries = 4
	// answerWithin is how long a request may take over TCP.
	answerWithin = 10 * time.Second
	// aliveUDP keeps a translator's mapping open, and finds a dead server; aliveTCP only does the latter.
	aliveUDP = 15 * time.Second
	aliveTCP = 60 * time.Second
	// again is the first pause before a lost server is greeted anew; doubled up to againMost.
	again     = time.Second
	againMost = 30 * time.Second

	maxQueue   = 8
	maxAnswers = 8
)

// machine is the protocol of one connection, without sockets and clocks. It is of one goroutine.
type machine struct {
	udp     bool
	a       Agreement
	agreed  bool
	online  bool // there is a transport
	up      bool // the far end was heard
	lost    bool // tcp: the far end does not answer, the connection is to be closed
	version uint8
	// due is when tick is wanted; zero for never.
	due time.Time

	out  [][]byte
	tell []event

	next    uint16 // transaction
	asking  *transaction
	queue   []Message // requests that wait for the one under way; RFC 8855, 8.3.1 allows one at a time
	answers []answered
	part    assembly

	// request is the one request for the floor: the far end's while we are the server, ours otherwise.
	request struct {
		id     uint16
		status Status
	}
	// lastID is the request's last number, also when it is over.
	lastID uint16

	// of a server
	subscribed bool // the far end wants to know of the floor (FloorQuery)
	other      bool // somebody else presents

	// of a client
	wanted     bool
	askedFloor bool // FloorRequest is under way
	otherThere bool
	greet      time.Time // next Hello
	pause      time.Duration
}

// transaction is a request of ours under way.
type transaction struct {
	message Message
	bytes   []byte
	sent    int
	wait    time.Duration
	at      time.Time // of the next repetition, or when it is given up
}

// answered is an answer that is given again to the same request.
type answered struct {
	primitive   Primitive
	transaction uint16
	bytes       []byte
	until       time.Time
}

// event is something to tell the handler.
type event struct {
	name string
	on   bool
}

func (e event) tell(h Handler) {
	switch e.name {
	case "requested":
		h.Requested()
	case "released":
		h.Released()
	case "granted":
		h.Granted()
	case "denied":
		h.Denied()
	case "revoked":
		h.Revoked()
	case "other":
		h.StatusOther(e.on)
	}
}

// newMachine begins with a transaction number that nobody can guess.
func newMachine(udp bool, first uint16) *machine {
	m := &machine{udp: udp, version: 1, next: first, pause: again}
	if udp {
		m.version = 2
	}
	return m
}

// take gives what is to be sent, events what is to be told.
func (m *machine) take() [][]byte { b := m.out; m.out = nil; return b }

func (m *machine) events() []event { e := m.tell; m.tell = nil; return e }

// agree begins anew with other parties; what went on with those before is over.
func (m *machine) agree(a Agreement, now time.Time) {
	if !m.agreed || a.Server != m.a.Server || a.ConferenceID != m.a.ConferenceID || a.UserID != m.a.UserID || a.FloorID != m.a.FloorID || a.Remote != m.a.Remote {
		m.reset()
	}
	m.a, m.agreed = a, true
	if m.udp && m.version != 2 {
		m.version = 2
	}
	m.begin(now)
	m.schedule()
}

// connected says that there is a transport, disconnected that there is none.
func (m *machine) connected(now time.Time) {
	m.online, m.lost = true, false
	m.begin(now)
	m.schedule()
}

func (m *machine) disconnected(now time.Time) {
	m.reset()
	m.online = false
	m.schedule()
}

// begin greets a server.
func (m *machine) begin(now time.Time) {
	if m.online && m.agreed && !m.a.Server && m.asking == nil && !m.up {
		m.pause = again
		m.send(Message{Primitive: Hello}, now)
	}
}

// reset forgets the far end. What it had is given back, what we had of it is lost.
func (m *machine) reset() {
	m.asking, m.queue, m.answers, m.part = nil, nil, nil, assembly{}
	m.up, m.askedFloor, m.greet, m.subscribed = false, false, time.Time{}, false
	was := m.request.status
	m.request.status, m.request.id = 0, 0
	if m.a.Server {
		if was != 0 {
			m.tell = append(m.tell, event{name: "released"})
		}
		return
	}
	m.lastID = 0
	if was == Granted {
		m.tell = append(m.tell, event{name: "revoked"})
		m.wanted = false
	}
	if m.otherThere {
		m.otherThere = false
		m.tell = append(m.tell, event{name: "other"})
	}
}

// send begins a request, or queues it. Of notices of the floor only the newest counts.
func (m *machine) send(q Message, now time.Time) {
	q.Version, q.ConferenceID, q.UserID = m.version, m.a.ConferenceID, m.a.UserID
	if !m.online || !m.agreed {
		return
	}
	if m.asking != nil {
		for i := range m.queue {
			if m.queue[i].Primitive == q.Primitive && (q.Primitive == FloorStatus || q.Primitive == Hello || q.Primitive == FloorQuery) {
				m.queue = append(append(m.queue[:i], m.queue[i+1:]...), q)
				return
			}
		}
		if len(m.queue) < maxQueue {
			m.queue = append(m.queue, q)
		}
		return
	}
	if m.a.Server && !m.udp {
		// Over TCP notices have no transaction and no answer (RFC 8855, 8.1).
		m.out = append(m.out, q.Append(nil))
		return
	}
	if m.next++; m.next == 0 {
		m.next = 1
	}
	q.Transaction = m.next
	t := &transaction{message: q, bytes: q.Append(nil), sent: 1, wait: t1, at: now.Add(t1)}
	if !m.udp {
		t.at = now.Add(answerWithin)
	}
	m.asking = t
	m.out = append(m.out, t.bytes)
}

// reply answers a request, and keeps the answer for when it is repeated.
func (m *machine) reply(to Message, primitive Primitive, now time.Time, attributes ...Attribute) {
	a := Message{Version: m.version, Responder: m.udp, Primitive: primitive, ConferenceID: to.ConferenceID, Transaction: to.Transaction, UserID: to.UserID, Attributes: attributes}
	b := a.Append(nil)
	m.out = append(m.out, b)
	if !m.udp {
		return
	}
	if len(m.answers) == maxAnswers {
		m.answers = append(m.answers[:0], m.answers[1:]...)
	}
	m.answers = append(m.answers, answered{to.Primitive, to.Transaction, b, now.Add(t2)})
}

func (m *machine) refuse(to Message, code Code, why string, now time.Time, details ...byte) {
	list := []Attribute{{Type: ErrorCode, Mandatory: true, Value: append([]byte{byte(code)}, details...)}}
	if why != "" {
		list = append(list, Attribute{Type: ErrorInfo, Value: []byte(why)})
	}
	m.reply(to, ErrorPrimitive, now, list...)
}

// tick does what time asks for.
func (m *machine) tick(now time.Time) {
	if t := m.asking; t != nil && !now.Before(t.at) {
		if m.udp && t.sent < tries {
			t.sent++
			t.wait *= 2
			t.at = now.Add(t.wait)
			m.out = append(m.out, t.bytes)
		} else {
			m.unanswered(now)
		}
	}
	if !m.greet.IsZero() && !now.Before(m.greet) {
		m.greet = time.Time{}
		m.send(Message{Primitive: Hello}, now)
	}
	m.schedule()
}

// unanswered: the far end is gone. A client comes back by and by; a server waits to be asked.
func (m *machine) unanswered(now time.Time) {
	wanted := m.wanted && m.request.status != Granted
	subscribed := m.subscribed
	m.reset()
	m.lost = !m.udp
	if m.a.Server {
		m.subscribed = subscribed
		return
	}
	m.wanted = wanted
	if m.udp {
		m.greet = now.Add(m.pause)
		m.pause = min(2*m.pause, againMost)
	}
}

func (m *machine) schedule() {
	m.due = m.greet
	if m.asking != nil && (m.due.IsZero() || m.asking.at.Before(m.due)) {
		m.due = m.asking.at
	}
}

// over ends our request and sends the next.
func (m *machine) over(now time.Time) {
	m.asking = nil
	if len(m.queue) > 0 {
		q := m.queue[0]
		m.queue = append(m.queue[:0], m.queue[1:]...)
		m.send(q, now)
	}
}

// input takes one datagram, or one message of a stream.
func (m *machine) input(b []byte, now time.Time) {
	defer m.schedule()
	h, err := parseHead(b)
	if err != nil || !m.agreed {
		return
	}
	// Old endpoints speak version 1 over UDP too (drafts of RFC 8855): they are answered in kind.
	if h.Version != 1 && !(m.udp && h.Version == 2) {
		if m.a.Server && !h.Responder {
			m.refuse(h.Message, UnsupportedVersion, "", now)
		}
		return
	}
	m.version = h.Version
	if h.fragment {
		if !m.udp {
			return
		}
		if b, err = m.part.add(b, h); b == nil {
			if err != nil && m.a.Server {
				m.refuse(h.Message, IncorrectLength, "", now)
			}
			return
		}
	}
	q, err := Parse(b)
	response := q.Responder || q.Primitive == HelloAck || q.Primitive == ErrorPrimitive || q.Primitive == FloorRequestStatusAck || q.Primitive == FloorStatusAck ||
		q.Primitive == GoodbyeAck || q.Primitive == UserStatus || q.Primitive == ChairActionAck
	if !m.a.Server && m.asking != nil && q.Transaction == m.asking.message.Transaction && h.Version == 1 {
		response = true // version 1 has no responder flag: the transaction tells
	}
	if response {
		if err == nil {
			m.answer(q, now)
		}
		return
	}
	if m.udp {
		for _, a := range m.answers {
			if a.primitive == q.Primitive && a.transaction == q.Transaction && now.Before(a.until) {
				m.out = append(m.out, a.bytes)
				return
			}
		}
	}
	if m.a.Server {
		m.serve(q, err, now)
	} else if err == nil {
		m.notice(q, now)
	}
}

// answer takes what comes to our request under way; what comes to none is an answer that came twice.
func (m *machine) answer(q Message, now time.Time) {
	t := m.asking
	if t == nil || q.Transaction != t.message.Transaction || q.ConferenceID != m.a.ConferenceID {
		return
	}
	m.up = true
	m.asking = nil
	if !m.a.Server {
		m.answerClient(t.message, q, now)
	} else if q.Primitive == ErrorPrimitive && t.message.Primitive == FloorStatus {
		m.subscribed = false // it does not want to know
	}
	if m.asking == nil {
		m.over(now)
	}
}
