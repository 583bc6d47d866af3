package main

import (
	"bytes"
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"rotunda/firmware"
)

// sampleWithCodecs is the smallest program that is linked with the codec libraries.
var sampleWithCodecs = program{Package: "rotunda/image/testdata/codecs", Path: "bin/codecs", Codecs: true}

func TestAProgramWithCodecsNeedsNothingOfTheSystemItRunsOn(t *testing.T) {
	ctx := context.Background()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	codecs := &firmware.Codecs{Include: filepath.Join(root, "build/codecs/include"), Lib: filepath.Join(root, "build/codecs/lib")}
	if _, err := os.Stat(codecs.Lib); err != nil {
		t.Skip("there are no codec libraries in build/codecs: make codecs")
	}
	all, err := buildPrograms(ctx, root, []program{sampleWithCodecs}, codecs)
	if err != nil {
		t.Fatalf("buildPrograms: %v", err)
	}
	data := all[0].Data
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_DYN {
		t.Errorf("the program is of type %v, want ET_DYN, which is loaded anywhere", f.Type)
	}
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the program asks for a dynamic loader")
	}
	if !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_GNU_RELRO }) {
		t.Error("the program's tables stay writable")
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_GNU_STACK && p.Flags&elf.PF_X != 0 {
			t.Error("the program's stack is executable")
		}
	}
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) != 0 {
		t.Errorf("the program needs the libraries %v (%v), want none", libraries, err)
	}
	if symbols, err := f.Symbols(); err == nil {
		t.Errorf("the program has %d symbols, want none", len(symbols))
	}
	for _, path := range []string{root, os.TempDir() + "/rotunda-"} {
		if bytes.Contains(data, []byte(path)) {
			t.Errorf("the program contains the path %s", path)
		}
	}
	file := filepath.Join(t.TempDir(), "codecs")
	if err := os.WriteFile(file, data, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file)
	cmd.Env = []string{}
	out, err := cmd.CombinedOutput()
	if want := "H264 openh264: 320 × 180, grey 128\nH264 x264: 320 × 180, grey 128\nVP8 : 320 × 180, grey 128\nopus: 960 samples\n"; err != nil || string(out) != want {
		t.Errorf("the program says %q, %v, want %q", out, err, want)
	}
}
