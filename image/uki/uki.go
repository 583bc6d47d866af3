// Package uki makes a unified kernel image: one EFI executable that holds a kernel, its command line and its
// initramfs as sections behind systemd's stub, as described in the UAPI group's specification of unified kernel images.
//
// The stub is a PE32+ file whose section table gets five more entries. Each new section starts on its own page in
// memory, behind the stub's own and in the order given here: .linux is last, since a kernel may use memory behind its
// file's end. Section data follow each other in the file, padded to FileAlignment. When the stub's headers have no
// room for the entries they are enlarged, which moves all file offsets but no address.
//
// The same parts give the same bytes. Nothing is signed here; a signature would be added to the finished file.
package uki

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Parts are what goes into an image.
type Parts struct {
	// Stub is systemd's linuxx64.efi.stub.
	Stub []byte
	// OSRelease is the text in os-release(5) form that the boot loader shows and upgrades read.
	OSRelease string
	// CommandLine of the kernel.
	CommandLine string
	// KernelRelease is what uname -r will say.
	KernelRelease string
	Initrd        []byte
	Kernel        []byte
}

// Offsets in PE files (Microsoft's PE format, "Optional Header" and "Section Table").
const (
	dosHeaderSize    = 0x40
	dosPEOffset      = 0x3c
	coffHeaderSize   = 20
	coffSections     = 2
	coffOptionalSize = 16
	pe32Plus         = 0x20b

	optInitialized    = 8
	optSectionAlign   = 32
	optFileAlign      = 36
	optSizeOfImage    = 56
	optSizeOfHeaders  = 60
	optCheckSum       = 64
	optMinimum        = 112
	optCertificateDir = 112 + 4*8

	sectionSize    = 40
	sectionVSize   = 8
	sectionVAddr   = 12
	sectionRawSize = 16
	sectionRawOff  = 20
	sectionFlags   = 36

	// initialized data | readable
	dataSection = 0x40000040

	page = 4096
)

type section struct {
	name string
	data []byte
}

// Build returns the image.
func Build(p Parts) ([]byte, error) {
	sections := []section{
		{".osrel", []byte(p.OSRelease)},
		{".cmdline", []byte(p.CommandLine)},
		{".uname", []byte(p.KernelRelease)},
		{".initrd", p.Initrd},
		{".linux", p.Kernel},
	}
	for _, s := range sections {
		if len(s.data) == 0 {
			return nil, fmt.Errorf("build unified kernel image: %s is empty", s.name)
		}
	}
	out, err := appendSections(p.Stub, sections)
	if err != nil {
		return nil, fmt.Errorf("build unified kernel image: %w", err)
	}
	return out, nil
}

// layout is where things are in the stub.
type layout struct {
	coff, opt, table           int
	sections                   int
	fileAlign, sectionAlign    uint32
	sizeOfHeaders, sizeOfImage uint32
}

func parse(stub []byte) (layout, error) {
	le := binary.LittleEndian
	var l layout
	if len(stub) < dosHeaderSize || stub[0] != 'M' || stub[1] != 'Z' {
		return l, errors.New("the stub is no PE file")
	}
	pe := int64(le.Uint32(stub[dosPEOffset:]))
	if pe+4+coffHeaderSize+optMinimum > int64(len(stub)) || !bytes.Equal(stub[pe:pe+4], []byte("PE\x00\x00")) {
		return l, errors.New("the stub is no PE file")
	}
	l.coff = int(pe) + 4
	l.opt = l.coff + coffHeaderSize
	l.sections = int(le.Uint16(stub[l.coff+coffSections:]))
	l.table = l.opt + int(le.Uint16(stub[l.coff+coffOptionalSize:]))
	if le.Uint16(stub[l.opt:]) != pe32Plus || l.table < l.opt+optMinimum {
		return l, errors.New("the stub is no PE32+ file")
	}
	l.sectionAlign = le.Uint32(stub[l.opt+optSectionAlign:])
	l.fileAlign = le.Uint32(stub[l.opt+optFileAlign:])
	l.sizeOfImage = le.Uint32(stub[l.opt+optSizeOfImage:])
	l.sizeOfHeaders = le.Uint32(stub[l.opt+optSizeOfHeaders:])
	for _, a := range []uint32{l.sectionAlign, l.fileAlign} {
		if a == 0 || a&(a-1) != 0 || a > 1<<20 {
			return l, fmt.Errorf("the stub has an alignment of %d", a)
		}
	}
	if l.sections == 0 || int64(l.table)+int64(l.sections)*sectionSize > int64(l.sizeOfHeaders) || int64(l.sizeOfHeaders) > int64(len(stub)) {
		return l, errors.New("the stub's section table is not inside its headers")
	}
	return l, nil
}

