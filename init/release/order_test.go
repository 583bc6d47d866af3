package release

import (
	"errors"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestNamesReadAndPrint(t *testing.T) {
	for file, want := range map[string]Name{
		"rotunda_000007.efi":       {Number: 7},
		"rotunda_000007+3.efi":     {Number: 7, Counted: true, Left: 3},
		"rotunda_000007+2-1.efi":   {Number: 7, Counted: true, Left: 2, Done: 1},
		"rotunda_999999+0-3.efi":   {Number: 999999, Counted: true, Done: 3},
		"rotunda_000007+10-12.efi": {Number: 7, Counted: true, Left: 10, Done: 12},
	} {
		if got, ok := ParseName(file); !ok || got != want {
			t.Errorf("%s: want %+v, got %+v, %v", file, want, got, ok)
		}
		if got := want.String(); got != file {
			t.Errorf("%+v: want %s, got %s", want, file, got)
		}
	}
	if got, ok := ParseName("ROTUNDA_000007+2-1.EFI"); !ok || got.Number != 7 {
		t.Errorf("capitals: want number 7, got %+v, %v", got, ok)
	}
	for _, bad := range []string{"", "rotunda_7.efi", "rotunda_000000.efi", "rotunda_000007", "rotunda_000007+.efi",
		"rotunda_000007+3-.efi", "rotunda_000007-1.efi", "rotunda_000007+3.efi.tmp", "ROTUND~1.EFI", "other_000007.efi",
		"rotunda_0000077.efi", "rotunda_000007+1000.efi", "x/rotunda_000007.efi"} {
		if got, ok := ParseName(bad); ok {
			t.Errorf("%q: want it refused, got %+v", bad, got)
		}
	}
}

func TestTheLoaderTakesATryBeforeEachStart(t *testing.T) {
	n := Name{Number: 7, Counted: true, Left: Tries}
	var got []string
	for range 4 {
		n = n.Started()
		got = append(got, n.String())
	}
	want := []string{"rotunda_000007+2-1.efi", "rotunda_000007+1-2.efi", "rotunda_000007+0-3.efi", "rotunda_000007+0-4.efi"}
	if !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
	if got := (Name{Number: 7}).Started(); got != (Name{Number: 7}) {
		t.Errorf("a committed version: want it unchanged, got %+v", got)
	}
}

func TestOrderIsThatOfTheLoader(t *testing.T) {
	for _, c := range []struct{ what, want string }{
		{"the newest number first", "rotunda_000010.efi rotunda_000009.efi rotunda_000002.efi"},
		{"a trial before older versions", "rotunda_000008+3.efi rotunda_000007.efi"},
		{"a trial that was started", "rotunda_000008+1-2.efi rotunda_000007.efi"},
		{"no tries left is last", "rotunda_000006.efi rotunda_000008+0-3.efi rotunda_000007+0-3.efi"},
		{"a counter before the same number without", "rotunda_000008+2-1.efi rotunda_000008.efi"},
		{"more tries first", "rotunda_000008+3.efi rotunda_000008+2-1.efi rotunda_000008+1-2.efi"},
		{"8.3 names behind long ones", "rotunda_000001.efi ROTUND~2.EFI ROTUND~1.EFI"},
		{"names that are not versions", "zebra.efi rotunda_000007.efi aardvark.EFI"},
		{"a counter of no digits is none", "rotunda_000008+.efi rotunda_000007.efi"},
		{"a counter too large is none", "rotunda_000008+99999999999.efi rotunda_000007+3.efi"},
		{"a counter before something else is none", "rotunda_000008+0-3x.efi rotunda_000007+3.efi"},
	} {
		want := strings.Fields(c.want)
		shuffled := slices.Clone(want)
		rng := rand.New(rand.NewPCG(1, 1))
		for range 10 {
			rng.Shuffle(len(shuffled), func(i, k int) { shuffled[i], shuffled[k] = shuffled[k], shuffled[i] })
			if got := Order(shuffled); !slices.Equal(got, want) {
				t.Errorf("%s: want %v, got %v", c.what, want, got)
			}
		}
	}
	if got := Order([]string{".hidden.efi", "auto-reboot.efi", "readme.txt", "rotunda_000001.efi.tmp"}); len(got) != 0 {
		t.Errorf("what the loader does not list: want none, got %v", got)
	}
	if got := NextBoot([]string{"rotunda_000008+0-3.efi"}); got != "rotunda_000008+0-3.efi" {
		t.Errorf("nothing else is left: want the failed one, got %q", got)
	}
	if got := NextBoot(nil); got != "" {
		t.Errorf("an empty folder: want nothing, got %q", got)
	}
}

// systemd-analyze compares with the function that systemd-boot is built with.
func TestVersionsCompareAsSystemdDoes(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	pairs := [][2]string{
		{"rotunda_000007+3.efi", "rotunda_000007.efi"},
		{"rotunda_000007+2-1.efi", "rotunda_000007+3.efi"},
		{"rotund~1.efi", "rotunda_000001.efi"},
		{"rotunda_000010.efi", "rotunda_000009+3.efi"},
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 150 {
		var p [2]string
		for i := range p {
			b := make([]byte, 1+rng.IntN(7))
			for k := range b {
				b[k] = "a0+~-^._1b"[rng.IntN(10)]
			}
			p[i] = "x" + string(b)
		}
		pairs = append(pairs, p)
	}
	for _, p := range pairs {
		got := compareVersions(p[0], p[1])
		var exit *exec.ExitError
		err := exec.Command(analyze, "compare-versions", p[0], p[1]).Run()
		code := 0
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Skipf("systemd-analyze does not run: %v", err)
		}
		want, ok := map[int]int{0: 0, 11: 1, 12: -1}[code]
		if !ok {
			t.Skipf("systemd-analyze compare-versions ends with status %d", code)
		}
		if got != want {
			t.Errorf("compare %q and %q: want %d, got %d", p[0], p[1], want, got)
		}
		if back := compareVersions(p[1], p[0]); back != -got {
			t.Errorf("compare %q and %q both ways: want opposite signs, got %d and %d", p[0], p[1], got, back)
		}
	}
}
