package kmod

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Info is what a module says about itself in its .modinfo section.
type Info struct {
	// Depends are the modules that must be there before, by name.
	Depends []string
	// Soft are modules or aliases that should be there before if they can be ("softdep=pre: …").
	Soft []string
	// Aliases are patterns of modaliases, and further names.
	Aliases []string
	// Firmware are files that the driver asks user space for.
	Firmware []string
}

// maxModinfo bounds the section; the largest in Debian's kernel, with its thousands of device ids, is below 200 kB.
const maxModinfo = 4 << 20

// ReadInfo reads the .modinfo section of a module.
func ReadInfo(module io.ReaderAt) (Info, error) {
	f, err := elf.NewFile(module)
	if err != nil {
		return Info{}, fmt.Errorf("read module: %w", err)
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return Info{}, errors.New("read module: no .modinfo section")
	}
	if section.Size > maxModinfo {
		return Info{}, fmt.Errorf("read module: .modinfo has %d bytes, more than %d", section.Size, maxModinfo)
	}
	data, err := section.Data()
	if err != nil {
		return Info{}, fmt.Errorf("read .modinfo: %w", err)
	}
	return parseInfo(string(data)), nil
}

// parseInfo reads "key=value" strings that end in NUL.
func parseInfo(section string) Info {
	var info Info
	for entry := range strings.SplitSeq(section, "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		switch key {
		case "depends":
			for d := range strings.SplitSeq(value, ",") {
				if d != "" {
					info.Depends = append(info.Depends, Name(d))
				}
			}
		case "softdep":
			info.Soft = append(info.Soft, before(value)...)
		case "alias":
			info.Aliases = append(info.Aliases, value)
		case "firmware":
			info.Firmware = append(info.Firmware, value)
		}
	}
	slices.Sort(info.Aliases)
	info.Aliases = slices.Compact(info.Aliases)
	return info
}

// before returns the "pre:" part of a soft dependency; "post:" modules come by their own devices.
func before(softdep string) []string {
	var list []string
	pre := false
	for _, word := range strings.Fields(softdep) {
		switch word {
		case "pre:":
			pre = true
		case "post:":
			pre = false
		default:
			if pre {
				list = append(list, word)
			}
		}
	}
	return list
}
