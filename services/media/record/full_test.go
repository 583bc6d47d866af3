package record

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// disk is a file system of some size, which needs root.
func disk(t *testing.T, size string) string {
	t.Helper()
	folder := t.TempDir()
	if err := unix.Mount("none", folder, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(folder, unix.MNT_DETACH) })
	return folder
}

func TestAFullDiskEndsTheRecordingAndKeepsWhatItHas(t *testing.T) {
	c := encode(t, 320, 180, 5)
	for _, test := range []struct {
		name  string
		room  bool // is made before the end
		boxes string
	}{
		{"with room for the index", true, "ftyp free moov mdat"},
		{"without", false, "ftyp free moov free moof"},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := disk(t, "1m")
			path := filepath.Join(folder, "a.mp4")
			other := filepath.Join(folder, "other")
			if err := os.WriteFile(other, make([]byte, 100<<10), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Create(path, sound)
			if err != nil {
				t.Fatal(err)
			}
			var full error
			// Sound alone, whose index is large for its size: 20 kB of it do not fit into pages that the file has anyway.
			for i := 0; full == nil && i < 1e6; i++ {
				full = f.Audio(c.frames[i%len(c.frames)], time.Duration(i)*frameSamples*time.Second/48000)
				if i%48 == 0 {
					f.drain()
				}
			}
			if !errors.Is(full, unix.ENOSPC) {
				t.Fatalf("audio on a full disk: %v, want %v", full, unix.ENOSPC)
			}
			if test.room {
				if err := os.Remove(other); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Close(); !errors.Is(err, unix.ENOSPC) {
				t.Errorf("close: %v, want %v", err, unix.ENOSPC)
			}
			if got := layout(t, path); !strings.HasPrefix(got, test.boxes) {
				t.Errorf("boxes: %s, want %s", got, test.boxes)
			}
			decode(t, path)
			// The fragment that did not fit and the one after it are lost.
			_, _, packets := probe(t, path).stream(t, "audio")
			if got, want := packets, int(f.Stats().AudioFrames)-3*48; got < want {
				t.Errorf("%d frames, want %d or more", got, want)
			}
			noFile(t, path+Unfinished)
			noFile(t, path+copying)
		})
	}
}
