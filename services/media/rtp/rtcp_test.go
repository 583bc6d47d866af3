package rtp

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	pion "github.com/pion/rtcp"
)

var testReports = []Report{
	{SSRC: 2, Fraction: 128, Lost: 70000, Highest: 0x00012345, Jitter: 99, LastSR: 0xABCD1234, Delay: 65536},
	{SSRC: 3, Fraction: 0, Lost: -5, Highest: 7},
}

func pionReports() []pion.ReceptionReport {
	return []pion.ReceptionReport{
		{SSRC: 2, FractionLost: 128, TotalLost: 70000, LastSequenceNumber: 0x00012345, Jitter: 99, LastSenderReport: 0xABCD1234, Delay: 65536},
		{SSRC: 3, TotalLost: 0xFFFFFB, LastSequenceNumber: 7},
	}
}

// pairs are packets as we append them and as pion writes them. pion refuses what does not fit 24 bits, so -5 lost is written
// by hand there.
func pairs() []struct {
	what  string
	ours  []byte
	peers pion.Packet
} {
	info := SenderInfo{NTP: 0xDA8BD1FCDDDDA05A, RTP: 0xAAF4EDD5, Packets: 1000, Octets: 123456}
	return []struct {
		what  string
		ours  []byte
		peers pion.Packet
	}{
		{"sender report", AppendSenderReport(nil, 1, info, testReports), &pion.SenderReport{
			SSRC: 1, NTPTime: info.NTP, RTPTime: info.RTP, PacketCount: 1000, OctetCount: 123456, Reports: pionReports()}},
		{"receiver report", AppendReceiverReport(nil, 1, testReports), &pion.ReceiverReport{SSRC: 1, Reports: pionReports()}},
		{"empty receiver report", AppendReceiverReport(nil, 1, nil), &pion.ReceiverReport{SSRC: 1}},
		{"CNAME", AppendCNAME(nil, 9, "who@where"), pion.NewCNAMESourceDescription(9, "who@where")},
		{"CNAME that ends on a word", AppendCNAME(nil, 9, "ab"), pion.NewCNAMESourceDescription(9, "ab")},
		{"goodbye", AppendGoodbye(nil, 9), &pion.Goodbye{Sources: []uint32{9}}},
		{"NACK", AppendNACK(nil, 1, 2, []uint16{65530, 65531, 65535, 0, 10, 11, 40}), &pion.TransportLayerNack{SenderSSRC: 1, MediaSSRC: 2,
			Nacks: []pion.NackPair{{PacketID: 65530, LostPackets: 1 | 1<<4 | 1<<5 | 1<<15}, {PacketID: 11}, {PacketID: 40}}}},
		{"PLI", AppendPLI(nil, 1, 2), &pion.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 2}},
		{"FIR", AppendFIR(nil, 1, 2, 77), &pion.FullIntraRequest{SenderSSRC: 1, FIR: []pion.FIREntry{{SSRC: 2, SequenceNumber: 77}}}},
		{"REMB", AppendREMB(nil, 1, 262143<<4, 5, 6), &pion.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 262143 << 4, SSRCs: []uint32{5, 6}}},
	}
}

func TestAppendedPacketsEqualPions(t *testing.T) {
	for _, c := range pairs() {
		want, err := c.peers.Marshal()
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if !bytes.Equal(c.ours, want) {
			t.Errorf("%s:\nwant %x\ngot  %x", c.what, want, c.ours)
		}
		if _, err := pion.Unmarshal(c.ours); err != nil {
			t.Errorf("%s: pion: %v", c.what, err)
		}
	}
}

