package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rotunda/boards"
)

func noEnvironment(string) string { return "" }

func TestParseOptionsNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-only", "floppy"}, `product "floppy": want efi, sbom, upgrade, disk, ova or all`},
		{[]string{"-version", "1 0"}, `version "1 0"`},
		{[]string{"-version", `1"`}, `version "1\""`},
		{[]string{"-version", ""}, `version ""`},
		{[]string{"-cmdline", "a\nb"}, "printable ASCII"},
		{[]string{"now"}, `unexpected argument "now"`},
	} {
		if _, err := parseOptions(c.args, noEnvironment); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one with %s", c.args, err, c.want)
		}
	}
}

func TestParseOptionsDefaults(t *testing.T) {
	o, err := parseOptions(nil, noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	if o.Out != "build" || o.Cache != "build/cache" || o.Version != version || !slices.Equal(o.Only, products) {
		t.Errorf("options %+v, want build, build/cache, %s and all products", o, version)
	}
	o, err = parseOptions([]string{"-only", "disk,efi", "-out", "x"}, func(name string) string {
		return map[string]string{"ROTUNDA_CACHE": "/cache"}[name]
	})
	if err != nil || !o.wants("disk") || o.wants("ova") || o.Cache != "/cache" {
		t.Errorf("options %+v (%v), want disk and efi only, and the cache of the environment", o, err)
	}
}

func TestEveryProductHasAMaker(t *testing.T) {
	for _, p := range products {
		if makers[p] == nil {
			t.Errorf("no maker for %s", p)
		}
	}
	if len(makers) != len(products) {
		t.Errorf("%d makers for %d products", len(makers), len(products))
	}
}

func TestCommandLineEndsItsConsolesWithTheSerialLine(t *testing.T) {
	line := commandLine(boards.All(), "fault=hang")
	words := strings.Fields(line)
	var consoles []string
	for _, w := range words {
		if c, ok := strings.CutPrefix(w, "console="); ok {
			consoles = append(consoles, c)
		}
	}
	if want := []string{"tty0", "ttyS0,115200n8"}; !slices.Equal(consoles, want) {
		t.Errorf("consoles %v, want %v", consoles, want)
	}
	for _, want := range []string{"rdinit=/init", "panic=5"} {
		if !slices.Contains(words, want) {
			t.Errorf("%q lacks %s", line, want)
		}
	}
	if words[len(words)-1] != "fault=hang" {
		t.Errorf("%q does not end with what was asked for", line)
	}
}

func TestReleaseCarriesNothingThatTheLoaderWouldSortBy(t *testing.T) {
	text := releaseInfo{Version: "0.1.0", Build: "abc"}.osRelease()
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, "=")
		if slices.Contains([]string{"VERSION", "VERSION_ID", "BUILD_ID", "IMAGE_VERSION", "IMAGE_ID"}, name) {
			t.Errorf("os-release has %q", line)
		}
	}
	if want := "ID=rotunda\nNAME=Rotunda\nPRETTY_NAME=\"Rotunda 0.1.0\"\nROTUNDA_VERSION=0.1.0\nROTUNDA_BUILD=abc\n"; text != want {
		t.Errorf("os-release:\n%swant:\n%s", text, want)
	}
}

func TestLoadKey(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	seed := base64.StdEncoding.EncodeToString(private.Seed())
	for _, c := range []struct {
		name, text, err string
	}{
		{"PEM", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), ""},
		{"seed", seed + "\n", ""},
		{"half a seed", seed[:20], "neither PEM nor a seed"},
		{"PEM of something else", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "asn1"},
		{"empty", "", "neither PEM nor a seed"},
	} {
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := loadKey(file)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want one with %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || key.Name != "release" || !key.PrivateKey.Equal(private) {
			t.Errorf("%s: key %q, %v, want the release key given", c.name, key.Name, err)
		}
	}
	key, err := loadKey("")
	if err != nil || key.Name != "development" {
		t.Errorf("no file: key %q, %v, want the development key", key.Name, err)
	}
	// Machines in test beds trust this key; changing the seed would lock them out of upgrades.
	if got, want := string(bytes.TrimSpace(key.public())), "HfcNQU21xmGvd+HOrlkOlpAXakXqe448b6drKgnuwYk="; got != want {
		t.Errorf("development key %s, want %s", got, want)
	}
}

func TestParseEpoch(t *testing.T) {
	got, err := parseEpoch("1700000000")
	if err != nil || got.Unix() != 1_700_000_000 {
		t.Errorf("parseEpoch = %v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "0", "-5", "5000000000"} {
		if _, err := parseEpoch(bad); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
			t.Errorf("parseEpoch(%q) gives %v, want an error that names SOURCE_DATE_EPOCH", bad, err)
		}
	}
}

func TestLicenceTextsAreFoundByName(t *testing.T) {
	for name, want := range map[string]bool{
		"LICENSE": true, "LICENCE.md": true, "license.txt": true, "COPYING": true, "NOTICE": true, "PATENTS": true, "LICENSE-MIT": true,
		"licensing.go": false, "README": false, "copying_test.go": false,
	} {
		if got := licenceFile.MatchString(name); got != want {
			t.Errorf("%s is a licence file: %v, want %v", name, got, want)
		}
	}
	dir := t.TempDir()
	if _, err := textsIn(dir, "example"); err == nil {
		t.Error("a module without a licence file is accepted")
	}
}

func TestSkeletonHasEveryFolderThatPID1Mounts(t *testing.T) {
	have := map[string]bool{}
	for _, f := range skeleton() {
		have[f.Path] = true
	}
	for _, want := range []string{"data", "dev", "dev/console", "proc", "run", "sys", "tmp", "etc/passwd", "etc/group"} {
		if !have[want] {
			t.Errorf("the root file system lacks /%s", want)
		}
	}
}
