package network

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxPorts bounds what is taken from sysfs; the largest board has a dozen.
const maxPorts = 64

// Discover lists the network ports on PCI below a sysfs root ("/sys"). Loopback, bridges, bonds and all else without
// hardware have no PCI address in their path; USB adapters (a management controller's hidden port is one) come and go
// and get no letter. permanent returns a port's permanent MAC address, "" where the driver does not say; then the
// current one counts.
func Discover(sys string, permanent func(kernel string) string) ([]NIC, error) {
	class := filepath.Join(sys, "class/net")
	entries, err := os.ReadDir(class)
	if err != nil {
		return nil, fmt.Errorf("list network devices: %w", err)
	}
	var nics []NIC
	for _, e := range entries {
		nic, ok := inspect(sys, e.Name(), permanent)
		if ok && len(nics) < maxPorts {
			nics = append(nics, nic)
		}
	}
	slices.SortFunc(nics, byPCI)
	return nics, nil
}

// inspect reads one device; false if it is none that gets a letter.
func inspect(sys, kernel string, permanent func(string) string) (NIC, bool) {
	dir := filepath.Join(sys, "class/net", kernel)
	// ../../devices/pci0000:00/0000:00:16.0/0000:0b:00.0/net/eth0, with virtio1/ before net/ for virtio.
	target, err := os.Readlink(dir)
	if err != nil {
		return NIC{}, false
	}
	// ARPHRD_ETHER of if_arp.h.
	if attribute(dir, "type") != "1" || attribute(dir, "address") == "" {
		return NIC{}, false
	}
	nic := NIC{Kernel: kernel, Driver: linkBase(filepath.Join(dir, "device/driver"))}
	path := filepath.Join(filepath.Dir(dir), target)
	for part := path; part != filepath.Dir(part); part = filepath.Dir(part) {
		base := filepath.Base(part)
		if strings.HasPrefix(base, "usb") && base != kernel {
			return NIC{}, false
		}
		if _, ok := pciFrom(base); !ok {
			continue
		}
		if nic.PCI == "" {
			nic.PCI = base
			continue
		}
		// 15ad is VMware; the bridges are 15ad:07a0 (PCI Express root port) and 15ad:0790 (PCI bridge).
		if d := attribute(part, "device"); attribute(part, "vendor") == "0x15ad" && (d == "0x07a0" || d == "0x0790") {
			nic.Bridge = base
		}
	}
	if nic.PCI == "" {
		return NIC{}, false
	}
	nic.Port, _ = strconv.Atoi(attribute(dir, "dev_port"))
	nic.MAC = strings.ToLower(permanent(kernel))
	if nic.MAC == "" {
		nic.MAC = strings.ToLower(attribute(dir, "address"))
	}
	return nic, true
}

// attribute reads a sysfs attribute, "" if there is none.
func attribute(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func linkBase(path string) string {
	target, err := os.Readlink(path)
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}
