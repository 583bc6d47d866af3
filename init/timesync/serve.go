package timesync

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// packetSize is that of an NTP packet without extensions (RFC 5905, 7.3).
const packetSize = 48

// teller answers programs of this machine that ask for the time.
type teller struct {
	conn net.PacketConn
	// kept is how the clock is kept: stratum and root distance; nil while it is not.
	kept atomic.Pointer[standing]
}

type standing struct {
	stratum  byte
	distance time.Duration
	at       time.Time
}

// listen opens the port, which must be of loopback.
func listen(address string) (*teller, error) {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("tell the time: %s is no address of loopback", address)
	}
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, fmt.Errorf("tell the time: %w", err)
	}
	return &teller{conn: conn}, nil
}

// serve answers until the context ends.
func (t *teller) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { t.conn.Close() })
	defer stop()
	var b [512]byte
	for {
		n, from, err := t.conn.ReadFrom(b[:])
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tell the time: %w", err)
		}
		if answer := reply(b[:n], t.kept.Load(), time.Now()); answer != nil {
			_, _ = t.conn.WriteTo(answer, from) // whoever asked may be gone
		}
	}
}

// reply answers a client's packet; nil for what is none.
func reply(b []byte, kept *standing, now time.Time) []byte {
	if len(b) < packetSize || b[0]&7 != 3 {
		return nil
	}
	version := b[0] >> 3 & 7
	if version < 1 || version > 4 {
		return nil
	}
	a := make([]byte, packetSize)
	a[0], a[1] = 3<<6|version<<3|4, 0 // the clock is not kept
	copy(a[12:], "INIT")
	if kept != nil {
		a[0] = version<<3 | 4
		a[1] = min(kept.stratum+1, 15)
		copy(a[12:], "NTP\x00")
		binary.BigEndian.PutUint32(a[8:], uint32(kept.distance.Seconds()*65536))
		binary.BigEndian.PutUint64(a[16:], stamp(kept.at))
	}
	a[2], a[3] = b[2], 0xec // 2^-20 s
	copy(a[24:32], b[40:48])
	binary.BigEndian.PutUint64(a[32:], stamp(now))
	binary.BigEndian.PutUint64(a[40:], stamp(now))
	return a
}

// stamp is a time as NTP has it: seconds since 1900 and a fraction (RFC 5905, 6).
func stamp(t time.Time) uint64 {
	const from1900 = 2_208_988_800
	return uint64(t.Unix()+from1900)<<32 | uint64(t.Nanosecond())<<32/1_000_000_000
}
