package sip

import (
	"errors"
	"strconv"
	"sync"
	"time"
)

// timers are those of RFC 3261 table 4.
type timers struct{ t1, t2, t4, d time.Duration }

var usualTimers = timers{t1: 500 * time.Millisecond, t2: 4 * time.Second, t4: 5 * time.Second, d: 32 * time.Second}

// txState is a transaction's state, named as in RFC 3261 17 and RFC 6026 7.
type txState uint8

const (
	txTrying txState = iota // Trying of servers, Calling of clients
	txProceeding
	txAccepted
	txCompleted
	txConfirmed
	txTerminated
)

// errTimeout ends a client transaction that nobody answered.
var errTimeout = errors.New("no answer")

// serverTx is a server transaction (RFC 3261 17.2, RFC 6026 7.1). It keeps the last answer as bytes.
type serverTx struct {
	a        *Agent
	key      string
	merge    string // key of requests that came over two ways (RFC 3261 8.2.2.2); "" for none
	invite   bool
	guarded  bool // of a source that has not shown that it gets our answers: it is answered once to each request
	call     *Call
	reliable bool

	mu       sync.Mutex
	state    txState
	last     []byte
	path     path
	timer    *time.Timer
	interval time.Duration
	deadline time.Time
}

// serverKey is what retransmissions of a request have in common (RFC 3261 17.2.3). ACK and CANCEL are looked up as INVITE.
func serverKey(m *message, method string) string {
	b := make([]byte, 0, 128)
	if len(m.via.branch) > len(cookie) && m.via.branch[:len(cookie)] == cookie {
		b = append(b, m.via.branch...)
		b = append(b, 0)
		b = append(b, m.via.host...)
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(m.via.port), 10)
	} else {
		// RFC 2543 clients: what stays the same from INVITE to ACK. The To tag does not, nor does the top Via's branch of some.
		b = append(b, m.from.tag...)
		b = append(b, 0)
		b = append(b, m.callID...)
		b = append(b, 0)
		b = append(b, m.via.host...)
		b = append(b, 0)
		b = append(b, m.uri...)
		b = strconv.AppendUint(append(b, 0), uint64(m.cseq), 10)
	}
	b = append(b, 0)
	return string(append(b, method...))
}

const cookie = "z9hG4bK"

// serve begins a server transaction; nil when there are too many.
func (a *Agent) serve(m *message, guarded bool, c *Call) *serverTx {
	tx := &serverTx{a: a, call: c, invite: m.method == "INVITE", guarded: guarded, path: back(m.path, m), reliable: m.path.transport != UDP,
		key: serverKey(m, m.method)}
	if m.to.tag == "" {
		tx.merge = mergeKey(m)
	}
	a.txMu.Lock()
	defer a.txMu.Unlock()
	n := len(a.servers) + len(a.clients)
	if n >= a.limits.Transactions || guarded && a.guarded >= a.limits.Transactions/4 {
		return nil
	}
	if guarded {
		a.guarded++
	}
	a.servers[tx.key] = tx
	if tx.merge != "" {
		a.merged[tx.merge] = tx
	}
	return tx
}

func mergeKey(m *message) string {
	return m.callID + "\x00" + m.from.tag + "\x00" + strconv.FormatUint(uint64(m.cseq), 10) + "\x00" + m.method
}

func (tx *serverTx) end() {
	tx.state = txTerminated
	if tx.timer != nil {
		tx.timer.Stop()
	}
	a := tx.a
	a.txMu.Lock()
	if a.servers[tx.key] == tx {
		delete(a.servers, tx.key)
		if tx.guarded {
			a.guarded--
		}
	}
	if tx.merge != "" && a.merged[tx.merge] == tx {
		delete(a.merged, tx.merge)
	}
	a.txMu.Unlock()
}

// respond sends an answer. 2xx to INVITE are sent again by their call, other final ones by the transaction.
func (tx *serverTx) respond(m *message) {
	b := m.write(make([]byte, 0, 1024))
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state >= txCompleted {
		return
	}
	tx.last = b
	p := tx.path
	t := tx.a.timers
	switch {
	case m.code < 200:
		tx.state = txProceeding
	case tx.invite && m.code < 300:
		tx.state = txAccepted
		tx.after(64 * t.t1)
	case tx.invite:
		tx.state = txCompleted
		tx.deadline = time.Now().Add(64 * t.t1)
		if tx.reliable || tx.guarded {
			tx.after(64 * t.t1)
		} else {
			tx.interval = t.t1
			tx.after(tx.interval)
		}
	default:
		tx.state = txCompleted
		if !tx.reliable {
			tx.after(64 * t.t1)
		}
	}
	tx.a.sendAnswer(p, m, b)
	if tx.state == txCompleted && tx.reliable && !tx.invite {
		tx.end()
	}
}

