// Package squashfs packs files into a read-only, compressed file system, by Debian's mksquashfs.
//
// Programs and fonts live in one instead of in the initramfs, whose files take their whole size in memory for as long as
// the machine runs: of a squashfs only its compressed form does, and what is being used is in the page cache, which the kernel
// may drop. Nor can a running machine's programs be changed.
//
// The image is a function of its files: everything belongs to root and carries the given time, and mksquashfs gives the
// same bytes with any number of processors.
package squashfs

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rotunda/image/initramfs"
)

const (
	// level 19 of 22 makes a file system that is 1 % smaller and takes twice as long to make.
	level = 15
	// blockSize is what is decompressed at once; 1 MiB would save 4 % and read too much for one page.
	blockSize = 128 << 10
)

// Settings name what decides how bytes are compressed, for a cache.
func Settings(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "mksquashfs", "-version").Output()
	first, _, _ := strings.Cut(string(out), "\n")
	if first == "" {
		return "", fmt.Errorf("ask mksquashfs for its version: %w", err)
	}
	return fmt.Sprintf("%s level %d block %d", first, level, blockSize), nil
}

// Pack returns the file system. Files are regular ones, folders and links; a folder that leads to one needs no entry.
func Pack(ctx context.Context, files []initramfs.File, modified time.Time) ([]byte, error) {
	b, err := pack(ctx, files, modified)
	if err != nil {
		return nil, fmt.Errorf("pack squashfs: %w", err)
	}
	return b, nil
}

func pack(ctx context.Context, files []initramfs.File, modified time.Time) ([]byte, error) {
	work, err := os.MkdirTemp("", "squashfs-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	root := filepath.Join(work, "root")
	for _, f := range files {
		if err := write(root, f); err != nil {
			return nil, err
		}
	}
	image := filepath.Join(work, "image")
	c := exec.CommandContext(ctx, "mksquashfs", root, image, "-noappend", "-quiet", "-no-progress", "-no-xattrs", "-no-exports", "-all-root",
		"-comp", "zstd", "-Xcompression-level", strconv.Itoa(level), "-b", strconv.Itoa(blockSize))
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SOURCE_DATE_EPOCH=") {
			c.Env = append(c.Env, v)
		}
	}
	date := strconv.FormatInt(modified.Unix(), 10)
	c.Args = append(c.Args, "-mkfs-time", date, "-all-time", date)
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mksquashfs: %w: %s", err, bytes.TrimSpace(out))
	}
	return os.ReadFile(image)
}

// write puts a file below root. Modes are set apart, since the umask of whoever builds must not count.
func write(root string, f initramfs.File) error {
	name := filepath.Join(root, f.Path)
	for dir := filepath.Dir(name); len(dir) >= len(root); dir = filepath.Dir(dir) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	switch f.Mode.Type() {
	case fs.ModeSymlink:
		return os.Symlink(f.Target, name)
	case fs.ModeDir:
		return os.MkdirAll(name, 0o755)
	case 0:
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			return err
		}
		return os.Chmod(name, f.Mode.Perm())
	}
	return fmt.Errorf("%s: %v has no place here", f.Path, f.Mode)
}
