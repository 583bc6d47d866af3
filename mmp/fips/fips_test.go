package fips

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestMain lets this test's own file be the process that tests the module.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Verb {
		if err := Main(nil); err != nil {
			fmt.Fprintln(os.Stderr, "panic:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestEveryAlgorithmIsTested(t *testing.T) {
	list, err := SelfTest(t.Context(), "")
	if err != nil {
		t.Fatalf("%v, after %q", err, list)
	}
	if list[0] == "" || !slices.Contains(list, integrity) || len(list) < len(needed) {
		t.Errorf("passed: %q", list)
	}
}

func TestAFailureIsOne(t *testing.T) {
	for _, name := range []string{"TLSv1.2-SHA2-256", "ECDSA P-256 SHA2-512 sign and verify", "SHA2-256"} {
		list, err := SelfTest(t.Context(), name)
		if err == nil || !strings.Contains(err.Error(), "self-test failed: "+name) {
			t.Errorf("%s fails: got %v", name, err)
		}
		if slices.Contains(list, name) {
			t.Errorf("%s fails and is among what passed", name)
		}
	}
}

func TestOutsideOfTheModeThereIsNoTest(t *testing.T) {
	if err := Main(nil); err == nil {
		t.Error("wanted an error without FIPS mode")
	}
}