// again sends the last answer once more: the request came again, or the call wants its 2xx acknowledged.
func (tx *serverTx) again() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.last != nil && tx.state != txConfirmed && tx.state != txTerminated {
		tx.a.send(tx.path, tx.last)
	}
}

func (tx *serverTx) after(d time.Duration) {
	if tx.timer == nil {
		tx.timer = time.AfterFunc(d, tx.fire)
	} else {
		tx.timer.Reset(d)
	}
}

func (tx *serverTx) fire() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state == txTerminated {
		return
	}
	if tx.state == txCompleted && tx.interval > 0 && time.Now().Before(tx.deadline) {
		tx.a.send(tx.path, tx.last)
		tx.interval = min(2*tx.interval, tx.a.timers.t2)
		tx.after(tx.interval)
		return
	}
	tx.end()
}

// acked is the ACK of an answer other than 2xx.
func (tx *serverTx) acked() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state != txCompleted {
		return
	}
	tx.state = txConfirmed
	tx.last, tx.interval = nil, 0
	if tx.reliable {
		tx.end()
		return
	}
	tx.after(tx.a.timers.t4)
}

// answered says whether a final answer was sent.
func (tx *serverTx) answered() bool {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	return tx.state >= txAccepted
}

// clientTx is a client transaction (RFC 3261 17.1, RFC 6026 7.2). response and failed are called under no lock of it, one after the other.
type clientTx struct {
	a        *Agent
	key      string
	req      *message
	invite   bool
	path     path
	response func(*message)
	failed   func(error)
	canceled bool // by its call, which did not wait for it; the call's lock guards it

	mu       sync.Mutex
	leaving  bool // BYE or CANCEL without an answer yet
	state    txState
	bytes    []byte
	ack      []byte
	timer    *time.Timer
	interval time.Duration
	deadline time.Time
}

// request begins a client transaction. m has its Via already, with a branch of its own.
func (a *Agent) request(m *message, p path, response func(*message), failed func(error)) *clientTx {
	tx := &clientTx{a: a, key: m.via.branch + "\x00" + m.method, req: m, invite: m.method == "INVITE", path: p, response: response, failed: failed}
	tx.bytes = m.write(make([]byte, 0, 1024+len(m.body)))
	a.txMu.Lock()
	full := len(a.servers)+len(a.clients) >= a.limits.Transactions
	if !full {
		a.clients[tx.key] = tx
	}
	a.txMu.Unlock()
	if full {
		go tx.failed(localError{"too many transactions"})
		return tx
	}
	if p.conn != nil && !p.conn.await(tx) {
		go tx.lost(errGone)
		return tx
	}
	t := a.timers
	tx.mu.Lock()
	if tx.state == txTerminated { // its connection broke just now
		tx.mu.Unlock()
		return tx
	}
	if m.method == "BYE" || m.method == "CANCEL" {
		tx.leaving = true
		a.leaving.Add(1)
	}
	tx.deadline = time.Now().Add(64 * t.t1)
	if p.transport == UDP {
		tx.interval = t.t1
		tx.after(t.t1)
	} else {
		tx.after(64 * t.t1)
	}
	tx.mu.Unlock()
	if err := a.send(p, tx.bytes); err != nil {
		go tx.lost(err)
	}
	return tx
}

func (tx *clientTx) after(d time.Duration) {
	if tx.timer == nil {
		tx.timer = time.AfterFunc(d, tx.fire)
	} else {
		tx.timer.Reset(d)
	}
}

func (tx *clientTx) fire() {
	tx.mu.Lock()
	switch {
	case tx.state == txTerminated:
	case tx.state >= txAccepted || tx.invite && tx.state == txProceeding:
		if tx.state >= txAccepted {
			tx.end()
		}
	case !time.Now().Before(tx.deadline):
		tx.end()
		tx.mu.Unlock()
		tx.failed(errTimeout)
		return
	default:
		tx.a.send(tx.path, tx.bytes)
		tx.interval *= 2
		if !tx.invite {
			if tx.interval = min(tx.interval, tx.a.timers.t2); tx.state == txProceeding {
				tx.interval = tx.a.timers.t2
			}
		}
		tx.after(min(tx.interval, max(time.Until(tx.deadline), time.Millisecond)))
	}
	tx.mu.Unlock()
}

