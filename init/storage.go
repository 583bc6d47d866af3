package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"rotunda/init/fat"
	"rotunda/init/gpt"
)

const (
	dataDir = "/data"
	logDir  = dataDir + "/log"
	// diskWait bounds the wait for the disk: controllers find their disks after their driver is loaded.
	// It is shorter than the watchdog's patience.
	diskWait = 15 * time.Second
	// storagePatience bounds how long a slow disk may take for the whole step: a journal to replay, an old set to remove.
	storagePatience = 5 * time.Minute
	// almostFull is where a full data partition becomes an alarm: room for one upgrade image and its backup.
	almostFull = 128 << 20
	watchEvery = 30 * time.Second
)

// storage is the disk that we started from: the EFI system partition, which is never mounted, and data.
type storage struct {
	disk, esp, data string
}

// startStorage finds the disk, lets data grow to the disk's end, mounts it and opens what it holds. What goes wrong on
// the way stops nothing that can still be had: a disk that takes no writes gives the configuration and the accounts.
func (m *machine) startStorage(ctx context.Context) (func(), error) {
	defer m.watchdog.feedFor(storagePatience)()
	// The crash is on the disk by then, or there is no disk: EFI variables are too scarce to keep it there.
	defer m.forgetCrash()
	s, err := findDisk("/sys/class/block", diskWait)
	if err != nil {
		return nil, err
	}
	m.storage = s
	if err := s.growPartition(); err != nil {
		m.warn("grow data partition: %v", err)
	}
	if err := os.MkdirAll(dataDir, 0o755); err != nil {
		return nil, fmt.Errorf("make %s: %w", dataDir, err)
	}
	readOnly, err := mountData(unix.Mount, s.data)
	if readOnly {
		go m.watchStorage(ctx)
		return nil, errors.Join(err, m.openState())
	}
	if err != nil {
		return nil, err
	}
	undo := func() {
		m.journal.Close()
		m.leaveStorage()
	}
	// At every start, since a cut may have come between the partition and the file system. Without a difference the
	// kernel returns at once.
	if err := growFilesystem(s.data); err != nil {
		m.warn("grow data file system: %v", err)
	}
	err = errors.Join(m.openState(), m.journal.Open(logDir, int(mmpUser.GID)))
	if m.crash != "" {
		m.warn("the last start ended in a crash; its trace is shown by: health")
		err = errors.Join(err, keepCrash(m.crash))
	} else {
		m.crash, m.crashAt = readCrash()
	}
	go m.watchStorage(ctx)
	return undo, err
}

// dataFlags hold for the data partition: nothing on it is a program or a device.
const dataFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME

// mountData mounts the data partition; if it cannot be written, read-only, and if its journal can be neither replayed
// nor written, as it was without it. An error with readOnly says why nothing can be stored.
func mountData(mount func(source, target, kind string, flags uintptr, options string) error, device string) (readOnly bool, err error) {
	first := mount(device, dataDir, "ext4", dataFlags, "errors=remount-ro")
	if first == nil {
		return false, nil
	}
	first = fmt.Errorf("mount data partition %s: %w", device, first)
	for _, options := range []string{"", "noload"} {
		if mount(device, dataDir, "ext4", dataFlags|unix.MS_RDONLY, options) == nil {
			return true, fmt.Errorf("%w; it is mounted read-only, nothing can be stored", first)
		}
	}
	return false, first
}

// leaveStorage ends what may still write, such as an errand, all of which survive a cut, and makes data read-only: the
// kernel then writes all that waits and marks the file system clean. PID 1 itself keeps folders open, so that an unmount
// would be refused.
func (m *machine) leaveStorage() {
	_ = unix.Kill(-1, unix.SIGKILL)
	for range 100 {
		if err := unix.Mount("", dataDir, "", unix.MS_REMOUNT|unix.MS_RDONLY|dataFlags, ""); !errors.Is(err, unix.EBUSY) {
			return
		}
		// The dead still have to give their files back.
		time.Sleep(20 * time.Millisecond)
	}
}

