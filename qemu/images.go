package qemu

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Tree is a checkout of the project, with its products.
type Tree struct{ Root string }

// FindTree finds the checkout that the working directory is in.
func FindTree() (Tree, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Tree{}, fmt.Errorf("find the checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return Tree{dir}, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return Tree{}, fmt.Errorf("find the checkout: no go.mod in or above the working directory")
		}
		dir = up
	}
}

// Product returns the path of a product of make image.
func (t Tree) Product(name string) string { return filepath.Join(t.Root, "build", name) }

// Version is the release of build/rotunda.efi, as its .osrel section has it.
func (t Tree) Version() (string, error) {
	content, err := os.ReadFile(t.Product("rotunda.efi"))
	if err != nil {
		return "", fmt.Errorf("read version: %w", err)
	}
	_, after, found := bytes.Cut(content, []byte("\nROTUNDA_VERSION="))
	version, _, ended := bytes.Cut(after, []byte("\n"))
	if !found || !ended {
		return "", fmt.Errorf("read version: none in %s", t.Product("rotunda.efi"))
	}
	return string(version), nil
}

// BuildUpgrade makes an upgrade.img of another version, whose kernel command line has the given words added (such as
// fault=init-panic), and returns its path. Only what differs is made anew: the archives in build/cache are used.
func (t Tree) BuildUpgrade(ctx context.Context, version, words string) (string, error) {
	out := filepath.Join(t.Root, "build", "test-images", version)
	command := exec.CommandContext(ctx, "go", "run", "./image", "-out", out, "-only", "upgrade", "-version", version, "-cmdline", words)
	command.Dir = t.Root
	command.Env = append(os.Environ(), "ROTUNDA_CACHE="+filepath.Join(t.Root, "build", "cache"))
	if text, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build version %s: %w: %s", version, err, strings.TrimSpace(string(text)))
	}
	return filepath.Join(out, "upgrade.img"), nil
}
