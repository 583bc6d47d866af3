// Package qemu runs the disk image in QEMU and drives it from outside, as an administrator would: through the serial
// port, with the real OpenSSH and sftp clients, with the power switch, and as a neighbour on its network.
//
// It owns the QEMU process and everything that belongs to one run of it: a private disk (the product in build/ is
// opened read-only and never changed), private UEFI variables, the serial console, the QMP monitor and the far ends of the
// network cards. Every wait ends with the caller's context or when QEMU ends; nothing polls and nothing sleeps.
//
// Sockets are socket pairs handed to QEMU as open descriptors. So no byte of the first boot messages is lost, no path can
// collide or exceed the 108 bytes of sun_path, and the end of QEMU is seen as the end of the stream.
//
// QEMU dies with its parent: the kernel kills it (PR_SET_PDEATHSIG) even when a test binary is killed at its time limit.
// What the guest flushed or wrote stays in the host's page cache through [Machine.PowerCut], so that a cut made this way
// loses nothing; cuts that lose writes are the business of qemu/powercut.
package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"rotunda/services/freeport"
)

// Disk is what the machine boots from.
type Disk struct {
	// Path of the image. It is not written to unless Private says that it belongs to this machine.
	Path string
	// Format is "raw" or "vmdk" or "qcow2"; empty means raw.
	Format string
	// Private is true if the machine may write to Path itself. Otherwise it writes to a qcow2 overlay that is thrown away.
	Private bool
	// Bus is one of virtio-blk, pvscsi, ahci, nvme; empty means virtio-blk.
	Bus string
	// ReadOnly makes the disk refuse every write, as one does that protects itself at the end of its life.
	ReadOnly bool
	// WriteLog, if set, is where QEMU's blklogwrites driver records every write and flush. It needs a raw disk.
	WriteLog string
}

// NIC is one network card. Cards get ascending PCI slots in the order given, which is what makes them a, b, c and d.
type NIC struct {
	// Model is one of virtio-net-pci, vmxnet3, e1000e; empty means virtio-net-pci.
	Model string
	// MAC address; empty means 52:54:00:00:00:0N.
	MAC string
	// Segment is the wire it is plugged into. Nil means QEMU's user network 10.0.2.0/24 (router and DHCP server
	// 10.0.2.2, guest 10.0.2.15).
	Segment *Segment
	// Forward lists guest TCP ports to be reached from the loopback interface; [Machine.Port] says where. User network
	// only.
	Forward []Forward
}

// Forward makes the guest's TCP port Guest reachable as 127.0.0.1:Host; a zero Host means any free port. With UDP set the UDP
// port of the same number is, too.
type Forward struct {
	Host, Guest int
	UDP         bool
}

// Options describe one machine.
type Options struct {
	// Name tells machines apart in messages and names the transcript.
	Name string
	Disk Disk
	// Boot is a raw image of a second disk that the firmware starts from instead, for a controller of the first that the
	// firmware has no driver for: Debian's OVMF has none for pvscsi. It is not written to.
	Boot string
	// Kernel, if set, is started by QEMU itself, without firmware and without a disk.
	Kernel *Kernel
	// CPUs and MemoryMiB default to 2 and 1024.
	CPUs, MemoryMiB int
	NICs            []NIC
	// SMBIOS are values of -smbios, for example "type=1,product=…".
	SMBIOS []string
	// Transcript is the file that keeps the raw bytes of the serial console; its folder is made. Empty means none.
	Transcript string
	// StdioSerial connects the serial console and the QEMU monitor to the terminal instead of [Machine.Serial].
	StdioSerial bool
	// VarsPath is the machine's UEFI variable store, made from the firmware's template if it is not there. Empty means a
	// fresh one.
	VarsPath string
}

// Kernel is what QEMU can start by itself.
type Kernel struct{ Image, Initrd, CommandLine string }

// Machine is a running QEMU.
type Machine struct {
	// Serial is the first serial port, from the first byte.
	Serial *Console
	// Monitor is the QMP monitor.
	Monitor *Monitor
	// Started is when the power came on.
	Started time.Time

	name    string
	process *os.Process
	ports   map[int]int
	dir     string
	ended   chan struct{}
	exit    error
	stderr  *lockedBuffer
	close   []func()
	once    sync.Once
}

