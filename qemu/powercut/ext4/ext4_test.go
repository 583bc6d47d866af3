package ext4

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// makeVolume makes a file system with e2fsprogs, which needs no privileges, and returns its path.
func makeVolume(t *testing.T, options ...string) string {
	t.Helper()
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is not installed (Debian package e2fsprogs)")
	}
	root := t.TempDir()
	write := func(name string, data []byte) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	write("sets/000001/config/v1/000001.json", []byte(`{"hostname":"rotunda"}`))
	write("large", bytes.Repeat([]byte("rotunda "), 1<<17))
	for i := range 600 {
		write(fmt.Sprintf("many/file-with-a-long-name-%04d", i), []byte(fmt.Sprint(i)))
	}
	for link, target := range map[string]string{"current": "sets/000001", "long": strings.Repeat("./", 50) + "large", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(t.TempDir(), "image")
	args := append([]string{"-q", "-F", "-d", root}, options...)
	if out, err := exec.Command("mkfs.ext4", append(args, image, "64M")...).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	return image
}

func openVolume(t *testing.T, image string) *Volume {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	v, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func debugfs(t *testing.T, image string, commands ...string) string {
	t.Helper()
	c := exec.Command("debugfs", "-w", "-f", "-", image)
	c.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("debugfs: %v: %s", err, out)
	}
	return string(out)
}

func TestReadsWhatMkfsMade(t *testing.T) {
	for name, options := range map[string][]string{
		"defaults":          {"-b", "4096"},
		"1 KiB blocks":      {"-b", "1024"},
		"without checksums": {"-b", "4096", "-O", "^metadata_csum,^64bit"},
	} {
		t.Run(name, func(t *testing.T) {
			v := openVolume(t, makeVolume(t, options...))
			if got, err := v.ReadFile("current/config/v1/000001.json", 1<<10); err != nil || string(got) != `{"hostname":"rotunda"}` {
				t.Errorf("file behind a link: got %q, %v", got, err)
			}
			if got, err := v.ReadFile("/long", 1<<21); err != nil || len(got) != 1<<20 || !bytes.HasPrefix(got, []byte("rotunda rotunda ")) {
				t.Errorf("file behind a long link: got %d bytes, %v, want 1048576", len(got), err)
			}
			if got, err := v.Readlink("current"); err != nil || got != "sets/000001" {
				t.Errorf("link: got %q, %v, want sets/000001", got, err)
			}
			list, err := v.List("many")
			if err != nil || len(list) != 600 || list[599].Name != "file-with-a-long-name-0599" || list[599].Size != 3 {
				t.Errorf("folder of 600 files: got %d, %v", len(list), err)
			}
			if info, err := v.Lstat("current"); err != nil || info.Kind != Symlink {
				t.Errorf("stat of a link: got %+v, %v", info, err)
			}
			if _, err := v.ReadFile("nothing", 1); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("missing file: got %v, want %v", err, fs.ErrNotExist)
			}
			if _, err := v.ReadFile("loop", 1); err == nil {
				t.Error("a link to itself was read")
			}
			if _, err := v.ReadFile("large", 1000); err == nil {
				t.Error("a file larger than the limit was read")
			}
		})
	}
}

