package lookup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// udpSize is what fits into a packet nearly everywhere (DNS flag day 2020).
const udpSize = 1232

// exchange asks one server: by UDP with EDNS, without EDNS when the server cannot, by TCP when the answer is too long.
func (r *Resolver) exchange(ctx context.Context, server netip.AddrPort, q question, patience time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	edns := true
	for network := "udp"; ; {
		began := r.o.Now()
		m, err := send(ctx, network, server, q, edns)
		if r.o.Trace != nil {
			r.o.Trace(Trace{At: began, Took: r.o.Now().Sub(began), Server: server, Network: network, Name: strings.TrimSuffix(q.name, "."),
				Type: dns.TypeToString[q.kind], Result: summary(m, err)})
		}
		switch {
		case err != nil:
			return nil, err
		case m.Truncated && network == "udp":
			network = "tcp"
			continue
		case m.Rcode == dns.RcodeSuccess, m.Rcode == dns.RcodeNameError:
			return m, nil
		case edns && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented || m.Rcode == dns.RcodeBadVers):
			edns = false
			continue
		}
		return nil, saysError(rcode(m.Rcode))
	}
}

// saysError is a server that answered that it cannot answer.
type saysError string

func (e saysError) Error() string { return "the server says " + string(e) }

// send asks once and waits for the one answer that belongs to the question.
func send(ctx context.Context, network string, server netip.AddrPort, q question, edns bool) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.kind)
	if edns {
		m.SetEdns0(udpSize, false)
	}
	b, err := m.Pack()
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	// A socket of its own for every question: its port is hard to guess, and it takes packets of this server only.
	c, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	if network == "tcp" {
		b = append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
	}
	if _, err := c.Write(b); err != nil {
		return nil, err
	}
	buf := make([]byte, udpSize)
	// Strays are passed over; a few thousand of them are somebody who guesses.
	for range 4096 {
		var got []byte
		if network == "tcp" {
			var length [2]byte
			if _, err := io.ReadFull(c, length[:]); err != nil {
				return nil, err
			}
			got = make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(c, got); err != nil {
				return nil, err
			}
		} else {
			n, err := c.Read(buf)
			if err != nil {
				return nil, err
			}
			got = buf[:n]
		}
		if a, ok := parse(got, m.Id, q); ok {
			return a, nil
		}
	}
	return nil, errors.New("the server sends other answers than those asked for")
}

// parse reads a message, when it is the answer to the question.
func parse(b []byte, id uint16, q question) (*dns.Msg, bool) {
	m := new(dns.Msg)
	err := m.Unpack(b)
	if m.Id != id || !m.Response || m.Opcode != dns.OpcodeQuery {
		return nil, false
	}
	if err != nil && !m.Truncated {
		return nil, false
	}
	if len(m.Question) == 0 && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented || m.Rcode == dns.RcodeServerFailure) {
		return m, true // some servers say nothing but that they did not understand
	}
	if len(m.Question) != 1 || !strings.EqualFold(m.Question[0].Name, q.name) || m.Question[0].Qtype != q.kind || m.Question[0].Qclass != dns.ClassINET {
		return nil, false
	}
	return m, true
}

func rcode(n int) string {
	if s := dns.RcodeToString[n]; s != "" {
		return s
	}
	return fmt.Sprintf("code %d", n)
}

// summary is the answer in one short line.
func summary(m *dns.Msg, err error) string {
	if err != nil {
		return err.Error()
	}
	if m.Truncated {
		return "truncated"
	}
	if m.Rcode != dns.RcodeSuccess {
		return rcode(m.Rcode)
	}
	if len(m.Answer) == 0 {
		return "no records"
	}
	var parts []string
	for i, rr := range m.Answer {
		if i == 8 {
			parts = append(parts, fmt.Sprintf("and %d more", len(m.Answer)-i))
			break
		}
		h := rr.Header()
		parts = append(parts, fmt.Sprintf("%s %.120s (%d s)", dns.TypeToString[h.Rrtype], strings.TrimPrefix(rr.String(), h.String()), h.Ttl))
	}
	return strings.Join(parts, "; ")
}