// Start powers a machine on. The context bounds the start only; [Machine.Close] ends the machine.
func Start(ctx context.Context, o Options) (_ *Machine, err error) {
	o = o.withDefaults()
	accelerator, err := Accelerator(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rotunda-qemu-")
	if err != nil {
		return nil, fmt.Errorf("make machine folder: %w", err)
	}
	m := &Machine{name: o.Name, dir: dir, ports: map[int]int{}, ended: make(chan struct{}), stderr: &lockedBuffer{}}
	m.close = append(m.close, func() { _ = os.RemoveAll(dir) })
	defer func() {
		if err != nil {
			m.cleanUp()
		}
	}()

	wiring, files, err := m.prepare(ctx, &o)
	if err != nil {
		return nil, err
	}
	wiring.accelerator = accelerator
	command := exec.Command("qemu-system-x86_64", arguments(o, wiring)...)
	command.ExtraFiles = files
	command.Stderr = m.stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if o.StdioSerial {
		command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	} else {
		// A Ctrl-C in the terminal is for the test, which then closes the machine in order.
		command.SysProcAttr.Setpgid = true
	}
	err = m.run(command)
	// QEMU has inherited its ends. While they were open here, the end of QEMU would not be seen as the end of a stream.
	for _, f := range files {
		_ = f.Close()
	}
	if err != nil {
		return nil, err
	}
	if o.StdioSerial {
		return m, nil
	}
	if err := m.Monitor.negotiate(ctx); err != nil {
		_ = m.process.Kill()
		<-m.ended
		return nil, fmt.Errorf("start %s: %w: %s", o.Name, err, m.stderr.String())
	}
	return m, nil
}

// run starts QEMU from a thread that lives as long as QEMU does: Pdeathsig is sent when the starting thread ends, not
// the process, and the Go runtime is free to end threads.
func (m *Machine) run(command *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		m.Started = time.Now()
		err := command.Start()
		if err != nil {
			started <- fmt.Errorf("start qemu: %w", err)
			return
		}
		m.process = command.Process
		started <- nil
		m.exit = command.Wait()
		close(m.ended)
	}()
	return <-started
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "machine"
	}
	if o.CPUs == 0 {
		o.CPUs = 2
	}
	if o.MemoryMiB == 0 {
		o.MemoryMiB = 1024
	}
	if o.Disk.Format == "" {
		o.Disk.Format = "raw"
	}
	if o.Disk.Bus == "" {
		o.Disk.Bus = "virtio-blk"
	}
	o.NICs = append([]NIC(nil), o.NICs...)
	for i := range o.NICs {
		if o.NICs[i].Model == "" {
			o.NICs[i].Model = "virtio-net-pci"
		}
		if o.NICs[i].MAC == "" {
			o.NICs[i].MAC = fmt.Sprintf("52:54:00:00:00:%02x", i+1)
		}
	}
	return o
}

// prepare makes the machine's files and sockets. The files it returns become descriptors 3, 4, … of QEMU.
func (m *Machine) prepare(ctx context.Context, o *Options) (w wiring, files []*os.File, err error) {
	defer func() {
		if err != nil {
			for _, f := range files {
				_ = f.Close()
			}
		}
	}()
	const firstExtraFile = 3
	pair := func() (net.Conn, int, error) {
		ours, theirs, err := socketPair()
		if err != nil {
			return nil, 0, err
		}
		files = append(files, theirs)
		return ours, firstExtraFile + len(files) - 1, nil
	}

	if o.Kernel == nil {
		if err := m.prepareDisks(ctx, o, &w); err != nil {
			return w, files, err
		}
	}

	if !o.StdioSerial {
		serial, fd, err := pair()
		if err != nil {
			return w, files, err
		}
		w.serialFD = fd
		var transcript *os.File
		if o.Transcript != "" {
			if err := os.MkdirAll(filepath.Dir(o.Transcript), 0o755); err != nil {
				return w, files, fmt.Errorf("make transcript folder: %w", err)
			}
			if transcript, err = os.Create(o.Transcript); err != nil {
				return w, files, fmt.Errorf("create transcript: %w", err)
			}
			m.close = append(m.close, func() { _ = transcript.Close() })
		}
		m.Serial = newConsole(o.Name+" serial", serial, transcript)
		m.close = append(m.close, m.Serial.close)

		monitor, fd, err := pair()
		if err != nil {
			return w, files, err
		}
		w.monitorFD = fd
		m.Monitor = newMonitor(monitor)
		m.close = append(m.close, m.Monitor.close)
	}

	for i := range o.NICs {
		nic := &o.NICs[i]
		if nic.Segment != nil {
			far, fd, err := pair()
			if err != nil {
				return w, files, err
			}
			w.segmentFDs = append(w.segmentFDs, fd)
			nic.Segment.plug(far)
			continue
		}
		w.segmentFDs = append(w.segmentFDs, -1)
		forwards := make([]Forward, 0, len(nic.Forward))
		for _, f := range nic.Forward {
			if f.Host == 0 {
				if f.Host, err = freeport.Find(); err != nil {
					return w, files, err
				}
			}
			m.ports[f.Guest] = f.Host
			forwards = append(forwards, f)
		}
		nic.Forward = forwards
	}
	return w, files, nil
}

