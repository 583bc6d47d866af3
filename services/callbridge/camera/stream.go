package camera

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"rotunda/services/media/control"
)

// clockRate is that of RFC 4573.
const clockRate = 4800

// replayWindow of SRTP in packets.
const replayWindow = 128

// stream is the RTP of both directions.
type stream struct {
	send, receive uint8
	source        uint32
	sequence      uint16
	offset        uint32
	began         time.Time
	out, in       *srtp.Context // nil for plain RTP
}

var profiles = map[string]srtp.ProtectionProfile{
	control.SuiteAESCM80: srtp.ProtectionProfileAes128CmHmacSha1_80,
	control.SuiteAESCM32: srtp.ProtectionProfileAes128CmHmacSha1_32,
	control.SuiteAEAD128: srtp.ProtectionProfileAeadAes128Gcm,
	control.SuiteAEAD256: srtp.ProtectionProfileAeadAes256Gcm,
}

func newStream(k *control.Keys) (*stream, error) {
	var b [10]byte
	rand.Read(b[:])
	// The first number leaves room before it wraps, so that a far end that misses the first packets counts wraps as we do (RFC 3711, 3.3.1).
	s := &stream{source: binary.BigEndian.Uint32(b[:]), sequence: binary.BigEndian.Uint16(b[4:]) & 0x7fff, offset: binary.BigEndian.Uint32(b[6:])}
	if k == nil {
		return s, nil
	}
	profile, ok := profiles[k.Suite]
	if !ok {
		return nil, fmt.Errorf("camera: suite %.40q is not known", k.Suite)
	}
	var err error
	if s.out, err = newContext(profile, k.Local); err != nil {
		return nil, err
	}
	s.in, err = newContext(profile, k.Remote, srtp.SRTPReplayProtection(replayWindow))
	return s, err
}

func newContext(profile srtp.ProtectionProfile, material []byte, o ...srtp.ContextOption) (*srtp.Context, error) {
	key, err := profile.KeyLen()
	if err != nil {
		return nil, err
	}
	salt, err := profile.SaltLen()
	if err != nil {
		return nil, err
	}
	if len(material) != key+salt {
		return nil, fmt.Errorf("camera: %d octets of key and salt: want %d", len(material), key+salt)
	}
	return srtp.CreateContext(material[:key], material[key:], profile, o...)
}

// sameKeys compares them without telling anything of them.
func sameKeys(a, b *control.Keys) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Suite == b.Suite && string(a.Local) == string(b.Local) && string(a.Remote) == string(b.Remote)
}

// seal makes the packet of a frame.
func (s *stream) seal(payload []byte, now time.Time) ([]byte, error) {
	if s.began.IsZero() {
		s.began = now
	}
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: s.send, SequenceNumber: s.sequence, SSRC: s.source,
		Timestamp: s.offset + uint32(now.Sub(s.began).Milliseconds()*clockRate/1000)}, Payload: payload}
	s.sequence++
	b, err := p.Marshal()
	if err != nil || s.out == nil {
		return b, err
	}
	return s.out.EncryptRTP(nil, b, nil)
}

// open gives the payload of a packet of ours; nil for anything else: RTCP, other payload types, wrong keys, repetitions.
func (s *stream) open(b []byte) []byte {
	if len(b) < 12 || b[0]>>6 != 2 || b[1]&0x7f != s.receive {
		return nil
	}
	if s.in != nil {
		var err error
		if b, err = s.in.DecryptRTP(nil, b, nil); err != nil {
			return nil
		}
	}
	var p rtp.Packet
	if err := p.Unmarshal(b); err != nil {
		return nil
	}
	return p.Payload
}
