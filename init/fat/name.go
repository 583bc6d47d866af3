package fat

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	attrReadOnly  = 0x01
	attrLabel     = 0x08
	attrDirectory = 0x10
	attrArchive   = 0x20
	attrLong      = 0x0F
	attrLongMask  = 0x3F

	deleted = 0xE5

	// unitsPerSlot is how many UTF-16 units of a long name one slot holds.
	unitsPerSlot = 13
	// maxUnits keeps the slots of a name within one sector: 15 long-name slots and the 8.3 entry. FAT would allow 255.
	maxUnits = (slotsPerSector - 1) * unitsPerSlot
	// maxReadSlots is FAT's own limit for names that others wrote.
	maxReadSlots = 20

	lastLong = 0x40
)

// shortName is the 8.3 name as stored: upper case, padded with spaces, without the dot.
type shortName [11]byte

// unitOffsets are the places of the 13 UTF-16 units in a long-name slot.
var unitOffsets = [unitsPerSlot]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}

// checksum ties long-name slots to their 8.3 entry (specification, "Long Directory Entries").
func (s shortName) checksum() byte {
	var sum byte
	for _, b := range s {
		sum = sum>>1 | sum<<7
		sum += b
	}
	return sum
}

// String returns NAME.EXT. Bytes outside printable ASCII, whose code page is unknown, become U+FFFD.
func (s shortName) String() string { return s.cased(0) }

// cased applies the two bits of byte 12 by which Windows NT, Linux and EDK2 store lower case without a long name.
func (s shortName) cased(flags byte) string {
	part := func(b []byte, lower bool) string {
		var out strings.Builder
		for _, c := range b {
			switch {
			case c < 0x20 || c > 0x7E || c == '/' || c == '\\':
				out.WriteRune(utf8.RuneError)
			case lower && c >= 'A' && c <= 'Z':
				out.WriteByte(c + 'a' - 'A')
			default:
				out.WriteByte(c)
			}
		}
		return strings.TrimRight(out.String(), " ")
	}
	name, ext := part(s[:8], flags&0x08 != 0), part(s[8:], flags&0x10 != 0)
	if ext == "" {
		return name
	}
	return name + "." + ext
}

// validName refuses what FAT or EDK2 would refuse or change.
func validName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("file name %q", name)
	case !utf8.ValidString(name):
		return fmt.Errorf("file name %q is not UTF-8", name)
	case strings.HasPrefix(name, " ") || strings.HasSuffix(name, " ") || strings.HasSuffix(name, "."):
		return fmt.Errorf("file name %q begins with a space or ends with a space or a dot", name)
	case len(utf16.Encode([]rune(name))) > maxUnits:
		return fmt.Errorf("file name %.20q… is longer than %d characters", name, maxUnits)
	}
	for _, r := range name {
		if r < 0x20 || r == 0x7F || strings.ContainsRune(`"*/:<>?\|`, r) {
			return fmt.Errorf("file name %q holds %q", name, r)
		}
	}
	return nil
}

func shortChar(b byte) bool {
	return b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("!#$%&'()-@^_`{}~", b) >= 0
}

// exactShort returns the 8.3 form of a name that has one without loss other than case.
func exactShort(name string) (shortName, bool) {
	s := shortName([]byte("           "))
	base, ext, dot := strings.Cut(strings.ToUpper(name), ".")
	if base == "" || len(base) > 8 || len(ext) > 3 || dot && ext == "" || strings.Contains(ext, ".") {
		return s, false
	}
	for _, part := range []string{base, ext} {
		for i := range len(part) {
			if !shortChar(part[i]) {
				return s, false
			}
		}
	}
	copy(s[:8], base)
	copy(s[8:], ext)
	return s, true
}