func (tx *clientTx) end() {
	tx.state = txTerminated
	tx.left()
	if tx.timer != nil {
		tx.timer.Stop()
	}
	tx.a.txMu.Lock()
	if tx.a.clients[tx.key] == tx {
		delete(tx.a.clients, tx.key)
	}
	tx.a.txMu.Unlock()
	if tx.path.conn != nil {
		tx.path.conn.done(tx)
	}
}

// left says that a BYE or CANCEL waits no longer; tx.mu is held.
func (tx *clientTx) left() {
	if tx.leaving {
		tx.leaving = false
		tx.a.leaving.Add(-1)
	}
}

// lost is the end of the connection that the answer was to come over.
func (tx *clientTx) lost(err error) {
	tx.mu.Lock()
	waiting := tx.state <= txProceeding
	if tx.state != txTerminated {
		tx.end()
	}
	tx.mu.Unlock()
	if waiting {
		tx.failed(err)
	}
}

func (tx *clientTx) receive(m *message) {
	tx.mu.Lock()
	t := tx.a.timers
	up := true
	switch {
	case tx.state == txTerminated:
		up = false
	case m.code < 200:
		if tx.state > txProceeding {
			up = false
			break
		}
		tx.state = txProceeding
		if tx.invite {
			tx.timer.Stop()
		}
	case tx.invite && m.code < 300:
		if tx.state == txCompleted {
			up = false
			break
		}
		if tx.state != txAccepted {
			tx.state = txAccepted
			tx.after(64 * t.t1)
		}
	case tx.invite:
		switch tx.state {
		case txTrying, txProceeding:
			tx.state = txCompleted
			tx.ack = tx.ackFor(m).write(make([]byte, 0, 512))
			tx.a.send(tx.path, tx.ack)
			if tx.path.transport == UDP {
				tx.after(t.d)
			} else {
				tx.end()
			}
		case txCompleted:
			tx.a.send(tx.path, tx.ack)
			up = false
		default:
			up = false
		}
	default:
		if tx.state >= txCompleted {
			up = false
			break
		}
		tx.state = txCompleted
		tx.left()
		if tx.path.transport == UDP {
			tx.after(t.t4)
		} else {
			tx.end()
		}
	}
	tx.mu.Unlock()
	if up {
		tx.response(m)
	}
}

// ackFor is the ACK of an answer other than 2xx (RFC 3261 17.1.1.3).
func (tx *clientTx) ackFor(r *message) *message {
	m := &message{method: "ACK", uri: tx.req.uri}
	m.add("Via", tx.req.get("Via"))
	for _, route := range tx.req.values("Route") {
		m.add("Route", route)
	}
	m.add("Max-Forwards", "70")
	m.add("From", tx.req.get("From"))
	m.add("To", r.get("To"))
	m.add("Call-ID", tx.req.callID)
	m.add("CSeq", strconv.FormatUint(uint64(tx.req.cseq), 10)+" ACK")
	return m
}

// cancel asks for the end of an INVITE that has no final answer yet; a provisional one has come (RFC 3261 9.1).
func (tx *clientTx) cancel(reason string) {
	m := &message{method: "CANCEL", uri: tx.req.uri, callID: tx.req.callID, via: tx.req.via, cseq: tx.req.cseq}
	m.add("Via", tx.req.get("Via"))
	for _, route := range tx.req.values("Route") {
		m.add("Route", route)
	}
	m.add("Max-Forwards", "70")
	m.add("From", tx.req.get("From"))
	m.add("To", tx.req.get("To"))
	m.add("Call-ID", tx.req.callID)
	m.add("CSeq", strconv.FormatUint(uint64(tx.req.cseq), 10)+" CANCEL")
	if reason != "" {
		m.add("Reason", reason)
	}
	tx.a.request(m, tx.path, func(*message) {}, func(error) {})
	// Nobody has to answer the INVITE after a CANCEL was answered, if that server is old: 64*T1 and it is over.
	tx.mu.Lock()
	if tx.state <= txProceeding {
		tx.state = txProceeding
		tx.deadline = time.Now().Add(64 * tx.a.timers.t1)
	}
	tx.mu.Unlock()
	time.AfterFunc(64*tx.a.timers.t1, func() { tx.lost(errTimeout) })
}
