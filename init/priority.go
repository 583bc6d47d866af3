package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// niceness of PID 1. Services have 0 ([supervise.Exec] sees to it): when all of them start at the same time on one slow processor, or
// one of them runs wild, the shell's questions to PID 1 must still be answered within its two seconds of patience.
const niceness = -10

// goFirst gives every thread of this process its priority; threads that come later inherit it (setpriority(2)).
func goFirst(proc string) error {
	tasks, err := os.ReadDir(proc + "/self/task")
	if err != nil {
		return fmt.Errorf("set priority: %w", err)
	}
	var errs []error
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err == nil {
			err = unix.Setpriority(unix.PRIO_PROCESS, id, niceness)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("set priority of thread %s: %w", t.Name(), err))
		}
	}
	return errors.Join(errs...)
}