func TestACompoundPacketIsWalkedInOrder(t *testing.T) {
	var packet []byte
	for _, c := range pairs() {
		packet = append(packet, c.ours...)
	}
	packet = AppendTMMBR(packet, 1, 2, 1_500_000, 28)
	packet = AppendTMMBN(packet, 1, 3, 1_500_000, 28)
	packet = append(packet, 0x83, 204, 0, 3, 0, 0, 0, 8, 'n', 'a', 'm', 'e', 1, 2, 3, 4)
	packet = append(packet, 0x80, 207, 0, 1, 0, 0, 0, 8) // extended reports
	var got []any
	c := Walk(packet)
	for c.Next() {
		got = append(got, c.Kind, c.Sender, c.Media)
		for i := range c.Entries {
			switch c.Kind {
			case SenderReport, ReceiverReport:
				got = append(got, c.Report(i))
			case SourceDescription:
				ssrc, name := c.Chunk(i)
				got = append(got, ssrc, string(name))
			case Goodbye:
				got = append(got, c.Leaving(i))
			case NACK:
				first, mask := c.Lost(i)
				got = append(got, first, mask)
			case FIR:
				ssrc, number := c.IntraRequest(i)
				got = append(got, ssrc, number)
			case TMMBR, TMMBN:
				ssrc, bitrate, overhead := c.Limit(i)
				got = append(got, ssrc, bitrate, overhead)
			case REMB:
				got = append(got, c.Source(i))
			}
		}
		switch c.Kind {
		case SenderReport:
			got = append(got, c.SenderInfo())
		case REMB:
			got = append(got, c.MaximumBitrate())
		case Application:
			name, data := c.Application()
			got = append(got, string(name), string(data))
		}
	}
	if c.Err() != nil {
		t.Fatal(c.Err())
	}
	u := func(n uint32) uint32 { return n }
	want := []any{
		SenderReport, u(1), u(0), testReports[0], testReports[1], SenderInfo{0xDA8BD1FCDDDDA05A, 0xAAF4EDD5, 1000, 123456},
		ReceiverReport, u(1), u(0), testReports[0], testReports[1],
		ReceiverReport, u(1), u(0),
		SourceDescription, u(9), u(0), u(9), "who@where",
		SourceDescription, u(9), u(0), u(9), "ab",
		Goodbye, u(9), u(0), u(9),
		NACK, u(1), u(2), uint16(65530), uint16(0x8031), uint16(11), uint16(0), uint16(40), uint16(0),
		PLI, u(1), u(2),
		FIR, u(1), u(0), u(2), uint8(77),
		REMB, u(1), u(0), u(5), u(6), uint64(262143 << 4),
		TMMBR, u(1), u(0), u(2), uint64(1_500_000), 28,
		TMMBN, u(1), u(0), u(3), uint64(1_500_000), 28,
		Application, u(8), u(0), "name", "\x01\x02\x03\x04",
		OtherRTCP, u(8), u(0),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBitratesOfAnySizeAreRoundedDown(t *testing.T) {
	for _, want := range []uint64{0, 1, 131071, 262144, 999_999, 12_345_678, 1 << 40} {
		c := Walk(AppendTMMBR(AppendREMB(nil, 1, want), 1, 2, want, 600))
		c.Next()
		if got := c.MaximumBitrate(); got > want || got < want-want>>17 {
			t.Errorf("REMB of %d: got %d", want, got)
		}
		c.Next()
		if _, got, overhead := c.Limit(0); got > want || got < want-want>>16 || overhead != 511 {
			t.Errorf("TMMBR of %d with 511: got %d with %d", want, got, overhead)
		}
	}
}

func TestManyReportsAreSpreadOverPackets(t *testing.T) {
	reports := make([]Report, 70)
	for i := range reports {
		reports[i].SSRC = uint32(i)
	}
	var kinds []Kind
	next := uint32(0)
	c := Walk(AppendSenderReport(nil, 1, SenderInfo{}, reports))
	for c.Next() {
		kinds = append(kinds, c.Kind)
		for i := range c.Entries {
			if got := c.Report(i).SSRC; got != next {
				t.Fatalf("want report %d, got %d", next, got)
			}
			next++
		}
	}
	if diff := cmp.Diff([]Kind{SenderReport, ReceiverReport, ReceiverReport}, kinds); diff != "" || next != 70 || c.Err() != nil {
		t.Errorf("want 70 reports in three packets, got %d, %v (-want +got):\n%s", next, c.Err(), diff)
	}
}

func TestAMalformedPacketEndsTheWalk(t *testing.T) {
	good := AppendPLI(nil, 1, 2)
	for what, bad := range map[string][]byte{
		"short":                       {0x80, 201, 0},
		"version 0":                   {0x00, 201, 0, 0},
		"length beyond the end":       {0x80, 201, 0, 2, 0, 0, 0, 1},
		"reports missing":             {0x81, 201, 0, 1, 0, 0, 0, 1},
		"sender report without info":  {0x80, 200, 0, 1, 0, 0, 0, 1},
		"chunk without end":           {0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, 'a', 'b'},
		"item beyond the chunk":       {0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, 'a', 0},
		"chunk missing":               {0x82, 202, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0},
		"leaving sources missing":     {0x82, 203, 0, 1, 0, 0, 0, 1},
		"feedback without media":      {0x81, 205, 0, 1, 0, 0, 0, 1},
		"REMB without its sources":    {0x8F, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 1, 0, 0, 0},
		"transport feedback too long": {0x8F, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0},
		"padding of 0":                {0xA1, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		"padding of everything":       {0xA0, 201, 0, 1, 0, 0, 0, 9},
	} {
		c := Walk(append(bytes.Clone(good), bad...))
		if !c.Next() || c.Kind != PLI {
			t.Fatalf("%s: want the good packet first", what)
		}
		if c.Next() || c.Err() == nil {
			t.Errorf("%s: want an error, got kind %d, %v", what, c.Kind, c.Err())
		}
	}
}

// touch calls every method that the kind of the current packet allows.
func touch(c *Compound) (sum uint64) {
	for i := range c.Entries {
		switch c.Kind {
		case SenderReport, ReceiverReport:
			sum += uint64(c.Report(i).SSRC)
		case SourceDescription:
			ssrc, name := c.Chunk(i)
			sum += uint64(ssrc) + uint64(len(name))
		case Goodbye:
			sum += uint64(c.Leaving(i))
		case NACK:
			first, mask := c.Lost(i)
			sum += uint64(first) + uint64(mask)
		case FIR:
			ssrc, number := c.IntraRequest(i)
			sum += uint64(ssrc) + uint64(number)
		case TMMBR, TMMBN:
			ssrc, bitrate, overhead := c.Limit(i)
			sum += uint64(ssrc) + bitrate + uint64(overhead)
		case REMB:
			sum += uint64(c.Source(i))
		}
	}
	switch c.Kind {
	case SenderReport:
		sum += c.SenderInfo().NTP
	case REMB:
		sum += c.MaximumBitrate()
	case Application:
		name, data := c.Application()
		sum += uint64(len(name) + len(data))
	case Transport:
		for f := c.Transport(); f.Next(); {
			sum += uint64(f.Arrived)
		}
	}
	return sum
}

// FuzzRTCP walks anything, and with pion as the judge of single packets: what it reads, we read.
func FuzzRTCP(f *testing.F) {
	var all []byte
	for _, c := range pairs() {
		f.Add(c.ours)
		all = append(all, c.ours...)
	}
	f.Add(AppendTMMBN(AppendTMMBR(all, 1, 2, 3, 4), 1, 2, 3, 4))
	f.Add([]byte{0x82, 202, 0, 4, 0, 0, 0, 1, 1, 1, 'a', 0, 0, 0, 0, 2, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, packet []byte) {
		c := Walk(packet)
		n := 0
		for c.Next() {
			touch(&c)
			n++
		}
		if n > len(packet)/4 {
			t.Errorf("want at most %d packets, got %d", len(packet)/4, n)
		}
		peers, err := pion.Unmarshal(packet)
		if err != nil || c.Err() == nil {
			return
		}
		// pion does not look at padding, nor into what it does not know.
		for rest := packet; len(rest) >= 4; rest = rest[min(len(rest), 4+4*int(binary.BigEndian.Uint16(rest[2:]))):] {
			if rest[0]&0x20 != 0 {
				return
			}
		}
		for _, p := range peers {
			if _, raw := p.(*pion.RawPacket); raw {
				return
			}
		}
		t.Errorf("pion reads %v: got %v", peers, c.Err())
	})
}

func TestReadingAndWritingRTCPCostsNoAllocation(t *testing.T) {
	buffer := make([]byte, 0, 1500)
	lost := []uint16{1, 2, 30}
	var sum uint64
	if n := testing.AllocsPerRun(100, func() {
		b := AppendSenderReport(buffer, 1, SenderInfo{}, testReports)
		b = AppendCNAME(b, 1, "cname")
		b = AppendNACK(b, 1, 2, lost)
		b = AppendFIR(AppendPLI(b, 1, 2), 1, 2, 3)
		b = AppendREMB(AppendTMMBR(b, 1, 2, 1000, 40), 1, 5000, 1, 2)
		c := Walk(b)
		for c.Next() {
			sum += touch(&c)
		}
		if c.Err() != nil {
			t.Fatal(c.Err())
		}
	}); n != 0 {
		t.Errorf("want no allocation, got %v", n)
	}
	if sum == 0 {
		t.Error("want something read")
	}
}
