package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/capture"
	"rotunda/init/control"
	"rotunda/init/supervise"
)

// captureEnds is how long a capture may take to write what has arrived and to bring it to the disk.
const captureEnds = 20 * time.Second

// captureName is what a capture may be called: nothing that leads out of its folder, nothing hidden.
var captureName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,122}\.pcap$`)

// captureShim confines the child: a test has no /init.
var captureShim = func(order string) *exec.Cmd {
	// Landlock with nothing to open, for which a list may not be empty; the file is open already, and the device is looked up by netlink.
	confine, _ := json.Marshal(supervise.Confine{ReadOnly: []string{"/dev/null"}})
	cmd := exec.Command("/init", "exec", string(confine), "/init", "capture", order)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, AmbientCaps: []uintptr{unix.CAP_NET_RAW},
		Credential: &syscall.Credential{Uid: captureUser.UID, Gid: captureUser.GID, Groups: []uint32{}},
	}
	return cmd
}

// Capture runs a child until StopCapture, or ctx, which ends with the connection of whoever asks.
func (m *machine) Capture(ctx context.Context, o control.CaptureOrder) (result control.Capture, err error) {
	if !captureName.MatchString(o.File) {
		return result, control.Refuse(http.StatusBadRequest, "%.160q cannot be the name of a capture", o.File)
	}
	if o.Limit < 1 {
		return result, control.Refuse(http.StatusBadRequest, "a capture of at most %d bytes holds nothing", o.Limit)
	}
	device, err := m.captureDevice(ctx, o.Interface)
	if err != nil {
		return result, err
	}
	stop, err := m.beginCapture(o.Interface)
	if err != nil {
		return result, err
	}
	defer m.endCapture(o.Interface)

	// The folder belongs to the shell, which may have put anything there.
	path := filepath.Join(m.shellDir("transfer"), o.File)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return result, fmt.Errorf("make the file of a capture: %w", err)
	}
	defer file.Close()
	if err := file.Chown(int(mmpUser.UID), int(mmpUser.GID)); err != nil && os.Geteuid() == 0 {
		return result, fmt.Errorf("make the file of a capture: %w", err)
	}
	m.info("capture on interface %s (%s) begins", o.Interface, device)
	result, err = m.runCapture(ctx, capture.Order{Device: device, Limit: o.Limit, Reserve: o.Reserve}, file, stop)
	if err != nil {
		m.warn("capture on interface %s: %v", o.Interface, err)
		return result, err
	}
	m.info("capture on interface %s ended (%s): %d packets, %d dropped, %d bytes", o.Interface, result.Ended, result.Packets, result.Dropped, result.Bytes)
	return result, nil
}

func (m *machine) captureDevice(ctx context.Context, name string) (string, error) {
	list, err := m.Interfaces(ctx)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(list, func(i control.Interface) bool { return i.Name == name }); i >= 0 {
		return list[i].Kernel, nil
	}
	return "", control.Refuse(http.StatusNotFound, "this machine has no interface %.20q", name)
}

// beginCapture takes an interface; what it returns is closed by StopCapture.
func (m *machine) beginCapture(name string) (<-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.captures[name] != nil {
		return nil, control.Refuse(http.StatusConflict, "there already is a capture on interface %s: end it first", name)
	}
	if m.captures == nil {
		m.captures = map[string]func(){}
	}
	stop := make(chan struct{})
	m.captures[name] = func() {
		select {
		case <-stop:
		default:
			close(stop)
		}
	}
	return stop, nil
}

func (m *machine) endCapture(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.captures, name)
}

func (m *machine) StopCapture(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	end := m.captures[name]
	if end == nil {
		return control.Refuse(http.StatusNotFound, "there is no capture on interface %.20q", name)
	}
	end()
	return nil
}

// runCapture returns when the child has ended. Its standard input ends to tell it to, and also if PID 1 loses track of it.
func (m *machine) runCapture(ctx context.Context, o capture.Order, file *os.File, stop <-chan struct{}) (result control.Capture, err error) {
	order, err := json.Marshal(o)
	if err != nil {
		return result, fmt.Errorf("encode argument: %w", err)
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return result, err
	}
	defer tell.Close()
	out, trace := clipped{left: maxAnswer}, clipped{left: maxTrace}
	cmd := captureShim(string(order))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = told, &out, &trace
	cmd.ExtraFiles = []*os.File{file}
	cmd.Dir, cmd.Env = "/", []string{"PATH=/bin"}
	err = m.reaper.Start(cmd)
	told.Close()
	if err != nil {
		return result, fmt.Errorf("start a capture: %w", err)
	}
	ended := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ended:
			return
		case <-stop:
		case <-ctx.Done():
		}
		tell.Close()
		late := time.NewTimer(captureEnds)
		defer late.Stop()
		select {
		case <-ended:
		case <-late.C:
			_ = cmd.Process.Kill()
		}
	}()
	err = m.reaper.Wait(cmd)
	close(ended)
	<-watched
	if err != nil {
		return result, fmt.Errorf("the capture broke off (%w): %.400s", err, trace.kept.String())
	}
	if err := json.Unmarshal(out.kept.Bytes(), &result); err != nil {
		return result, fmt.Errorf("the capture: read answer: %w", err)
	}
	return result, nil
}

// Traces is part of [control.Machine].
func (m *machine) Traces(context.Context) (control.Traces, error) {
	// SYSLOG_ACTION_READ_ALL and SYSLOG_ACTION_SIZE_BUFFER (syslog(2)).
	const readAll, sizeBuffer = 3, 10
	m.mu.Lock()
	t := control.Traces{Crash: m.crash}
	m.mu.Unlock()
	size, err := unix.Klogctl(sizeBuffer, nil)
	if err != nil {
		return t, fmt.Errorf("read the kernel's log: %w", err)
	}
	// Where the kernel was built with more, its beginning is what is left out.
	b := make([]byte, min(size, 1<<20))
	n, err := unix.Klogctl(readAll, b)
	if err != nil {
		return t, fmt.Errorf("read the kernel's log: %w", err)
	}
	t.Kernel = string(b[:n])
	return t, nil
}
