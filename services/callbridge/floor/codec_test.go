package floor

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// The bytes are typed from the figures of RFC 8855, 5.1 to 5.3.
func TestMessagesAreThoseOfTheRFC(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		m         Message
	}{
		{"FloorRequest over TCP", "20010001 00000007 0005 0003 05040002", Message{Version: 1, Primitive: FloorRequest, ConferenceID: 7, Transaction: 5, UserID: 3,
			Attributes: []Attribute{number(FloorID, 2)}}},
		{"Hello over UDP", "400b0000 00000007 0001 0003", Message{Version: 2, Primitive: Hello, ConferenceID: 7, Transaction: 1, UserID: 3}},
		{"HelloAck", "500c0003 00000007 0001 0003 17050102 0b000000 15040204", Message{Version: 2, Responder: true, Primitive: HelloAck, ConferenceID: 7, Transaction: 1, UserID: 3,
			Attributes: []Attribute{{Type: SupportedPrimitives, Mandatory: true, Value: []byte{1, 2, 11}}, {Type: SupportedAttributes, Mandatory: true, Value: []byte{2, 4}}}}},
		{"FloorRequestStatus, granted", "50040005 00000007 0005 0003 1f140001 25080001 0b040300 23080002 0b040300", Message{Version: 2, Responder: true, Primitive: FloorRequestStatus,
			ConferenceID: 7, Transaction: 5, UserID: 3, Attributes: []Attribute{{Type: FloorRequestInformation, Mandatory: true, Number: 1, Attributes: []Attribute{
				{Type: OverallRequestStatus, Mandatory: true, Number: 1, Attributes: []Attribute{number(RequestStatus, 0x300)}},
				{Type: FloorRequestStatusAttribute, Mandatory: true, Number: 2, Attributes: []Attribute{number(RequestStatus, 0x300)}}}}}}},
		{"Error with text", "500d0003 00000007 0005 0003 0d030600 0e046e6f 0d030700", Message{Version: 2, Responder: true, Primitive: ErrorPrimitive, ConferenceID: 7, Transaction: 5, UserID: 3,
			Attributes: []Attribute{{Type: ErrorCode, Mandatory: true, Value: []byte{6}}, {Type: ErrorInfo, Value: []byte("no")}, {Type: ErrorCode, Mandatory: true, Value: []byte{7}}}}},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.m.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%s: wrote\n%x, want\n%x", c.name, got, b)
		}
		got, err := Parse(b)
		if err != nil || !reflect.DeepEqual(got, c.m) {
			t.Errorf("%s: read %+v, %v, want %+v", c.name, got, err, c.m)
		}
	}
}

func TestFragmentsArePutTogetherInAnyOrder(t *testing.T) {
	m := Message{Version: 2, Primitive: UserStatus, ConferenceID: 7, Transaction: 9, UserID: 3}
	for i := range 12 {
		m.Attributes = append(m.Attributes, Attribute{Type: ErrorInfo, Value: bytes.Repeat([]byte{byte('a' + i)}, 250)})
	}
	whole := m.Append(nil)
	list := fragments(whole, 1200)
	if len(list) != 3 {
		t.Fatalf("%d octets make %d fragments, want 3", len(whole), len(list))
	}
	for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}, {1, 1, 2, 2, 0}} {
		var a assembly
		for i, n := range order {
			if len(list[n]) > 1200 {
				t.Fatalf("a fragment of %d octets", len(list[n]))
			}
			h, err := parseHead(list[n])
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.add(list[n], h)
			if err != nil || (got != nil) != (i == len(order)-1) {
				t.Fatalf("order %v: fragment %d: %d octets, %v", order, n, len(got), err)
			}
			if got != nil && !bytes.Equal(got, whole) {
				t.Errorf("order %v: got another message", order)
			}
		}
	}
	if n := len(fragments(whole[:100], 1200)); n != 1 {
		t.Errorf("a short message makes %d fragments", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(message(2, FloorRequest, 5, number(FloorID, 2)))
	f.Add(message(1, Hello, 5, supported()...))
	m := server(true)
	f.Add(message(2, FloorRequestStatus, 5, m.information(1, Granted)))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(got.Append(nil))
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Fatalf("read %+v, after writing it %+v, %v", got, again, err)
		}
	})
}

// FuzzMachine gives both roles a stream of datagrams that somebody made up.
func FuzzMachine(f *testing.F) {
	f.Add(message(2, FloorRequest, 5, number(FloorID, 2)), true)
	f.Add(fragments(append(message(2, Hello, 1), make([]byte, 40)...), 32)[0], true)
	f.Add(message(1, FloorStatus, 0, number(FloorID, 2)), false)
	f.Fuzz(func(t *testing.T, b []byte, udp bool) {
		for _, m := range []*machine{server(udp), client(udp)} {
			b, now := b, agreementStart
			for len(b) > 0 {
				n := min(int(b[0])+12, len(b))
				m.input(b[:n], now)
				b = b[n:]
				now = now.Add(100e6)
				m.tick(now)
				m.decide(Granted, now)
				m.want(len(b)%2 == 0, now)
				m.showOther(len(b)%3 == 0, now)
				for _, out := range m.take() {
					if _, err := Parse(out); err != nil {
						t.Fatalf("wrote %x: %v", out, err)
					}
				}
				m.events()
				if len(m.queue) > maxQueue || len(m.answers) > maxAnswers || len(m.part.data) > maxMessage {
					t.Fatalf("%d queued, %d answers, %d octets of fragments", len(m.queue), len(m.answers), len(m.part.data))
				}
			}
		}
	})
}
