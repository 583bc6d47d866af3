package supervise

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// Exec is the verb "exec" of PID 1's program: it confines its own process and becomes the service. Between fork and
// exec a Go program cannot run code of its own, so the confinement happens here, as the service's user already.
// The arguments are an order as JSON, the program, and its arguments. It returns only on an error.
func Exec(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("exec: want a confinement and a program, got %d arguments", len(args))
	}
	var c order
	if err := json.Unmarshal([]byte(args[0]), &c); err != nil {
		return fmt.Errorf("exec: read confinement: %w", err)
	}
	// exec keeps the mask and the priority of the thread that calls it, so this goroutine stays on its thread.
	runtime.LockOSThread()
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 0); err != nil {
		fmt.Printf("<28>init: start %s: give PID 1's priority back: %v\n", args[1], err)
	}
	if err := pin(c.CPUs); err != nil {
		// A service on the wrong processor is better than none. 28 is daemon.warning.
		fmt.Printf("<28>init: start %s: %v\n", args[1], err)
	}
	if err := c.enforce(args[1]); err != nil {
		return err
	}
	if err := syscall.Exec(args[1], args[1:], os.Environ()); err != nil {
		return fmt.Errorf("exec %s: %w", args[1], err)
	}
	return nil
}

// order is what [Exec] does to its process before it becomes the service.
type order struct {
	Confine
	CPUs []int `json:"cpus,omitempty"`
}

// pin gives this process its processors: those of PID 1, which it has inherited, may be others, and a cpuset alone does not
// widen what a process was given by sched_setaffinity(2). Where a cgroup is missing it is the only bound. The caller stays on
// its thread.
func pin(processors []int) error {
	if len(processors) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, n := range processors {
		set.Set(n)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("use processors %v: %w", processors, err)
	}
	return nil
}

// enforce applies Landlock ABI 2, which Linux 6.1 has (landlock(7)). The program itself stays executable; its Unix
// sockets are reachable, since Landlock does not rule on connecting to them.
func (c Confine) enforce(program string) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no new privileges: %w", err)
	}
	if c.ReadOnly == nil && c.ReadWrite == nil {
		return nil
	}
	rules := []landlock.Rule{landlock.ROFiles(program)}
	for _, p := range c.ReadOnly {
		if st, err := os.Stat(p); err == nil && st.IsDir() {
			rules = append(rules, landlock.RODirs(p))
		} else if err == nil {
			rules = append(rules, landlock.ROFiles(p))
		}
	}
	for _, p := range c.ReadWrite {
		if st, err := os.Stat(p); err == nil && st.IsDir() {
			rules = append(rules, landlock.RWDirs(p).WithRefer())
		} else if err == nil {
			rules = append(rules, landlock.RWFiles(p))
		}
	}
	if err := landlock.V2.RestrictPaths(rules...); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	return nil
}
