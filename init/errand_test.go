package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestPID1KeepsABoundedPartOfWhatAChildPrints(t *testing.T) {
	c := clipped{left: 5}
	cmd := exec.Command("cat")
	cmd.Stdin, cmd.Stdout = strings.NewReader(strings.Repeat("x", 1<<20)), &c
	if err := cmd.Run(); err != nil {
		t.Fatalf("want the child to end well, got %v", err)
	}
	if got := c.kept.Bytes(); !bytes.Equal(got, []byte("xxxxx")) {
		t.Errorf("want five bytes, got %d", len(got))
	}
}

func TestAnErrandReachesItsPartitionsOnly(t *testing.T) {
	m := newMachine()
	m.storage = storage{disk: "/dev/vda", esp: "/dev/vda1", data: "/dev/vda2"}
	if got, want := m.errandReach().ReadWrite, []string{"/data", "/dev/null", "/dev/vda1"}; !slices.Equal(got, want) {
		t.Errorf("want to write %q, got %q", want, got)
	}
}
