package release

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Order sorts the file names of EFI/Linux as systemd-boot 252 does, the one that it starts first, and leaves out those
// that it does not list. All images are taken to have the same sort key and no version field in .osrel, which [Store]
// sees to; then names without tries left come last, and within each half the higher name in the sense of the UAPI
// group's version comparison comes first, then the one with more tries left, then the one tried less.
func Order(files []string) []string {
	var out []string
	for _, f := range files {
		if strings.HasPrefix(f, ".") || strings.HasPrefix(f, "auto-") || !strings.HasSuffix(lower(f), ".efi") {
			continue
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b string) int {
		leftA, doneA := loaderTries(a)
		leftB, doneB := loaderTries(b)
		if r := compareBool(leftA == 0, leftB == 0); r != 0 {
			return r
		}
		if r := compareVersions(lower(b), lower(a)); r != 0 {
			return r
		}
		if leftA < 0 || leftB < 0 {
			return 0
		}
		return cmp.Or(cmp.Compare(leftB, leftA), cmp.Compare(doneA, doneB))
	})
	return out
}

// NextBoot is the file that systemd-boot starts, "" if there is none. It starts one without tries left too if there is
// no other.
func NextBoot(files []string) string {
	if o := Order(files); len(o) > 0 {
		return o[0]
	}
	return ""
}

// loaderTries finds the counter that the loader sees in any name, -1 if there is none: after the last plus sign, and
// followed by nothing but the suffix.
func loaderTries(file string) (left, done int64) {
	i := strings.LastIndexByte(file, '+')
	if i < 0 {
		return -1, -1
	}
	left, rest, ok := loaderNumber(file[i+1:])
	if !ok {
		return -1, -1
	}
	if after, found := strings.CutPrefix(rest, "-"); found {
		if done, rest, ok = loaderNumber(after); !ok {
			return -1, -1
		}
	}
	if lower(rest) != ".efi" {
		return -1, -1
	}
	return left, done
}

func loaderNumber(s string) (n int64, rest string, ok bool) {
	digits := leading(s, isDigit)
	for i := range len(digits) {
		if n = n*10 + int64(digits[i]-'0'); n > math.MaxInt32 {
			return 0, "", false
		}
	}
	return n, s[len(digits):], digits != ""
}

// compareVersions is the version comparison of the UAPI group's version format specification, by which the loader sorts
// names: negative if a is older.
func compareVersions(a, b string) int {
	ignored := func(r rune) bool {
		return r > 0x7F || !isDigit(byte(r)) && !isLetter(byte(r)) && !strings.ContainsRune("~-^.", r)
	}
	for {
		a, b = strings.TrimLeftFunc(a, ignored), strings.TrimLeftFunc(b, ignored)
		// A tilde makes older than anything, the end included; the other marks are older than what has none.
		if r := cutMark(&a, &b, '~'); r != 0 {
			return r
		}
		if a == "" || b == "" {
			return compareBool(a != "", b != "")
		}
		for _, mark := range []byte("-^.") {
			if r := cutMark(&a, &b, mark); r != 0 {
				return r
			}
		}
		digitsA, digitsB := leading(a, isDigit), leading(b, isDigit)
		if digitsA != "" || digitsB != "" {
			// A number is newer than letters.
			if r := compareBool(digitsA != "", digitsB != ""); r != 0 {
				return r
			}
			na, nb := strings.TrimLeft(digitsA, "0"), strings.TrimLeft(digitsB, "0")
			if r := cmp.Or(cmp.Compare(len(na), len(nb)), cmp.Compare(na, nb)); r != 0 {
				return r
			}
			a, b = a[len(digitsA):], b[len(digitsB):]
			continue
		}
		// Of two words of which one begins with the other, the longer is newer: that is the order of strings.
		wordA, wordB := leading(a, isLetter), leading(b, isLetter)
		if r := cmp.Compare(wordA, wordB); r != 0 {
			return r
		}
		a, b = a[len(wordA):], b[len(wordB):]
	}
}

// cutMark takes a mark from the front of both, or says which one is older because it alone has it.
func cutMark(a, b *string, mark byte) int {
	restA, inA := strings.CutPrefix(*a, string(mark))
	restB, inB := strings.CutPrefix(*b, string(mark))
	if inA != inB {
		return compareBool(inB, inA)
	}
	*a, *b = restA, restB
	return 0
}

func leading(s string, is func(byte) bool) string {
	n := 0
	for n < len(s) && is(s[n]) {
		n++
	}
	return s[:n]
}

func isDigit(b byte) bool  { return b >= '0' && b <= '9' }
func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }

// lower changes ASCII only, as the loader does.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
