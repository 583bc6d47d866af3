package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// wiring is what a run adds to its options: private files and inherited descriptors.
type wiring struct {
	accelerator      []string
	vars             string
	disk, diskFormat string
	// boot is a second disk, empty if there is none.
	boot                string
	serialFD, monitorFD int
	// segmentFDs holds the descriptor of each NIC, -1 for the user network.
	segmentFDs []int
}

// firmwareCode is the UEFI firmware of Debian's ovmf package: the 4 MiB flavour, without Secure Boot.
const firmwareCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"

// firmwareTemplate holds the variables that a new machine starts with.
const firmwareTemplate = "/usr/share/OVMF/OVMF_VARS_4M.fd"

// arguments is QEMU's command line.
func arguments(o Options, w wiring) []string {
	a := []string{
		"-name", escape(o.Name),
		"-nodefaults", "-no-user-config",
		"-machine", "q35",
	}
	a = append(a, w.accelerator...)
	a = append(a,
		"-smp", strconv.Itoa(o.CPUs),
		"-m", strconv.Itoa(o.MemoryMiB),
		"-display", "none", "-device", "VGA",
		"-device", "virtio-rng-pci",
		// The watchdog of the board description "vm". Its expiry resets the machine, as a server's would.
		"-device", "i6300esb", "-action", "watchdog=reset",
	)
	for _, s := range o.SMBIOS {
		a = append(a, "-smbios", s)
	}
	if o.StdioSerial {
		// Ctrl-A X leaves; Ctrl-C goes to the guest.
		a = append(a, "-serial", "mon:stdio")
	} else {
		a = append(a,
			"-chardev", "socket,id=serial0,fd="+strconv.Itoa(w.serialFD), "-serial", "chardev:serial0",
			"-chardev", "socket,id=qmp0,fd="+strconv.Itoa(w.monitorFD), "-mon", "chardev=qmp0,mode=control",
		)
	}
	if k := o.Kernel; k != nil {
		a = append(a, "-kernel", k.Image, "-initrd", k.Initrd, "-append", k.CommandLine)
	} else {
		a = append(a,
			"-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+escape(firmwareCode),
			"-drive", "if=pflash,format=raw,unit=1,file="+escape(w.vars))
		a = append(a, diskArguments(o.Disk, w)...)
	}
	for i, nic := range o.NICs {
		a = append(a, nicArguments(i, nic, w.segmentFDs[i])...)
	}
	return a
}

// diskArguments describe the disk as a chain of block nodes and the device that the guest sees.
func diskArguments(d Disk, w wiring) []string {
	a := []string{"-blockdev", "driver=file,node-name=file0,filename=" + escape(w.disk)}
	if d.ReadOnly {
		a[1] += ",read-only=on"
		a = append(a, "-blockdev", "driver="+w.diskFormat+",node-name=disk0,file=file0,read-only=on")
	} else if d.WriteLog != "" {
		a = append(a,
			"-blockdev", "driver=raw,node-name=raw0,file=file0",
			"-blockdev", "driver=file,node-name=log0,filename="+escape(d.WriteLog),
			// An interval of 1 writes the number of entries after every entry, so that a log can be read at any moment.
			"-blockdev", "driver=blklogwrites,node-name=disk0,file=raw0,log=log0,log-super-update-interval=1",
		)
	} else {
		a = append(a, "-blockdev", "driver="+w.diskFormat+",node-name=disk0,file=file0")
	}
	var device string
	switch d.Bus {
	case "pvscsi":
		a = append(a, "-device", "pvscsi,id=scsi0")
		device = "scsi-hd,bus=scsi0.0,drive=disk0"
	case "ahci":
		device = "ide-hd,bus=ide.0,drive=disk0"
	case "nvme":
		device = "nvme,serial=rotunda,drive=disk0"
	default:
		device = "virtio-blk-pci,drive=disk0"
	}
	if w.boot == "" {
		return append(a, "-device", device+",bootindex=0")
	}
	return append(a, "-device", device,
		"-blockdev", "driver=file,node-name=file1,filename="+escape(w.boot),
		"-blockdev", "driver=qcow2,node-name=disk1,file=file1",
		"-device", "virtio-blk-pci,drive=disk1,bootindex=0")
}

// firstNICSlot leaves room below it for the machine's own devices, so that the cards' order is the order of the slots.
const firstNICSlot = 0x10

func nicArguments(i int, nic NIC, fd int) []string {
	id := "net" + strconv.Itoa(i)
	backend := "user,id=" + id
	if fd >= 0 {
		backend = fmt.Sprintf("stream,id=%s,server=off,addr.type=fd,addr.str=%d", id, fd)
	}
	var forwards strings.Builder
	for _, f := range nic.Forward {
		fmt.Fprintf(&forwards, ",hostfwd=tcp:127.0.0.1:%d-:%d", f.Host, f.Guest)
		if f.UDP {
			fmt.Fprintf(&forwards, ",hostfwd=udp:127.0.0.1:%d-:%d", f.Host, f.Guest)
		}
	}
	return []string{
		"-netdev", backend + forwards.String(),
		"-device", fmt.Sprintf("%s,netdev=%s,mac=%s,addr=0x%x,romfile=", nic.Model, id, nic.MAC, firstNICSlot+i),
	}
}

// escape doubles commas, which separate the properties of a QEMU option.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }
