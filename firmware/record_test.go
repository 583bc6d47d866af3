package firmware

import (
	"slices"
	"strings"
	"testing"
)

func TestParseRecordReadsTheFirstParagraph(t *testing.T) {
	got := parseRecord("\nPackage: linux-image-amd64\nVersion: 6.1.0-1\nDepends: linux-image-6.1.0-1-amd64 (= 6.1.0-1)\n" +
		"Description: Linux\n for 64-bit PCs\n .\n more\n: odd\nno colon\n\nPackage: other\nVersion: 9\n")
	for field, want := range map[string]string{
		"Package":     "linux-image-amd64",
		"Version":     "6.1.0-1",
		"Depends":     "linux-image-6.1.0-1-amd64 (= 6.1.0-1)",
		"Description": "Linux\nfor 64-bit PCs\n.\nmore",
	} {
		if got[field] != want {
			t.Errorf("%s = %q, want %q", field, got[field], want)
		}
	}
}

func TestDependencyFindsTheKernelBehindTheMetaPackage(t *testing.T) {
	for _, c := range []struct {
		depends, want, err string
	}{
		{"linux-image-6.1.0-50-amd64 (= 6.1.170-1)", "linux-image-6.1.0-50-amd64", ""},
		{"kmod, linux-image-7.0-amd64", "linux-image-7.0-amd64", ""},
		{"kmod", "", "name 0 packages"},
		{"", "", "name 0 packages"},
		{"linux-image-1-amd64, linux-image-2-amd64", "", "name 2 packages"},
	} {
		got, err := dependency(c.depends, "linux-image-")
		if c.err == "" && (err != nil || got != c.want) {
			t.Errorf("dependency(%q) = %q, %v, want %q", c.depends, got, err, c.want)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("dependency(%q) gives error %v, want one with %q", c.depends, err, c.err)
		}
	}
}

func TestLicencesComeInOrderAndOnce(t *testing.T) {
	text := "Format: x\n\nFiles: *\nCopyright: a\nLicense: LGPL-2.1+\n\nFiles: b\nLicense: CC0-1.0\n\nFiles: c\nLicense: LGPL-2.1+\n\nLicense: CC0-1.0\n the text\n"
	want := []string{"LGPL-2.1+", "CC0-1.0"}
	if got := licences(text); !slices.Equal(got, want) {
		t.Errorf("licences = %q, want %q", got, want)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add("Package: a\nVersion: 1\n b\n\nPackage: c\n")
	f.Add(" a\n:\n")
	f.Fuzz(func(t *testing.T, text string) {
		for field, value := range parseRecord(text) {
			if strings.Contains(field, "\n") || strings.Contains(field, ":") {
				t.Errorf("field name %q spans a line or a colon (value %q)", field, value)
			}
		}
	})
}
