package firewall

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The matches and verdicts that rules are made of. Registers are filled and asked at once, so 1 serves for all.

func equal(data []byte) *expr.Cmp { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

// device asks for the name of the device that a packet came in by, or leaves by. A name has 16 bytes.
func device(key expr.MetaKey, name string) []expr.Any {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, equal(b)}
}

func from(name string) []expr.Any { return device(expr.MetaKeyIIFNAME, name) }

func by(name string) []expr.Any { return device(expr.MetaKeyOIFNAME, name) }

func family(number byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{number})}
}

func protocol(number byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{number})}
}

func notProtocol(number byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{number}}}
}

func load(base expr.PayloadBase, offset, length uint32) *expr.Payload {
	return &expr.Payload{DestRegister: 1, Base: base, Offset: offset, Len: length}
}

func number16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }

// ports is a range of ports, of one or more.
type ports struct{ first, last int }

const (
	sourcePort      = 0
	destinationPort = 2
)

// port asks for a port of TCP or UDP, by its place in the header.
func port(place uint32, p ports) []expr.Any {
	read := load(expr.PayloadBaseTransportHeader, place, 2)
	if p.first == p.last {
		return []expr.Any{read, equal(number16(p.first))}
	}
	return []expr.Any{read, &expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: number16(p.first)},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: number16(p.last)}}
}

// message asks for an ICMP type, which is the first byte in both families.
func message(kind byte) []expr.Any {
	return []expr.Any{load(expr.PayloadBaseTransportHeader, 0, 1), equal([]byte{kind})}
}

// sender asks for the source address, whose family is part of the question.
func sender(p netip.Prefix) []expr.Any {
	offset, length, f := uint32(12), uint32(4), byte(unix.NFPROTO_IPV4)
	if p.Addr().Is6() {
		offset, length, f = 8, 16, unix.NFPROTO_IPV6
	}
	list := family(f)
	// A prefix of no bits is the whole family.
	if p.Bits() == 0 {
		return list
	}
	if p.Bits()%8 == 0 {
		// Whole bytes are compared as they are, and nft shows them as a prefix.
		length = uint32(p.Bits() / 8)
		return append(list, load(expr.PayloadBaseNetworkHeader, offset, length), equal(p.Masked().Addr().AsSlice()[:length]))
	}
	list = append(list, load(expr.PayloadBaseNetworkHeader, offset, length))
	if p.Bits() < p.Addr().BitLen() {
		list = append(list, &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: length,
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()), Xor: make([]byte, length)})
	}
	return append(list, equal(p.Masked().Addr().AsSlice()))
}

// known asks whether a packet belongs to a connection that is there, or is about one.
func known() []expr.Any {
	mask := binary.NativeEndian.AppendUint32(nil, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func verdict(allow bool) expr.Any {
	if allow {
		return &expr.Verdict{Kind: expr.VerdictAccept}
	}
	return &expr.Verdict{Kind: expr.VerdictDrop}
}

func enter(chain string) expr.Any { return &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain} }
