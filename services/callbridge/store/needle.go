package store

import "strings"

// needle is a part of text that is looked for. [strings.Index] reads a byte at a time where the first two of the part are common, as
// they are in names; a byte of the part that is rare in this text is found several times as fast, 32 bytes at a time.
type needle struct {
	part string
	// rare is the position of the byte to look for, -1 to leave it to strings.Index.
	rare int
}

const (
	// samples are the chunks that are looked at to tell what is rare.
	samples = 8
	// seldom is how many bytes must lie between two of the rare one: each is a call and a comparison.
	seldom = 16
)

func (s *sorted) needle(k *kind, part string) needle {
	n := needle{part, -1}
	step := max(1, len(s.chunks)/samples)
	size := 0
	for i := 0; i < len(s.chunks); i += step {
		size += len(s.chunks[i].face(k).text)
	}
	best := size / seldom
	for at := range len(part) {
		if strings.IndexByte(part[:at], part[at]) >= 0 {
			continue
		}
		count := 0
		for i := 0; i < len(s.chunks); i += step {
			count += strings.Count(s.chunks[i].face(k).text, part[at:at+1])
		}
		if count < best {
			best, n.rare = count, at
		}
	}
	return n
}

// index is strings.Index.
func (n needle) index(s string) int {
	if n.rare < 0 {
		return strings.Index(s, n.part)
	}
	c, tail := n.part[n.rare], len(n.part)-n.rare
	for from := n.rare; from+tail <= len(s); from++ {
		i := strings.IndexByte(s[from:], c)
		if i < 0 || from+i+tail > len(s) {
			return -1
		}
		from += i
		if start := from - n.rare; s[start:start+len(n.part)] == n.part {
			return start
		}
	}
	return -1
}
