package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that is measured.
type process struct {
	command *exec.Cmd
	said    bytes.Buffer
}

// launch starts a server on the last core, before everybody else who wants it, and waits until it answers.
func launch(name string, args ...string) (*process, error) {
	p := &process{command: exec.Command("taskset", append([]string{"-c", strconv.Itoa(runtime.NumCPU() - 1), name}, args...)...)}
	p.command.Stdout, p.command.Stderr = &p.said, &p.said
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// It has the priority of this process; where the kernel groups by session its group needs it too.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", p.command.Process.Pid), []byte("-20"), 0)
	conn, err := net.Dial("udp", net.JoinHostPort(serverAddress, strconv.Itoa(turnPort)))
	if err != nil {
		p.end()
		return nil, err
	}
	defer conn.Close()
	for range 200 {
		_, _ = conn.Write(bindingRequest())
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := conn.Read(make([]byte, 1500)); err == nil && n > 0 {
			return p, nil
		}
		// A refused port answers at once.
		time.Sleep(50 * time.Millisecond)
	}
	p.end()
	return nil, fmt.Errorf("%s does not answer: %s", name, p.said.String())
}

func (p *process) end() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		_ = p.command.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		_ = p.command.Process.Kill()
		<-done
	}
}

// cpu is the time that all threads have run, to the nanosecond.
func (p *process) cpu() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.command.Process.Pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("the server has ended: %s", p.said.String())
	}
	var sum time.Duration
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has just ended
		}
		ran, _, _ := strings.Cut(string(b), " ")
		n, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", file, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// memory is the resident size in bytes.
func (p *process) memory() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("the server has ended: %s", p.said.String())
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS")
}
