package sip

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Agent is the sockets and everything that goes over them. Make it by [New], run it by [Agent.Serve].
type Agent struct {
	o       Options
	log     *slog.Logger
	limits  Limits
	timers  timers
	sources *sources
	seed    maphash.Seed // of the To tags of answers without state
	tracer  atomic.Pointer[func(Trace)]
	figures figures

	connections atomic.Int64
	refused     atomic.Uint64
	running     crew
	leaving     atomic.Int64 // BYEs and CANCELs that wait for their answers
	draining    atomic.Bool
	complaint   seldom
	done        chan struct{}

	mu        sync.Mutex
	serving   bool
	closing   bool
	udp       UDPMode
	wanted    []Listen
	listening []*listening
	socks     []*udpSocket
	conns     map[*conn]struct{}
	reuse     map[connKey]*conn // those that we opened

	txMu    sync.Mutex
	servers map[string]*serverTx
	clients map[string]*clientTx
	merged  map[string]*serverTx
	guarded int

	callMu sync.Mutex
	calls  map[string]*Call // by our tag
}

// listening is one socket that listens.
type listening struct {
	want Listen // as asked for
	have Listen // with the port that it has
	tcp  net.Listener
	udp  *udpSocket
}

// New binds the sockets. Nothing is read from them before [Agent.Serve].
func New(o Options) (*Agent, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SessionExpires == 0 {
		o.SessionExpires = 30 * time.Minute
	}
	if o.timers == (timers{}) {
		o.timers = usualTimers
	}
	if o.MinSE == 0 {
		o.MinSE = 90 * time.Second
	}
	a := &Agent{o: o, log: o.Log, limits: o.Limits.withDefaults(), timers: o.timers, seed: maphash.MakeSeed(), done: make(chan struct{}),
		udp: o.UDP, conns: make(map[*conn]struct{}), reuse: make(map[connKey]*conn), servers: make(map[string]*serverTx),
		clients: make(map[string]*clientTx), merged: make(map[string]*serverTx), calls: make(map[string]*Call)}
	a.sources = newSources(a.limits)
	a.SetTrace(o.Trace)
	if err := a.SetListen(o.Listen); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// Serve reads from the sockets until ctx is done, and then closes them. Calls that are still up are forgotten: end them before. BYEs that were just
// sent have a second for their answers; calls that come in the meantime get 503.
func (a *Agent) Serve(ctx context.Context) error {
	a.mu.Lock()
	if a.serving || a.closing {
		a.mu.Unlock()
		return errors.New("sip: Serve was called before")
	}
	a.serving = true
	for _, l := range a.listening {
		a.start(l)
	}
	a.mu.Unlock()
	<-ctx.Done()
	a.draining.Store(true)
	for end := time.Now().Add(time.Second); a.leaving.Load() > 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	a.close()
	a.running.Wait()
	return nil
}

// complain logs what others cause, once in a second.
func (a *Agent) complain(what string, args ...any) {
	if a.complaint.now() {
		a.log.Warn(what, append(args, "refused so far", a.refused.Load())...)
	}
}

func (a *Agent) close() {
	a.mu.Lock()
	if a.closing {
		a.mu.Unlock()
		return
	}
	a.closing = true
	close(a.done)
	for _, l := range a.listening {
		l.close()
	}
	a.listening, a.socks = nil, nil
	conns := make([]*conn, 0, len(a.conns))
	for c := range a.conns {
		conns = append(conns, c)
	}
	a.mu.Unlock()
	for _, c := range conns {
		c.close()
	}
	a.callMu.Lock()
	calls := a.allCalls()
	a.callMu.Unlock()
	for _, c := range calls {
		c.drop()
	}
	a.txMu.Lock()
	servers := make([]*serverTx, 0, len(a.servers))
	for _, tx := range a.servers {
		servers = append(servers, tx)
	}
	clients := make([]*clientTx, 0, len(a.clients))
	for _, tx := range a.clients {
		clients = append(clients, tx)
	}
	a.txMu.Unlock()
	for _, tx := range servers { // not under txMu, which comes after a transaction's lock
		tx.mu.Lock()
		tx.end()
		tx.mu.Unlock()
	}
	for _, tx := range clients {
		tx.lost(errClosing)
	}
}

func (l *listening) close() {
	if l.tcp != nil {
		l.tcp.Close()
	}
	if l.udp != nil {
		l.udp.c.Close()
	}
}

// start reads from a socket; a.mu is held.
func (a *Agent) start(l *listening) {
	a.running.Add(1)
	if l.udp != nil {
		go func() {
			defer a.running.Done()
			l.udp.read()
		}()
		return
	}
	go a.accept(l.tcp, l.want.Transport)
}

// SetTrace sets who hears of messages; nil is nobody.
func (a *Agent) SetTrace(f func(Trace)) {
	if f == nil {
		a.tracer.Store(nil)
		return
	}
	a.tracer.Store(&f)
}

func (a *Agent) trace(in bool, p path, b []byte) {
	a.figures.count(in, b)
	if f := a.tracer.Load(); f != nil {
		(*f)(Trace{At: time.Now(), In: in, Transport: p.transport, Local: p.local, Remote: p.remote, Message: b})
	}
}

// SetListen changes the sockets: those that stay are not touched, and calls on connections of those that go stay up. What can be bound is bound even
// if something else cannot.
func (a *Agent) SetListen(want []Listen) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing {
		return errClosing
	}
	a.wanted = append([]Listen(nil), want...)
	return a.bind()
}