func appendSections(stub []byte, added []section) ([]byte, error) {
	le := binary.LittleEndian
	l, err := parse(stub)
	if err != nil {
		return nil, err
	}
	if len(stub) >= l.opt+optCertificateDir+8 && le.Uint32(stub[l.opt+optCertificateDir+4:]) != 0 {
		return nil, errors.New("the stub is signed; adding to it would break the signature")
	}

	// Room for the new entries, by moving everything behind the headers.
	need := uint32(l.table + (l.sections+len(added))*sectionSize)
	headers := max(l.sizeOfHeaders, align(need, l.fileAlign))
	shift := headers - l.sizeOfHeaders
	out := make([]byte, headers, int(headers)+len(stub)+total(added, l.fileAlign))
	copy(out, stub[:l.sizeOfHeaders])
	out = append(out, stub[l.sizeOfHeaders:]...)

	end := uint32(0)
	for i := range l.sections {
		e := out[l.table+i*sectionSize:]
		vaddr, vsize := le.Uint32(e[sectionVAddr:]), le.Uint32(e[sectionVSize:])
		if vaddr < headers {
			return nil, fmt.Errorf("the stub's section %q at %#x leaves no room for %d more", bytes.TrimRight(e[:8], "\x00"), vaddr, len(added))
		}
		end = max(end, vaddr+vsize)
		if off := le.Uint32(e[sectionRawOff:]); off != 0 {
			le.PutUint32(e[sectionRawOff:], off+shift)
		}
	}

	memoryAlign := max(l.sectionAlign, page)
	address := align(max(end, l.sizeOfImage), memoryAlign)
	initialized := le.Uint32(out[l.opt+optInitialized:])
	for i, s := range added {
		out = pad(out, l.fileAlign)
		if uint64(address)+uint64(len(s.data)) > math.MaxInt32 || len(out)+len(s.data) > math.MaxInt32 {
			return nil, fmt.Errorf("%s ends beyond 2 GiB", s.name)
		}
		e := out[l.table+(l.sections+i)*sectionSize:][:sectionSize]
		clear(e)
		copy(e, s.name)
		raw := align(uint32(len(s.data)), l.fileAlign)
		le.PutUint32(e[sectionVSize:], uint32(len(s.data)))
		le.PutUint32(e[sectionVAddr:], address)
		le.PutUint32(e[sectionRawSize:], raw)
		le.PutUint32(e[sectionRawOff:], uint32(len(out)))
		le.PutUint32(e[sectionFlags:], dataSection)
		out = append(out, s.data...)
		initialized += raw
		end = address + uint32(len(s.data))
		address = align(end, memoryAlign)
	}
	out = pad(out, l.fileAlign)

	le.PutUint16(out[l.coff+coffSections:], uint16(l.sections+len(added)))
	le.PutUint32(out[l.opt+optInitialized:], initialized)
	le.PutUint32(out[l.opt+optSizeOfHeaders:], headers)
	le.PutUint32(out[l.opt+optSizeOfImage:], align(end, l.sectionAlign))
	le.PutUint32(out[l.opt+optCheckSum:], 0)
	le.PutUint32(out[l.opt+optCheckSum:], checksum(out))
	return out, nil
}

func total(sections []section, alignment uint32) int {
	n := 0
	for _, s := range sections {
		n += len(s.data) + 2*int(alignment)
	}
	return n
}

func align(n, to uint32) uint32 { return (n + to - 1) &^ (to - 1) }

func pad(b []byte, to uint32) []byte {
	return append(b, make([]byte, align(uint32(len(b)), to)-uint32(len(b)))...)
}

// checksum is the PE image checksum: the ones' complement sum of all 16-bit words, with the checksum field itself as
// zero, plus the file's length.
func checksum(image []byte) uint32 {
	var sum uint64
	for i := 0; i+1 < len(image); i += 2 {
		sum += uint64(binary.LittleEndian.Uint16(image[i:]))
	}
	if len(image)%2 == 1 {
		sum += uint64(image[len(image)-1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint32(sum) + uint32(len(image))
}
