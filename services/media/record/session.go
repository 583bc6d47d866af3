package record

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// openTime bounds connecting, handshakes and commands together.
	openTime = 15 * time.Second
	// writeTime bounds the writing of writePiece: below 50 kbit/s a stream is no stream.
	writeTime  = 10 * time.Second
	writePiece = 64 << 10
	// closeTime bounds the sending of the rest at the end.
	closeTime = 2 * time.Second
	// handshakeSize is that of C1, S1, C2 and S2 (RTMP 5.2).
	handshakeSize = 1536
)

// refusal is an error that the server itself reported.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }

// session is a connection on which a stream is published.
type session struct {
	conn   net.Conn
	in     *chunkReader
	stream uint32
	window uint64 // of acknowledgements
	acked  uint64
	// reply sends what a control message asks for.
	reply func(chunks []byte) error
}

// openSession connects, and publishes the stream.
func openSession(ctx context.Context, t target, config *tls.Config) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	conn, err := connect(ctx, t, config)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer stop()
	s := &session{conn: conn, in: newChunkReader(conn)}
	s.reply = func(b []byte) error { _, err := conn.Write(b); return err }
	if err = s.handshake(); err == nil {
		err = s.publish(t)
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer within %v: %w", openTime, ctx.Err())
		}
		return nil, err
	}
	return s, nil
}

// connect opens the connection. A peer that is gone is noticed after 25 s without, and 10 s with data on the way.
func connect(ctx context.Context, t target, config *tls.Config) (net.Conn, error) {
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control: func(_, _ string, c syscall.RawConn) error {
			var err error
			if e := c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(writeTime.Milliseconds()))
			}); e != nil {
				return e
			}
			return err
		},
	}
	if !t.tls {
		return dialer.DialContext(ctx, "tcp", t.address)
	}
	secure := tls.Dialer{NetDialer: &dialer, Config: config}
	return secure.DialContext(ctx, "tcp", t.address)
}

// handshake is the simple one (RTMP 5.2): ours is version, zeros and noise, and an echo of theirs.
func (s *session) handshake() error {
	b := make([]byte, 1+handshakeSize)
	b[0] = 3
	rand.Read(b[9:])
	if _, err := s.conn.Write(b); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if err := s.in.full(b); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if b[0] != 3 {
		return fmt.Errorf("handshake: version %d: not an RTMP server", b[0])
	}
	if _, err := s.conn.Write(b[1:]); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if err := s.in.full(b[1:]); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	return nil
}

// Transaction numbers of the commands.
const (
	doConnect = iota + 1
	doReleaseStream
	doPublishPrepare
	doCreateStream
	doPublish
)

func command(name string, transaction float64) amf {
	var b amf
	b.text(name)
	b.number(transaction)
	return b
}

// publish is the dialogue from connect to the server's consent (RTMP 7.2).
func (s *session) publish(t target) error {
	c := chunker{size: firstChunk}
	c.control(msgChunkSize, outChunk)
	c.size = outChunk
	b := command("connect", doConnect)
	b.object("app", t.app, "type", "nonprivate", "flashVer", "FMLE/3.0 (compatible; Rotunda)", "tcUrl", t.base)
	c.message(chunkCommand, msgCommand, 0, 0, b)
	if _, err := s.conn.Write(c.b); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if _, err := s.answer(doConnect); err != nil {
		return fmt.Errorf("connect: %w", err)
	}

	c.b = nil
	for _, step := range []struct {
		name   string
		number float64
	}{{"releaseStream", doReleaseStream}, {"FCPublish", doPublishPrepare}, {"createStream", doCreateStream}} {
		b := command(step.name, step.number)
		b.null()
		if step.number != doCreateStream {
			b.text(t.key)
		}
		c.message(chunkCommand, msgCommand, 0, 0, b)
	}
	if _, err := s.conn.Write(c.b); err != nil {
		return fmt.Errorf("create stream: %w", err)
	}
	v, err := s.answer(doCreateStream)
	if err != nil {
		return fmt.Errorf("create stream: %w", err)
	}
	if len(v) < 4 || !(v[3].number >= 0 && v[3].number < 1<<32) {
		return errors.New("create stream: server gives no number")
	}
	s.stream = uint32(v[3].number)

	c.b = nil
	b = command("publish", doPublish)
	b.null()
	b.text(t.key)
	b.text("live")
	c.message(chunkCommand, msgCommand, s.stream, 0, b)
	if _, err := s.conn.Write(c.b); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if _, err := s.answer(doPublish); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// answer waits for the answer to a command; to a publish that is the status that it started.
func (s *session) answer(transaction float64) ([]value, error) {
	for {
		v, err := s.receive()
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return nil, fmt.Errorf("server closes the connection: %w", err)
		}
		if err != nil {
			return nil, err
		}
		if len(v) < 2 {
			continue
		}
		switch {
		case v[0].text == "_result" && v[1].number == transaction:
			return v, nil
		case v[0].text == "_error" && v[1].number == transaction:
			return nil, status(v)
		case v[0].text == "onStatus" && transaction == doPublish && len(v) >= 4 && v[3].fields["code"].text == "NetStream.Publish.Start":
			return v, nil
		}
	}
}

