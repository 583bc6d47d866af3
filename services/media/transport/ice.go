package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v4"

	"rotunda/services/media/control"
)

const (
	// maxCandidates bounds the remote candidates of one generation. Each is paired with each local one and checked, so that
	// the list is an amplifier in the hands of a bad peer (RFC 8445, section 19.5.1, proposes 100 pairs).
	maxCandidates = 32
	// hostWait is how long Open waits for the candidates that are known without asking anybody. They come in microseconds.
	hostWait = time.Second
)

// agent is the ICE side of an endpoint.
type agent struct {
	e       *Endpoint
	mux     *mux
	ice     *ice.Agent
	servers *serverNet
	relay   *relay        // over the connection of the agent, when TURN servers are given
	hosts   chan struct{} // one token: all candidates that need no server are there, or gathering is over

	// Only Update and Close touch what follows, one at a time.
	restart  int
	ufrag    string
	password string
	remote   []string
	started  bool

	selected sync.Mutex // one change of the pair at a time
}

// newAgent makes the agent without starting to gather.
func newAgent(e *Endpoint, want *control.ICE) (*agent, error) {
	a := &agent{e: e, servers: newServerNet(e.loop.net), restart: want.Restart, hosts: make(chan struct{}, 1)}
	a.mux = newMux(a, e.sockets[0])
	options := []ice.AgentOption{
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithNet(a.servers),
		ice.WithLoggerFactory(silentLogs),
		ice.WithUDPMux(a.mux),
		// Any working path will do sooner than a slightly better one: our own candidates are nearly always host candidates, and
		// what the peer has not signalled is only known as peer-reflexive.
		ice.WithSrflxAcceptanceMinWait(100 * time.Millisecond),
		ice.WithPrflxAcceptanceMinWait(100 * time.Millisecond),
		ice.WithRelayAcceptanceMinWait(500 * time.Millisecond),
	}
	switch {
	case want.Lite:
		options = append(options, ice.WithICELite(true), ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}))
	case want.RelayOnly:
		options = append(options, ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeRelay}))
	default:
		options = append(options, ice.WithUDPMuxSrflx(reflexiveMux{a.mux}),
			ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost, ice.CandidateTypeServerReflexive, ice.CandidateTypeRelay}))
	}
	if !want.Lite && len(want.Servers) > 0 {
		urls, err := serverURLs(want.Servers)
		if err != nil {
			return nil, err
		}
		options = append(options, ice.WithUrls(urls))
		a.relay = newRelay(e)
	}
	var err error
	if a.ice, err = ice.NewAgentWithOptions(options...); err != nil {
		a.servers.shut()
		return nil, fmt.Errorf("make ice agent: %w", err)
	}
	_ = a.ice.OnCandidate(a.candidate)
	_ = a.ice.OnConnectionStateChange(a.state)
	_ = a.ice.OnSelectedCandidatePairChange(a.pair)
	e.phase.ice = running
	return a, nil
}

// gather begins to gather candidates under the agent's present credentials, and waits for those that need no server.
func (a *agent) gather() error {
	ufrag, password, err := a.ice.GetLocalUserCredentials()
	if err != nil {
		return fmt.Errorf("read ice credentials: %w", err)
	}
	a.e.mu.Lock()
	a.e.local.Ufrag, a.e.local.Password = ufrag, password
	a.e.local.Candidates, a.e.local.Gathered = nil, false
	relayOnly := a.e.wanted.ICE != nil && a.e.wanted.ICE.RelayOnly
	a.e.mu.Unlock()
	select {
	case <-a.hosts:
	default:
	}
	if err := a.ice.GatherCandidates(); err != nil {
		return fmt.Errorf("gather candidates: %w", err)
	}
	if relayOnly {
		return nil
	}
	wait := time.NewTimer(hostWait)
	defer wait.Stop()
	select {
	case <-a.hosts:
	case <-wait.C:
	}
	return nil
}

// candidate takes a local candidate from the agent, nil for the end.
func (a *agent) candidate(c ice.Candidate) {
	e := a.e
	e.mu.Lock()
	if c == nil {
		e.local.Gathered = true
	} else if line := c.Marshal(); !slices.Contains(e.local.Candidates, line) {
		e.local.Candidates = append(e.local.Candidates, line)
	}
	hosts := 0
	for _, line := range e.local.Candidates {
		if strings.Contains(line, " typ host") {
			hosts++
		}
	}
	enough := e.local.Gathered || hosts == len(e.sockets[0])
	e.mu.Unlock()
	if enough {
		select {
		case a.hosts <- struct{}{}:
		default:
		}
	}
	local := e.Local()
	e.loop.post(func() {
		if !e.closed.Load() {
			e.handler.Candidates(local)
		}
	})
}

