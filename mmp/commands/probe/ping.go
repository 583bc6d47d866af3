package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
)

// Timing and size of echo requests, as ping(8) has them.
const (
	echoInterval = time.Second
	echoTimeout  = 2 * time.Second
	echoHeader   = 8
	echoData     = 56
)

// Echo is the outcome of one echo request.
type Echo struct {
	Seq int
	Answer
	// Bytes is the size of the ICMP message that came back, Hops its time to live.
	Bytes, Hops int
}

// Ping sends count echo requests, one a second, and reports each one.
func (Prober) Ping(ctx context.Context, to netip.Addr, count int, each func(Echo)) error {
	s, err := open(to, true)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: the kernel does not let this group send echo requests (net.ipv4.ping_group_range)", err)
	}
	if err != nil {
		return err
	}
	defer s.close()
	token := make([]byte, echoData)
	if _, err := rand.Read(token); err != nil {
		return err
	}
	next := time.NewTicker(echoInterval)
	defer next.Stop()
	for seq := 1; seq <= count; seq++ {
		e, err := s.echo(ctx, to, seq, token)
		if err != nil {
			return err
		}
		each(e)
		if seq == count {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next.C:
		}
	}
	return nil
}

func (s *socket) echo(ctx context.Context, to netip.Addr, seq int, token []byte) (Echo, error) {
	request := make([]byte, echoHeader, echoHeader+len(token))
	request[0] = 8 // RFC 792 echo; the kernel fills in identifier and checksum
	reply := byte(0)
	if s.six {
		request[0], reply = 128, 129 // RFC 4443 section 4
	}
	binary.BigEndian.PutUint16(request[6:], uint16(seq))
	request = append(request, token...)

	sent := time.Now()
	if err := s.send(netip.AddrPortFrom(to, 0), request); err != nil {
		return Echo{}, err
	}
	for {
		e, err := s.receive(ctx, sent.Add(echoTimeout))
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return Echo{Seq: seq}, nil
		case err != nil:
			return Echo{}, err
		}
		if e.err != nil {
			// The queue holds the request that the error is about.
			if !isEcho(e.payload, request[0], seq, token) {
				continue
			}
			return Echo{Seq: seq, Answer: Answer{From: e.from, RTT: e.at.Sub(sent), Problem: problem(e.err)}}, nil
		}
		if isEcho(e.payload, reply, seq, token) {
			return Echo{Seq: seq, Answer: Answer{From: e.from, RTT: e.at.Sub(sent)}, Bytes: len(e.payload), Hops: e.hops}, nil
		}
	}
}

// isEcho recognises a message of ours: a late one has another sequence number. Routers may quote as little as eight
// bytes of what they could not deliver (RFC 792), so a shorter token is enough.
func isEcho(message []byte, kind byte, seq int, token []byte) bool {
	return len(message) >= echoHeader && message[0] == kind &&
		binary.BigEndian.Uint16(message[6:]) == uint16(seq) && bytes.HasPrefix(token, message[echoHeader:])
}
