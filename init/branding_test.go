package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPromptsOfTheAdministratorAreCopiedAndNothingElseIs(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "branding")
	for name, content := range map[string][]byte{
		"welcome.wav": []byte("RIFF"), "background.JPG": []byte("picture"), "callbridge.key": []byte("secret"), "long.wav": bytes.Repeat([]byte{0}, maxBrandingFile+1),
	} {
		if err := os.WriteFile(filepath.Join(from, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("callbridge.key", filepath.Join(from, "link.wav")); err != nil {
		t.Fatal(err)
	}
	if err := copyBranding(from, to); err == nil || !strings.Contains(err.Error(), "long.wav") || strings.Contains(err.Error(), "link.wav") {
		t.Errorf("want the file that is too large told, got %v", err)
	}
	want := map[string]string{"welcome.wav": "RIFF", "background.JPG": "picture"}
	check := func() {
		t.Helper()
		list, err := os.ReadDir(to)
		if err != nil || len(list) != len(want) {
			t.Fatalf("want %v, got %v and %v", want, list, err)
		}
		for name, content := range want {
			if b, err := os.ReadFile(filepath.Join(to, name)); string(b) != content {
				t.Errorf("%s: want %q, got %q and %v", name, content, b, err)
			}
		}
	}
	check()
	// The next start has what is there then.
	for _, name := range []string{"welcome.wav", "long.wav"} {
		if err := os.Remove(filepath.Join(from, name)); err != nil {
			t.Fatal(err)
		}
	}
	delete(want, "welcome.wav")
	if err := copyBranding(from, to); err != nil {
		t.Error(err)
	}
	check()
	if err := copyBranding("", to); err != nil {
		t.Errorf("without a data partition: %v", err)
	}
}
