package srtp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	pion "github.com/pion/srtp/v3"

	"rotunda/services/media/control"
)

// material makes a key and a salt of the right lengths, different for each seed.
func material(name string, seed int64) (key, salt []byte) {
	k, s, err := Lengths(name)
	if err != nil {
		panic(err)
	}
	b := make([]byte, k+s)
	rand.New(rand.NewSource(seed)).Read(b)
	return b[:k], b[k:]
}

func pionProfile(name string) pion.ProtectionProfile {
	return pion.ProtectionProfile(suiteOf(name).profile)
}

func newContext(t testing.TB, name string, seed int64) *Context {
	t.Helper()
	key, salt := material(name, seed)
	c, err := New(name, key, salt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newPion(t testing.TB, name string, seed int64) *pion.Context {
	t.Helper()
	key, salt := material(name, seed)
	c, err := pion.CreateContext(key, salt, pionProfile(name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newCounterMode(t testing.TB, key []byte) *counterMode {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	m := new(counterMode)
	m.init(block, key)
	return m
}

func standardStream(block cipher.Block, iv []byte) cipher.Stream { return cipher.NewCTR(block, iv) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rtpPacket makes a packet whose payload is a pattern of its number.
func rtpPacket(ssrc uint32, sequence uint16, size int) []byte {
	p := make([]byte, 12+size, 12+size+32)
	p[0], p[1] = 0x80, 111
	binary.BigEndian.PutUint16(p[2:], sequence)
	binary.BigEndian.PutUint32(p[4:], uint32(sequence)*960)
	binary.BigEndian.PutUint32(p[8:], ssrc)
	for i := range p[12:] {
		p[12+i] = byte(i) ^ byte(sequence)
	}
	return p
}

func rtcpPacket(ssrc uint32, number, size int) []byte {
	p := make([]byte, 8+size, 8+size+32)
	p[0], p[1] = 0x80, 201
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)/4-1))
	binary.BigEndian.PutUint32(p[4:], ssrc)
	for i := range p[8:] {
		p[8+i] = byte(i) ^ byte(number)
	}
	return p
}

func TestKeysAreDerivedAsInRFC3711AppendixB3(t *testing.T) {
	master, err := aes.NewCipher(unhex(t, "E1F97A0D3E018BE0D64FA32C06DE4139"))
	if err != nil {
		t.Fatal(err)
	}
	salt := unhex(t, "0EC675AD498AFEEBB6960B3AABE6")
	for _, c := range []struct {
		what  string
		label byte
		n     int
		want  string
	}{
		{"cipher key", labelRTP, 16, "C61E7A93744F39EE10734AFE3FF7A087"},
		{"authentication key", labelRTP + 1, 20, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"},
		{"cipher salt", labelRTP + 2, 14, "30CBBC08863D8C85D49DB34A9AE1"},
	} {
		if got := derive(master, salt, c.label, c.n); !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("%s: want %s, got %X", c.what, c.want, got)
		}
	}
}

func TestCounterModeGivesTheKeyStreamOfRFC3711AppendixB2(t *testing.T) {
	key := unhex(t, "2B7E151628AED2A6ABF7158809CF4F3C")
	m := newCounterMode(t, key)
	iv := [16]byte(unhex(t, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000"))
	stream := make([]byte, 0xFF02*16)
	var tail [tailSize]byte
	m.xor(stream, stream, &iv, &tail)
	for _, c := range []struct {
		block int
		want  string
	}{
		{0, "E03EAD0935C95E80E166B16DD92B4EB4"},
		{1, "D23513162B02D0F72A43A2FE4A5F97AB"},
		{2, "41E95B3BB0A2E8DD477901E4FCA894C0"},
		{0xFEFF, "EC8CDF7398607CB0F2D21675EA9EA1E4"},
		{0xFF00, "362B7C3C6773516318A077D7FC5073AE"},
		{0xFF01, "6A2CC3787889374FBEB4C81B17BA6C44"},
	} {
		if got := stream[c.block*16:][:16]; !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("block %#x: want %s, got %X", c.block, c.want, got)
		}
	}
}

func TestCounterModeEqualsTheStandardLibraryForEveryLength(t *testing.T) {
	for n := range 700 {
		key := bytes.Repeat([]byte{byte(n)}, 16)
		m := newCounterMode(t, key)
		iv := [16]byte{1, 2, 3, byte(n), 13: byte(n)}
		src := bytes.Repeat([]byte{0xA5}, n)
		want := make([]byte, n)
		standardStream(m.block, iv[:]).XORKeyStream(want, src)
		got, single := make([]byte, n), make([]byte, n)
		var tail [tailSize]byte
		one := iv
		m.xor(got, src, &iv, &tail)
		m.xorBlocks(single, src, &one)
		if !bytes.Equal(got, want) || !bytes.Equal(single, want) {
			t.Fatalf("%d bytes: want %x, got %x in eights and %x one by one", n, want, got, single)
		}
	}
}

// The vectors of RFC 7714 sections 16 and 17 give session keys, not master keys, so they go in behind key derivation.
func contextOfRFC7714(t *testing.T, key string) *Context {
	t.Helper()
	block, err := aes.NewCipher(unhex(t, key))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	name := AEAD128
	if len(key) == 64 {
		name = AEAD256
	}
	c := newContext(t, name, 1)
	for _, s := range []*session{&c.rtp, &c.rtcp} {
		s.aead = aead
		s.salt = [16]byte(append(unhex(t, "517569642070726F2071756F"), 0, 0, 0, 0))
	}
	return c
}

const (
	key128 = "000102030405060708090a0b0c0d0e0f"
	key256 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

func TestGCMProtectsRTPAsInRFC7714Section16(t *testing.T) {
	packet := unhex(t, `8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573`)
	for key, want := range map[string]string{
		key128: `8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf
			8833 899d7f27 beb16a91 52cf765e e4390cce`,
		key256: `8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f
			1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13`,
	} {
		c := contextOfRFC7714(t, key)
		got, err := c.ProtectRTP(nil, packet)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("key of %d bits: want %x, got %x", len(key)*4, unhex(t, want), got)
		}
		plain, err := contextOfRFC7714(t, key).UnprotectRTP(got)
		if err != nil || !bytes.Equal(plain, packet) {
			t.Errorf("key of %d bits, back: want %x, got %x, %v", len(key)*4, packet, plain, err)
		}
	}
}

func TestGCMProtectsRTCPAsInRFC7714Section17(t *testing.T) {
	packet := unhex(t, `81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef
		deadbeef deadbeef`)
	for key, want := range map[string]string{
		key128: `81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded
			0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4`,
		key256: `81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047
			6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4`,
	} {
		c := contextOfRFC7714(t, key)
		s, err := c.add(binary.BigEndian.Uint32(packet[4:]))
		if err != nil {
			t.Fatal(err)
		}
		s.rtcp.started, s.rtcp.highest = true, 0x5d3
		got, err := c.ProtectRTCP(nil, packet)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("key of %d bits: want %x, got %x", len(key)*4, unhex(t, want), got)
		}
		plain, err := contextOfRFC7714(t, key).UnprotectRTCP(got)
		if err != nil || !bytes.Equal(plain, packet) {
			t.Errorf("key of %d bits, back: want %x, got %x, %v", len(key)*4, packet, plain, err)
		}
	}
}

func TestRTPGoesBothWaysWithPion(t *testing.T) {
	for _, name := range Suites() {
		t.Run(name, func(t *testing.T) {
			ours, theirs := newContext(t, name, 7), newPion(t, name, 7)
			back, forth := newPion(t, name, 8), newContext(t, name, 8)
			for i := range 6000 { // over one wrap of the sequence number
				packet := rtpPacket(uint32(i%3), uint16(65000+i/3), i%200)
				if i%5 == 0 { // contributor and header extension
					packet = append([]byte{0x91}, packet[1:]...)
					packet = append(packet[:12:12], append([]byte{1, 2, 3, 4, 0xBE, 0xDE, 0, 1, 0x10, 9, 0, 0}, packet[12:]...)...)
				}
				sent, err := ours.ProtectRTP(nil, packet)
				if err != nil {
					t.Fatalf("protect packet %d: %v", i, err)
				}
				got, err := theirs.DecryptRTP(nil, sent, nil)
				if err != nil || !bytes.Equal(got, packet) {
					t.Fatalf("pion reads packet %d: want %x, got %x, %v", i, packet, got, err)
				}
				sent, err = back.EncryptRTP(nil, packet, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err = forth.UnprotectRTP(sent)
				if err != nil || !bytes.Equal(got, packet) {
					t.Fatalf("read pion's packet %d: want %x, got %x, %v", i, packet, got, err)
				}
			}
		})
	}
}

func TestRTCPGoesBothWaysWithPion(t *testing.T) {
	for _, name := range Suites() {
		t.Run(name, func(t *testing.T) {
			ours, theirs := newContext(t, name, 7), newPion(t, name, 7)
			back, forth := newPion(t, name, 8), newContext(t, name, 8)
			for i := range 300 {
				packet := rtcpPacket(uint32(i%3), i, 4*(1+i%60))
				sent, err := ours.ProtectRTCP(nil, packet)
				if err != nil {
					t.Fatal(err)
				}
				got, err := theirs.DecryptRTCP(nil, sent, nil)
				if err != nil || !bytes.Equal(got, packet) {
					t.Fatalf("pion reads packet %d: want %x, got %x, %v", i, packet, got, err)
				}
				sent, err = back.EncryptRTCP(nil, packet, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err = forth.UnprotectRTCP(sent)
				if err != nil || !bytes.Equal(got, packet) {
					t.Fatalf("read pion's packet %d: want %x, got %x, %v", i, packet, got, err)
				}
			}
		})
	}
}

func TestProtectionInPlaceEqualsProtectionIntoAnotherBuffer(t *testing.T) {
	for _, name := range Suites() {
		apart, inPlace := newContext(t, name, 1), newContext(t, name, 1)
		packet := rtpPacket(5, 9, 333)
		prefix := []byte("before")
		want, err := apart.ProtectRTP(prefix, packet)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(want, prefix) {
			t.Errorf("%s: want what was there kept, got %q", name, want[:6])
		}
		got, err := inPlace.ProtectRTP(packet[:0], packet)
		if err != nil || !bytes.Equal(got, want[len(prefix):]) {
			t.Errorf("%s: want %x, got %x, %v", name, want[len(prefix):], got, err)
		}
		if &got[0] != &packet[0] {
			t.Errorf("%s: want the packet's own memory, got other", name)
		}
	}
}

func TestAForgedPacketIsRefusedAndChangesNothing(t *testing.T) {
	for _, name := range Suites() {
		sender, receiver := newContext(t, name, 1), newContext(t, name, 1)
		plain := rtpPacket(1, 100, 50)
		good, err := sender.ProtectRTP(nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		for at := range good {
			bad := bytes.Clone(good)
			bad[at] ^= 0x04
			if got, err := receiver.UnprotectRTP(bad); err == nil {
				t.Fatalf("%s: want byte %d protected, got %x", name, at, got)
			}
		}
		if len(receiver.sources) != 0 {
			t.Errorf("%s: want no source of forged packets remembered, got %d", name, len(receiver.sources))
		}
		if got, err := receiver.UnprotectRTP(good); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: want the true packet to pass, got %x, %v", name, got, err)
		}
		report := rtcpPacket(1, 0, 60)
		if good, err = sender.ProtectRTCP(nil, report); err != nil {
			t.Fatal(err)
		}
		for at := range good {
			bad := bytes.Clone(good)
			bad[at] ^= 0x80
			if got, err := receiver.UnprotectRTCP(bad); err == nil {
				t.Fatalf("%s: want byte %d of RTCP protected, got %x", name, at, got)
			}
		}
		if got, err := receiver.UnprotectRTCP(good); err != nil || !bytes.Equal(got, report) {
			t.Errorf("%s: want the true report to pass, got %x, %v", name, got, err)
		}
	}
}

func TestAReplayIsRefusedHoweverLate(t *testing.T) {
	for _, name := range Suites() {
		sender, receiver := newContext(t, name, 1), newContext(t, name, 1)
		const run = 3 * windowSize
		packets, reports := make([][]byte, run), make([][]byte, run)
		for i := range run {
			var err error
			if packets[i], err = sender.ProtectRTP(nil, rtpPacket(1, uint16(64000+i), 8)); err != nil {
				t.Fatal(err)
			}
			if reports[i], err = sender.ProtectRTCP(nil, rtcpPacket(1, i, 8)); err != nil {
				t.Fatal(err)
			}
			if _, err := receiver.UnprotectRTP(bytes.Clone(packets[i])); err != nil {
				t.Fatalf("%s: packet %d: %v", name, i, err)
			}
			if _, err := receiver.UnprotectRTCP(bytes.Clone(reports[i])); err != nil {
				t.Fatalf("%s: report %d: %v", name, i, err)
			}
		}
		for i := range run {
			if _, err := receiver.UnprotectRTP(bytes.Clone(packets[i])); !errors.Is(err, ErrReplay) {
				t.Fatalf("%s: packet %d again: want %v, got %v", name, i, ErrReplay, err)
			}
			if _, err := receiver.UnprotectRTCP(bytes.Clone(reports[i])); !errors.Is(err, ErrReplay) {
				t.Fatalf("%s: report %d again: want %v, got %v", name, i, ErrReplay, err)
			}
		}
	}
}

func TestSequenceNumbersWrapUnderLossAndReordering(t *testing.T) {
	for _, name := range Suites() {
		t.Run(name, func(t *testing.T) {
			sender, receiver := newContext(t, name, 3), newContext(t, name, 3)
			random := rand.New(rand.NewSource(11))
			const run = 140000 // two wraps
			type flying struct {
				bytes []byte
				plain []byte
			}
			var delayed []flying
			passed := 0
			deliver := func(f flying) {
				got, err := receiver.UnprotectRTP(f.bytes)
				if err != nil {
					t.Fatalf("packet with sequence %d: %v", binary.BigEndian.Uint16(f.plain[2:]), err)
				}
				if !bytes.Equal(got, f.plain) {
					t.Fatalf("want %x, got %x", f.plain, got)
				}
				passed++
			}
			for i := 0; i < run; i++ {
				plain := rtpPacket(9, uint16(60000+i), 20)
				sent, err := sender.ProtectRTP(nil, plain)
				if err != nil {
					t.Fatal(err)
				}
				f := flying{sent, plain}
				switch n := random.Intn(100); {
				case i > 0 && n < 10: // lost
				case i > 0 && n < 30:
					delayed = append(delayed, f)
				default:
					deliver(f)
				}
				gap := i%50000 == 49999
				if len(delayed) > 100 || gap {
					random.Shuffle(len(delayed), func(a, b int) { delayed[a], delayed[b] = delayed[b], delayed[a] })
					for _, f := range delayed {
						deliver(f)
					}
					delayed = delayed[:0]
				}
				if gap { // 20000 packets are lost in a row
					i += 20000
				}
			}
			if want := (run - 40000) * 85 / 100; passed < want {
				t.Errorf("want at least %d packets through, got %d", want, passed)
			}
			if got := receiver.find(9).rtp.highest >> 16; got < 2 {
				t.Errorf("want a rollover counter of at least 2, got %d", got)
			}
		})
	}
}

func TestTheIndexIsGuessedNearestToTheHighest(t *testing.T) {
	for _, c := range []struct {
		highest  uint64
		sequence uint16
		want     uint64
		ok       bool
	}{
		{10, 11, 11, true},
		{10, 9, 9, true},
		{0xFFFF, 0, 0x10000, true},
		{0x10000, 0xFFFF, 0xFFFF, true},
		{0x1FFFF, 0x8000, 0x18000, true},
		{0x18001, 1, 0x18001 - 0x8000, true}, // 2^15 back or ahead are equally near; RFC 3711 takes the lower
		{0x18001, 0, 0x20000, true},
		{10, 0xFFFF, 0, false}, // before the first packet
		{0xFFFF_FFFF_FFFF, 1, 0x1_0000_0000_0001, true},
	} {
		w := window{started: true, highest: c.highest}
		if got, ok := w.guess(c.sequence); got != c.want || ok != c.ok {
			t.Errorf("%#x after %#x: want %#x %t, got %#x %t", c.sequence, c.highest, c.want, c.ok, got, ok)
		}
	}
}

func TestAnIndexIsProtectedOnlyOnce(t *testing.T) {
	for _, name := range Suites() {
		c := newContext(t, name, 1)
		first, err := c.ProtectRTP(nil, rtpPacket(1, 100, 20))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ProtectRTP(nil, rtpPacket(1, 100, 21)); !errors.Is(err, ErrRepeat) {
			t.Errorf("%s: want %v, got %v", name, ErrRepeat, err)
		}
		c.AllowRepeats()
		if again, err := c.ProtectRTP(nil, rtpPacket(1, 100, 20)); err != nil || !bytes.Equal(again, first) {
			t.Errorf("%s: want the same packet again, got %x, %v", name, again, err)
		}
	}
}

func TestAContextEndsBeforeItsIndexWraps(t *testing.T) {
	c := newContext(t, AEAD128, 1)
	s, err := c.add(1)
	if err != nil {
		t.Fatal(err)
	}
	s.rtp = window{started: true, highest: maxIndex}
	s.rtcp = window{started: true, highest: maxIndexRTCP}
	if _, err := c.ProtectRTP(nil, rtpPacket(1, 0, 20)); !errors.Is(err, ErrExhausted) {
		t.Errorf("RTP: want %v, got %v", ErrExhausted, err)
	}
	if _, err := c.ProtectRTCP(nil, rtcpPacket(1, 0, 20)); !errors.Is(err, ErrExhausted) {
		t.Errorf("RTCP: want %v, got %v", ErrExhausted, err)
	}
}

func TestSourcesUnderOneKeyAreBounded(t *testing.T) {
	sender, receiver := newContext(t, AESCM80, 1), newContext(t, AESCM80, 1)
	for i := range uint32(MaxSources) {
		sent, err := sender.ProtectRTP(nil, rtpPacket(i, 1, 20))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := receiver.UnprotectRTP(sent); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sender.ProtectRTP(nil, rtpPacket(MaxSources, 1, 20)); !errors.Is(err, ErrSources) {
		t.Errorf("send: want %v, got %v", ErrSources, err)
	}
	other := newContext(t, AESCM80, 1)
	sent, err := other.ProtectRTP(nil, rtpPacket(MaxSources, 1, 20))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receiver.UnprotectRTP(sent); !errors.Is(err, ErrSources) {
		t.Errorf("receive: want %v, got %v", ErrSources, err)
	}
}

func TestANewKeyContinuesTheRolloverCounter(t *testing.T) {
	old := newContext(t, AEAD256, 1)
	for i := range 70000 {
		if _, err := old.ProtectRTP(nil, rtpPacket(1, uint16(i), 4)); err != nil {
			t.Fatal(err)
		}
	}
	sender, receiver := newContext(t, AEAD256, 2), newContext(t, AEAD256, 2)
	sender.Inherit(old)
	receiver.Inherit(old)
	plain := rtpPacket(1, 70000&0xFFFF, 4)
	sent, err := sender.ProtectRTP(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	peer := newPion(t, AEAD256, 2)
	peer.SetROC(1, 1)
	if got, err := peer.DecryptRTP(nil, sent, nil); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("pion with rollover counter 1: want %x, got %x, %v", plain, got, err)
	}
	if got, err := receiver.UnprotectRTP(sent); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("want %x, got %x, %v", plain, got, err)
	}
}

func TestExportedMaterialIsSplitAsInRFC5764(t *testing.T) {
	for _, name := range Suites() {
		n, err := ExporterLength(name)
		if err != nil {
			t.Fatal(err)
		}
		exported := make([]byte, n)
		rand.New(rand.NewSource(5)).Read(exported)
		clientSend, clientReceive, err := NewExported(name, exported, true)
		if err != nil {
			t.Fatal(err)
		}
		serverSend, serverReceive, err := NewExported(name, exported, false)
		if err != nil {
			t.Fatal(err)
		}
		// pion splits the same bytes by itself.
		config := &pion.Config{Profile: pionProfile(name)}
		if err := config.ExtractSessionKeysFromDTLS(exporter(exported), true); err != nil {
			t.Fatal(err)
		}
		peer, err := pion.CreateContext(config.Keys.LocalMasterKey, config.Keys.LocalMasterSalt, config.Profile)
		if err != nil {
			t.Fatal(err)
		}
		plain := rtpPacket(1, 1, 30)
		sent, err := clientSend.ProtectRTP(nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := peer.EncryptRTP(nil, plain, nil)
		if err != nil || !bytes.Equal(sent, theirs) {
			t.Errorf("%s: want pion's client to send %x, got %x, %v", name, sent, theirs, err)
		}
		if got, err := serverReceive.UnprotectRTP(sent); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: client to server: want %x, got %x, %v", name, plain, got, err)
		}
		if sent, err = serverSend.ProtectRTP(nil, plain); err != nil {
			t.Fatal(err)
		}
		if got, err := clientReceive.UnprotectRTP(sent); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: server to client: want %x, got %x, %v", name, plain, got, err)
		}
	}
}

// exporter is a DTLS connection that exports fixed bytes.
type exporter []byte

func (e exporter) ExportKeyingMaterial(label string, _ []byte, n int) ([]byte, error) {
	if label != ExporterLabel || n != len(e) {
		return nil, fmt.Errorf("export %q of %d bytes: want %q of %d", label, n, ExporterLabel, len(e))
	}
	return e, nil
}

func TestSuitesHaveTheNamesOfTheControlProtocol(t *testing.T) {
	want := []string{control.SuiteAEAD256, control.SuiteAEAD128, control.SuiteAESCM80, control.SuiteAESCM32}
	if got := Suites(); !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}

func TestKeysOfTheWrongLengthAreRefused(t *testing.T) {
	for _, name := range Suites() {
		key, salt, err := Lengths(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(name, make([]byte, key+1), make([]byte, salt)); err == nil {
			t.Errorf("%s: want a key of %d bytes refused", name, key+1)
		}
		if _, err := NewInline(name, make([]byte, key+salt-1)); err == nil {
			t.Errorf("%s: want %d bytes of key and salt refused", name, key+salt-1)
		}
		if _, err := NewInline(name, make([]byte, key+salt)); err != nil {
			t.Errorf("%s: want %d bytes of key and salt taken, got %v", name, key+salt, err)
		}
		if got, ok := ByProfile(suiteOf(name).profile); !ok || got != name {
			t.Errorf("profile %#x: want %s, got %s", suiteOf(name).profile, name, got)
		}
	}
	if _, err := New("F8_128_HMAC_SHA1_80", make([]byte, 16), make([]byte, 14)); err == nil {
		t.Error("want an unknown suite refused")
	}
}

func TestPacketsCostNoAllocation(t *testing.T) {
	for _, name := range Suites() {
		sender, receiver := newContext(t, name, 1), newContext(t, name, 1)
		packet, report := rtpPacket(1, 0, 1000), rtcpPacket(1, 0, 80)
		buffer := make([]byte, 0, 1500)
		sequence := uint16(0)
		if n := testing.AllocsPerRun(1000, func() {
			sequence++
			binary.BigEndian.PutUint16(packet[2:], sequence)
			sent, err := sender.ProtectRTP(buffer, packet)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := receiver.UnprotectRTP(sent); err != nil {
				t.Fatal(err)
			}
			if sent, err = sender.ProtectRTCP(buffer, report); err != nil {
				t.Fatal(err)
			}
			if _, err := receiver.UnprotectRTCP(sent); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: want no allocation, got %v", name, n)
		}
	}
}

// FuzzUnprotect feeds anything into a receiver of every suite. Nothing may pass, since no one but the sender has the key.
func FuzzUnprotect(f *testing.F) {
	var receivers []*Context
	for i, name := range Suites() {
		sender := newContext(f, name, 100)
		good, err := sender.ProtectRTP(nil, rtpPacket(1, 1, 40))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(good, i)
		if good, err = sender.ProtectRTCP(nil, rtcpPacket(1, 1, 40)); err != nil {
			f.Fatal(err)
		}
		f.Add(good, i)
		receivers = append(receivers, newContext(f, name, 1))
	}
	f.Add([]byte{0x9F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0)
	f.Add([]byte{}, 1)
	f.Fuzz(func(t *testing.T, packet []byte, suite int) {
		c := receivers[uint(suite)%uint(len(receivers))]
		if got, err := c.UnprotectRTP(bytes.Clone(packet)); err == nil {
			t.Errorf("RTP under another key: want an error, got %x", got)
		}
		if got, err := c.UnprotectRTCP(bytes.Clone(packet)); err == nil {
			t.Errorf("RTCP under another key: want an error, got %x", got)
		}
		if len(c.sources) != 0 {
			t.Errorf("want no source remembered, got %d", len(c.sources))
		}
	})
}

// TestAStreamThatBeganLongAgoIsTakenUp: a media worker died, and another one has the same keys and none of the counters.
func TestAStreamThatBeganLongAgoIsTakenUp(t *testing.T) {
	for _, suite := range Suites() {
		t.Run(suite, func(t *testing.T) {
			key, salt, err := Lengths(suite)
			if err != nil {
				t.Fatal(err)
			}
			material := bytes.Repeat([]byte{7}, key+salt)
			open := func() *Context {
				c, err := NewInline(suite, material)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			for _, rollovers := range []uint64{1, 40, MaxRollovers, MaxRollovers + 1} {
				far, worker := open(), open()
				s, err := far.add(0x01020304)
				if err != nil {
					t.Fatal(err)
				}
				s.rtp.use(rollovers<<16 | 65_534)
				for sequence := uint16(65_535); sequence != 3; sequence++ {
					plain := []byte{0x80, 96, byte(sequence >> 8), byte(sequence), 0, 0, 0, 0, 1, 2, 3, 4, 'h', 'e', 'l', 'l', 'o'}
					sealed, err := far.ProtectRTP(nil, plain)
					if err != nil {
						t.Fatal(err)
					}
					got, err := worker.UnprotectRTP(sealed)
					if rollovers > MaxRollovers {
						if !errors.Is(err, ErrAuthentication) {
							t.Errorf("%d rollovers: want ErrAuthentication, got %v", rollovers, err)
						}
						break
					}
					if err != nil || !bytes.Equal(got, plain) {
						t.Fatalf("%d rollovers, packet %d: got %x and %v", rollovers, sequence, got, err)
					}
				}
			}
			// Strangers cannot make it look for ever.
			worker := open()
			for n := range 200 {
				noise := append([]byte{0x80, 96, 0, 1, 0, 0, 0, 0, 9, 9, byte(n >> 8), byte(n)}, bytes.Repeat([]byte{byte(n)}, 40)...)
				if _, err := worker.UnprotectRTP(noise); !errors.Is(err, ErrAuthentication) {
					t.Fatalf("noise: got %v", err)
				}
			}
			if worker.tries < maxTries || worker.tries > maxTries+200 {
				t.Errorf("noise was tried %d times, want %d and no more than once a packet after that", worker.tries, maxTries)
			}
		})
	}
}
