package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost is what one argon2id hash takes (RFC 9106 section 3.1).
type Cost struct {
	// MemoryKiB that one hash fills.
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultCost is 19 MiB and two passes, a common recommendation for logins: about 25 ms on one core of a server, below
// half a second under software emulation.
var DefaultCost = Cost{MemoryKiB: 19 << 10, Passes: 2, Lanes: 1}

// Bounds of the parameters in a stored hash: a file must not make a login take a minute or a gigabyte.
const (
	maxMemoryKiB = 64 << 10
	maxPasses    = 8
	maxLanes     = 4
	saltSize     = 16
	keySize      = 32
)

// networkHashes may be computed at a time for logins by the network, whatever their number: 38 MiB. The console and those
// who are already logged in have one more of their own, so that a flood of logins does not keep them waiting.
const networkHashes = 2

func (c Cost) check() error {
	if c.Passes < 1 || c.Passes > maxPasses || c.Lanes < 1 || c.Lanes > maxLanes ||
		c.MemoryKiB < 8*uint32(c.Lanes) || c.MemoryKiB > maxMemoryKiB {
		return errors.New("hash parameters are out of bounds")
	}
	return nil
}

// hash is a password hash in PHC string format: $argon2id$v=19$m=19456,t=2,p=1$salt$key.
type hash string

// parsedHash is a [hash] taken apart.
type parsedHash struct {
	cost      Cost
	salt, key []byte
}

// parseHash takes exactly what [parsedHash.String] gives.
func parseHash(text string) (parsedHash, error) {
	var h parsedHash
	bad := errors.New("password hash is not readable")
	if len(text) > 256 {
		return h, bad
	}
	part := strings.Split(text, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v="+strconv.Itoa(argon2.Version) {
		return h, bad
	}
	param := strings.Split(part[3], ",")
	if len(param) != 3 {
		return h, bad
	}
	var value [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(param[i], name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil {
			return h, bad
		}
		value[i] = n
	}
	if value[2] > maxLanes {
		return h, bad
	}
	h.cost = Cost{MemoryKiB: uint32(value[0]), Passes: uint32(value[1]), Lanes: uint8(value[2])}
	if err := h.cost.check(); err != nil {
		return h, err
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.Strict().DecodeString(part[4]); err != nil || len(h.salt) != saltSize {
		return h, bad
	}
	if h.key, err = base64.RawStdEncoding.Strict().DecodeString(part[5]); err != nil || len(h.key) != keySize {
		return h, bad
	}
	return h, nil
}

func (h parsedHash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.cost.MemoryKiB, h.cost.Passes, h.cost.Lanes,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}

func (h parsedHash) derive(password string) []byte {
	// The runtime would keep the hash's 19 MiB for minutes in case they are wanted again; logins are rare, and memory
	// belongs to meetings.
	defer debug.FreeOSMemory()
	return argon2.IDKey([]byte(password), h.salt, h.cost.Passes, h.cost.MemoryKiB, h.cost.Lanes, keySize)
}

func (h parsedHash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password), h.key) == 1
}

// hasher computes hashes, a few at a time.
type hasher struct {
	cost            Cost
	network, inside chan struct{}
	// decoy is compared with where there is no account, so that both take the same time. Nothing matches it.
	decoy hash
}

func newHasher(cost Cost) *hasher {
	h := &hasher{cost: cost, network: make(chan struct{}, networkHashes), inside: make(chan struct{}, 1)}
	decoy := parsedHash{cost: cost, salt: random(saltSize), key: random(keySize)}
	h.decoy = hash(decoy.String())
	return h
}

// random bytes; crypto/rand never fails on this platform.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// slot waits for a turn; the caller ends it with the function returned.
func (h *hasher) slot(ctx context.Context, inside bool) (func(), error) {
	turns := h.network
	if inside {
		turns = h.inside
	}
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to check a password: %w", ctx.Err())
	}
}

func (h *hasher) verify(ctx context.Context, stored hash, password string, inside bool) (bool, error) {
	p, err := parseHash(string(stored))
	if err != nil {
		return false, err
	}
	done, err := h.slot(ctx, inside)
	if err != nil {
		return false, err
	}
	defer done()
	return p.matches(password), nil
}

func (h *hasher) hash(ctx context.Context, password string) (hash, error) {
	done, err := h.slot(ctx, true)
	if err != nil {
		return "", err
	}
	defer done()
	return h.mustHash(password), nil
}

// mustHash computes without waiting for a turn; for start-up, when nobody else does.
func (h *hasher) mustHash(password string) hash {
	p := parsedHash{cost: h.cost, salt: random(saltSize)}
	p.key = p.derive(password)
	return hash(p.String())
}
