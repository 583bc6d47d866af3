package turn

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"
	"golang.org/x/sys/unix"
)

// front stands before one of pion's servers: one for each lane, plain socket and TCP connection. It decides about every
// STUN message before pion sees it, and makes the relays that pion asks for. All of it is called on the goroutine that
// reads for pion, one message at a time, so that it may remember what pion is working on.
type front struct {
	server   *Server
	site     *site
	counters *counters
	limiter  *limiter
	// realm is the one that pion was made with.
	realm string
	// find gives the allocation of a client, send sends a message of ours.
	find func(address) *allocation
	send func(message []byte, to address)
	// relay opens a relay port for a client and registers the allocation.
	relay func(a *allocation, local netip.Addr, port uint16) (net.PacketConn, error)

	message message
	// What pion works on: who asked, and what they have shown.
	source  address
	granted grant
	wish    wish
}

// start makes pion's server on a connection, with the front before it.
func (f *front) start(conn net.PacketConn) error {
	f.realm = f.server.credentials.Load().realm
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	_, err := pion.NewServer(pion.ServerConfig{
		PacketConnConfigs: []pion.PacketConnConfig{{PacketConn: conn, RelayAddressGenerator: f}},
		LoggerFactory:     quiet,
		Realm:             f.realm,
		// A relay is IPv4 unless the client says otherwise (RFC 8656 section 7.2), or there is no IPv4.
		StrictAddressFamily: f.server.own.Load().relay4.IsValid(),
		InboundMTU:          maxMessage + 1,
		PermissionTimeout:   f.server.permissionTime,
		ChannelBindTimeout:  f.server.channelTime,
		AuthHandler: func(r *pion.RequestAttributes) (string, []byte, bool) {
			return f.granted.user, f.granted.key, f.granted.key != nil && r.Username == f.granted.user
		},
		QuotaHandler: func(string, string, net.Addr) bool {
			if f.server.quotas.full(f.granted, f.source.ip) {
				f.counters.count(refusedQuota)
				return false
			}
			return true
		},
		EventHandler: pion.EventHandler{
			OnPermissionCreated: func(_, _ net.Addr, _, _, _ string, relay net.Addr, peer net.IP) {
				if a, ok := netip.AddrFromSlice(peer); ok {
					f.server.route(relay, func(r *allocation) { r.permit(ipOf(a)) })
				}
			},
			OnPermissionDeleted: func(_, _ net.Addr, _, _, _ string, relay net.Addr, peer net.IP) {
				if a, ok := netip.AddrFromSlice(peer); ok {
					f.server.route(relay, func(r *allocation) { r.forbid(ipOf(a)) })
				}
			},
			OnChannelCreated: func(_, _ net.Addr, _, _, _ string, relay, peer net.Addr, number uint16) {
				f.server.route(relay, func(r *allocation) { r.bind(f.server.channel(number, netAddress(peer))) })
			},
			OnChannelDeleted: func(_, _ net.Addr, _, _, _ string, relay, _ net.Addr, number uint16) {
				f.server.route(relay, func(r *allocation) { r.unbind(number) })
			},
		},
	})
	return err
}

// admit decides about a STUN message and returns what pion is to see of it, nil for nothing.
func (f *front) admit(raw []byte, from address) []byte {
	m := &f.message
	if !m.parse(raw) {
		f.counters.count(dropMalformed)
		return nil
	}
	f.source, f.granted, f.wish = from, grant{}, wish{}
	switch {
	case m.class == classIndication && len(m.unknown) > 0:
		// An indication that asks for what we do not know is dropped (RFC 8489 section 6.3.2).
		f.counters.count(dropUnexpected)
		return nil
	case m.class == classIndication && m.method == methodSend:
		if f.find(from) == nil {
			f.counters.count(dropNoAllocation)
			return nil
		}
		f.counters.count(requests)
		return raw
	case m.class != classRequest || !answered(m.method):
		// Answers to what we never asked are reflected, or probes.
		f.counters.count(dropUnexpected)
		return nil
	case m.method == methodBinding, m.integrity == 0:
		return f.limited(raw)
	}
	return f.authenticate(m)
}

func answered(method uint16) bool {
	switch method {
	case methodBinding, methodAllocate, methodRefresh, methodCreatePermission, methodChannelBind:
		return true
	}
	return false
}

// limited passes on what a stranger may ask, as long as the source has not had its share of answers.
func (f *front) limited(raw []byte) []byte {
	if !f.limiter.allow(f.source.ip, f.server.age()) {
		f.counters.count(dropLimited)
		return nil
	}
	f.counters.count(requests)
	return raw
}

