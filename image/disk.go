package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"rotunda/init/fat"
	"rotunda/init/gpt"
)

// The disk: a GUID partition table, the EFI system partition and the data partition. The data partition is the last
// one, and PID 1 lets it and its file system grow to the end of whatever disk it finds itself on.
const (
	mebibyte = 1 << 20
	// Partitions start at whole mebibytes, which suits every medium.
	systemStart = 1 * mebibyte
	// systemSize holds three versions with room for each to become several times larger.
	systemSize = 1024 * mebibyte
	dataStart  = systemStart + systemSize
	dataSize   = 2048 * mebibyte
	// The last mebibyte holds the backup partition table.
	diskSize = dataStart + dataSize + mebibyte
)

// Identifiers of what is made here. They are the same on every machine, which does no harm, since no machine has two of
// these disks, and makes builds repeatable.
const (
	systemVolumeID = 0x524f5430 // "ROT0"
	dataUUID       = "6b0f3c5e-1c9b-4f3e-9a0e-2f4d8f1a7c11"
	dataHashSeed   = "0d7f6a64-9b53-4d46-9a53-3f5b1a1f0c55"
)

var (
	diskID   = gpt.MustParseGUID("5c3f3c0a-6a0d-4d0b-8f8e-0d5a3c1b7e21")
	systemID = gpt.MustParseGUID("a1c7d6f4-0b52-4f6e-9d43-7a1f2b9c5e30")
	dataID   = gpt.MustParseGUID("e84d2b17-93c6-4a58-b0f1-6c2d9e7a4f45")
)

// partitions of the disk; PID 1 finds them by name.
func partitions() *gpt.Table {
	return &gpt.Table{Disk: diskID, Partitions: []gpt.Partition{
		{Type: gpt.ESP, ID: systemID, Name: "esp", First: systemStart / 512, Last: (systemStart+systemSize)/512 - 1},
		{Type: gpt.LinuxFilesystem, ID: dataID, Name: "data", First: dataStart / 512, Last: (dataStart+dataSize)/512 - 1},
	}}
}

// loaderPath is where UEFI looks for a loader on a disk that no boot variable names (UEFI 2.10, section 3.5.1.1).
const loaderPath = "EFI/BOOT/BOOTX64.EFI"

// firstVersion is the file name of a version that was never tried and needs no trial: no counter.
const firstVersion = "EFI/Linux/rotunda_000001.efi"

// loaderConfiguration is systemd-boot's loader.conf: start at once, and let nobody at the console edit the command line
// or choose something that is not one of our versions.
const loaderConfiguration = `timeout 0
editor no
auto-entries no
auto-firmware no
console-mode keep
`

func writeDisk(ctx context.Context, o options, v *image) error {
	err := product(o, "disk.img", func(f *os.File) error { return makeDisk(ctx, f, v) })
	if err == nil {
		o.Log("disk.img: %d MiB, sparse", diskSize/mebibyte)
	}
	return err
}

// makeDisk fills a new, empty file. It stays sparse.
func makeDisk(ctx context.Context, f *os.File, v *image) error {
	if err := f.Truncate(diskSize); err != nil {
		return fmt.Errorf("size disk: %w", err)
	}
	disk, err := fat.NewDevice(f)
	if err != nil {
		return err
	}
	if err := gpt.Write(disk, partitions()); err != nil {
		return fmt.Errorf("write partition table: %w", err)
	}
	if err := makeSystemPartition(ctx, disk, v); err != nil {
		return err
	}
	return makeDataPartition(ctx, f.Name(), v.parts.source.Modified)
}

// makeSystemPartition formats the EFI system partition and fills it.
func makeSystemPartition(ctx context.Context, disk fat.BlockDevice, v *image) error {
	part, err := fat.NewPartition(disk, systemStart, systemSize)
	if err != nil {
		return err
	}
	now := func() time.Time { return v.parts.source.Modified }
	volume, err := fat.Format(part, fat.FormatOptions{
		VolumeID: systemVolumeID, Label: "ROTUNDA", PartitionStart: systemStart / 512, Now: now,
	})
	if err != nil {
		return fmt.Errorf("format system partition: %w", err)
	}
	for _, folder := range []string{"EFI/BOOT", "EFI/Linux", "loader"} {
		if err := volume.MkdirAll(folder); err != nil {
			return fmt.Errorf("fill system partition: %w", err)
		}
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{loaderPath, v.parts.loader},
		{"loader/loader.conf", []byte(loaderConfiguration)},
		{firstVersion, v.efi},
	} {
		if err := volume.Create(ctx, f.name, bytes.NewReader(f.data), int64(len(f.data)), fat.CreateOptions{}); err != nil {
			return fmt.Errorf("fill system partition: %s: %w", f.name, err)
		}
	}
	return nil
}

// makeDataPartition makes an empty ext4 file system inside the disk's file. PID 1 makes everything in it at first boot.
//
// Nothing is left to mke2fs.conf, which differs from machine to machine. What is chosen and why:
//
//   - no metadata_csum: its checksums cover blocks of 4 KiB, and a power cut may leave some sectors of a block old and some
//     new. A commit block or superblock torn like that is "corrupt" to the kernel, which then refuses the file system; without
//     the feature a commit is one sector, there or not. The power-cut test found 1 to 3 % of all states unmountable with it.
//   - uninit_bg: checksums of group descriptors, each within a sector, and with them inode tables that need not be
//     written when the file system grows.
//   - 64bit: sizes beyond 16 TiB need no conversion.
//   - resize: room for group descriptors up to 2 TiB (536,870,912 blocks), so that growing there moves nothing.
//   - a journal of 64 MiB: mke2fs would choose less for 2 GiB, and it does not grow with the file system.
//   - errors=remount-ro: a damaged file system is left as it is; PID 1 raises an alarm and the shell stays reachable.
//   - assume_storage_prezeroed: the file is new and reads as zeros, so nothing needs to be written or, at first boot,
//     zeroed in the background.
//   - the device is not discarded: that would drop the other partition's blocks if mke2fs had the offset wrong.
func makeDataPartition(ctx context.Context, file string, modified time.Time) error {
	cmd := exec.CommandContext(ctx, mke2fs(), "-q", "-F",
		"-b", "4096", "-I", "256", "-i", "16384", "-m", "1", "-J", "size=64", "-e", "remount-ro",
		"-L", "data", "-U", dataUUID, "-o", "Linux", "-M", "/data",
		"-O", "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,"+
			"huge_file,dir_nlink,extra_isize,uninit_bg",
		"-E", fmt.Sprintf("offset=%d,hash_seed=%s,root_owner=0:0,nodiscard,assume_storage_prezeroed=1,resize=536870912", dataStart, dataHashSeed),
		file, fmt.Sprintf("%dk", dataSize/1024))
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MKE2FS_CONFIG=/dev/null", fmt.Sprintf("E2FSPROGS_FAKE_TIME=%d", modified.Unix()))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make data partition: mke2fs: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// mke2fs returns the program's path. Debian keeps it where a normal user's PATH does not look.
func mke2fs() string {
	if path, err := exec.LookPath("mke2fs"); err == nil {
		return path
	}
	return "/sbin/mke2fs"
}
