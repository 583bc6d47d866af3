package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/journal"
	"rotunda/init/network"
	"rotunda/init/supervise"
)

// startInterfaces brings the interfaces to what the document says and goes on doing so. It does not wait for a lease:
// a machine without a DHCP server starts as fast as any other.
func (m *machine) startInterfaces(ctx context.Context) (func(), error) {
	kernel, err := network.OpenLinux()
	if err != nil {
		return nil, err
	}
	interfaces := network.New(network.Options{
		Kernel:   kernel,
		Ports:    m.ports,
		Spawn:    m.spawnDHCP,
		Log:      func(line string) { m.journal.Line("network", nil, line) },
		Changed:  m.tellLeases,
		Problems: m.reportProblems,
	})
	// A change over the control socket must not come between the look at the document and its application.
	m.changing.Lock()
	m.mu.Lock()
	m.network = interfaces
	doc := m.config.Document
	m.mu.Unlock()
	guarded, _ := m.guard(doc)
	interfaces.Apply(ctx, guarded)
	m.mu.Lock()
	m.applied = true
	m.mu.Unlock()
	m.changing.Unlock()
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		interfaces.Run(ctx)
	}()
	return func() { stop(); <-done; kernel.Close() }, nil
}

// reportProblems turns the reconciler's problems into alarms, and clears those that are gone.
func (m *machine) reportProblems(problems []network.Problem) {
	m.mu.Lock()
	var gone []string
	for id := range m.alarms {
		if strings.HasPrefix(id, "network:") && !slices.ContainsFunc(problems, func(p network.Problem) bool { return "network:"+p.ID == id }) {
			gone = append(gone, id)
		}
	}
	m.mu.Unlock()
	for _, id := range gone {
		m.alarm(id, "")
	}
	for _, p := range problems {
		m.alarm("network:"+p.ID, p.Text)
	}
}

// interfacesReady is the gate: every configured interface that this machine has is up and carries its static address.
// It does not ask for a cable or a DHCP server, whose absence is not the version's fault.
func interfacesReady(doc *config.Document, observed []control.Interface) error {
	for _, i := range observed {
		want := doc.Interfaces[i.Name]
		if !want.IPv4.Enabled && !want.IPv6.Enabled {
			continue
		}
		if !i.Up {
			return fmt.Errorf("interface %s is down", i.Name)
		}
		if want.IPv4.Enabled && !want.IPv4.DHCP && want.IPv4.Address.IsValid() && !slices.Contains(i.Addresses, want.IPv4.Address) {
			return fmt.Errorf("interface %s does not have the address %s", i.Name, want.IPv4.Address)
		}
	}
	return nil
}

// spawnDHCP starts a DHCP client: a child that has two packet sockets and nothing else, no file system, no capability,
// no user in common with another service.
func (m *machine) spawnDHCP(_ context.Context, ifname string, args []string, files []*os.File) (io.ReadCloser, func(), error) {
	confine, err := json.Marshal(supervise.Confine{ReadOnly: []string{"/dev/null"}})
	if err != nil {
		return nil, nil, fmt.Errorf("start dhcp: %w", err)
	}
	out, outW, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start dhcp: %w", err)
	}
	trace, traceW, err := os.Pipe()
	if err != nil {
		out.Close()
		outW.Close()
		return nil, nil, fmt.Errorf("start dhcp: %w", err)
	}
	cmd := exec.Command("/init", append([]string{"exec", string(confine), "/init", "dhcp"}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = outW, traceW, files
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true,
		Credential: &syscall.Credential{Uid: dhcpUser.UID, Gid: dhcpUser.GID, Groups: []uint32{}}}
	err = m.reaper.Start(cmd)
	outW.Close()
	traceW.Close()
	if err != nil {
		out.Close()
		trace.Close()
		return nil, nil, fmt.Errorf("start dhcp: %w", err)
	}
	tag := "dhcp[" + ifname + "]"
	copied, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(copied)
		m.copyLines(tag, trace)
	}()
	go func() {
		defer close(ended)
		if err := m.reaper.Wait(cmd); err != nil {
			m.journal.Log(journal.DaemonNotice, tag, err.Error())
		}
		// The pipes end with the child, unless it has left a process behind: that one gets no say.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		left := time.Now().Add(lastWords)
		_, _ = out.SetReadDeadline(left), trace.SetReadDeadline(left)
		<-copied
	}()
	stop := sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return out, stop, nil
}

// lastWords is how long what a child has written may take to be read after its end.
const lastWords = time.Second

// copyLines passes a child's error lines to the journal until the child closes them.
func (m *machine) copyLines(tag string, r io.ReadCloser) {
	defer r.Close()
	b := bufio.NewReaderSize(r, 8<<10)
	for {
		line, err := b.ReadSlice('\n')
		if text := strings.TrimRight(string(line), "\r\n"); text != "" {
			m.journal.Line(tag, nil, text)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
