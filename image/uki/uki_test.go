package uki

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// stub returns a PE32+ file with one section of code, a section table that has room for spare more entries within
// its headers, and the section at address vaddr.
func stub(spare int, vaddr uint32) []byte {
	const coff, opt, optSize = 0x80 + 4, 0x80 + 4 + 20, 240
	table := opt + optSize
	const fileAlign = 8
	headers := int(align(uint32(table+(1+spare)*sectionSize), fileAlign))
	le := binary.LittleEndian
	b := make([]byte, headers)
	copy(b, "MZ")
	le.PutUint32(b[dosPEOffset:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	le.PutUint16(b[coff:], pe.IMAGE_FILE_MACHINE_AMD64)
	le.PutUint16(b[coff+coffSections:], 1)
	le.PutUint16(b[coff+coffOptionalSize:], optSize)
	le.PutUint16(b[opt:], pe32Plus)
	le.PutUint32(b[opt+optSectionAlign:], 512)
	le.PutUint32(b[opt+optFileAlign:], fileAlign)
	le.PutUint32(b[opt+optSizeOfImage:], vaddr+512)
	le.PutUint32(b[opt+optSizeOfHeaders:], uint32(headers))
	le.PutUint32(b[opt+108:], 16)
	e := b[table:]
	copy(e, ".text")
	le.PutUint32(e[sectionVSize:], 5)
	le.PutUint32(e[sectionVAddr:], vaddr)
	le.PutUint32(e[sectionRawSize:], 8)
	le.PutUint32(e[sectionRawOff:], uint32(headers))
	return append(b, "code!\x00\x00\x00"...)
}

func parts(stub []byte) Parts {
	return Parts{
		Stub:          stub,
		OSRelease:     "ID=rotunda\n",
		CommandLine:   "quiet",
		KernelRelease: "6.1",
		Initrd:        bytes.Repeat([]byte("initrd"), 3000),
		Kernel:        bytes.Repeat([]byte("kernel"), 1000),
	}
}

// check reads an image back with the standard library's parser.
func check(t *testing.T, image []byte, p Parts) {
	t.Helper()
	f, err := pe.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatalf("read image: %v", err)
	}
	end := uint32(0)
	for _, s := range f.Sections {
		if s.VirtualAddress < end {
			t.Errorf("section %s starts at %#x, inside the section before, which ends at %#x", s.Name, s.VirtualAddress, end)
		}
		end = s.VirtualAddress + s.VirtualSize
	}
	for name, want := range map[string]string{
		".osrel": p.OSRelease, ".cmdline": p.CommandLine, ".uname": p.KernelRelease,
		".initrd": string(p.Initrd), ".linux": string(p.Kernel),
	} {
		s := f.Section(name)
		if s == nil {
			t.Errorf("no section %s", name)
			continue
		}
		if s.VirtualAddress%page != 0 {
			t.Errorf("section %s at %#x, want a page of its own", name, s.VirtualAddress)
		}
		data, err := s.Data()
		if err != nil || string(data[:min(len(data), int(s.VirtualSize))]) != want {
			t.Errorf("section %s holds %d bytes (%v), want the %d given", name, s.VirtualSize, err, len(want))
		}
	}
	opt := f.OptionalHeader.(*pe.OptionalHeader64)
	if opt.SizeOfImage < end {
		t.Errorf("SizeOfImage %#x, want at least %#x", opt.SizeOfImage, end)
	}
	if got := f.Sections[len(f.Sections)-1].Name; got != ".linux" {
		t.Errorf("the last section is %s, want .linux", got)
	}
}

func TestBuildAddsTheSections(t *testing.T) {
	for _, c := range []struct {
		name  string
		spare int
	}{
		{"headers with room", 5},
		{"headers that must grow", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parts(stub(c.spare, 0x4000))
			image, err := Build(p)
			if err != nil {
				t.Fatalf("Build: %v", err)
			}
			check(t, image, p)
			f, _ := pe.NewFile(bytes.NewReader(image))
			if code, _ := f.Section(".text").Data(); !bytes.HasPrefix(code, []byte("code!")) {
				t.Errorf("the stub's code is %q, want it moved along", code)
			}
			again, _ := Build(p)
			if !bytes.Equal(image, again) {
				t.Error("two builds of the same parts differ")
			}
		})
	}
}

func TestBuildOnTheRealStub(t *testing.T) {
	name := "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
	s, err := os.ReadFile(name)
	if err != nil {
		t.Skip("systemd-boot-efi is not installed on this machine")
	}
	p := parts(s)
	image, err := Build(p)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	check(t, image, p)
	// The checksum over a file that holds its own stays true only if it is the right sum: the stub's own serves as
	// the known answer.
	l, err := parse(s)
	if err != nil {
		t.Fatal(err)
	}
	want := binary.LittleEndian.Uint32(s[l.opt+optCheckSum:])
	blank := bytes.Clone(s)
	binary.LittleEndian.PutUint32(blank[l.opt+optCheckSum:], 0)
	if got := checksum(blank); got != want {
		t.Errorf("checksum of the stub = %#x, want %#x as its linker wrote", got, want)
	}
}

func TestBuildRefuses(t *testing.T) {
	good := stub(5, 0x4000)
	signed := bytes.Clone(good)
	binary.LittleEndian.PutUint32(signed[0x80+4+20+optCertificateDir+4:], 8)
	for _, c := range []struct {
		name  string
		parts Parts
		want  string
	}{
		{"an empty kernel", Parts{Stub: good, OSRelease: "a", CommandLine: "b", KernelRelease: "c", Initrd: []byte("d")}, ".linux is empty"},
		{"no stub", parts(nil), "no PE file"},
		{"a text for a stub", parts(bytes.Repeat([]byte("MZ text "), 100)), "no PE file"},
		{"a cut stub", parts(good[:0x100]), "no PE file"},
		{"a signed stub", parts(signed), "signed"},
		{"a first section with no room before it", parts(stub(0, 0x1b8)), "leaves no room"},
	} {
		if _, err := Build(c.parts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func FuzzBuild(f *testing.F) {
	f.Add(stub(5, 0x4000))
	f.Add(stub(0, 0x4000))
	f.Fuzz(func(t *testing.T, s []byte) {
		image, err := Build(parts(s))
		if err == nil && len(image) <= len(s) {
			t.Errorf("image of %d bytes from a stub of %d", len(image), len(s))
		}
	})
}
