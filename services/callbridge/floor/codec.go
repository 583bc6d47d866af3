package floor

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Primitive is the kind of a message (RFC 8855, 5.1).
type Primitive uint8

// The primitives.
const (
	FloorRequest Primitive = iota + 1
	FloorRelease
	FloorRequestQuery
	FloorRequestStatus
	UserQuery
	UserStatus
	FloorQuery
	FloorStatus
	ChairAction
	ChairActionAck
	Hello
	HelloAck
	ErrorPrimitive
	FloorRequestStatusAck
	FloorStatusAck
	Goodbye
	GoodbyeAck
)

var primitiveNames = [...]string{"", "FloorRequest", "FloorRelease", "FloorRequestQuery", "FloorRequestStatus", "UserQuery", "UserStatus", "FloorQuery",
	"FloorStatus", "ChairAction", "ChairActionAck", "Hello", "HelloAck", "Error", "FloorRequestStatusAck", "FloorStatusAck", "Goodbye", "GoodbyeAck"}

func (p Primitive) String() string {
	if int(p) < len(primitiveNames) && p > 0 {
		return primitiveNames[p]
	}
	return fmt.Sprintf("primitive %d", uint8(p))
}

// AttributeType is the type of an [Attribute] (RFC 8855, 5.2).
type AttributeType uint8

// The types of attributes.
const (
	BeneficiaryID AttributeType = iota + 1
	FloorID
	FloorRequestID
	Priority
	RequestStatus
	ErrorCode
	ErrorInfo
	ParticipantProvidedInfo
	StatusInfo
	SupportedAttributes
	SupportedPrimitives
	UserDisplayName
	UserURI
	BeneficiaryInformation
	FloorRequestInformation
	RequestedByInformation
	FloorRequestStatusAttribute
	OverallRequestStatus
)

// kinds of attributes by their values: 2 octets of a number, text or octets, or a number with attributes in it.
func (t AttributeType) number() bool {
	return t >= BeneficiaryID && t <= RequestStatus
}

func (t AttributeType) grouped() bool {
	return t >= BeneficiaryInformation && t <= OverallRequestStatus
}

// Status is how far a request is (RFC 8855, 5.2.5).
type Status uint8

// The states of a request.
const (
	Pending Status = iota + 1
	Accepted
	Granted
	Denied
	Cancelled
	Released
	Revoked
)

var statusNames = [...]string{"none", "pending", "accepted", "granted", "denied", "cancelled", "released", "revoked"}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Code is why something was refused (RFC 8855, 5.2.6).
type Code uint8

// The error codes.
const (
	NoConference Code = iota + 1
	NoUser
	UnknownPrimitive
	UnknownMandatoryAttribute
	Unauthorized
	InvalidFloor
	NoSuchRequest
	TooManyRequests
	UseTLS
	UnableToParse
	UseDTLS
	UnsupportedVersion
	IncorrectLength
	GenericError
)

// Attribute is one attribute. Number is the value of numeric ones (REQUEST-STATUS: status in its upper octet, place in the queue in the lower; PRIORITY
// in its upper three bits) and the ID that a grouped one begins with; Value is that of the others.
type Attribute struct {
	Type       AttributeType
	Mandatory  bool
	Number     uint16
	Value      []byte
	Attributes []Attribute
}

// Message is one message.
type Message struct {
	Version      uint8
	Responder    bool // R: it answers a transaction of the other side
	Primitive    Primitive
	ConferenceID uint32
	Transaction  uint16
	UserID       uint16
	Attributes   []Attribute
}

const (
	headSize = 12
	// maxMessage is the longest message that is read; real ones have some hundred octets.
	maxMessage    = 4096
	maxAttributes = 64
	maxDepth      = 3 // FLOOR-REQUEST-INFORMATION, FLOOR-REQUEST-STATUS, REQUEST-STATUS
)

var (
	errShort  = errors.New("shorter than its head")
	errLength = errors.New("its length is not what its head says")
)

// head is the common header.
type head struct {
	Message
	length        int // of what follows, in octets
	fragment      bool
	offset, piece int // of a fragment, in octets
	size          int // of the head itself
}

// parseHead reads the common header of a message or of a fragment of one. Only version 2 has fragments.
func parseHead(b []byte) (h head, err error) {
	if len(b) < headSize {
		return h, errShort
	}
	h.Version, h.Responder, h.Primitive = b[0]>>5, b[0]&0x10 != 0, Primitive(b[1])
	h.length = int(binary.BigEndian.Uint16(b[2:])) * 4
	h.ConferenceID, h.Transaction, h.UserID = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:])
	h.size = headSize
	if h.fragment = b[0]&0x08 != 0; h.fragment {
		if len(b) < headSize+4 {
			return h, errShort
		}
		h.offset, h.piece = int(binary.BigEndian.Uint16(b[12:]))*4, int(binary.BigEndian.Uint16(b[14:]))*4
		h.size += 4
	}
	return h, nil
}

// Parse reads a whole message. With an error the head's fields are set as far as there was one.
func Parse(b []byte) (Message, error) {
	h, err := parseHead(b)
	if err != nil {
		return h.Message, err
	}
	if h.fragment {
		return h.Message, errors.New("a fragment alone")
	}
	if h.length != len(b)-headSize {
		return h.Message, errLength
	}
	n := 0
	h.Attributes, err = parseAttributes(b[headSize:], 1, &n)
	return h.Message, err
}

