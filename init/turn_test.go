package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rotunda/boards"
	"rotunda/init/config"
	"rotunda/init/supervise"
)

func TestSettingsOfAServiceAreItsOwnAndChangeInOneStep(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "turn")
	me := supervise.User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	if os.Getuid() != 0 {
		t.Skip("giving a folder to root's user needs root")
	}
	settings := config.TURNService{TURN: config.TURN{Realm: "example.com"}}
	for i, want := range []bool{true, false} {
		if changed, err := writeSettings(folder, settings, me); err != nil || changed != want {
			t.Errorf("write %d: wanted changed %v, got %v, %v", i, want, changed, err)
		}
	}
	settings.TURN.Realm = "example.org"
	if changed, err := writeSettings(folder, settings, me); err != nil || !changed {
		t.Errorf("another realm: wanted it written, got %v, %v", changed, err)
	}
	b, err := os.ReadFile(filepath.Join(folder, "settings.json"))
	var got config.TURNService
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil || got.TURN.Realm != "example.org" {
		t.Errorf("wanted example.org read back, got %+v, %v", got, err)
	}
	st, err := os.Stat(filepath.Join(folder, "settings.json"))
	if err != nil || st.Mode().Perm() != 0o400 {
		t.Errorf("wanted mode 0400, got %v, %v", st.Mode(), err)
	}
}

func TestOnlyPlainFilesOfBoundedSizeBecomeCertificates(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.crt"), []byte("PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "large.crt"), make([]byte, maxCertificate+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "link.crt")); err != nil {
		t.Fatal(err)
	}
	if b, err := readStored(folder, "a.crt"); err != nil || string(b) != "PEM" {
		t.Errorf("wanted the file, got %q, %v", b, err)
	}
	for _, name := range []string{"large.crt", "link.crt", "missing.crt"} {
		if b, err := readStored(folder, name); err == nil {
			t.Errorf("%s: wanted an error, got %d bytes", name, len(b))
		}
	}
}

func TestTheTURNServerMayUseEveryProcessor(t *testing.T) {
	got := turnSpec(boards.Cores{System: []int{0, 1}, Modules: [][]int{{2, 3}, {4}}}).CPUs
	if want := []int{0, 1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("wanted %v, got %v", want, got)
	}
	if got := turnSpec(boards.Cores{System: []int{0}, Modules: [][]int{{0}}}).CPUs; !slices.Equal(got, []int{0}) {
		t.Errorf("one processor for all: wanted it once, got %v", got)
	}
}