// prepareDisks makes the UEFI variables and whatever takes the machine's writes.
func (m *Machine) prepareDisks(ctx context.Context, o *Options, w *wiring) error {
	w.vars = o.VarsPath
	if w.vars == "" {
		w.vars = filepath.Join(m.dir, "vars.fd")
	}
	if err := firmwareVariables(w.vars); err != nil {
		return err
	}
	if o.Boot != "" {
		w.boot = filepath.Join(m.dir, "boot.qcow2")
		if err := createOverlay(ctx, w.boot, o.Boot, "raw"); err != nil {
			return err
		}
	}
	w.disk, w.diskFormat = o.Disk.Path, o.Disk.Format
	if !o.Disk.Private {
		w.disk, w.diskFormat = filepath.Join(m.dir, "disk.qcow2"), "qcow2"
		if err := createOverlay(ctx, w.disk, o.Disk.Path, o.Disk.Format); err != nil {
			return err
		}
	}
	if o.Disk.WriteLog == "" {
		return nil
	}
	if w.diskFormat != "raw" {
		return errors.New("recording writes needs a private raw disk")
	}
	if err := os.WriteFile(o.Disk.WriteLog, nil, 0o600); err != nil {
		return fmt.Errorf("create write log: %w", err)
	}
	return nil
}

// Name is the name from the options.
func (m *Machine) Name() string { return m.name }

// Port is the loopback port that reaches the guest's TCP port.
func (m *Machine) Port(guest int) int { return m.ports[guest] }

// Wait waits until QEMU ends and returns how it ended: nil if the guest powered off or the monitor said quit.
func (m *Machine) Wait(ctx context.Context) error {
	select {
	case <-m.ended:
		if m.exit != nil {
			return fmt.Errorf("%s ended: %w: %s", m.name, m.exit, m.stderr.String())
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %s to end: %w", m.name, ctx.Err())
	}
}

// Running tells whether QEMU still runs.
func (m *Machine) Running() bool {
	select {
	case <-m.ended:
		return false
	default:
		return true
	}
}

// PowerCut ends the machine as if the plug was pulled, and waits until it is gone.
func (m *Machine) PowerCut() {
	_ = m.process.Kill()
	<-m.ended
}

// Close ends the machine if it still runs and removes its private files. It may be called more than once.
func (m *Machine) Close() {
	m.once.Do(func() {
		m.PowerCut()
		m.cleanUp()
	})
}

func (m *Machine) cleanUp() {
	for i := len(m.close) - 1; i >= 0; i-- {
		m.close[i]()
	}
}

// socketPair returns our end as a connection and QEMU's end as a file to inherit.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	ours := os.NewFile(uintptr(fds[0]), "qemu")
	defer func() { _ = ours.Close() }()
	conn, err := net.FileConn(ours)
	if err != nil {
		_ = syscall.Close(fds[1])
		return nil, nil, fmt.Errorf("use socket pair: %w", err)
	}
	return conn, os.NewFile(uintptr(fds[1]), "qemu"), nil
}

// lockedBuffer collects QEMU's messages, which arrive from a goroutine of os/exec.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.buf.String())
}
