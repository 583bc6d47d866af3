package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"rotunda/image/ova"
	"rotunda/image/vmdk"
)

// The virtual machine, for up to some tens of participants: the guide's smallest (4 vCPUs, at least 4 GB), with memory
// for media workers. Whoever imports it may give it more.
const (
	machineCPUs   = 4
	machineMemory = 8192
	// machineDisk is thin: it takes what is used.
	machineDisk = 40 << 30
)

// sparseFile is a file that knows its holes.
type sparseFile struct{ *os.File }

// NextData asks the file system. One that knows no holes answers with the offset itself.
func (f sparseFile) NextData(offset int64) (int64, error) {
	next, err := f.Seek(offset, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return diskSize, nil
	}
	return next, err
}

func writeOVA(ctx context.Context, o options, v *image) error {
	// The disk is made anew, in less time than disk.img would take to check: what lies in the output folder may come
	// from another build, or have been booted.
	disk, err := os.CreateTemp(o.Out, ".disk-")
	if err != nil {
		return fmt.Errorf("make rotunda.ova: %w", err)
	}
	defer os.Remove(disk.Name())
	defer disk.Close()
	if err := makeDisk(ctx, disk, v); err != nil {
		return fmt.Errorf("make rotunda.ova: %w", err)
	}
	virtual, err := os.CreateTemp(o.Out, ".vmdk-")
	if err != nil {
		return fmt.Errorf("make rotunda.ova: %w", err)
	}
	defer os.Remove(virtual.Name())
	defer virtual.Close()
	machine := ova.Machine{
		Name: "rotunda", Product: "Rotunda", Vendor: "Rotunda", Version: v.release.Version,
		CPUs: machineCPUs, MemoryMiB: machineMemory, Capacity: machineDisk, DiskFile: virtual.Name(), Modified: v.parts.source.Modified,
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		machine.Networks = append(machine.Networks, ova.Network{Name: "interface " + name, Description: "Network of interface " + name})
	}
	id, err := hex.DecodeString(digest(v.efi))
	if err != nil {
		return fmt.Errorf("make rotunda.ova: %w", err)
	}
	machine.Populated, err = vmdk.Write(virtual, vmdk.Disk{
		Content: sparseFile{disk}, Size: diskSize, Capacity: machineDisk, Name: machine.DiskName(), ID: [16]byte(id[:16]),
	})
	if err != nil {
		return fmt.Errorf("make rotunda.ova: %w", err)
	}
	if err := product(o, "rotunda.ova", func(f *os.File) error { return ova.Write(f, machine) }); err != nil {
		return err
	}
	o.Log("rotunda.ova: %d CPUs, %d MiB of memory, a disk of %d GiB with %s in it", machineCPUs, machineMemory, machineDisk>>30, mib(int(machine.Populated)))
	return nil
}
