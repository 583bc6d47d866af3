package firmware

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestTheMachinesArchivesAreAskedForSources(t *testing.T) {
	for name, c := range map[string]struct{ convert, text, want string }{
		"one line each": {
			".list", "# archive\ndeb http://a.example/debian bookworm main\n\ndeb [signed-by=/k] http://b.example/ x y\n",
			"deb-src http://a.example/debian bookworm main\ndeb-src [signed-by=/k] http://b.example/ x y\n",
		},
		"sources already there": {
			".list", "deb http://a.example bookworm main\ndeb-src http://a.example bookworm main\n",
			"deb-src http://a.example bookworm main\n",
		},
		"stanzas": {
			".sources", "Types: deb\nURIs: http://a.example\n\ntypes: deb deb-src\nURIs: http://b.example\n",
			"Types: deb-src\nURIs: http://a.example\n\nTypes: deb-src\nURIs: http://b.example\n",
		},
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "x"+c.convert), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "x.disabled"), []byte("deb http://c.example x y\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readArchives([]string{filepath.Join(folder, "missing"), folder})
		if err != nil || len(got) != 1 || got["x"+c.convert] != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestParseURIsFindsTheFilesOfASourcePackage(t *testing.T) {
	hash := "055f82fca9a92f1d47216be2c2488d09373c7ca154806fbc36b0127c191d5104"
	got := parseURIs("NOTICE: something\n'http://a.example/x_1.dsc' x_1.dsc 5323 SHA256:" + hash + "\n'http://a.example/x_1.tar' x_1.tar 9 MD5Sum:1\n")
	if want := []sourceFile{{"x_1.dsc", hash}}; !slices.Equal(got, want) {
		t.Errorf("parseURIs = %v, want %v: what has no SHA-256 does not count", got, want)
	}
}

func FuzzParseURIs(f *testing.F) {
	f.Add("'u' x_1.dsc 5323 SHA256:055f82fca9a92f1d47216be2c2488d09373c7ca154806fbc36b0127c191d5104\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, file := range parseURIs(text) {
			if file.Name == "" || len(file.SHA256) != 64 {
				t.Errorf("%q has the file %+v", text, file)
			}
		}
	})
}