// SetUDP changes the mode of UDP.
func (a *Agent) SetUDP(m UDPMode) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing {
		return errClosing
	}
	a.udp = m
	return a.bind()
}

// bind makes the sockets those that are wanted.
func (a *Agent) bind() error {
	var wanted []Listen
	single := netip.Addr{}
	for _, w := range a.wanted {
		if w.Transport == UDP {
			if a.udp == UDPDisabled {
				continue
			}
			if ip := w.Address.Addr(); a.udp == UDPSingle && !ip.IsLoopback() {
				if single.IsValid() && single != ip {
					continue
				}
				single = ip
			}
		}
		wanted = append(wanted, w)
	}
	var keep []*listening
	for _, l := range a.listening {
		stays := false
		for i, w := range wanted {
			if w == l.want {
				wanted = append(wanted[:i:i], wanted[i+1:]...)
				stays = true
				break
			}
		}
		if stays {
			keep = append(keep, l)
		} else {
			l.close()
		}
	}
	var errs []error
	for _, w := range wanted {
		l, err := a.open(w)
		if err != nil {
			errs = append(errs, fmt.Errorf("listen on %s %s: %w", w.Transport, w.Address, err))
			continue
		}
		keep = append(keep, l)
		if a.serving {
			a.start(l)
		}
	}
	a.listening, a.socks = keep, nil
	for _, l := range keep {
		if l.udp != nil {
			a.socks = append(a.socks, l.udp)
		}
	}
	return errors.Join(errs...)
}

func (a *Agent) open(w Listen) (*listening, error) {
	if !w.Address.IsValid() {
		return nil, errors.New("no address")
	}
	l := &listening{want: w, have: w}
	switch w.Transport {
	case UDP:
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(w.Address))
		if err != nil {
			return nil, err
		}
		c.SetReadBuffer(4 << 20) // a burst of calls must not be lost in the kernel
		l.have.Address = addrPort(c.LocalAddr())
		l.udp = &udpSocket{a: a, c: c, local: l.have.Address}
	case TCP, TLS:
		t, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(w.Address))
		if err != nil {
			return nil, err
		}
		l.have.Address = addrPort(t.Addr())
		l.tcp = t
	default:
		return nil, fmt.Errorf("transport %q is none of udp, tcp, tls", w.Transport)
	}
	return l, nil
}

// Addresses are the sockets that listen, with the ports that they have.
func (a *Agent) Addresses() []Listen {
	a.mu.Lock()
	defer a.mu.Unlock()
	have := make([]Listen, 0, len(a.listening))
	for _, l := range a.listening {
		have = append(have, l.have)
	}
	return have
}

// Load is how much the agent has to do now, for status pages and tests.
type Load struct {
	Calls, Transactions, Connections, Sources int
	// Refused counts connections and requests that were over a limit.
	Refused uint64
}

