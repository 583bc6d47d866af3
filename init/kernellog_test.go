package main

import "testing"

func TestOnlyTheKernelsWarningsAreKept(t *testing.T) {
	for record, want := range map[string]string{
		"4,339,5140900,-;disk is slow\n SUBSYSTEM=block\n": "disk is slow",
		"0,1,2,-;panic":          "panic",
		"6,340,5140901,-;NET: x": "",
		"28,3,4,-;from a daemon": "",
		"nonsense":               "",
		"x,1;y":                  "",
	} {
		_, got, ok := parseKernelRecord(record)
		if got != want || ok != (want != "") {
			t.Errorf("%q: want %q, got %q", record, want, got)
		}
	}
}
