package srtp

import "golang.org/x/sys/cpu"

// wide says whether eight blocks are done at a time.
var wide = cpu.X86.HasAES && cpu.X86.HasSSE2

// wideKeys are the eleven round keys of AES-128.
type wideKeys [11 * 16]byte

func (k *wideKeys) expand(key []byte) {
	if wide {
		expandKey(k, (*[16]byte)(key))
	}
}

// xor works on a whole number of 128 bytes. The block counter in iv is read and not written.
func (k *wideKeys) xor(dst, src []byte, iv *[16]byte) {
	_ = dst[len(src)-1]
	xorWide(k, &dst[0], &src[0], len(src)/tailSize, iv)
}

//go:noescape
func expandKey(keys *wideKeys, key *[16]byte)

//go:noescape
func xorWide(keys *wideKeys, dst, src *byte, count int, iv *[16]byte)
