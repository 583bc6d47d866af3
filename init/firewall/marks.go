package firewall

import (
	"encoding/binary"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"rotunda/init/config"
)

// traffic says by which ports a type of traffic is told: by either end's, since this machine asks as well as answers. Ports of
// media are this machine's alone.
type traffic struct {
	kind string
	tcp  []ports
	udp  []ports
	// own is whether only this machine's port counts.
	own bool
}

func single(numbers ...int) []ports {
	var list []ports
	for _, n := range numbers {
		list = append(list, ports{n, n})
	}
	return list
}

// traffics in the order in which they are asked (guide appendix B), what there is most of first. Types that share the ports of others
// are marked by the services alone: nothing at this place tells voice from video.
var traffics = []traffic{
	// 3478 is STUN and TURN; below 32768 are other services, above it media and relayed media.
	{kind: "multimedia", udp: []ports{{32768, 65535}, {3478, 3478}}, own: true},
	{kind: "signaling", tcp: single(5060, 5061, 5070), udp: single(5060, 5070)},
	{kind: "oa&m", tcp: single(22, 53, 80, 123, 389, 443, 445, 514, 636, 6514), udp: single(53, 123, 161, 162, 514)},
}

// markChain marks what leaves. It has no rules if nothing is to be marked.
func markChain(d config.DSCP) Chain {
	c := Chain{Name: outputChain, Hook: true}
	for _, t := range traffics {
		for _, f := range []int{4, 6} {
			value, ok := d.Of(f, t.kind)
			if !ok {
				continue
			}
			for _, p := range t.tcp {
				c.Rules = append(c.Rules, t.marks(f, unix.IPPROTO_TCP, p, value)...)
			}
			for _, p := range t.udp {
				c.Rules = append(c.Rules, t.marks(f, unix.IPPROTO_UDP, p, value)...)
			}
		}
	}
	if len(c.Rules) > 0 {
		c.Rules = slices.Insert(c.Rules, 0,
			Rule{append(by("lo"), verdict(true)), "loopback"},
			Rule{append(marked(4), verdict(true)), "marked by its service"},
			Rule{append(marked(6), verdict(true)), "marked by its service"},
			Rule{append(selfMarking(), verdict(true)), "media, which is to have no mark"})
	}
	return c
}

func (t traffic) marks(f int, proto byte, p ports, value int) []Rule {
	places := []uint32{sourcePort, destinationPort}
	if t.own {
		places = places[:1]
	}
	var rules []Rule
	for _, place := range places {
		rules = append(rules, Rule{slices.Concat(family(familyNumber(f)), protocol(proto), port(place, p), mark(f, value), []expr.Any{verdict(true)}), t.kind})
	}
	return rules
}

// The mark is the upper six bits of the second byte of an IPv4 header, and the six bits behind the version of an IPv6 header.
func markBits(f int) uint16 {
	if f == 6 {
		return 0x0fc0
	}
	return 0x00fc
}

func markValue(f, value int) uint16 {
	if f == 6 {
		return uint16(value) << 6
	}
	return uint16(value) << 2
}

func familyNumber(f int) byte {
	if f == 6 {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}

// selfMarking asks for media of calls: their sockets say by their priority that whatever mark they need is there ([config.SelfMarking]).
func selfMarking() []expr.Any {
	return append(protocol(unix.IPPROTO_UDP), &expr.Meta{Key: expr.MetaKeyPRIORITY, Register: 1}, equal(binary.NativeEndian.AppendUint32(nil, config.SelfMarking)))
}

// marked asks whether somebody has marked the packet already.
func marked(f int) []expr.Any {
	return append(family(familyNumber(f)),
		load(expr.PayloadBaseNetworkHeader, 0, 2),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: binary.BigEndian.AppendUint16(nil, markBits(f)), Xor: make([]byte, 2)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 2)},
	)
}

func mark(f, value int) []expr.Any {
	write := &expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: expr.PayloadBaseNetworkHeader, Len: 2}
	if f == 4 {
		// The header's checksum, at byte 10, follows.
		write.CsumType, write.CsumOffset = expr.CsumTypeInet, 10
	}
	return []expr.Any{
		load(expr.PayloadBaseNetworkHeader, 0, 2),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: binary.BigEndian.AppendUint16(nil, ^markBits(f)),
			Xor: binary.BigEndian.AppendUint16(nil, markValue(f, value))},
		write,
	}
}