// receive reads the next command; others than commands it sees to. An error that the server reports is an error.
func (s *session) receive() ([]value, error) {
	m, err := s.in.next()
	if err != nil {
		return nil, err
	}
	if s.window > 0 && s.in.read-s.acked >= s.window/2 {
		c := chunker{size: firstChunk}
		c.control(msgAck, uint32(s.in.read))
		s.acked = s.in.read
		if err := s.reply(c.b); err != nil {
			return nil, err
		}
	}
	switch {
	case m.kind == msgWindow && len(m.body) >= 4:
		s.window = uint64(binary.BigEndian.Uint32(m.body))
	case m.kind == msgBandwidth && len(m.body) >= 4:
		// The answer to a limit of ours is our window (RTMP 5.4.5).
		c := chunker{size: firstChunk}
		c.control(msgWindow, binary.BigEndian.Uint32(m.body))
		return nil, s.reply(c.b)
	case m.kind == msgUserControl && len(m.body) >= 6 && binary.BigEndian.Uint16(m.body) == 6:
		// Ping request; the response is event 7 with the same time (RTMP 7.1.7).
		c := chunker{size: firstChunk}
		c.message(chunkControl, msgUserControl, 0, 0, append([]byte{0, 7}, m.body[2:6]...))
		return nil, s.reply(c.b)
	case m.kind == msgCommand:
		v, err := parseCommand(m.body)
		if err != nil {
			return nil, err
		}
		if len(v) >= 4 && v[0].text == "onStatus" && v[3].fields["level"].text == "error" {
			return nil, status(v)
		}
		return v, nil
	}
	return nil, nil
}

// status makes words of an error that the server reports.
func status(v []value) error {
	var code, description string
	for _, v := range v[2:] {
		if c := v.fields["code"].text; c != "" {
			code, description = c, v.fields["description"].text
		}
	}
	reason := map[string]string{
		"NetStream.Publish.BadName":         "server refuses the stream key: unknown, or in use",
		"NetStream.Publish.Denied":          "server refuses the stream key",
		"NetStream.Publish.Rejected":        "server refuses the stream key",
		"NetStream.Publish.Unauthorized":    "server refuses the stream key",
		"NetConnection.Connect.Rejected":    "server refuses the application or the connection",
		"NetConnection.Connect.InvalidApp":  "server does not know the application",
		"NetConnection.Connect.AppShutdown": "server is shutting the application down",
	}[code]
	if strings.Contains(description, "authmod") || strings.Contains(description, "need auth") {
		reason = "server wants Adobe authentication, which is not supported"
	}
	if reason == "" {
		reason = "server reports an error"
	}
	// What a server says goes into logs: bounded, and without control characters.
	detail := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, code+" "+description))
	const limit = 200
	if len(detail) > limit {
		detail = strings.ToValidUTF8(detail[:limit], "")
	}
	if detail != "" {
		reason += " (" + detail + ")"
	}
	return refusal{reason}
}

// write writes in pieces, each of which must be through in time. When ctx ends the deadline is somebody else's.
func (s *session) write(ctx context.Context, b []byte) error {
	for len(b) > 0 {
		if ctx.Err() == nil {
			s.conn.SetWriteDeadline(time.Now().Add(writeTime))
			if ctx.Err() != nil {
				s.conn.SetWriteDeadline(time.Now().Add(closeTime))
			}
		}
		n, err := s.conn.Write(b[:min(writePiece, len(b))])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// unpublish is the end of the stream (RTMP 7.2.2.3).
func (s *session) unpublish(t target) []byte {
	c := chunker{size: outChunk}
	b := command("FCUnpublish", 0)
	b.null()
	b.text(t.key)
	c.message(chunkCommand, msgCommand, 0, 0, b)
	b = command("deleteStream", 0)
	b.null()
	b.number(float64(s.stream))
	c.message(chunkCommand, msgCommand, 0, 0, b)
	return c.b
}
