package callbridge

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun/v4"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/store"
)

const (
	// stunPort is where TURN servers answer by UDP.
	stunPort = 3478
	// stunTries questions are asked, each waited for stunWait: a lost packet is no server that is down.
	stunTries = 3
	stunWait  = 500 * time.Millisecond
	// maxTURNHosts of a name are asked.
	maxTURNHosts = 16
)

// turnHosts asks the hosts behind a turnServer's address (turnServers/<id>/status): whether they answer a STUN question (RFC 8489), how soon,
// and as whom they see this machine. How many allocations a server has, no question tells.
func (b *bridge) turnHosts(ctx context.Context, r *store.Record) []api.TURNHost {
	if r == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stunTries*stunWait+time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", r.Text("serverAddress"))
	if err != nil {
		return nil // a name that does not exist has no hosts
	}
	list := make([]api.TURNHost, min(len(addresses), maxTURNHosts))
	var asked sync.WaitGroup
	for i := range list {
		asked.Go(func() { list[i] = askTURN(ctx, netip.AddrPortFrom(addresses[i].Unmap(), stunPort)) })
	}
	asked.Wait()
	return list
}

// askTURN asks one host.
func askTURN(ctx context.Context, at netip.AddrPort) api.TURNHost {
	h := api.TURNHost{Address: at.Addr().String(), Port: int(at.Port()), AllocationsUnknown: true}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", at.String())
	if err != nil {
		return h
	}
	defer conn.Close()
	for range stunTries {
		question, err := stun.Build(stun.TransactionID, stun.BindingRequest)
		if err != nil {
			return h
		}
		began := time.Now()
		if _, err := conn.Write(question.Raw); err != nil {
			continue // a closed port is told of what was sent before
		}
		mapped, err := mappedAddress(conn, question.TransactionID, began.Add(stunWait))
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			continue
		}
		h.Reachable, h.RoundTrip = true, time.Since(began)
		h.Mapped, h.MappedPort = mapped.IP.String(), mapped.Port
		break
	}
	return h
}

// mappedAddress reads until the answer to a question comes.
func mappedAddress(conn net.Conn, id [stun.TransactionIDSize]byte, until time.Time) (*stun.XORMappedAddress, error) {
	if err := conn.SetReadDeadline(until); err != nil {
		return nil, err
	}
	buffer := make([]byte, 1500)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		if mapped, err := parseMapped(buffer[:n], id); err == nil {
			return mapped, nil
		}
	}
}

var errNoAnswer = errors.New("not the answer to the question")

func parseMapped(packet []byte, id [stun.TransactionIDSize]byte) (*stun.XORMappedAddress, error) {
	m := &stun.Message{Raw: bytes.Clone(packet)}
	if err := m.Decode(); err != nil {
		return nil, err
	}
	if m.Type != stun.BindingSuccess || m.TransactionID != id {
		return nil, errNoAnswer
	}
	var mapped stun.XORMappedAddress
	if err := mapped.GetFrom(m); err != nil {
		return nil, err
	}
	return &mapped, nil
}
