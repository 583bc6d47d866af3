// Package reap collects the dead: every process whose parent has gone becomes a child of PID 1, and stays a zombie
// until PID 1 waits for it.
//
// A loop of wait4(-1) would also collect the children that os/exec waits for, whose exit codes are then lost.
// So a child that we start ourselves is registered while the same lock is held that the sweep takes, and the sweep
// waits only for zombies that nobody registered. The cost is a look through /proc, some hundred small files, at most
// once per SIGCHLD.
package reap

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Reaper starts children and sweeps orphans. The zero value is ready for use.
type Reaper struct {
	mu    sync.Mutex
	owned map[int]bool
}

// Start starts cmd as an owned child: the caller must call [Reaper.Wait] for it.
func (r *Reaper) Start(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	if r.owned == nil {
		r.owned = make(map[int]bool)
	}
	r.owned[cmd.Process.Pid] = true
	return nil
}

// Wait waits for an owned child to end. Between the kernel's release of the PID and our own an orphan may get the
// same number; the sweep that skips it then is followed by another within [sweepEvery].
func (r *Reaper) Wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	r.mu.Lock()
	delete(r.owned, cmd.Process.Pid)
	r.mu.Unlock()
	return err
}

const sweepEvery = 10 * time.Second

// Run sweeps on every SIGCHLD and every ten seconds until ctx ends.
func (r *Reaper) Run(ctx context.Context) {
	child := make(chan os.Signal, 1)
	signal.Notify(child, syscall.SIGCHLD)
	defer signal.Stop(child)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		r.Sweep()
		select {
		case <-ctx.Done():
			return
		case <-child:
		case <-tick.C:
		}
	}
}

// Sweep collects the zombies that nobody registered and returns how many there were.
func (r *Reaper) Sweep() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	self := os.Getpid()
	proc, err := os.Open("/proc")
	if err != nil {
		return 0
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return 0
	}
	n := 0
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || r.owned[pid] {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue
		}
		if parent, zombie := parseStat(stat); zombie && parent == self {
			if got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err == nil && got == pid {
				n++
			}
		}
	}
	return n
}

// parseStat reads parent and state from /proc/PID/stat (proc(5)). The command name is in parentheses and may hold
// anything, closing parentheses included, so the fields are counted from the last one.
func parseStat(stat []byte) (parent int, zombie bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, false
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0, false
	}
	return parent, string(fields[0]) == "Z"
}