// Load counts.
func (a *Agent) Load() Load {
	l := Load{Connections: int(a.connections.Load()), Sources: a.sources.size(), Refused: a.refused.Load()}
	a.txMu.Lock()
	l.Transactions = len(a.servers) + len(a.clients)
	a.txMu.Unlock()
	a.callMu.Lock()
	l.Calls = len(a.calls)
	a.callMu.Unlock()
	return l
}

// listenPort is where peers reach us by a transport: the port of the socket on that address, or of any.
func (a *Agent) listenPort(t Transport, local netip.Addr) uint16 {
	a.mu.Lock()
	defer a.mu.Unlock()
	port := uint16(0)
	for _, l := range a.listening {
		if l.want.Transport != t {
			continue
		}
		if ip := l.have.Address.Addr(); ip == local || ip.IsUnspecified() {
			return l.have.Address.Port()
		}
		if port == 0 {
			port = l.have.Address.Port()
		}
	}
	return port
}

// sentBy is our address in Via, with port.
func (a *Agent) sentBy(p path) string {
	local := p.local.Addr()
	if local.IsUnspecified() {
		local = routeFrom(p.remote.Addr())
	}
	port := p.local.Port()
	if p.transport != UDP {
		if port = a.listenPort(p.transport, local); port == 0 {
			port = p.local.Port()
		}
	}
	return netip.AddrPortFrom(local, port).String()
}

// contact is the value of our Contact header.
func (a *Agent) contact(user, domain string, p path, sips bool) string {
	host := domain
	if host == "" && a.o.Contact != nil {
		host = a.o.Contact(p.transport, p.local)
	}
	if host == "" {
		host = a.sentBy(p)
	}
	b := make([]byte, 0, 96)
	b = append(b, "<sip"...)
	if sips {
		b = append(b, 's') // RFC 3261 12.1.1
	}
	b = append(b, ':')
	if user != "" {
		b = append(append(b, user...), '@')
	}
	b = append(b, host...)
	if p.transport != UDP {
		b = append(append(b, ";transport="...), p.transport...)
	}
	return string(append(b, '>'))
}

// viaValue writes a Via of ours.
func (a *Agent) viaValue(p path) (string, via) {
	v := via{transport: strings.ToUpper(string(p.transport)), branch: cookie + random(16), rport: true}
	return "SIP/2.0/" + v.transport + " " + a.sentBy(p) + ";branch=" + v.branch + ";rport", v
}

// random is n hexadecimal digits that nobody guesses.
func random(n int) string {
	b := make([]byte, (n+1)/2)
	rand.Read(b)
	return hex.EncodeToString(b)[:n]
}

// receive takes one message off the wire. false: a stream cannot go on after it.
func (a *Agent) receive(b []byte, p path) bool {
	a.trace(true, p, b)
	if p.conn == nil && (len(b) > a.limits.Header+a.limits.Body) {
		return true
	}
	m, f := parse(b)
	if m == nil {
		return p.conn == nil
	}
	m.path = p
	if f == nil && p.conn == nil {
		if end := headEnd(b); end > a.limits.Header && m.request() {
			f = &fault{513, "the message is too long"}
		}
	}
	if !m.request() {
		if f == nil {
			a.response(m)
		}
		return true
	}
	if f != nil {
		if m.answerable() && a.mayAnswer(m) {
			a.answer(m, f.code, f.why)
		}
		return true
	}
	a.requested(m)
	return true
}

// mayAnswer takes a token of the sender's.
func (a *Agent) mayAnswer(m *message) bool {
	ok, _, _ := a.sources.admit(m.path.remote.Addr(), time.Now())
	if !ok {
		a.refused.Add(1)
	}
	return ok
}

func (a *Agent) response(m *message) {
	a.txMu.Lock()
	tx := a.clients[m.via.branch+"\x00"+m.cseqMethod]
	a.txMu.Unlock()
	if tx == nil {
		return
	}
	// An answer must come from where the request went: others could guess nothing, but a copy can go astray.
	if tx.path.remote.Addr() != m.path.remote.Addr() && tx.path.conn != nil {
		return
	}
	tx.receive(m)
}

// allowed are the methods that we know, as Allow has them.
const allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY"

// supported are the extensions that we know. What a far end may require besides is nothing.
const supported = "100rel, timer, replaces, norefersub"

