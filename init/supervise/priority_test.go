package supervise

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAServiceDoesNotKeepThePriorityOfPID1(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a priority above the usual needs root")
	}
	shim, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	niced := make(chan error)
	var out []byte
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its priority
		err := unix.Setpriority(unix.PRIO_PROCESS, 0, -5)
		if err == nil {
			c := exec.Command(shim, "exec", `{}`, "/usr/bin/nice")
			out, err = c.CombinedOutput()
		}
		niced <- err
	}()
	if err := <-niced; err != nil || strings.TrimSpace(string(out)) != "0" {
		t.Errorf("nice of a service: want 0, got %q, %v", out, err)
	}
}
