package main

import (
	"slices"
	"strings"
	"testing"

	"rotunda/firmware"
	"rotunda/image/initramfs"
	"rotunda/image/prompts"
)

// withPrompts is a version with a prompt and what spoke it, which is a package of the building machine.
func withPrompts() *parts {
	return &parts{
		source: source{Root: ".."}, firmware: &firmware.Firmware{}, licences: map[string][]string{"go": {"BSD-3-Clause"}},
		prompts: &prompts.Made{
			Files:    []prompts.File{{Name: "welcome.wav", Data: []byte("RIFF")}},
			Packages: []firmware.Package{{Name: "e2fsprogs", Version: "1", Architecture: "amd64", SHA256: strings.Repeat("0", 64), Dir: "/", Licences: []string{"GPL-2"}}},
		},
	}
}

func TestPromptsAndTheLicenceOfTheirVoiceAreInTheSystem(t *testing.T) {
	files, err := systemFiles(withPrompts(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"usr/share/rotunda/prompts/welcome.wav", "usr/share/licenses/e2fsprogs/copyright", "usr/share/licenses/rotunda/LICENSE"} {
		if !slices.ContainsFunc(files, func(f initramfs.File) bool { return f.Path == want && f.Mode == 0o644 && len(f.Data) > 0 }) {
			t.Errorf("%s is not there", want)
		}
	}
}

func TestTheVoiceIsListedByWhatItDoes(t *testing.T) {
	list, err := components(t.Context(), &image{parts: withPrompts()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.Name == "e2fsprogs" {
			if c.Kind != "application" || c.Version != "1" || c.Properties["rotunda:role"] != "builds the prompts" {
				t.Errorf("want an application that builds the prompts, got %+v", c)
			}
			return
		}
	}
	t.Error("what spoke the prompts is not listed")
}