// chooseShort finds an 8.3 name that no other entry of the directory has, in the manner of the specification: the first
// letters, a tilde and a number.
func chooseShort(name string, taken func(shortName) bool) (shortName, error) {
	if s, ok := exactShort(name); ok && !taken(s) {
		return s, nil
	}
	keep := func(s string, most int) string {
		var out []byte
		for _, r := range strings.ToUpper(s) {
			switch {
			case r == ' ' || r == '.':
				continue
			case r < 0x80 && shortChar(byte(r)):
				out = append(out, byte(r))
			default:
				out = append(out, '_')
			}
			if len(out) == most {
				break
			}
		}
		return string(out)
	}
	base, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		base, ext = name[:i], name[i+1:]
	}
	base, ext = keep(base, 8), keep(ext, 3)
	for n := 1; n < 1_000_000; n++ {
		tail := fmt.Sprintf("~%d", n)
		s := shortName([]byte("           "))
		copy(s[:8], base[:min(len(base), 8-len(tail))]+tail)
		copy(s[8:], ext)
		if !taken(s) {
			return s, nil
		}
	}
	return shortName{}, fmt.Errorf("no 8.3 name is left for %q", name)
}

// slotsFor returns the slots of a name in disk order: the long name from its end to its start, then the 8.3 entry,
// whose other fields are taken from entry.
func slotsFor(name string, s shortName, entry [slotSize]byte) []byte {
	copy(entry[:11], s[:])
	entry[12] &^= 0x18
	if s[0] == deleted {
		entry[0] = 0x05
	}
	if s.String() == name {
		return entry[:]
	}
	units := utf16.Encode([]rune(name))
	n := (len(units) + unitsPerSlot - 1) / unitsPerSlot
	out := make([]byte, 0, (n+1)*slotSize)
	for k := n; k >= 1; k-- {
		var e [slotSize]byte
		e[0] = byte(k)
		if k == n {
			e[0] |= lastLong
		}
		e[11] = attrLong
		e[13] = s.checksum()
		for i, off := range unitOffsets {
			unit := uint16(0xFFFF)
			switch at := (k-1)*unitsPerSlot + i; {
			case at < len(units):
				unit = units[at]
			case at == len(units):
				unit = 0
			}
			le.PutUint16(e[off:], unit)
		}
		out = append(out, e[:]...)
	}
	return append(out, entry[:]...)
}

// mostSlots is how many slots a name takes with its long form.
func mostSlots(name string) int {
	return (len(utf16.Encode([]rune(name)))+unitsPerSlot-1)/unitsPerSlot + 1
}

// longName collects long-name slots until their 8.3 entry comes.
type longName struct {
	units [maxReadSlots * unitsPerSlot]uint16
	// count slots were announced; next is the number of the one seen last, 0 if there is none.
	count, next int
	sum         byte
}

func (l *longName) reset() { l.next = 0 }

func (l *longName) add(e []byte) {
	n := int(e[0] & 0x3F)
	switch {
	case le.Uint16(e[26:]) != 0:
		l.reset()
		return
	case e[0]&lastLong != 0 && n >= 1 && n <= maxReadSlots:
		l.count, l.sum = n, e[13]
	case l.next > 1 && n == l.next-1 && e[13] == l.sum:
	default:
		l.reset()
		return
	}
	l.next = n
	for i, off := range unitOffsets {
		l.units[(n-1)*unitsPerSlot+i] = le.Uint16(e[off:])
	}
}

// take returns the long name that belongs to s and the number of its slots, or nothing.
func (l *longName) take(s shortName) (string, int) {
	complete := l.next == 1 && l.sum == s.checksum()
	l.next = 0
	if !complete {
		return "", 0
	}
	units := l.units[:l.count*unitsPerSlot]
	for i, u := range units {
		if u == 0 {
			units = units[:i]
			break
		}
	}
	name := string(utf16.Decode(units))
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
		return "", 0
	}
	return name, l.count
}

func encodeLabel(label string) (shortName, error) {
	s := shortName([]byte("           "))
	if len(label) > len(s) {
		return s, fmt.Errorf("volume label %q is longer than %d characters", label, len(s))
	}
	for i := range len(label) {
		if c := label[i]; c != ' ' && !shortChar(c) {
			return s, fmt.Errorf("volume label %q: only capital letters, digits and some signs are allowed", label)
		}
	}
	copy(s[:], label)
	return s, nil
}
