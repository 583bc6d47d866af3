package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheFirstRunCopiesTheProductAndLaterOnesKeepTheCopy(t *testing.T) {
	dir := t.TempDir()
	product, disk := filepath.Join(dir, "product"), filepath.Join(dir, "disk")
	if err := os.WriteFile(product, []byte("delivered"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fresh, err := makeDisk(product, disk); err != nil || !fresh {
		t.Fatalf("first run: got fresh %v, %v, want a fresh disk", fresh, err)
	}
	if err := os.WriteFile(disk, []byte("set up   "), 0o600); err != nil {
		t.Fatal(err)
	}
	if fresh, err := makeDisk(product, disk); err != nil || fresh {
		t.Fatalf("second run: got fresh %v, %v, want the disk as it was", fresh, err)
	}
	if got, err := os.ReadFile(disk); err != nil || string(got) != "set up   " {
		t.Errorf("disk after the second run: got %q, %v, want what was set up", got, err)
	}
}

func TestWelcomeNamesPortsAndTheFirstLogin(t *testing.T) {
	text := welcome(2222, 8443, true, "build/run")
	for _, want := range []string{"-p 2222", "127.0.0.1:8443", "password admin", "Ctrl-A X"} {
		if !strings.Contains(text, want) {
			t.Errorf("the welcome has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(welcome(2222, 8443, false, "build/run"), "password admin") {
		t.Error("a machine that is set up is said to have the factory password")
	}
}
