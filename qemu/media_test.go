//go:build qemu

package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestEveryMediaCoreHasItsWorker boots with 1 and with 4 virtual processors; all other tests have 2. One is shared; otherwise
// the first is the system's and each of the others has a worker, which all register with the media manager. (Eight work too, and
// take minutes where two real ones emulate them.)
func TestEveryMediaCoreHasItsWorker(t *testing.T) {
	for _, c := range []struct{ processors, workers int }{{1, 1}, {4, 3}} {
		t.Run(fmt.Sprint(c.processors), func(t *testing.T) {
			m := boot(t, Options{CPUs: c.processors, MemoryMiB: 1024 + 256*c.workers, NICs: []NIC{{Forward: []Forward{{Guest: 22}}}}})
			m.firstLogin()
			want := fmt.Sprintf("module 0, %d of %d workers ready", c.workers, c.workers)
			m.await("health", want)
			log := filepath.Join(t.TempDir(), "log")
			m.sftp("get log " + log)
			text, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			wants := []string{"media module status 1 (1/1) 1/1 (full media capacity)"}
			if c.processors > 1 {
				wants = append(wants, " interrupts are kept off the media cores")
			}
			wantContains(t, "the log", string(text), wants...)
		})
	}
}
