package initramfs

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Settings name what decides how bytes are compressed beside the code that does it, for a cache.
var Settings = fmt.Sprintf("zstd window %d", windowSize)

// windowSize is what the kernel must hold in memory while it unpacks. It would accept 128 MiB; beyond 8 MiB our
// archives get no smaller.
const windowSize = 8 << 20

// Compress returns the archive as one Zstandard frame, padded to four bytes so that another archive may follow.
//
// Hard false saves the work where the archive holds what is compressed already.
//
// The frame carries a checksum: a kernel whose copy on the disk has decayed panics while unpacking, and the loader
// counts that as a failed try, where a silently damaged program would run on.
func Compress(archive []byte, hard bool) ([]byte, error) {
	var b bytes.Buffer
	level := zstd.SpeedFastest
	if hard {
		level = zstd.SpeedBestCompression
	}
	// One goroutine: block borders, and with them the bytes, must not depend on the machine.
	w, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(windowSize), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("compress initramfs: %w", err)
	}
	if _, err := w.Write(archive); err != nil {
		return nil, fmt.Errorf("compress initramfs: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress initramfs: %w", err)
	}
	b.Write(make([]byte, (4-b.Len()%4)%4))
	return b.Bytes(), nil
}
