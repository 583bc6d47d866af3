package rtp

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
)

// NewCNAME returns a canonical name that is as good as unique and tells nothing about the machine: 96 random bits in base64
// (RFC 7022 section 4.2). All streams of one leg share it, which is what allows lip sync.
func NewCNAME() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// NewSSRC returns a random source, never 0, which some peers take for none.
func NewSSRC() uint32 {
	for {
		var b [4]byte
		rand.Read(b[:])
		if n := binary.BigEndian.Uint32(b[:]); n != 0 {
			return n
		}
	}
}
