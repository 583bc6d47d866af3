package ova

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func sample(t *testing.T) Machine {
	t.Helper()
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, bytes.Repeat([]byte("disk"), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	return Machine{
		Name: "rotunda", Product: "Rotunda <&>", Vendor: "Rotunda", Version: "0.1.0", CPUs: 4, MemoryMiB: 8192,
		Networks: []Network{{"a", "Interface a"}, {"b", "Interface b"}, {"c", "Interface c"}, {"d", "Interface d"}},
		Capacity: 40 << 30, Populated: 1 << 20, DiskFile: disk, Modified: time.Unix(1e9, 5),
	}
}

// unpack returns the names in order and the contents.
func unpack(t *testing.T, archive []byte) ([]string, map[string][]byte) {
	t.Helper()
	var names []string
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names, files
		}
		if err != nil {
			t.Fatalf("read archive: %v", err)
		}
		if h.Format != tar.FormatUSTAR || h.ModTime != time.Unix(1e9, 0) {
			t.Errorf("%s: format %v of %v, want plain ustar with the given time", h.Name, h.Format, h.ModTime)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("read %s: %v", h.Name, err)
		}
		names = append(names, h.Name)
		files[h.Name] = data
	}
}

func TestWritePacksDescriptorManifestAndDiskInOrder(t *testing.T) {
	m := sample(t)
	var b bytes.Buffer
	if err := Write(&b, m); err != nil {
		t.Fatalf("Write: %v", err)
	}
	names, files := unpack(t, b.Bytes())
	if want := []string{"rotunda.ovf", "rotunda.mf", "rotunda-disk1.vmdk"}; !slices.Equal(names, want) {
		t.Fatalf("archive holds %v, want %v", names, want)
	}
	want := ""
	for _, n := range []string{"rotunda.ovf", "rotunda-disk1.vmdk"} {
		sum := sha256.Sum256(files[n])
		want += fmt.Sprintf("SHA256(%s)= %s\n", n, hex.EncodeToString(sum[:]))
	}
	if got := string(files["rotunda.mf"]); got != want {
		t.Errorf("manifest:\n%swant:\n%s", got, want)
	}
	var again bytes.Buffer
	if err := Write(&again, m); err != nil || !bytes.Equal(again.Bytes(), b.Bytes()) {
		t.Errorf("a second archive of the same machine differs (%v)", err)
	}
}

func TestDescriptorDescribesTheHardware(t *testing.T) {
	m := sample(t)
	text, err := descriptor(m, 4000)
	if err != nil {
		t.Fatalf("descriptor: %v", err)
	}
	type item struct {
		InstanceID      int
		ResourceType    int
		ResourceSubType string
		VirtualQuantity int
		Connection      string
		AddressOnParent int
	}
	var e struct {
		References struct {
			File struct {
				Href string `xml:"href,attr"`
				Size int64  `xml:"size,attr"`
			}
		}
		DiskSection struct {
			Disk struct {
				Capacity int64 `xml:"capacity,attr"`
			}
		}
		VirtualSystem struct {
			VirtualHardwareSection struct {
				System struct{ VirtualSystemType string }
				Item   []item
				Config []struct {
					Key   string `xml:"key,attr"`
					Value string `xml:"value,attr"`
				}
			}
			ProductSection struct{ Product string }
		}
	}
	if err := xml.Unmarshal(text, &e); err != nil {
		t.Fatalf("the descriptor is not XML: %v", err)
	}
	if f := e.References.File; f.Href != "rotunda-disk1.vmdk" || f.Size != 4000 {
		t.Errorf("disk file %q of %d bytes, want rotunda-disk1.vmdk of 4000", f.Href, f.Size)
	}
	if got := e.DiskSection.Disk.Capacity; got != 40<<30 {
		t.Errorf("capacity %d, want 40 GiB", got)
	}
	hw := e.VirtualSystem.VirtualHardwareSection
	ids := map[int]bool{}
	count := map[string]int{}
	var nics []item
	for _, i := range hw.Item {
		if ids[i.InstanceID] {
			t.Errorf("instance id %d is used twice", i.InstanceID)
		}
		ids[i.InstanceID] = true
		count[fmt.Sprintf("%d %s", i.ResourceType, i.ResourceSubType)]++
		if i.ResourceType == 10 {
			nics = append(nics, i)
		}
	}
	for kind, want := range map[string]int{"6 VirtualSCSI": 1, "10 VmxNet3": 4, "21 vmware.serialport.device": 1, "17 ": 1} {
		if count[kind] != want {
			t.Errorf("%d items of kind %q, want %d", count[kind], kind, want)
		}
	}
	for i, n := range nics {
		if n.Connection != m.Networks[i].Name || n.AddressOnParent != 7+i {
			t.Errorf("adapter %d is on %q at %d, want %q at %d", i, n.Connection, n.AddressOnParent, m.Networks[i].Name, 7+i)
		}
	}
	if hw.System.VirtualSystemType != "vmx-13" {
		t.Errorf("hardware %q, want vmx-13", hw.System.VirtualSystemType)
	}
	efi := false
	for _, c := range hw.Config {
		efi = efi || c.Key == "firmware" && c.Value == "efi"
	}
	if !efi {
		t.Error("the firmware is not efi")
	}
	if got := e.VirtualSystem.ProductSection.Product; got != "Rotunda <&>" {
		t.Errorf("product %q, want it escaped and read back", got)
	}
}

func TestWriteRefusesAMachineThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Machine)
		want   string
	}{
		{"five networks", func(m *Machine) { m.Networks = append(m.Networks, Network{"e", ""}) }, "5 networks"},
		{"no processor", func(m *Machine) { m.CPUs = 0 }, "0 processors"},
		{"no disk file", func(m *Machine) { m.DiskFile = "/nonexistent" }, "no such file"},
	} {
		m := sample(t)
		c.change(&m)
		if err := Write(io.Discard, m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}
