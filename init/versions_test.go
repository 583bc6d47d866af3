package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"rotunda/init/fat"
	"rotunda/init/state"
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

func TestTheAutomaticBackupHasAValidNameForEveryVersion(t *testing.T) {
	now := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	for version, want := range map[string]string{
		"0.1.0":                 "upgrade_from_0.1.0_2026_03_04",
		"1.2.0~rc+3":            "upgrade_from_1.2.0_rc_3_2026_03_04",
		strings.Repeat("9", 64): "upgrade_from_" + strings.Repeat("9", 40) + "_2026_03_04",
	} {
		got := automaticBackup(version, now)
		if got != want {
			t.Errorf("version %s: want %s, got %s", version, want, got)
		}
		if _, err := state.FileName(got); err != nil {
			t.Errorf("version %s: want a name that a backup may have, got %v", version, err)
		}
	}
}

func TestALinkIsNotFollowedToAnUpgradeImage(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "upgrade.img")
	if err := os.WriteFile(target, []byte("somebody else's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := openUpgrade(link); err == nil || err.Error() != "upgrade.img is not a file" {
		t.Errorf("a link: want \"upgrade.img is not a file\", got %v", err)
	}
	if _, err := openUpgrade(dir); err == nil || !strings.HasSuffix(err.Error(), "is not a file") {
		t.Errorf("a folder: want it refused, got %v", err)
	}
	if _, err := openUpgrade(filepath.Join(dir, "none.img")); err == nil || !strings.Contains(err.Error(), "put it by SFTP first") {
		t.Errorf("no file: want what to do, got %v", err)
	}
	f, err := openUpgrade(target)
	if err != nil {
		t.Fatalf("a file: got %v", err)
	}
	f.Close()
}

func TestDeletingAVersionThatIsNotThereSaysWhereToLook(t *testing.T) {
	esp := filepath.Join(t.TempDir(), "esp")
	f, err := os.Create(esp)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(300 << 20); err != nil {
		t.Fatal(err)
	}
	dev, err := fat.NewDevice(f)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if _, err := fat.Format(dev, fat.FormatOptions{Label: "ESP"}); err != nil {
		t.Fatal(err)
	}
	_, err = deleteVersion(versionErrand{ESP: esp, Started: 1, Number: 9})
	if want := "there is no version 9; upgrade list shows those that there are"; err == nil || err.Error() != want {
		t.Errorf("wanted %q, got %v", want, err)
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
