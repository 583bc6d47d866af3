package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
func (m *machine) Capture(ctx context.Context, o control.CaptureOrder, listening func()) (control.Capture, error) {
	return m.captureInto(ctx, m.shellDir("transfer"), o, listening)
}

// captureInto refuses what cannot be done before it makes anything, and leaves no file of a capture that never listened.
func (m *machine) captureInto(ctx context.Context, folder string, o control.CaptureOrder, listening func()) (result control.Capture, err error) {
	if !captureName.MatchString(o.File) {
		return result, control.Refuse(http.StatusBadRequest, "%.160q cannot be the name of a capture", o.File)
	}
	if o.Limit < 1 {
		return result, control.Refuse(http.StatusBadRequest, "a capture of at most %d bytes holds nothing", o.Limit)
	}
	device, err := m.captureDevice(o.Interface)
	if err != nil {
		return result, err
	}
	if err := roomForCapture(folder, o.Reserve); err != nil {
		return result, err
	}
	stop, err := m.beginCapture(o.Interface)
	if err != nil {
		return result, err
	}
	defer m.endCapture(o.Interface)
	path := filepath.Join(folder, o.File)
	file, err := captureFile(path)
	if err != nil {
		return result, err
	}
	defer file.Close()
	begun := false
	result, err = m.runCapture(ctx, capture.Order{Device: device, Limit: o.Limit, Reserve: o.Reserve}, file, stop, func() {
		begun = true
		m.info("capture on interface %s (%s) begins", o.Interface, device)
		listening()
	})
	switch {
	case err != nil && !begun:
		if err := os.Remove(path); err != nil {
			m.warn("remove the file of a capture that did not begin: %v", err)
		}
		err = fmt.Errorf("the capture did not begin: %w", err)
	case err != nil:
		err = fmt.Errorf("the capture broke off: %w", err)
	}
	if err != nil {
		m.warn("capture on interface %s: %v", o.Interface, err)
		return result, err
	}
	m.info("capture on interface %s ended (%s): %d packets, %d dropped, %d bytes", o.Interface, result.Ended, result.Packets, result.Dropped, result.Bytes)
	return result, nil
}

// captureFile makes a file for the shell. The folder is the shell's, which may have put anything there.
func captureFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, control.Refuse(http.StatusConflict, "there already is a file %s", filepath.Base(path))
	}
	if err != nil {
		return nil, fmt.Errorf("make the file of a capture: %w", err)
	}
	if err := file.Chown(int(mmpUser.UID), int(mmpUser.GID)); err != nil && os.Geteuid() == 0 {
		return nil, fmt.Errorf("make the file of a capture: %w", errors.Join(err, file.Close(), os.Remove(path)))
	}
	return file, nil
}

// roomForCapture refuses one that would have to end at once.
func roomForCapture(folder string, reserve uint64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return fmt.Errorf("measure the disk: %w", err)
	}
	if st.Bavail*uint64(st.Bsize) <= reserve {
		return control.Refuse(http.StatusInsufficientStorage, "the disk is too full for a capture: remove files that are not needed any more")
	}
	return nil
}

// captureDevice is the kernel's name of an interface.
func (m *machine) captureDevice(name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ports == nil {
		return "", control.Refuse(http.StatusServiceUnavailable, "the interfaces did not start; health says why")
	}
	port, ok := m.ports[name]
	if !ok {
		return "", control.Refuse(http.StatusNotFound, "this machine has no interface %.20q", name)
	}
	return port.Kernel, nil
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

// runCapture returns when the child has ended; listening is called before that, once the child says that it listens. Its standard
// input ends to tell it to end, and also if PID 1 loses track of it.
func (m *machine) runCapture(ctx context.Context, o capture.Order, file *os.File, stop <-chan struct{}, listening func()) (result control.Capture, err error) {
	order, err := json.Marshal(o)
	if err != nil {
		return result, fmt.Errorf("encode argument: %w", err)
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return result, err
	}
	defer tell.Close()
	said, say, err := os.Pipe()
	if err != nil {
		told.Close()
		return result, err
	}
	defer said.Close()
	trace := clipped{left: maxTrace}
	cmd := captureShim(string(order))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = told, say, &trace
	cmd.ExtraFiles = []*os.File{file}
	cmd.Dir, cmd.Env = "/", []string{"PATH=/bin"}
	err = m.reaper.Start(cmd)
	told.Close()
	say.Close()
	if err != nil {
		return result, fmt.Errorf("start a capture: %w", err)
	}
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
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
	result, err = followCapture(said, listening)
	// Whatever it has said last, it has nothing to do any more.
	giveUp()
	waited := m.reaper.Wait(cmd)
	close(ended)
	<-watched
	if errors.Is(err, io.EOF) || waited != nil {
		return result, fmt.Errorf("its program ended (%w): %.400s", cmp.Or(waited, err), trace.kept.String())
	}
	return result, err
}

// followCapture reads reports until the one that says what has become of the capture.
func followCapture(r io.Reader, listening func()) (result control.Capture, err error) {
	reports := json.NewDecoder(io.LimitReader(r, maxAnswer))
	for {
		var report capture.Report
		if err := reports.Decode(&report); err != nil {
			return result, fmt.Errorf("read what its program says: %w", err)
		}
		switch {
		case report.Error != "":
			return result, errors.New(report.Error)
		case report.Result != nil:
			return *report.Result, nil
		case report.Listening:
			listening()
		}
	}
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