// authenticate judges a request that is signed. An allocation belongs to who made it for its whole life: its requests are
// held against the key that it was made with, so that neither the end of a time-limited name nor new credentials cut a call.
func (f *front) authenticate(m *message) []byte {
	a := f.find(f.source)
	if a != nil && string(m.username) == a.user && m.authentic(a.key) {
		f.granted = a.grant
		return f.judge(m, a)
	}
	c := f.server.credentials.Load()
	key, result := c.check(m, time.Now())
	if result != granted {
		f.counters.count([...]counter{unknownUser: refusedUser, expiredUser: refusedExpired, wrongKey: refusedKey}[result])
		return f.limited(m.unsigned())
	}
	f.granted = grant{user: string(m.username), key: key, limited: c.secret != nil}
	if len(m.unknown) > 0 {
		f.refuseUnknown(m)
		return nil
	}
	if m.method == methodAllocate {
		if m.transport == byte(unix.IPPROTO_TCP) {
			f.refuse(m, stun.CodeUnsupportedTransProto)
			return nil
		}
		if !f.wishes(m) {
			return nil
		}
		f.counters.count(requests)
		return m.signed()
	}
	if a != nil {
		f.refuse(m, stun.CodeWrongCredentials)
	} else {
		f.refuse(m, stun.CodeAllocMismatch)
	}
	return nil
}

// judge looks at what the owner of an allocation asks.
func (f *front) judge(m *message, a *allocation) []byte {
	if len(m.unknown) > 0 {
		f.refuseUnknown(m)
		return nil
	}
	if m.method == methodCreatePermission || m.method == methodChannelBind {
		o := f.server.own.Load()
		for _, peer := range m.peers[:m.peerCount] {
			if !o.mayBePeer(peer, m.method == methodChannelBind) {
				f.counters.count(refusedPeer)
				f.refuse(m, stun.CodeForbidden)
				return nil
			}
		}
		if a.routes.Load().full(m) {
			f.counters.count(refusedPeer)
			f.refuse(m, stun.CodeInsufficientCapacity)
			return nil
		}
	}
	f.counters.count(requests)
	return m.signed()
}

// refuse answers a request whose sender is known.
func (f *front) refuse(m *message, code stun.ErrorCode, more ...stun.Setter) {
	answer := &stun.Message{}
	copy(answer.TransactionID[:], m.raw[8:headerLength])
	setters := append([]stun.Setter{answer, stun.NewType(stun.Method(m.method), stun.ClassErrorResponse), code}, more...)
	if answer.Build(append(setters, stun.MessageIntegrity(f.granted.key))...) == nil {
		f.send(answer.Raw, f.source)
	}
}

// refuseUnknown names attributes that the client wants understood, and that are not (RFC 8489 section 6.3.1). pion does so, too,
// but unsigned.
func (f *front) refuseUnknown(m *message) {
	var list stun.UnknownAttributes
	for _, kind := range m.unknown {
		list = append(list, stun.AttrType(kind))
	}
	f.refuse(m, stun.CodeUnknownAttribute, list)
}

// outgoing puts into pion's answer what pion does not know: the token of a reserved port, that there is no second address, and
// the realm of now, since pion keeps the one that it was made with.
func (f *front) outgoing(raw []byte) []byte {
	const allocateSuccess, errorResponse = 0x0103, 0x0110
	kind := binary.BigEndian.Uint16(raw)
	if kind == allocateSuccess {
		if a := f.find(f.source); a != nil && len(a.extra) > 0 {
			return withExtra(raw, a.extra, a.key)
		}
	}
	realm := f.server.credentials.Load().realm
	if realm == f.realm || kind&classMask != errorResponse {
		return raw
	}
	var code stun.ErrorCodeAttribute
	var nonce stun.Nonce
	in := &stun.Message{Raw: raw}
	if in.Decode() != nil || code.GetFrom(in) != nil || nonce.GetFrom(in) != nil {
		return raw
	}
	out := &stun.Message{TransactionID: in.TransactionID}
	if out.Build(out, in.Type, code.Code, nonce, stun.NewRealm(realm)) != nil {
		return raw
	}
	return out.Raw
}

// Validate, AllocatePacketConn, AllocateListener and AllocateConn are pion's RelayAddressGenerator.
func (f *front) Validate() error { return nil }

// AllocatePacketConn opens a relay for the request that pion works on.
func (f *front) AllocatePacketConn(c pion.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	o := f.server.own.Load()
	local, advertised := o.relay4, o.relay4
	if c.Network == "udp6" {
		local, advertised = o.relay6, o.relay6
	} else if o.public4.IsValid() {
		advertised = o.public4
	}
	if !local.IsValid() {
		f.counters.count(refusedPort)
		return nil, nil, errNoFamily
	}
	a := &allocation{grant: f.granted, site: f.site, client: f.source, extra: f.wish.extra}
	a.routes.Store(noRoutes)
	var conn net.PacketConn
	bind := func(port uint16) (err error) {
		a.port, a.advertised = port, address{ipOf(advertised), port}
		conn, err = f.relay(a, local, port)
		return err
	}
	if err := f.take(a, bind); err != nil {
		f.counters.count(refusedPort)
		return nil, nil, err
	}
	f.server.begin(a)
	f.counters.count(allocated)
	return conn, a.advertised.udp(), nil
}

var (
	errNoFamily = errors.New("no relay address of this family")
	errNoTCP    = errors.New("relays are for UDP only")
)

// portTaken tells that somebody else on this machine has the port.
func portTaken(err error) bool { return errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES) }

func (f *front) AllocateListener(pion.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errNoTCP
}

func (f *front) AllocateConn(pion.AllocateConnConfig) (net.Conn, error) { return nil, errNoTCP }
