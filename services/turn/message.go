package turn

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
)

// The methods that a TURN server answers, by their codes (RFC 8489 section 18.1, RFC 8656 section 17).
const (
	methodBinding          = 0x001
	methodAllocate         = 0x003
	methodRefresh          = 0x004
	methodSend             = 0x006
	methodCreatePermission = 0x008
	methodChannelBind      = 0x009
)

// The two bits of the class, where they stand in the message type.
const (
	classRequest    = 0x000
	classIndication = 0x010
	classMask       = 0x110
)

const (
	attrUsername           = 0x0006
	attrIntegrity          = 0x0008
	attrChannelNumber      = 0x000c
	attrPeerAddress        = 0x0012
	attrData               = 0x0013
	attrRealm              = 0x0014
	attrRequestedFamily    = 0x0017
	attrEvenPort           = 0x0018
	attrRequestedTransport = 0x0019
	attrReservationToken   = 0x0022
	attrAdditionalFamily   = 0x8000
	attrAddressErrorCode   = 0x8001
)

// understood are the attributes below 0x8000, which a server must understand or say so, that mean something in what clients
// send; the others have bit n clear. DONT-FRAGMENT (0x001a) is not there: relays leave fragments to the kernel, which RFC 8656
// section 7.2 allows.
const understood uint64 = 1<<0x0001 | 1<<attrUsername | 1<<attrIntegrity | 1<<0x0009 | 1<<0x000a | 1<<attrChannelNumber | 1<<0x000d |
	1<<attrPeerAddress | 1<<attrData | 1<<attrRealm | 1<<0x0015 | 1<<0x0016 | 1<<attrRequestedFamily | 1<<attrEvenPort |
	1<<attrRequestedTransport | 1<<0x0020 | 1<<attrReservationToken

const (
	magicCookie   = 0x2112a442
	headerLength  = 20
	integritySize = sha1.Size
	// maxMessage is beyond any STUN message of use: USERNAME and REALM may have 763 bytes each (RFC 8489 sections 14.3, 14.9),
	// and what a Send indication carries is a packet.
	maxMessage = 2048
	// maxPeers bounds the XOR-PEER-ADDRESS attributes of one message that are looked at; more is an error.
	maxPeers = 16
)

// message is a STUN message that lies in the memory it came in. Only what has to be known before pion is asked is
// read, and nothing is allocated: this is what every stranger on the Internet can make us do.
type message struct {
	raw             []byte
	method, class   uint16
	username, realm []byte
	channel         uint16
	transport       byte // 0 without REQUESTED-TRANSPORT
	integrity       int  // offset of MESSAGE-INTEGRITY, 0 if there is none
	even, token     int  // offsets of EVEN-PORT and RESERVATION-TOKEN
	family          byte // REQUESTED-ADDRESS-FAMILY, 0 without it
	additional      byte // ADDITIONAL-ADDRESS-FAMILY, likewise
	unknown         []uint16
	unknowns        [4]uint16 // memory of unknown; an answer names no more
	peers           [maxPeers]address
	peerCount       int
}

// parse reads a whole message: what is cut off, has a tail, or says wrong lengths is none.
func (m *message) parse(raw []byte) bool {
	if len(raw) < headerLength || len(raw) > maxMessage || len(raw)%4 != 0 || raw[0]&0xc0 != 0 ||
		binary.BigEndian.Uint32(raw[4:]) != magicCookie || int(binary.BigEndian.Uint16(raw[2:]))+headerLength != len(raw) {
		return false
	}
	t := binary.BigEndian.Uint16(raw)
	m.raw, m.class, m.method = raw, t&classMask, t&0x000f|t>>1&0x0070|t>>2&0x0f80
	m.username, m.realm, m.channel, m.transport, m.integrity, m.even, m.token, m.peerCount = nil, nil, 0, 0, 0, 0, 0, 0
	m.family, m.additional, m.unknown = 0, 0, m.unknowns[:0]
	for at := headerLength; at < len(raw); {
		if len(raw)-at < 4 {
			return false
		}
		kind, size := binary.BigEndian.Uint16(raw[at:]), int(binary.BigEndian.Uint16(raw[at+2:]))
		end := at + 4 + (size+3)&^3
		if end > len(raw) {
			return false
		}
		value := raw[at+4 : at+4+size]
		switch kind {
		case attrUsername:
			m.username = value
		case attrRealm:
			m.realm = value
		case attrChannelNumber:
			if size == 4 {
				m.channel = binary.BigEndian.Uint16(value)
			}
		case attrRequestedTransport:
			if size == 4 {
				m.transport = value[0]
			}
		case attrRequestedFamily:
			if size == 4 {
				m.family = value[0]
			}
		case attrAdditionalFamily:
			if size == 4 {
				m.additional = value[0]
			}
		case attrEvenPort:
			if size == 1 {
				m.even = at
			}
		case attrReservationToken:
			if size == 8 {
				m.token = at
			}
		case attrPeerAddress:
			peer, ok := readXORAddress(value, raw[4:headerLength])
			if !ok || m.peerCount == maxPeers {
				return false
			}
			m.peers[m.peerCount] = peer
			m.peerCount++
		case attrIntegrity:
			// What follows is not covered by it and must not count (RFC 8489 section 14.5).
			m.integrity = at
			return size == integritySize
		default:
			if kind < 0x8000 && (kind > 63 || understood>>kind&1 == 0) && len(m.unknown) < cap(m.unknown) {
				m.unknown = append(m.unknown, kind)
			}
		}
		at = end
	}
	return true
}

