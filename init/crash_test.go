package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCrashStoreIsReadInOrder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"dmesg-efi-1": "Oops#1 Part1\nend of the oops\n",
		"dmesg-efi-2": "Oops#1 Part2\nstart of the oops\n",
		"dmesg-efi-3": "Panic#2 Part1\nlast lines\n\x00\x00",
		"dmesg-efi-4": "Panic#2 Part2\nfirst lines\n",
		"console-0":   "not a crash",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := readCrashStore(dir), "start of the oops\nend of the oops\nfirst lines\nlast lines\n"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	if got := readCrashStore(t.TempDir()); got != "" {
		t.Errorf("an empty store: want nothing, got %q", got)
	}
}

func FuzzParseCrashRecord(f *testing.F) {
	f.Add("Panic#1 Part1\ntext")
	f.Add("Oops#2 Partx\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if r := parseCrashRecord(s); r.dump == 0 && r.part == 0 && r.text == "" && s != "" {
			t.Errorf("%q: a record without a part lost its text", s)
		}
	})
}

func TestAGoTraceIsPutTogetherAgain(t *testing.T) {
	log := "<6>[    1.5] before\n<4>[   15.992492] panic: \n<4>[   15.992716] runtime error: index out of range [0]\n<4>[   15.99] \n" +
		"<4>[   15.993400] goroutine \n<4>[   15.99] 1\n<4>[   15.99]  [\n<4>[   15.99] running\n<4>[   15.99] ]:\n<4>[   15.99] main.main\n" +
		"<4>[   15.99] (\n<4>[   15.99] )\n<4>[   16.0] \n<0>[   16.1] Kernel panic - not syncing\n<0>[   16.2] after\n"
	want := "<6>[    1.5] before\n<4>[   15.992492] panic: runtime error: index out of range [0]\n" +
		"goroutine 1 [running]:\nmain.main()\n\n<0>[   16.1] Kernel panic - not syncing\n<0>[   16.2] after\n"
	if got := joinTrace(log); got != want {
		t.Errorf("want:\n%s\ngot:\n%s", want, got)
	}
}

func TestTheExcerptBeginsShortlyBeforeTheCrash(t *testing.T) {
	var boot, near strings.Builder
	for range 50 {
		boot.WriteString("<6>[    1.0] boot\n")
	}
	for range before {
		near.WriteString("<6>[    2.0] near\n")
	}
	crash := "<4>[    3.0] panic: oh\n<0>[    3.1] Kernel panic - not syncing\n"
	if got, want := excerpt(boot.String()+near.String()+crash), near.String()+crash; got != want {
		t.Errorf("want:\n%s\ngot:\n%s", want, got)
	}
	for _, whole := range []string{"", crash, boot.String()} {
		if got := excerpt(whole); got != whole {
			t.Errorf("want %q as it is, got %q", whole, got)
		}
	}
}
