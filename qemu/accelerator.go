package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// probeSector is a boot sector that ends QEMU through its debug-exit port: mov dx, 0xf4; mov al, 42; out dx, al; then hlt for ever.
var probeSector = []byte{0xba, 0xf4, 0x00, 0xb0, 0x2a, 0xee, 0xf4, 0xeb, 0xfd}

// probeExit is QEMU's exit status after probeSector: isa-debug-exit makes (value << 1) | 1 of it.
const probeExit = 42<<1 | 1

// probeLimit is what the firmware and the boot sector may take under KVM: 0.2 s on a real one. A nested KVM was seen
// that needs 2.7 s for the firmware alone and never gets through a kernel's start; emulation beats it.
const probeLimit = 1500 * time.Millisecond

var probed = sync.OnceValues(probeAccelerator)

// Accelerator returns QEMU's options for the processor: KVM if it runs a guest here, otherwise software emulation. That
// /dev/kvm can be opened says little (containers, nested machines), so a guest is booted; the answer is kept for the
// life of the process.
func Accelerator(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return probed()
}

func probeAccelerator() ([]string, error) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		return nil, fmt.Errorf("find QEMU (Debian package qemu-system-x86): %w", err)
	}
	kvm := []string{"-accel", "kvm", "-cpu", "host"}
	if bootsProbe(kvm) {
		return kvm, nil
	}
	// With "enhanced rep movsb" on offer the guest's kernel copies by one instruction that the emulator runs byte by byte:
	// without it a login is there in 14.7 s instead of 18.4 s and SFTP takes 24 MB/s instead of 11 (measured).
	return []string{"-accel", "tcg,thread=multi", "-cpu", "max,-erms,-fsrm"}, nil
}

func bootsProbe(accelerator []string) bool {
	if f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err != nil {
		return false
	} else {
		_ = f.Close()
	}
	dir, err := os.MkdirTemp("", "rotunda-probe-")
	if err != nil {
		return false
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// The firmware boots no disk smaller than a cylinder or so; 1 MiB is enough.
	disk := make([]byte, 1<<20)
	copy(disk, probeSector)
	disk[510], disk[511] = 0x55, 0xaa
	path := filepath.Join(dir, "probe.img")
	if err := os.WriteFile(path, disk, 0o600); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	args := append([]string{"-machine", "q35", "-nodefaults", "-display", "none", "-no-reboot",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=4",
		"-drive", "file=" + escape(path) + ",format=raw,if=ide"}, accelerator...)
	var exit *exec.ExitError
	err = exec.CommandContext(ctx, "qemu-system-x86_64", args...).Run()
	return errors.As(err, &exit) && exit.ExitCode() == probeExit
}
