package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// answer is the peer: every call is answered at once, by the same answer.
func answer(ctx context.Context) error {
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	ua, err := sipgo.NewUA()
	if err != nil {
		return err
	}
	defer ua.Close()
	server, err := sipgo.NewServer(ua)
	if err != nil {
		return err
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	body := description(9000)
	server.OnInvite(func(req *sip.Request, tx sip.ServerTransaction) {
		r := sip.NewSDPResponseFromRequest(req, body)
		r.AppendHeader(&sip.ContactHeader{Address: req.Recipient})
		_ = tx.Respond(r)
	})
	server.OnAck(func(*sip.Request, sip.ServerTransaction) {})
	server.OnBye(func(req *sip.Request, tx sip.ServerTransaction) {
		_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "OK", nil))
	})
	fmt.Println("listens at", c.LocalAddr())
	go func() {
		<-ctx.Done()
		_ = c.Close()
	}()
	if err := server.ServeUDP(c); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// description is an offer, or an answer, of sound.
func description(port int) []byte {
	return fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0 8 9 101\r\n"+
		"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n", port)
}
