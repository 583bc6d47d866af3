package main

import (
	"strings"
	"testing"
)

func TestANewFigureReplacesTheOldOneOfItsName(t *testing.T) {
	old := `{"name":"a","value":1,"unit":"s","peer":"none","peer_value":null,"ratio":null,"goal":"<= 2"}
{"name":"b","value":1,"unit":"s","peer":"none","peer_value":null,"ratio":null,"goal":"<= 2"}
`
	got, err := merge([]byte(old+"not a figure\n"), []figure{figure{Name: "a", Value: 3, Unit: "s", Goal: "<= 2"}.against("other", 2)})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"b","value":1,"unit":"s","peer":"none","peer_value":null,"ratio":null,"goal":"<= 2"}
{"name":"a","value":3,"unit":"s","peer":"other","peer_value":2,"ratio":1.5,"goal":"<= 2"}
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

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

func TestMedianIsTheMiddle(t *testing.T) {
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("got %v, want 5", got)
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
