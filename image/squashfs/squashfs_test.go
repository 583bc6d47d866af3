package squashfs

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rotunda/image/initramfs"
)

var date = time.Unix(1_700_000_000, 0)

func files() []initramfs.File {
	return []initramfs.File{
		initramfs.Regular("bin/program", 0o755, bytes.Repeat([]byte("machine code "), 50_000)),
		initramfs.Regular("usr/share/text", 0o644, []byte("words")),
		initramfs.Link("usr/link", "share/text"),
	}
}

func TestTheSameFilesGiveTheSameBytesAndComeBack(t *testing.T) {
	if _, err := exec.LookPath("unsquashfs"); err != nil {
		t.Skip("squashfs-tools is not installed")
	}
	image, err := Pack(t.Context(), files(), date)
	if err != nil {
		t.Fatal(err)
	}
	// Another order, another umask, a date of the environment.
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	turned := files()
	slices.Reverse(turned)
	if again, err := Pack(t.Context(), turned, date); err != nil || !bytes.Equal(again, image) {
		t.Errorf("the same files again: want the same %d bytes, got %d, %v", len(image), len(again), err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "image"), image, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("unsquashfs", "-lln", "-d", "", filepath.Join(folder, "image")).CombinedOutput()
	if err != nil {
		t.Fatalf("unsquashfs: %v\n%s", err, out)
	}
	for _, want := range []string{"-rwxr-xr-x 0/0 ", "-rw-r--r-- 0/0 ", "/usr/link -> share/text", "drwxr-xr-x 0/0 "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("listing:\n%s\nwant %q in it", out, want)
		}
	}
	if out, err := exec.Command("unsquashfs", "-d", filepath.Join(folder, "out"), filepath.Join(folder, "image")).CombinedOutput(); err != nil {
		t.Fatalf("unsquashfs: %v\n%s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(folder, "out/bin/program")); err != nil || !bytes.Equal(got, files()[0].Data) {
		t.Errorf("the program came back with %d bytes, %v", len(got), err)
	}
}

func TestADeviceIsRefused(t *testing.T) {
	_, err := Pack(t.Context(), []initramfs.File{initramfs.Device("dev/null", 0o666, 1, 3)}, date)
	if err == nil || !strings.Contains(err.Error(), "dev/null") || !strings.Contains(err.Error(), fs.ModeDevice.String()[:1]) {
		t.Errorf("want an error that names the device, got %v", err)
	}
}
