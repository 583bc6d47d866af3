package boards

import (
	"io/fs"
	"path"
	"strings"
)

// DMI is how the firmware names the machine (SMBIOS types 1 and 2).
type DMI struct {
	SysVendor   string
	ProductName string
	BoardName   string
}

// ReadDMI reads the identity from sysfs, given as a file system so that os.DirFS("/sys") serves. A field that the
// firmware does not give, or that cannot be read, is empty.
func ReadDMI(sysfs fs.FS) DMI {
	field := func(name string) string {
		b, err := fs.ReadFile(sysfs, "class/dmi/id/"+name)
		if err != nil {
			return ""
		}
		// Vendors pad these fields with blanks.
		return strings.TrimSpace(string(b))
	}
	return DMI{SysVendor: field("sys_vendor"), ProductName: field("product_name"), BoardName: field("board_name")}
}

// Identity is a set of patterns in the syntax of [path.Match] without regard to case; an empty one matches anything.
type Identity struct {
	SysVendor   string `json:"sysVendor,omitempty"`
	ProductName string `json:"productName,omitempty"`
	BoardName   string `json:"boardName,omitempty"`
}

func (i Identity) matches(d DMI) bool {
	return matchField(i.SysVendor, d.SysVendor) && matchField(i.ProductName, d.ProductName) && matchField(i.BoardName, d.BoardName)
}

func matchField(pattern, value string) bool {
	if pattern == "" {
		return true
	}
	// path.Match lets * stop at a slash, which product names may hold.
	value = strings.ReplaceAll(strings.ToLower(value), "/", "-")
	ok, err := path.Match(strings.ToLower(pattern), value)
	return err == nil && ok
}

// Match returns the board that the machine is. Every machine is one: what nothing else matches is the board without
// identities, the virtual machine.
func Match(d DMI) Board { return match(load(), d) }

func match(boards []Board, d DMI) Board {
	var other Board
	for _, b := range boards {
		if len(b.Match) == 0 {
			other = b
			continue
		}
		for _, i := range b.Match {
			if i.matches(d) {
				return b
			}
		}
	}
	return other
}
