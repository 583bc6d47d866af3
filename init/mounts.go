package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mount is one kernel file system that every process may count on.
type mount struct {
	kind, target string
	flags        uintptr
	options      string
	// optional mounts depend on the machine: no EFI variables, no crash store.
	optional bool
}

const inert = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

var earlyMounts = []mount{
	{kind: "proc", target: "/proc", flags: inert},
	{kind: "sysfs", target: "/sys", flags: inert},
	{kind: "devtmpfs", target: "/dev", flags: unix.MS_NOSUID | unix.MS_NOEXEC, options: "mode=0755,size=4m"},
	{kind: "tmpfs", target: "/run", flags: unix.MS_NOSUID | unix.MS_NODEV, options: "mode=0755,size=16m"},
	{kind: "tmpfs", target: "/tmp", flags: inert, options: "mode=1777,size=64m"},
	{kind: "cgroup2", target: "/sys/fs/cgroup", flags: inert},
}

// lateMounts need modules.
var lateMounts = []mount{
	{kind: "efivarfs", target: "/sys/firmware/efi/efivars", flags: inert, optional: true},
	{kind: "pstore", target: "/sys/fs/pstore", flags: inert, optional: true},
}

// mountAll mounts what it can: without /tmp there is still a machine, without /dev there is none.
func mountAll(list []mount) error {
	var errs []error
	for _, m := range list {
		err := os.MkdirAll(m.target, 0o755)
		if err == nil {
			err = unix.Mount(m.kind, m.target, m.kind, m.flags, m.options)
		}
		if err != nil && !errors.Is(err, unix.EBUSY) && !m.optional {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.target, err))
		}
	}
	return errors.Join(errs...)
}