// findDisk waits for a disk with a partition named "esp" and one named "data".
func findDisk(class string, wait time.Duration) (storage, error) {
	deadline := time.Now().Add(wait)
	for {
		s, err := lookForDisk(class)
		if err == nil || time.Now().After(deadline) {
			return s, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func lookForDisk(class string) (storage, error) {
	entries, err := os.ReadDir(class)
	if err != nil {
		return storage{}, fmt.Errorf("list disks: %w", err)
	}
	disks := map[string]*storage{}
	for _, e := range entries {
		name, part := readUevent(filepath.Join(class, e.Name(), "uevent"))
		if part != "esp" && part != "data" {
			continue
		}
		// /sys/class/block/vda2 points to …/block/vda/vda2.
		real, err := filepath.EvalSymlinks(filepath.Join(class, e.Name()))
		if err != nil {
			continue
		}
		disk := filepath.Base(filepath.Dir(real))
		s := disks[disk]
		if s == nil {
			s = &storage{disk: "/dev/" + disk}
			disks[disk] = s
		}
		if part == "esp" {
			s.esp = "/dev/" + name
		} else {
			s.data = "/dev/" + name
		}
	}
	var found []storage
	for _, s := range disks {
		if s.esp != "" && s.data != "" {
			found = append(found, *s)
		}
	}
	switch len(found) {
	case 0:
		return storage{}, errors.New("no disk has the partitions esp and data")
	case 1:
		return found[0], nil
	}
	return storage{}, fmt.Errorf("%d disks have the partitions esp and data: leave one of them connected", len(found))
}

func readUevent(file string) (device, partition string) {
	f, err := os.Open(file)
	if err != nil {
		return "", ""
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if v, ok := strings.CutPrefix(s.Text(), "DEVNAME="); ok {
			device = v
		}
		if v, ok := strings.CutPrefix(s.Text(), "PARTNAME="); ok {
			partition = v
		}
	}
	return device, partition
}

// growPartition makes data, the last partition, end where the disk ends, in the table and in the kernel.
func (s storage) growPartition() error {
	dev, err := fat.OpenDevice(s.disk, true)
	if err != nil {
		return fmt.Errorf("open disk: %w", err)
	}
	defer dev.Close()
	table, err := gpt.Grow(dev)
	if err != nil {
		return err
	}
	data, ok := table.ByName("data")
	if !ok {
		return errors.New("no partition is named data")
	}
	return resizeInKernel(s.disk, table.Number("data"), data.Start(), data.Size())
}

// resizeInKernel is BLKPG_RESIZE_PARTITION (linux/blkpg.h). Start and size are in bytes.
func resizeInKernel(disk string, number int, start, size int64) error {
	f, err := os.Open(disk)
	if err != nil {
		return err
	}
	defer f.Close()
	p := unix.BlkpgPartition{Start: start, Length: size, Pno: int32(number)}
	arg := unix.BlkpgIoctlArg{Op: unix.BLKPG_RESIZE_PARTITION, Datalen: int32(unsafe.Sizeof(p)), Data: (*byte)(unsafe.Pointer(&p))}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return fmt.Errorf("resize partition in the kernel: %w", errno)
	}
	return nil
}

// growFilesystem is EXT4_IOC_RESIZE_FS, which takes the new size in blocks while the file system is mounted. It has a
// journal entry of its own: a power cut leaves the old size or the new one.
func growFilesystem(device string) error {
	d, err := os.Open(device)
	if err != nil {
		return err
	}
	size, err := d.Seek(0, 2)
	d.Close()
	if err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dataDir, &st); err != nil {
		return err
	}
	root, err := os.Open(dataDir)
	if err != nil {
		return err
	}
	defer root.Close()
	blocks := uint64(size) / uint64(st.Bsize)
	const resizeFS = 0x40086610 // _IOW('f', 16, __u64)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, root.Fd(), resizeFS, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return fmt.Errorf("resize to %d blocks: %w", blocks, errno)
	}
	return nil
}

// watchStorage raises alarms about a data partition that is read-only, damaged or almost full. It never ends the machine:
// the shell stays reachable, and what was stored is readable.
func (m *machine) watchStorage(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		var st unix.Statfs_t
		if err := unix.Statfs(dataDir, &st); err == nil {
			readOnly, full := "", ""
			if st.Flags&unix.ST_RDONLY != 0 {
				readOnly = "the data partition is read-only after an error of the disk: nothing can be stored; get what you need by SFTP and replace the disk"
			}
			if st.Bavail*uint64(st.Bsize) < almostFull {
				// Without the number, which would make a new alarm of every line that is logged.
				full = fmt.Sprintf("the data partition has less than %d MiB left: remove files by SFTP", almostFull>>20)
			}
			m.alarm("storage-read-only", readOnly)
			m.alarm("storage-full", full)
		}
		m.alarm("storage-damaged", damage("/sys/fs/ext4", m.storage.data))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// damage asks for the errors that ext4 has counted since the file system was made. The count outlives a restart, after
// which a damaged file system is writable again until the kernel meets the next error.
func damage(sysfs, device string) string {
	b, err := os.ReadFile(filepath.Join(sysfs, filepath.Base(device), "errors_count"))
	if count := strings.TrimSpace(string(b)); err != nil || count == "0" {
		return ""
	}
	return "the file system of the data partition is damaged, and a restart does not repair it: take a backup, get it by SFTP, and install the disk anew"
}
