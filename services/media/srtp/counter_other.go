//go:build !amd64

package srtp

// wide is false where there is no assembly: blocks are done one at a time.
const wide = false

type wideKeys struct{}

func (*wideKeys) expand([]byte) {}

func (*wideKeys) xor(_, _ []byte, _ *[16]byte) {}