var known = map[string]bool{"INVITE": true, "ACK": true, "CANCEL": true, "BYE": true, "OPTIONS": true, "INFO": true, "PRACK": true, "UPDATE": true,
	"REFER": true, "NOTIFY": true}

// others are methods that exist and that we do not take (405); what is not known at all gets 501.
var others = map[string]bool{"REGISTER": true, "SUBSCRIBE": true, "MESSAGE": true, "PUBLISH": true}

// requested handles a request that is well formed.
func (a *Agent) requested(m *message) {
	// The transaction comes first: a retransmission is none of the checks' business (RFC 3261 8.2).
	method := m.method
	if method == "ACK" || method == "CANCEL" {
		method = "INVITE"
	}
	a.txMu.Lock()
	tx := a.servers[serverKey(m, method)]
	a.txMu.Unlock()
	switch {
	case m.method == "ACK":
		a.acknowledged(m, tx)
		return
	case m.method == "CANCEL":
		a.canceled(m, tx)
		return
	case tx != nil:
		tx.again()
		return
	}
	if m.to.tag != "" {
		a.inDialog(m)
		return
	}
	now := time.Now()
	ok, verified, tell := a.sources.admit(m.path.remote.Addr(), now)
	if !ok {
		a.refused.Add(1)
		if tell {
			a.complain("sip: too many requests", "from", m.path.remote.Addr())
			a.overloaded(m)
		}
		return
	}
	switch {
	case others[m.method]:
		a.answer(m, 405, "")
		return
	case !known[m.method]:
		a.answer(m, 501, "")
		return
	}
	u, f := parseURI(m.called())
	switch {
	case f != nil:
		a.answer(m, 400, "request URI: "+f.why)
		return
	case !u.sip():
		a.answer(m, 416, "")
		return
	case u.headers != "":
		a.answer(m, 400, "the request URI has headers")
		return
	}
	if !a.extensions(m) {
		return
	}
	switch m.method {
	case "INVITE":
		if a.draining.Load() {
			a.overloaded(m)
			return
		}
		a.invited(m, m.path.transport == UDP && !verified)
	case "OPTIONS":
		a.answer(m, 200, "")
	case "REFER":
		a.answer(m, 403, "only in a call")
	default:
		a.answer(m, 481, "")
	}
}

// extensions answers 420 to a request that requires what we do not have (RFC 3261 8.2.2.3).
func (a *Agent) extensions(m *message) bool {
	var unknown []string
	for _, name := range [...]string{"Require", "Proxy-Require"} {
		for _, e := range m.list(name) {
			if name == "Proxy-Require" {
				// For proxies only; we are none, and RFC 4475 3.3.5 wants both in the answer where one is refused.
				if len(unknown) > 0 {
					unknown = append(unknown, e)
				}
				continue
			}
			switch strings.ToLower(e) {
			case "100rel", "timer", "replaces", "norefersub":
			default:
				unknown = append(unknown, e)
			}
		}
	}
	if len(unknown) == 0 {
		return true
	}
	r := a.responseTo(m, 420, "", a.statelessTag(m))
	r.add("Unsupported", strings.Join(unknown, ", "))
	a.sendAnswer(m.path, r, r.write(nil))
	return false
}

// acknowledged passes on an ACK: to its transaction, or to the call whose 2xx it is for.
func (a *Agent) acknowledged(m *message, tx *serverTx) {
	if m.to.tag == "" {
		return
	}
	if c := a.callByTag(m.to.tag); c != nil {
		// Our tag is nothing that one could guess: the sender gets our answers.
		if m.path.transport == UDP && c.callID == m.callID {
			a.sources.verify(m.path.remote.Addr(), time.Now())
		}
	}
	if tx != nil {
		tx.mu.Lock()
		state := tx.state
		tx.mu.Unlock()
		if state != txAccepted {
			if tx.guarded && tx.ourTag(m.to.tag) {
				a.sources.verify(m.path.remote.Addr(), time.Now())
			}
			tx.acked()
			return
		}
	}
	if c := a.callByTag(m.to.tag); c != nil {
		c.acknowledged(m)
	}
}

// ourTag says whether a To tag is that of the answer that was sent.
func (tx *serverTx) ourTag(tag string) bool {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	return len(tag) >= 8 && strings.Contains(string(tx.last), ";tag="+tag)
}

