package main

import (
	"os"
	"testing"
	"testing/fstest"
)

func TestAFolderThatNothingIsMountedOnIsNoFileSystem(t *testing.T) {
	for folder, want := range map[string]bool{"/proc": true, t.TempDir(): false, "/nonexistent": false} {
		if got := mounted(folder); got != want {
			t.Errorf("%s: want mounted %v, got %v", folder, want, got)
		}
	}
}

func TestTheFirmwareSaysWhichMachineThisIs(t *testing.T) {
	for want, file := range map[[2]string]fstest.MapFS{
		{"VMware, Inc. VMware7,1", "VMware-56 4d"}: {"class/dmi/id/sys_vendor": {Data: []byte("VMware, Inc.\n")}, "class/dmi/id/product_name": {Data: []byte("VMware7,1 \n")},
			"class/dmi/id/product_serial": {Data: []byte("VMware-56  4d\n")}},
		{"QEMU", ""}: {"class/dmi/id/sys_vendor": {Data: []byte("QEMU\n")}, "class/dmi/id/product_serial": {Data: []byte("Not Specified\n")}},
		{"", ""}:     {},
	} {
		if model, serial := hardware(file); model != want[0] || serial != want[1] {
			t.Errorf("got %q and %q, want %q", model, serial, want)
		}
	}
}

func TestTheMemoryOfAProcessIsItsOwn(t *testing.T) {
	if got := resident(os.Getpid()); got < 1<<20 {
		t.Errorf("this process has %d bytes", got)
	}
	if got := resident(0); got != 0 {
		t.Errorf("no process has %d bytes", got)
	}
}
