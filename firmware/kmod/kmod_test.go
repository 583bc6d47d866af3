package kmod

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// object returns a 64-bit ELF object with one .modinfo section.
func object(entries ...string) []byte {
	info := []byte(strings.Join(entries, "\x00") + "\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	const header = 64
	var b bytes.Buffer
	h := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1,
		Shoff: uint64(header + len(info) + len(names)), Ehsize: header, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	binary.Write(&b, binary.LittleEndian, h)
	b.Write(info)
	b.Write(names)
	for _, s := range []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: header, Size: uint64(len(info))},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(header + len(info)), Size: uint64(len(names))},
	} {
		binary.Write(&b, binary.LittleEndian, s)
	}
	return b.Bytes()
}

// tree is a small kernel with the shapes of the real one: dashes in dependencies, soft dependencies on an alias,
// a provider for particular processors only, and a built-in module.
func tree(t *testing.T) *Tree {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"modules.builtin":                      []byte("kernel/drivers/rtc/rtc-cmos.ko\n"),
		"kernel/fs/ext4/ext4.ko":               object("softdep=pre: crypto-crc32c", "alias=fs-ext4", "depends=jbd2,mbcache"),
		"kernel/fs/jbd2/jbd2.ko":               object("softdep=pre: crypto-crc32c post: none", "depends="),
		"kernel/fs/mbcache.ko":                 object("depends="),
		"kernel/crypto/crc32c_generic.ko":      object("alias=crypto-crc32c", "depends="),
		"kernel/arch/x86/crc32c-intel.ko":      object("alias=crypto-crc32c", "alias=cpu:type:x86,*feature:*0094*", "depends="),
		"kernel/drivers/usb/host/xhci-pci.ko":  object("alias=pci:v*d*sv*sd*bc0Csc03i30*", "alias=pci:v*d*sv*sd*bc0Csc03i30*", "depends=xhci-hcd,usbcore"),
		"kernel/drivers/usb/host/xhci-hcd.ko":  object("depends=usbcore"),
		"kernel/drivers/usb/core/usbcore.ko":   object("depends=", "firmware=core.bin"),
		"kernel/drivers/usb/broken/ghost.ko":   object("depends=absent"),
		"kernel/drivers/usb/broken/README.txt": []byte("not a module"),
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := Open(dir)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return tr
}

func TestSelectClosesTheSetUnderDependency(t *testing.T) {
	tr := tree(t)
	for _, c := range []struct {
		name   string
		wanted []string
		want   []string
		err    string
	}{
		{"soft dependencies by alias", []string{"ext4"}, []string{"crc32c-intel", "crc32c_generic", "ext4", "jbd2", "mbcache"}, ""},
		{"another spelling", []string{"xhci_pci"}, []string{"usbcore", "xhci-hcd", "xhci-pci"}, ""},
		{"a folder", []string{"drivers/usb/host/*"}, []string{"usbcore", "xhci-hcd", "xhci-pci"}, ""},
		{"built in", []string{"rtc-cmos"}, nil, ""},
		{"unknown", []string{"flux"}, nil, "no module flux (wanted by the board)"},
		{"unknown behind another", []string{"ghost"}, nil, "no module absent (wanted by ghost)"},
		{"empty folder", []string{"drivers/none/*"}, nil, "no modules in kernel/drivers/none"},
	} {
		set, err := tr.Select(c.wanted)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want one with %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, f := range set.Files() {
			got = append(got, strings.TrimSuffix(filepath.Base(f), ".ko"))
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: chosen %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTablesAreThoseOfDepmodForTheChosenSet(t *testing.T) {
	set, err := tree(t).Select([]string{"ext4", "xhci-pci"})
	if err != nil {
		t.Fatal(err)
	}
	var deps, aliases bytes.Buffer
	if err := set.WriteDeps(&deps); err != nil {
		t.Fatal(err)
	}
	if err := set.WriteAliases(&aliases); err != nil {
		t.Fatal(err)
	}
	wantDeps := `kernel/crypto/crc32c_generic.ko:
kernel/arch/x86/crc32c-intel.ko:
kernel/fs/ext4/ext4.ko: kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko kernel/crypto/crc32c_generic.ko
kernel/fs/jbd2/jbd2.ko: kernel/crypto/crc32c_generic.ko
kernel/fs/mbcache.ko:
kernel/drivers/usb/core/usbcore.ko:
kernel/drivers/usb/host/xhci-hcd.ko: kernel/drivers/usb/core/usbcore.ko
kernel/drivers/usb/host/xhci-pci.ko: kernel/drivers/usb/host/xhci-hcd.ko kernel/drivers/usb/core/usbcore.ko
`
	if deps.String() != wantDeps {
		t.Errorf("modules.dep:\n%swant:\n%s", &deps, wantDeps)
	}
	wantAliases := `alias crypto-crc32c crc32c_generic
alias cpu:type:x86,*feature:*0094* crc32c_intel
alias crypto-crc32c crc32c_intel
alias fs-ext4 ext4
alias pci:v*d*sv*sd*bc0Csc03i30* xhci_pci
`
	if aliases.String() != wantAliases {
		t.Errorf("modules.alias:\n%swant:\n%s", &aliases, wantAliases)
	}
	if got := set.Firmware(); !slices.Equal(got, []string{"core.bin"}) {
		t.Errorf("Firmware = %v, want [core.bin]", got)
	}
}

func FuzzReadInfo(f *testing.F) {
	f.Add(object("depends=a,b-c", "softdep=pre: x post: y", "alias=z"))
	f.Add([]byte(elf.ELFMAG))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := ReadInfo(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, d := range info.Depends {
			if d == "" || strings.ContainsAny(d, ",-") {
				t.Errorf("dependency %q is not a module name", d)
			}
		}
	})
}
