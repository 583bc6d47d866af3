package release

import (
	"fmt"
	"regexp"
	"strconv"
)

// Directory is where systemd-boot looks for versions.
const Directory = "EFI/Linux"

// Tries is how often a new version is started before the loader gives up on it.
const Tries = 3

// maxNumber keeps the number within the six digits that make file names sort by eye.
const maxNumber = 999_999

// Name is the file name of a version taken apart.
type Name struct {
	// Number is the install counter.
	Number int
	// Counted is whether the name has a try counter: the version is not committed.
	Counted bool
	// Left and Done are tries; the loader takes one from Left and adds one to Done before each start.
	Left, Done int
}

var namePattern = regexp.MustCompile(`^(?i:rotunda)_([0-9]{6})(?:\+([0-9]{1,3})(?:-([0-9]{1,3}))?)?(?i:\.efi)$`)

// ParseName takes rotunda_NNNNNN[+LEFT[-DONE]].efi apart, in any case, since the loader reports names in lower case.
func ParseName(file string) (Name, bool) {
	m := namePattern.FindStringSubmatch(file)
	if m == nil {
		return Name{}, false
	}
	// The pattern leaves only digits, at most six of them.
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	n := Name{Number: number(m[1]), Counted: m[2] != "", Left: number(m[2]), Done: number(m[3])}
	return n, n.Number > 0
}

// String is the file name, in the form that the loader writes.
func (n Name) String() string {
	switch {
	case !n.Counted:
		return fmt.Sprintf("rotunda_%06d.efi", n.Number)
	case n.Done == 0:
		return fmt.Sprintf("rotunda_%06d+%d.efi", n.Number, n.Left)
	}
	return fmt.Sprintf("rotunda_%06d+%d-%d.efi", n.Number, n.Left, n.Done)
}

// Started is the name after the loader has started the file once more.
func (n Name) Started() Name {
	if n.Counted {
		n.Left, n.Done = max(n.Left-1, 0), n.Done+1
	}
	return n
}
