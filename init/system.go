package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The file system of the programs, the fonts and the licences: a squashfs that the initramfs carries. What is only in the
// initramfs takes its whole size in memory for ever; of a squashfs it is the compressed size, and the kernel may drop pages that
// nobody uses. /bin and /usr are links into it.
const (
	systemImage  = "/system.squashfs"
	systemFolder = "/system"
)

// startSystem mounts the programs. Without them there is no shell and no service: in a trial the version fails, and the
// loader goes back to the one before.
func (m *machine) startSystem(context.Context) (func(), error) {
	if m.loader == nil {
		return nil, errors.New("no modules")
	}
	if err := errors.Join(m.loader.Load("loop", ""), m.loader.Load("squashfs", "")); err != nil {
		return nil, err
	}
	device, err := attachLoop(systemImage)
	if err != nil {
		return nil, fmt.Errorf("mount programs: %w", err)
	}
	if err := unix.Mount(device, systemFolder, "squashfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return nil, fmt.Errorf("mount programs: %w", err)
	}
	return nil, nil
}

// loopTries is how often another process may take the device that was found free.
const loopTries = 8

// attachLoop makes a file a block device, read-only, and returns the path of the device (loop(4)).
func attachLoop(file string) (device string, err error) {
	backing, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer backing.Close()
	all, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer all.Close()
	for range loopTries {
		n, err := unix.IoctlRetInt(int(all.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", os.NewSyscallError("find a loop device", err)
		}
		device = filepath.Join("/dev", fmt.Sprintf("loop%d", n))
		loop, err := os.Open(device)
		if err != nil {
			return "", err
		}
		config := unix.LoopConfig{Fd: uint32(backing.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY}}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		loop.Close()
		if err == nil {
			return device, nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return "", os.NewSyscallError("configure "+device, err)
		}
	}
	return "", fmt.Errorf("no loop device for %s: %w", file, unix.EBUSY)
}