// authentic tells whether the message was signed with a key, in constant time.
func (m *message) authentic(key []byte) bool {
	mac := hmac.New(sha1.New, key)
	// The length that was signed is the one up to and with the attribute (RFC 8489 section 14.5).
	var head [headerLength]byte
	copy(head[:], m.raw)
	binary.BigEndian.PutUint16(head[2:], uint16(m.integrity-headerLength+4+integritySize))
	mac.Write(head[:])
	mac.Write(m.raw[headerLength:m.integrity])
	return hmac.Equal(mac.Sum(nil), m.raw[m.integrity+4:m.integrity+4+integritySize])
}

// signed is the message without what follows its MESSAGE-INTEGRITY: anybody on the way may have put that there.
func (m *message) signed() []byte {
	cut := m.raw[:m.integrity+4+integritySize]
	binary.BigEndian.PutUint16(cut[2:], uint16(len(cut)-headerLength))
	return cut
}

// unsigned cuts the message off before its MESSAGE-INTEGRITY: pion answers such a request as RFC 8489 section 9.2.4 wants
// it for credentials that are wrong, with 401 and a fresh nonce.
func (m *message) unsigned() []byte {
	cut := m.raw[:m.integrity]
	binary.BigEndian.PutUint16(cut[2:], uint16(len(cut)-headerLength))
	return cut
}

// readXORAddress reads the value of XOR-PEER-ADDRESS; mask is the magic cookie and the transaction id.
func readXORAddress(value, mask []byte) (address, bool) {
	if len(value) < 8 {
		return address{}, false
	}
	port := binary.BigEndian.Uint16(value[2:]) ^ magicCookie>>16
	switch {
	case value[1] == 1 && len(value) == 8:
		return address{ip4(binary.BigEndian.Uint32(value[4:]) ^ magicCookie), port}, true
	case value[1] == 2 && len(value) == 20:
		return address{ip{
			binary.BigEndian.Uint64(value[4:]) ^ binary.BigEndian.Uint64(mask),
			binary.BigEndian.Uint64(value[12:]) ^ binary.BigEndian.Uint64(mask[8:]),
		}, port}, true
	}
	return address{}, false
}

// dataIndication writes the beginning of a Data indication with size bytes of payload to come (RFC 8656 section 11.3): header,
// XOR-PEER-ADDRESS, and the head of DATA. The payload is followed by zeros up to a multiple of 4. It returns what was written.
func dataIndication(to []byte, peer address, transaction [12]byte, size int) int {
	value := 8
	if !peer.is4() {
		value = 20
	}
	head := headerLength + 4 + value + 4
	binary.BigEndian.PutUint16(to, 0x0017)
	binary.BigEndian.PutUint16(to[2:], uint16(head-headerLength+(size+3)&^3))
	binary.BigEndian.PutUint32(to[4:], magicCookie)
	copy(to[8:], transaction[:])
	at := headerLength
	binary.BigEndian.PutUint16(to[at:], attrPeerAddress)
	binary.BigEndian.PutUint16(to[at+2:], uint16(value))
	at += 4
	to[at] = 0
	binary.BigEndian.PutUint16(to[at+2:], peer.port^magicCookie>>16)
	if peer.is4() {
		to[at+1] = 1
		binary.BigEndian.PutUint32(to[at+4:], uint32(peer.lo)^magicCookie)
	} else {
		to[at+1] = 2
		binary.BigEndian.PutUint64(to[at+4:], peer.hi^binary.BigEndian.Uint64(to[4:]))
		binary.BigEndian.PutUint64(to[at+12:], peer.lo^binary.BigEndian.Uint64(to[12:]))
	}
	at += value
	binary.BigEndian.PutUint16(to[at:], attrData)
	binary.BigEndian.PutUint16(to[at+2:], uint16(size))
	return head
}

// maxDataHead is what dataIndication writes at most.
const maxDataHead = headerLength + 4 + 20 + 4
