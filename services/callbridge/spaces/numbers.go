package spaces

import (
	"crypto/rand"
	"encoding/base64"
	"math/big"

	"rotunda/services/callbridge/store"
)

// callIDDigits is the length of generated call IDs, as deployed clients and people's notes have them.
const callIDDigits = 9

// newCallID returns a call ID that no space and no access method has, in any tenant group: then a tenant can change its group
// without a clash of numbers that nobody chose. The first digit is no 0, which telephones take for a trunk prefix and spreadsheets
// drop. There are 900 million; with 300,000 spaces one try in 3,000 is taken.
func newCallID(v store.View) string {
	for {
		id := digits(callIDDigits)
		if id[0] != '0' && len(v.Find(callIDIndex, id)) == 0 {
			return id
		}
	}
}

// GeneratePasscode returns a passcode of digits, which telephones can send, with at least n of them and never fewer than 6.
func GeneratePasscode(n int) string { return digits(max(n, 6)) }

func digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		d, err := rand.Int(rand.Reader, big.NewInt(10))
		if err != nil {
			panic(err) // crypto/rand never fails on Linux
		}
		b[i] = '0' + byte(d.Int64())
	}
	return string(b)
}

// newSecret returns 16 random bytes in the form of web links, 22 characters.
func newSecret() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// The indexes that spaces and access methods share (package schema).
const (
	uriIndex    = "coSpaceUri"
	callIDIndex = "coSpaceCallId"
)