// TestReplaysTheJournal has debugfs write a transaction into the journal that is nowhere else on the disk.
func TestReplaysTheJournal(t *testing.T) {
	image := makeVolume(t, "-b", "4096")
	before := blockOf(t, image, "large")
	content := bytes.Repeat([]byte("journal!"), 512)
	// A block that begins with the journal's own magic must come back unescaped.
	escaped := append([]byte{0xc0, 0x3b, 0x39, 0x98}, content[4:]...)
	file := filepath.Join(t.TempDir(), "blocks")
	if err := os.WriteFile(file, append(append([]byte(nil), content...), escaped...), 0o600); err != nil {
		t.Fatal(err)
	}
	debugfs(t, image, "journal_open -c -v 3", fmt.Sprintf("journal_write -b %d,%d %s", before, before+1, file), "journal_close")

	v := openVolume(t, image)
	if v.Replayed != 1 {
		t.Errorf("transactions: got %d, want 1", v.Replayed)
	}
	got, err := v.ReadFile("large", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if want := append(append([]byte(nil), content...), escaped...); !bytes.Equal(got[:len(want)], want) {
		t.Errorf("replayed blocks: got %x, want %x", sha256.Sum256(got[:len(want)]), sha256.Sum256(want))
	}

	// e2fsck agrees.
	if out, err := exec.Command("e2fsck", "-fp", image).CombinedOutput(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() > 1 {
			t.Fatalf("e2fsck: %v: %s", err, out)
		}
	}
	after, err := openVolume(t, image).ReadFile("large", 1<<20)
	if err != nil || !bytes.Equal(after, got) {
		t.Errorf("after e2fsck: got %x, %v, want %x", sha256.Sum256(after), err, sha256.Sum256(got))
	}
}

func TestRevokedBlocksStayAsTheyAre(t *testing.T) {
	image := makeVolume(t, "-b", "4096")
	block := blockOf(t, image, "large")
	file := filepath.Join(t.TempDir(), "block")
	if err := os.WriteFile(file, bytes.Repeat([]byte("old copy"), 512), 0o600); err != nil {
		t.Fatal(err)
	}
	debugfs(t, image, "journal_open -c -v 3", fmt.Sprintf("journal_write -b %d %s", block, file),
		fmt.Sprintf("journal_write -r %d", block), "journal_close")
	v := openVolume(t, image)
	got, err := v.ReadFile("large", 1<<20)
	if err != nil || !bytes.HasPrefix(got, []byte("rotunda ")) {
		t.Errorf("revoked block: got %.8q, %v, want %q", got, err, "rotunda ")
	}
	if v.Replayed != 2 {
		t.Errorf("transactions: got %d, want 2", v.Replayed)
	}
}

// blockOf returns the first block of a file.
func blockOf(t *testing.T, image, name string) uint64 {
	t.Helper()
	v := openVolume(t, image)
	node, err := v.find(name, true)
	if err != nil {
		t.Fatal(err)
	}
	block, ok, err := v.mapBlock(node, 0)
	if err != nil || !ok {
		t.Fatalf("first block of %s: %v, %v", name, ok, err)
	}
	return block
}

func TestTornMetadataIsSeen(t *testing.T) {
	image := makeVolume(t, "-b", "4096")
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	for name, offset := range map[string]int{"superblock": superblockOffset + 0x100, "group descriptor": 4096 + 0x10} {
		t.Run(name, func(t *testing.T) {
			torn := append([]byte(nil), data...)
			torn[offset] ^= 0xff
			v, err := Open(bytes.NewReader(torn))
			if err == nil {
				_, err = v.List("/")
			}
			if err == nil || !strings.Contains(err.Error(), "checksum") {
				t.Errorf("damage at %d: got %v, want a wrong checksum", offset, err)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, 0, byte(0))
	f.Add([]byte{0xc0, 0x3b, 0x39, 0x98}, 0x438, byte(0xff))
	root := f.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), []byte("content"), 0o600); err != nil {
		f.Fatal(err)
	}
	image := filepath.Join(f.TempDir(), "image")
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-b", "1024", "-O", "^metadata_csum", "-d", root, image, "1M").CombinedOutput(); err != nil {
		f.Skipf("mkfs.ext4: %v: %s", err, out)
	}
	base, err := os.ReadFile(image)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, patch []byte, at int, flip byte) {
		disk := append([]byte(nil), base...)
		if at < 0 || at >= len(disk) {
			return
		}
		copy(disk[at:], patch)
		disk[at] ^= flip
		v, err := Open(bytes.NewReader(disk))
		if err != nil {
			return
		}
		if list, err := v.List("/"); err == nil && len(list) > len(disk) {
			t.Errorf("%d names on a disk of %d bytes", len(list), len(disk))
		}
		_, _ = v.ReadFile("file", 1<<16)
	})
}
