//go:build qemu

package qemu

import (
	"archive/tar"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rotunda/init/fat"
	"rotunda/init/gpt"
)

// TestBootsAsAnOVA takes the disk out of rotunda.ova and boots it on the hardware that the OVA asks for.
func TestBootsAsAnOVA(t *testing.T) {
	t.Parallel()
	tree := checkout(t)
	disk := filepath.Join(t.TempDir(), "ova.qcow2")
	vmdk := fromArchive(t, tree.Product("rotunda.ova"), ".vmdk")
	if out, err := exec.Command("qemu-img", "convert", "-f", "vmdk", "-O", "qcow2", vmdk, disk).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v: %s", err, out)
	}
	var nics []NIC
	for range 4 {
		nics = append(nics, NIC{Model: "vmxnet3"})
	}
	nics[0].Forward = []Forward{{Guest: 22}}
	m := boot(t, Options{
		Disk: Disk{Path: disk, Format: "qcow2", Private: true, Bus: "pvscsi"},
		Boot: bootDisk(t, tree.Product("disk.img")), NICs: nics,
	})
	m.firstLogin()
	wantContains(t, "version", m.serial("version"), delivered(t))
	for i, name := range []string{"a", "b", "c", "d"} {
		wantContains(t, "iface "+name, strings.ToLower(m.serial("iface "+name)), "52:54:00:00:00:0"+string(rune('1'+i)))
	}
	wantContains(t, "the address over vmxnet3", m.serial("ipv4 a"), "10.0.2.15/24")
	wantContains(t, "whoami over vmxnet3", m.ssh("whoami"), "admin")
	if got := m.serial("health"); !strings.Contains(got, ": ok") {
		t.Errorf("health: got\n%s\nwant no alarm", got)
	}
}

// fromArchive unpacks the one member of a tar file whose name ends in suffix.
func fromArchive(t *testing.T, archive, suffix string) string {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("no %s in %s: %v", suffix, archive, err)
		}
		if !strings.HasSuffix(h.Name, suffix) {
			continue
		}
		path := filepath.Join(t.TempDir(), "member"+suffix)
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, r); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// bootDisk is the EFI system partition of a disk alone, for firmware that cannot read the disk itself. It has no partition
// table, so that PID 1 does not take it for the machine's disk.
func bootDisk(t *testing.T, disk string) string {
	t.Helper()
	in, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	device, err := fat.NewDevice(in)
	if err != nil {
		t.Fatal(err)
	}
	table, err := gpt.Read(device)
	if err != nil {
		t.Fatal(err)
	}
	esp, ok := table.ByName("esp")
	if !ok {
		t.Fatal("the disk has no partition esp")
	}
	path := filepath.Join(t.TempDir(), "boot.img")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	block, zero := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); at < esp.Size(); at += int64(len(block)) {
		if _, err := in.ReadAt(block, esp.Start()+at); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if string(block) != string(zero) {
			if _, err := out.WriteAt(block, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(out.Truncate(esp.Size()), out.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestInterfaceGetsItsAddresses has the machine meet a neighbour that serves DHCP and announces an IPv6 prefix, on other
// hardware than the other tests.
func TestInterfaceGetsItsAddresses(t *testing.T) {
	t.Parallel()
	wire := neighbour(t, true)
	m := boot(t, Options{
		Disk: Disk{Bus: "nvme"},
		NICs: []NIC{{Model: "e1000e", Forward: []Forward{{Guest: 22}}}, {Model: "e1000e", Segment: wire}},
	})
	m.firstLogin()
	m.in("DHCP", func(m *trial) {
		m.serial("ipv4 b dhcp")
		m.serial("ipv4 b enable")
		m.await("ipv4 b", leasedIPv4.String()+"/24")
		wantContains(m.t, "ping", m.ssh("ping 192.0.2.1"), "192.0.2.1")
		awaitFrom(m.t, wire, leasedIPv4)
	})
	m.in("SLAAC", func(m *trial) {
		m.serial("ipv6 b slaac enable")
		m.serial("ipv6 b enable")
		got := m.await("ipv6 b", "2001:db8:77:")
		if !regexp.MustCompile(`2001:db8:77:[0-9a-f:]+/64`).MatchString(got) {
			m.t.Errorf("ipv6 b: got\n%s\nwant an address in %s", got, slaacPrefix)
		}
	})
	m.in("a static address", func(m *trial) {
		m.serial("ipv4 b add 192.0.2.9/24 192.0.2.1")
		got := m.await("ipv4 b", "192.0.2.9/24")
		if strings.Contains(got, leasedIPv4.String()) {
			m.t.Errorf("ipv4 b: got\n%s\nwant no %s, which was leased", got, leasedIPv4)
		}
		wantContains(m.t, "ping", m.ssh("ping 192.0.2.1"), "192.0.2.1")
		awaitFrom(m.t, wire, netip.MustParseAddr("192.0.2.9"))
	})
	m.in("addresses come back after a restart", func(m *trial) {
		m.Serial.Drain()
		if err := m.Monitor.Reset(m.within(commandLimit)); err != nil {
			m.t.Fatal(err)
		}
		m.expect(bootLimit, LoginPrompt)
		wantContains(m.t, "ipv4 b", m.await("ipv4 b", "192.0.2.9/24"), "192.0.2.9/24")
		m.await("ipv6 b", "2001:db8:77:")
	})
}

// TestBoardIsMatchedByDMI boots as another machine: a CMS 2000 has one interface.
func TestBoardIsMatchedByDMI(t *testing.T) {
	t.Parallel()
	m := boot(t, Options{
		Disk:   Disk{Bus: "ahci"},
		SMBIOS: []string{"type=1,manufacturer=Cisco Systems Inc,product=UCSB-B200-M6"},
		NICs:   []NIC{{Model: "e1000e", Forward: []Forward{{Guest: 22}}}, {Model: "e1000e"}},
	})
	m.firstLogin()
	wantContains(t, "version", strings.ToLower(m.serial("version")), "2000")
	wantContains(t, "iface a", strings.ToLower(m.serial("iface a")), "52:54:00:00:00:01")
	if got := m.serial("iface b"); strings.Contains(got, "52:54:00:00:00:02") {
		t.Errorf("iface b on a board with one interface: got %q", got)
	}
	m.typed("shutdown\r")
	if err := m.Wait(m.within(time.Minute)); err != nil {
		t.Error(err)
	}
}
