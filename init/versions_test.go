package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

func TestTheLoadersWordNamesTheInstall(t *testing.T) {
	variable := func(s string) []byte {
		b := []byte{6, 0, 0, 0}
		for _, u := range append(utf16.Encode([]rune(s)), 0) {
			b = append(b, byte(u), byte(u>>8))
		}
		return b
	}
	for name, want := range map[string]int{
		"rotunda_000012.efi": 12, "rotunda_000007+2-1.efi": 7, "other.efi": 0, "": 0,
	} {
		file := filepath.Join(t.TempDir(), "entry")
		if err := os.WriteFile(file, variable(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := startedNumber(file); got != want {
			t.Errorf("%q: want install %d, got %d", name, want, got)
		}
	}
	if got := startedNumber("/nonexistent"); got != 0 {
		t.Errorf("without the variable: want 0, got %d", got)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte{6, 0, 0, 0, 'a', 0, 0, 0})
	f.Add([]byte{6, 0, 0, 0, 'a'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s := decodeEntry(b); strings.ContainsRune(s, 0) {
			t.Errorf("%q: a zero in %q", b, s)
		}
	})
}

func TestKeysThatAreNotKeysAreRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := trustedKeys(dir); err == nil || !strings.Contains(err.Error(), "trusts no key") {
		t.Errorf("without keys: got %v", err)
	}
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.pub"), []byte(base64.StdEncoding.EncodeToString(public)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := trustedKeys(dir)
	if err != nil || len(keys) != 1 || !keys[0].Equal(public) {
		t.Errorf("want the key, got %v, %v", keys, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.pub"), []byte("c2hvcnQ="), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := trustedKeys(dir); err == nil || !strings.Contains(err.Error(), "b.pub") {
		t.Errorf("want an error that names b.pub, got %v", err)
	}
}
