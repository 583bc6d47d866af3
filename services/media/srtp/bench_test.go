package srtp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	pion "github.com/pion/srtp/v3"
)

// Sizes of an Opus packet at 64 kbit/s, or G.711 of 20 ms, and of a full video fragment.
var benchSizes = []int{172, 1160}

func benchPacket(size int) []byte {
	packet := make([]byte, size, size+64)
	packet[0], packet[1] = 0x80, 96
	binary.BigEndian.PutUint32(packet[8:], 0xCAFEBABE)
	return packet
}

// BenchmarkProtect compares with pion/srtp in the same run. Each packet has the next sequence number.
func BenchmarkProtect(b *testing.B) {
	for _, name := range Suites() {
		for _, size := range benchSizes {
			key, salt := material(name, 1)
			b.Run(fmt.Sprintf("%s/%d/rotunda", name, size), func(b *testing.B) {
				c, err := New(name, key, salt)
				if err != nil {
					b.Fatal(err)
				}
				packet, out := benchPacket(size), make([]byte, 0, size+64)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					binary.BigEndian.PutUint16(packet[2:], uint16(i))
					if _, err := c.ProtectRTP(out, packet); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("%s/%d/pion", name, size), func(b *testing.B) {
				c, err := pion.CreateContext(key, salt, pionProfile(name))
				if err != nil {
					b.Fatal(err)
				}
				packet, out := benchPacket(size), make([]byte, 0, size+64)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					binary.BigEndian.PutUint16(packet[2:], uint16(i))
					if _, err := c.EncryptRTP(out, packet, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkUnprotect compares with pion/srtp. Both sides pay for the copy that a datagram's arrival is.
func BenchmarkUnprotect(b *testing.B) {
	const run = 1024
	for _, name := range Suites() {
		for _, size := range benchSizes {
			key, salt := material(name, 1)
			sender, err := New(name, key, salt)
			if err != nil {
				b.Fatal(err)
			}
			packets := make([][]byte, run)
			for i := range packets {
				packet := benchPacket(size)
				binary.BigEndian.PutUint16(packet[2:], uint16(i))
				if packets[i], err = sender.ProtectRTP(nil, packet); err != nil {
					b.Fatal(err)
				}
			}
			in := make([]byte, 0, size+64)
			b.Run(fmt.Sprintf("%s/%d/rotunda", name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				var c *Context
				for i := 0; b.Loop(); i++ {
					if i%run == 0 { // a new context, or each would be a replay
						if c, err = New(name, key, salt); err != nil {
							b.Fatal(err)
						}
					}
					if _, err := c.UnprotectRTP(append(in, packets[i%run]...)); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("%s/%d/pion", name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				var c *pion.Context
				for i := 0; b.Loop(); i++ {
					if i%run == 0 {
						if c, err = pion.CreateContext(key, salt, pionProfile(name), pion.SRTPReplayProtection(windowSize)); err != nil {
							b.Fatal(err)
						}
					}
					packet := append(in, packets[i%run]...)
					if _, err := c.DecryptRTP(packet, packet, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkCounterMode compares the ways to have AES in counter mode for one packet.
func BenchmarkCounterMode(b *testing.B) {
	for _, size := range benchSizes {
		key := bytes.Repeat([]byte{7}, 16)
		m := newCounterMode(b, key)
		data := make([]byte, size)
		var iv [16]byte
		var tail [tailSize]byte
		b.Run(fmt.Sprintf("eight blocks/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				iv[14], iv[15] = 0, 0
				m.xor(data, data, &iv, &tail)
			}
		})
		b.Run(fmt.Sprintf("one block/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.xorBlocks(data, data, &iv)
			}
		})
		b.Run(fmt.Sprintf("standard library/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				iv[14], iv[15] = 0, 0
				standardStream(m.block, iv[:]).XORKeyStream(data, data)
			}
		})
	}
}