// update hands what is new of the remote half to the agent.
func (a *agent) update(want *control.ICE) error {
	if want.Restart > a.restart {
		a.restart = want.Restart
		a.ufrag, a.password, a.remote = "", "", nil
		if err := a.ice.Restart("", ""); err != nil {
			return fmt.Errorf("restart ice: %w", err)
		}
		a.e.advance(func(p *phase) { p.ice = running }, "")
		if err := a.gather(); err != nil {
			return err
		}
	}
	if want.Ufrag != "" && want.Password != "" && (want.Ufrag != a.ufrag || want.Password != a.password) {
		a.ufrag, a.password = want.Ufrag, want.Password
		if err := a.start(want); err != nil {
			return err
		}
	}
	for _, line := range want.Candidates {
		if slices.Contains(a.remote, line) {
			continue
		}
		if len(a.remote) == maxCandidates {
			return fmt.Errorf("more than %d remote candidates", maxCandidates)
		}
		a.remote = append(a.remote, line)
		c, err := ice.UnmarshalCandidate(line)
		if err != nil {
			return fmt.Errorf("remote candidate: %w", err)
		}
		// TCP candidates, and names of mDNS which nobody resolves for us: the peer's checks make them peer-reflexive.
		if _, err := netip.ParseAddr(c.Address()); err != nil || !c.NetworkType().IsUDP() || c.Component() != 1 {
			continue
		}
		if err := a.ice.AddRemoteCandidate(c); err != nil {
			return fmt.Errorf("remote candidate: %w", err)
		}
	}
	return nil
}

// start begins the checks, or goes on under new credentials.
func (a *agent) start(want *control.ICE) error {
	if a.started {
		if err := a.ice.SetRemoteCredentials(a.ufrag, a.password); err != nil {
			return fmt.Errorf("set ice credentials: %w", err)
		}
		return nil
	}
	a.started = true
	dial := a.ice.StartAccept
	if want.Controlling {
		dial = a.ice.StartDial
	}
	conn, err := dial(a.ufrag, a.password)
	if err != nil {
		return fmt.Errorf("start ice: %w", err)
	}
	if a.relay != nil {
		a.relay.start(conn)
	}
	return nil
}

// pair takes the pair that the agent has selected.
func (a *agent) pair(local, remote ice.Candidate) {
	addr, err := netip.ParseAddr(remote.Address())
	if err != nil {
		return
	}
	to := netip.AddrPortFrom(addr, uint16(remote.Port()))
	a.selected.Lock()
	defer a.selected.Unlock()
	if local.Type() == ice.CandidateTypeRelay {
		a.relay.name(net.JoinHostPort(local.Address(), strconv.Itoa(local.Port())), to.String())
		a.e.out.choose(nil, sockaddr{}, a.relay)
		a.e.lock(relayed, a.e.sockets[0][0])
	} else {
		via := a.mux.socketOf(local)
		if via == nil {
			return
		}
		a.e.out.choose(via, newSockaddr(to), nil)
		a.e.lock(newSockaddr(to), via)
	}
	a.e.advance(func(p *phase) { p.ice = done }, "")
	if a.e.dtls != nil {
		a.e.dtls.reachable()
	}
}

// state follows the agent's. Between "disconnected" and "failed" there are 30 s in which consent holds (RFC 7675), and media
// goes on; after that nothing may be sent.
func (a *agent) state(s ice.ConnectionState) {
	switch s {
	case ice.ConnectionStateFailed:
		a.e.out.choose(nil, sockaddr{}, nil)
		a.e.advance(func(p *phase) { p.ice = failed }, "no ice pair works")
	case ice.ConnectionStateClosed:
		a.e.out.choose(nil, sockaddr{}, nil)
	}
}

// close ends the agent. Its TURN client may need a second to notice; the loop waits for that, the endpoint does not.
// Meanwhile the endpoint refuses what the agent still wants to send.
func (a *agent) close() {
	a.e.loop.leaving.Go(func() {
		a.servers.shut()
		_ = a.ice.GracefulClose()
		if a.relay != nil {
			a.relay.close()
		}
	})
}

var errNoSocket = errors.New("no socket with this address")
