package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// loadCore is where the load comes from; what is measured has the last core.
const loadCore = 0

func subjectCore() int { return runtime.NumCPU() - 1 }

// pin keeps this process, and what it starts, on a core.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list threads: %w", err)
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil {
			return fmt.Errorf("run on core %d: %w", core, err)
		}
	}
	return nil
}

// process is a program that is measured.
type process struct {
	command *exec.Cmd
	said    bytes.Buffer
	ended   chan struct{}
}

// launch starts a program on a core.
func launch(core int, name string, args ...string) (*process, error) {
	p := &process{ended: make(chan struct{})}
	p.command = exec.Command("taskset", append([]string{"-c", strconv.Itoa(core), name}, args...)...)
	p.command.Stdout, p.command.Stderr = &p.said, &p.said
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.command.Wait() // how it ended is in command.ProcessState
		close(p.ended)
	}()
	return p, nil
}

// stop ends it with a signal, and by force if that does not help.
func (p *process) stop(signal syscall.Signal) {
	_ = p.command.Process.Signal(signal)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// running is an error with its last words when the program is gone.
func (p *process) running() error {
	select {
	case <-p.ended:
		words := p.said.String()
		return fmt.Errorf("%s has ended: %v: %s", p.command.Args[3], p.command.ProcessState, words[max(0, len(words)-600):])
	default:
		return nil
	}
}

// clockTick of /proc: USER_HZ is 100 on every architecture that Linux has.
const clockTick = time.Second / 100

// used is the CPU time of all threads so far, in the kernel and outside.
func (p *process) used() (time.Duration, error) {
	if err := p.running(); err != nil {
		return 0, err
	}
	fields, err := p.stat()
	if err != nil {
		return 0, err
	}
	return time.Duration(fields[11]+fields[12]) * clockTick, nil
}

// resident memory in bytes.
func (p *process) resident() (int64, error) {
	fields, err := p.stat()
	if err != nil {
		return 0, err
	}
	return fields[21] * int64(os.Getpagesize()), nil
}

// stat returns the numbers of /proc/pid/stat behind the state, which is the first field after the name.
func (p *process) stat() ([]int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return nil, fmt.Errorf("read CPU time: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 30 {
		return nil, fmt.Errorf("read CPU time: %q", text)
	}
	values := make([]int64, len(fields))
	for i, f := range fields[1:] {
		values[i+1], _ = strconv.ParseInt(f, 10, 64) // some are larger than that, and of no interest
	}
	return values, nil
}