func (a *Agent) canceled(m *message, tx *serverTx) {
	if tx == nil {
		if a.mayAnswer(m) {
			a.answer(m, 481, "")
		}
		return
	}
	tag := ""
	if tx.call != nil {
		tag = tx.call.localTag
	} else {
		tag = a.statelessTag(m)
	}
	r := a.responseTo(m, 200, "", tag)
	a.sendAnswer(m.path, r, r.write(nil))
	if tx.call != nil {
		tx.call.canceled(tx, m)
	}
}

func (a *Agent) callByTag(tag string) *Call {
	a.callMu.Lock()
	defer a.callMu.Unlock()
	return a.calls[tag]
}

func (a *Agent) allCalls() []*Call {
	calls := make([]*Call, 0, len(a.calls))
	for _, c := range a.calls {
		calls = append(calls, c)
	}
	return calls
}

// inDialog finds the call of a request with a To tag.
func (a *Agent) inDialog(m *message) {
	c := a.callByTag(m.to.tag)
	if c == nil || !c.matches(m) {
		if a.mayAnswer(m) {
			a.answer(m, 481, "")
		}
		return
	}
	if !known[m.method] {
		if !a.mayAnswer(m) {
			return
		}
		if others[m.method] {
			a.answer(m, 405, "")
		} else {
			a.answer(m, 501, "")
		}
		return
	}
	if !c.admit() {
		a.refused.Add(1)
		return
	}
	if !a.extensions(m) {
		return
	}
	tx := a.serve(m, false, c)
	if tx == nil {
		a.overloaded(m)
		return
	}
	c.requested(m, tx)
}

// statelessTag is the To tag of an answer that nothing is remembered of: the same for the same request (RFC 3261 8.2.7).
func (a *Agent) statelessTag(m *message) string {
	var h maphash.Hash
	h.SetSeed(a.seed)
	h.WriteString(m.callID)
	h.WriteByte(0)
	h.WriteString(m.from.tag)
	h.WriteByte(0)
	h.WriteString(m.via.branch)
	return strconv.FormatUint(h.Sum64(), 36)
}

// answer sends an answer and keeps nothing. why takes the place of the usual phrase.
func (a *Agent) answer(m *message, code int, why string) {
	r := a.responseTo(m, code, why, a.statelessTag(m))
	if code == 405 || code == 501 || code == 200 {
		r.add("Allow", allowed)
	}
	if code == 200 {
		r.add("Accept", "application/sdp")
		r.add("Supported", supported)
	}
	if code == 416 && m.to.uri.scheme == "" {
		r.reason = "only sip and sips"
	}
	a.sendAnswer(m.path, r, r.write(make([]byte, 0, 512)))
}

func (a *Agent) overloaded(m *message) {
	if m.method == "ACK" {
		return
	}
	r := a.responseTo(m, 503, "", a.statelessTag(m))
	r.add("Retry-After", "5")
	a.sendAnswer(m.path, r, r.write(make([]byte, 0, 512)))
}

// responseTo builds an answer with what it repeats of the request (RFC 3261 8.2.6).
func (a *Agent) responseTo(m *message, code int, why, tag string) *message {
	if why == "" {
		why = phrase(code)
	}
	r := &message{code: code, reason: why, headers: make([]Header, 0, len(m.headers)+8), cseqMethod: m.method}
	first := true
	for _, h := range m.headers {
		if h.Name != "Via" {
			continue
		}
		if first {
			first = false
			h.Value = stampVia(h.Value, m)
			r.via, r.path = m.via, m.path
		}
		r.headers = append(r.headers, h)
	}
	for _, name := range [...]string{"From", "To", "Call-ID", "CSeq"} {
		v := m.get(name)
		if v == "" {
			continue
		}
		if name == "To" && code > 100 && m.to.tag == "" && tag != "" {
			v += ";tag=" + tag
		}
		r.add(name, v)
	}
	if code == 100 {
		if v := m.get("Timestamp"); v != "" {
			r.add("Timestamp", v)
		}
	}
	if a.o.Advertise != "" && code >= 200 {
		r.add("Server", a.o.Advertise)
	}
	return r
}

