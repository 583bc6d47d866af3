package modules

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"virtio:d00000001v*", "virtio:d00000001v00001AF4", true},
		{"virtio:d00000001v*", "virtio:d00000002v00001AF4", false},
		{"pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", true},
		{"pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01", true},
		{"acpi*:PNP0C0[AB]:*", "acpi:PNP0C0B:", true},
		{"acpi*:PNP0C0[A-C]:*", "acpi:PNP0C0D:", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"", "", true},
		{"*", "", true},
		{"[", "[", true},
	} {
		if got := Match(c.pattern, c.s); got != c.want {
			t.Errorf("Match(%q, %q): want %v, got %v", c.pattern, c.s, c.want, got)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*[b-d]?", "axxcy")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		Match(pattern, s)
		if !strings.ContainsAny(s, "*?[") && !Match(s, s) {
			t.Errorf("%q does not match itself", s)
		}
	})
}

func TestTablesTellWhatADeviceWants(t *testing.T) {
	deps, err := parseDeps(strings.NewReader("kernel/net/virtio_net.ko: kernel/net/failover.ko kernel/v/virtio-ring.ko\nkernel/v/virtio-ring.ko:\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := deps["virtio_net"]; got.path != "kernel/net/virtio_net.ko" || !slices.Equal(got.deps, []string{"failover", "virtio_ring"}) {
		t.Errorf("virtio_net: got %+v", got)
	}
	if _, err := parseDeps(strings.NewReader("no colon\n")); err == nil {
		t.Error("want an error for a line without a colon")
	}
	aliases, err := parseAliases(strings.NewReader("# comment\nalias virtio:d00000001v* virtio-net\nalias pci:* other\n"))
	if err != nil {
		t.Fatal(err)
	}
	sys := t.TempDir()
	for dev, modalias := range map[string]string{"a": "virtio:d00000001v00001AF4\n", "b": "virtio:d00000001v00001AF4\n", "c": "usb:x\n", "d": "\n"} {
		dir := filepath.Join(sys, "devices", dev)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "modalias"), []byte(modalias), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := wanted(sys, aliases); !slices.Equal(got, []string{"virtio_net"}) {
		t.Errorf("want [virtio_net], got %v", got)
	}
}

func TestAModuleThatTheImageLacksIsNamed(t *testing.T) {
	l := &Loader{deps: map[string]entry{}, state: map[string]*loading{}}
	if err := l.Load("floppy", ""); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "floppy") {
		t.Errorf("want an error that names floppy, got %v", err)
	}
}
