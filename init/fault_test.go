package main

import "testing"

func TestAFaultIsAskedForByItsName(t *testing.T) {
	for cmdline, want := range map[string]string{
		"console=ttyS0 fault=hang quiet": "hang",
		"fault=init-panic\n":             "init-panic",
		"fault=other":                    "",
		"default=hang":                   "",
		"":                               "",
	} {
		if got := askedFault(cmdline); got != want {
			t.Errorf("%q: want %q, got %q", cmdline, want, got)
		}
	}
}