// stampVia adds to the top Via where the request came from: received when the Via names another address or a name (RFC 3261 18.2.1), and always beside
// rport, which gets its value (RFC 3581 4). What the sender wrote there itself does not count. All other parameters stay as they are.
func stampVia(value string, m *message) string {
	ip := m.path.remote.Addr().Unmap().WithZone("")
	if !ip.IsValid() {
		return value
	}
	top, rest := cutElement(value)
	head, params, _ := strings.Cut(top, ";")
	var b strings.Builder
	b.Grow(len(value) + 40)
	b.WriteString(strings.TrimRight(head, " \t"))
	for params != "" {
		name, _, _, after := cutParam(params)
		one := strings.TrimSuffix(params[:len(params)-len(after)], ";")
		params = after
		switch {
		case equalFold(name, "received"):
		case equalFold(name, "rport"):
			b.WriteString(";rport=" + strconv.Itoa(int(m.path.remote.Port())))
		default:
			b.WriteString(";" + strings.Trim(one, " \t"))
		}
	}
	if host, err := netip.ParseAddr(m.via.host); m.via.rport || err != nil || host.Unmap() != ip {
		b.WriteString(";received=" + ip.String())
	}
	if rest != "" {
		b.WriteString(", " + rest)
	}
	return b.String()
}

// back is the way of an answer: to where the request came from, but over UDP to the port of its Via when it did not ask for better (RFC 3581). The
// address is always that of the sender: a received or maddr parameter that he wrote (RFC 3261 18.2.2) would have us answer to whomever he likes.
func back(p path, m *message) path {
	if p.transport == UDP && !m.via.rport {
		port := m.via.port
		if port == 0 {
			port = 5060
		}
		p.remote = netip.AddrPortFrom(p.remote.Addr(), port)
	}
	return p
}

// sendAnswer sends an answer where the request came from; when that connection is gone, over a new one to where the request says that it was sent
// from (RFC 3261 18.2.2).
func (a *Agent) sendAnswer(p path, m *message, b []byte) {
	if p.transport == UDP {
		p = back(p, m)
		if err := a.send(p, b); err != nil {
			a.log.Debug("sip: send answer", "to", p.remote, "error", err)
		}
		return
	}
	if p.conn.alive() {
		if a.send(p, b) == nil {
			return
		}
	}
	if m.code < 200 || m.via.host == "" {
		return
	}
	port := m.via.port
	if port == 0 {
		if port = 5060; p.transport == TLS {
			port = 5061
		}
	}
	host := ""
	if _, err := netip.ParseAddr(m.via.host); err != nil {
		host = m.via.host
	}
	to := Target{p.transport, netip.AddrPortFrom(p.remote.Addr(), port), host}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), a.limits.Connect)
		defer cancel()
		if q, err := a.reach(ctx, to); err == nil {
			a.send(q, b)
		}
	}()
}

// Ping asks t whether it is there (OPTIONS). Any answer but 408 and 503 is yes.
func (a *Agent) Ping(ctx context.Context, t Target) error {
	p, err := a.reach(ctx, t)
	if err != nil {
		return err
	}
	host := t.Host
	if host == "" {
		host = t.Address.String()
	}
	m := &message{method: "OPTIONS", uri: "sip:" + host, callID: random(32), cseq: 1}
	if p.transport != UDP {
		m.uri += ";transport=" + string(p.transport)
	}
	value, v := a.viaValue(p)
	m.via = v
	m.add("Via", value)
	m.add("Max-Forwards", "70")
	from := "<sip:" + a.sentBy(p) + ">"
	m.add("From", from+";tag="+random(16))
	m.add("To", "<sip:"+host+">")
	m.add("Call-ID", m.callID)
	m.add("CSeq", "1 OPTIONS")
	m.add("Contact", a.contact("", "", p, false))
	m.add("Accept", "application/sdp")
	if a.o.Advertise != "" {
		m.add("User-Agent", a.o.Advertise)
	}
	result := make(chan error, 2)
	tx := a.request(m, p, func(r *message) {
		switch {
		case r.code < 200:
		case r.code == 408 || r.code == 503:
			result <- fmt.Errorf("%s answers %d %s", t.Address, r.code, r.reason)
		default:
			result <- nil
		}
	}, func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		tx.lost(ctx.Err())
		return ctx.Err()
	case <-a.done:
		return errClosing
	}
}
