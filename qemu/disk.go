package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// createOverlay makes a qcow2 file that takes all writes and reads the rest from base.
func createOverlay(ctx context.Context, path, base, format string) error {
	base, err := filepath.Abs(base)
	if err != nil {
		return fmt.Errorf("find disk: %w", err)
	}
	out, err := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", base, path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("create overlay of %s: %w: %s", base, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// firmwareVariables makes the variable store of a new machine.
func firmwareVariables(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	template, err := os.ReadFile(firmwareTemplate)
	if err != nil {
		return fmt.Errorf("read UEFI variables (Debian package ovmf): %w", err)
	}
	if err := os.WriteFile(path, template, 0o600); err != nil {
		return fmt.Errorf("write UEFI variables: %w", err)
	}
	return nil
}

// CopySparse copies a disk image and keeps its holes, so that a 3 GiB image costs what is written in it.
func CopySparse(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("open disk: %w", err)
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("open disk: %w", err)
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("create disk: %w", err)
	}
	defer func() {
		if e := out.Close(); err == nil && e != nil {
			err = fmt.Errorf("close disk: %w", e)
		}
	}()
	if err := out.Truncate(info.Size()); err != nil {
		return fmt.Errorf("size disk: %w", err)
	}
	for offset := int64(0); offset < info.Size(); {
		data, err := unix.Seek(int(in.Fd()), offset, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // nothing but a hole from here on
		}
		if err != nil {
			return fmt.Errorf("find data in %s: %w", from, err)
		}
		hole, err := unix.Seek(int(in.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("find hole in %s: %w", from, err)
		}
		if _, err := io.Copy(io.NewOffsetWriter(out, data), io.NewSectionReader(in, data, hole-data)); err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
		offset = hole
	}
	return nil
}
