package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestChildrenInheritTheLimitOfOpenFiles(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if before.Max < maxFiles && os.Geteuid() != 0 {
		t.Skip("only root raises the limit")
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &before) }()
	if err := raiseFileLimit(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", "ulimit -n").Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != "16384" {
		t.Errorf("limit of a child: want 16384, got %q, %v", got, err)
	}
}