func parseAttributes(b []byte, depth int, n *int) ([]Attribute, error) {
	var list []Attribute
	for len(b) > 0 {
		if *n++; *n > maxAttributes {
			return nil, fmt.Errorf("more than %d attributes", maxAttributes)
		}
		if len(b) < 2 {
			return nil, errors.New("an attribute is shorter than its head")
		}
		a := Attribute{Type: AttributeType(b[0] >> 1), Mandatory: b[0]&1 != 0}
		size := int(b[1])
		if size < 2 || size > len(b) {
			return nil, fmt.Errorf("attribute %d: length %d: want 2 to %d", a.Type, size, len(b))
		}
		value := b[2:size]
		switch {
		case a.Type.number():
			if len(value) != 2 {
				return nil, fmt.Errorf("attribute %d: length %d: want 4", a.Type, size)
			}
			a.Number = binary.BigEndian.Uint16(value)
		case a.Type.grouped():
			if len(value) < 2 {
				return nil, fmt.Errorf("attribute %d: length %d: want 4 at least", a.Type, size)
			}
			if depth == maxDepth {
				return nil, fmt.Errorf("attributes are more than %d deep in each other", maxDepth)
			}
			a.Number = binary.BigEndian.Uint16(value)
			var err error
			if a.Attributes, err = parseAttributes(value[2:], depth+1, n); err != nil {
				return nil, err
			}
		case a.Type == ErrorCode && len(value) < 1:
			return nil, errors.New("an error without a code")
		default:
			a.Value = append([]byte(nil), value...)
		}
		list = append(list, a)
		b = b[min((size+3)&^3, len(b)):] // attributes in a group may lack their last padding
	}
	return list, nil
}

// Append writes the message to b. What does not fit the protocol's lengths is cut: an attribute has 255 octets at most.
func (m *Message) Append(b []byte) []byte {
	start := len(b)
	first := m.Version << 5
	if m.Responder {
		first |= 0x10
	}
	b = append(b, first, byte(m.Primitive), 0, 0)
	b = binary.BigEndian.AppendUint32(b, m.ConferenceID)
	b = binary.BigEndian.AppendUint16(b, m.Transaction)
	b = binary.BigEndian.AppendUint16(b, m.UserID)
	for i := range m.Attributes {
		b = m.Attributes[i].append(b)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16((len(b)-start-headSize)/4))
	return b
}

func (a *Attribute) append(b []byte) []byte {
	start := len(b)
	first := byte(a.Type) << 1
	if a.Mandatory {
		first |= 1
	}
	b = append(b, first, 0)
	switch {
	case a.Type.number():
		b = binary.BigEndian.AppendUint16(b, a.Number)
	case a.Type.grouped():
		b = binary.BigEndian.AppendUint16(b, a.Number)
		for i := range a.Attributes {
			before := len(b)
			if b = a.Attributes[i].append(b); len(b)-start > 252 {
				b = b[:before]
				break
			}
		}
	default:
		b = append(b, a.Value[:min(len(a.Value), 253)]...)
	}
	b[start+1] = byte(len(b) - start)
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// find gives the first attribute of a type.
func find(list []Attribute, t AttributeType) (Attribute, bool) {
	for _, a := range list {
		if a.Type == t {
			return a, true
		}
	}
	return Attribute{}, false
}

// fragments cuts a message into pieces of at most size octets (RFC 8855, 6.2.3). Each says how long the whole is and where it belongs.
func fragments(b []byte, size int) [][]byte {
	if len(b) <= size {
		return [][]byte{b}
	}
	var list [][]byte
	step := (size - headSize - 4) &^ 3
	for offset := headSize; offset < len(b); offset += step {
		piece := b[offset:min(offset+step, len(b))]
		f := append([]byte(nil), b[:headSize]...)
		f[0] |= 0x08
		f = binary.BigEndian.AppendUint16(f, uint16((offset-headSize)/4))
		f = binary.BigEndian.AppendUint16(f, uint16(len(piece)/4))
		list = append(list, append(f, piece...))
	}
	return list
}

// assembly puts one fragmented message together; a fragment of another one makes it begin anew.
type assembly struct {
	head  [headSize]byte
	data  []byte
	have  []bool // by 4 octets
	count int
}

// add takes a fragment and gives the whole message when it was the last missing.
func (a *assembly) add(b []byte, h head) ([]byte, error) {
	if h.length > maxMessage || h.piece != len(b)-h.size || h.piece == 0 || h.offset+h.piece > h.length {
		return nil, errLength
	}
	var first [headSize]byte
	copy(first[:], b)
	if a.data == nil || first != a.head {
		*a = assembly{head: first, data: make([]byte, h.length), have: make([]bool, h.length/4)}
	}
	copy(a.data[h.offset:], b[h.size:])
	for i := h.offset / 4; i < (h.offset+h.piece)/4; i++ {
		if !a.have[i] {
			a.have[i] = true
			a.count++
		}
	}
	if a.count < len(a.have) {
		return nil, nil
	}
	whole := append(a.head[:], a.data...)
	whole = append([]byte(nil), whole...)
	whole[0] &^= 0x08
	*a = assembly{}
	return whole, nil
}
