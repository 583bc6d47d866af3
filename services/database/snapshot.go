package database

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is what unpacking a snapshot may take of memory; packing takes as much.
const maxWindow = 4 << 20

// snapshotLimit is what 2 GiB take to a slow disk.
const snapshotLimit = 10 * time.Minute

// serveSnapshot answers, by HTTP on the client socket, with a consistent copy of everything that was acknowledged before the request: the
// database file and its SHA-256, compressed with Zstandard. An answer that breaks off is one that HTTP shows to be cut.
func (n *Node) serveSnapshot(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.Error(w, "GET only", http.StatusMethodNotAllowed)
		return
	}
	// Until it ends, the pages of its revision cannot be used anew: whoever reads it is not waited for without end.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(snapshotLimit)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	begin := time.Now()
	w.Header().Set("Content-Type", "application/zstd")
	written := &counter{to: w}
	size, err := n.snapshot(written)
	if err != nil {
		n.opt.Say(fmt.Sprintf("snapshot broke off: %v", err))
		// The chunked answer ends without its end.
		panic(http.ErrAbortHandler)
	}
	n.opt.Say(fmt.Sprintf("snapshot of %d KiB, packed into %d KiB, in %v", size>>10, written.n>>10, time.Since(begin).Round(time.Millisecond)))
}

// snapshot packs the database file, as it is now, and returns its size.
func (n *Node) snapshot(to io.Writer) (int64, error) {
	n.copying.RLock()
	defer n.copying.RUnlock()
	z, err := zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow))
	if err != nil {
		return 0, err
	}
	defer z.Close()
	copied := n.etcd.Server.Backend().Snapshot()
	defer copied.Close()
	sum := sha256.New()
	size, err := copied.WriteTo(io.MultiWriter(z, sum))
	if err != nil {
		return 0, err
	}
	if _, err := z.Write(sum.Sum(nil)); err != nil {
		return 0, err
	}
	return size, z.Close()
}

type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}
