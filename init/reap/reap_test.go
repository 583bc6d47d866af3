package reap

import (
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseStatCountsFromTheLastParenthesis(t *testing.T) {
	for _, c := range []struct {
		stat   string
		parent int
		zombie bool
	}{
		{"12 (sh) S 1 12 12 0", 1, false},
		{"12 (sh) Z 1 12 12 0", 1, true},
		{"12 (a) Z 7) Z 3 12", 3, true},
		{"12 (sh", 0, false},
		{"12 (sh) Z", 0, false},
		{"12 (sh) Z x", 0, false},
	} {
		parent, zombie := parseStat([]byte(c.stat))
		if parent != c.parent || zombie != c.zombie {
			t.Errorf("%q: want parent %d zombie %v, got %d %v", c.stat, c.parent, c.zombie, parent, zombie)
		}
	}
}

// A test process can be a "subreaper", which makes orphans its children as if it were PID 1.
func TestSweepTakesOrphansAndLeavesExitCodes(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	var r Reaper
	stop, swept := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				swept <- n
				return
			default:
				n += r.Sweep()
			}
		}
	}()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			// The inner shell is orphaned when the outer one ends with its own code.
			cmd := exec.Command("sh", "-c", "(exit 9) & exit $0", string(rune('0'+i%10)))
			if err := r.Start(cmd); err != nil {
				t.Error(err)
				return
			}
			err := r.Wait(cmd)
			var exit *exec.ExitError
			switch {
			case i%10 == 0:
				if err != nil {
					t.Errorf("child %d: want exit 0, got %v", i, err)
				}
			case !errors.As(err, &exit) || exit.ExitCode() != i%10:
				t.Errorf("child %d: want exit %d, got %v", i, i%10, err)
			}
		})
	}
	wg.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		// No child of ours is left, not even a zombie, once the sweep has had them all.
		if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG|unix.WNOWAIT, nil); errors.Is(err, syscall.ECHILD) || err != nil {
			break
		}
	}
	close(stop)
	n := <-swept
	if n == 0 {
		t.Error("want orphans swept, got none")
	}
}
