package main

import (
	"strings"
	"testing"
)

func TestMemoryIsReadFromHealth(t *testing.T) {
	inUse, pid1, err := memory("Status    : ok\nMemory    : 812.5M available of 1.0G\nSystem    : 14.2M resident\n")
	if err != nil || inUse != 211.5 || pid1 != 14.2 {
		t.Errorf("got %v and %v, %v, want 211.5 and 14.2", inUse, pid1, err)
	}
	for _, health := range []string{"", "Memory    : lots available of 1.0G\nSystem    : 14.2M resident\n"} {
		if _, _, err := memory(health); err == nil {
			t.Errorf("%q was read", health)
		}
	}
}

func TestSharedObjectsAreFoundInTheOutputOfLdd(t *testing.T) {
	out := "\tlinux-vdso.so.1 (0x00007fff)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n"
	var got []string
	for _, m := range sharedObject.FindAllStringSubmatch(out, -1) {
		got = append(got, m[1])
	}
	if want := "/lib/x86_64-linux-gnu/libc.so.6 /lib64/ld-linux-x86-64.so.2"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
