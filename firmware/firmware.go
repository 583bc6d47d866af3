// Package firmware brings in what Rotunda ships and did not write: the kernel with its modules, the boot loader, fonts, and the
// codec libraries. They come as Debian packages from whatever archive the building machine's apt is set up for, so that a security
// update of Debian's is one rebuild away.
//
// No version is written down anywhere: old kernel packages leave the archive within weeks. The name of the newest
// kernel comes from the dependency of the meta package linux-image-amd64, and every package's version and hash go to
// the list of components (SBOM). A package counts only if its bytes have the SHA-256 of apt's own signed record.
//
// One library is built here, since Debian's own cannot be linked statically: FFmpeg, from Debian's source package, in the
// version that the binary packages have. The result is kept under a hash of version, configuration and compilers.
//
// Nothing is installed on the building machine and root is not needed: packages are unpacked into a cache folder,
// keyed by hash. An interrupted download, unpacking or build leaves at most a folder with a temporary name, never half
// of something under its final one.
package firmware

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The packages that an image is made from.
const (
	kernelMeta   = "linux-image-amd64"
	kernelPrefix = "linux-image-"
	bootPackage  = "systemd-boot-efi"
)

// Package is one unpacked Debian package.
type Package struct {
	Name         string
	Version      string
	Architecture string
	// Source is the source package with its version if that differs, as in apt's record.
	Source string
	// SHA256 in hexadecimal: of the .deb file, or else of the file that HashOf names.
	SHA256 string
	HashOf string
	// Dir holds the unpacked files.
	Dir string
	// Licences are the short names in the copyright file, the main one first.
	Licences []string
}

// Copyright returns the path of the package's copyright file.
func (p Package) Copyright() string {
	return filepath.Join(p.Dir, "usr/share/doc", p.Name, "copyright")
}

// Firmware is everything that an image needs of others.
type Firmware struct {
	// Kernel is the bzImage, KernelRelease what uname -r will say.
	Kernel        string
	KernelRelease string
	// KernelConfig is the configuration that the kernel was built with.
	KernelConfig string
	// Modules is the folder lib/modules/<release>; the modules in it are not compressed.
	Modules string
	// Loader is systemd-boot, Stub the start of every unified kernel image.
	Loader string
	Stub   string
	// Fonts are the font files.
	Fonts []string
	// Packages that these files come from, sorted by name.
	Packages []Package
}

// Fetch downloads the current packages into the cache folder, or finds them there, and returns where everything is.
func Fetch(ctx context.Context, cache string) (*Firmware, error) {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return nil, fmt.Errorf("locate firmware cache: %w", err)
	}
	var fw *Firmware
	err = withLists(ctx, cache, func(a *apt) error {
		var err error
		fw, err = fetch(ctx, a, cache)
		return err
	})
	return fw, err
}

// withLists runs f with the building machine's lists, and again with fresh ones if that fails: they may be missing, or
// so old that the archive no longer has what they name.
func withLists(ctx context.Context, cache string, f func(*apt) error) error {
	a := newApt(cache)
	err := f(a)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if uerr := a.update(ctx); uerr != nil {
		return errors.Join(err, uerr)
	}
	return f(a)
}

func fetch(ctx context.Context, a *apt, cache string) (*Firmware, error) {
	records, err := a.show(ctx, kernelMeta, bootPackage)
	if err != nil {
		return nil, err
	}
	meta := records[kernelMeta]
	name, err := dependency(meta["Depends"], kernelPrefix)
	if err != nil {
		return nil, fmt.Errorf("find the kernel behind %s %s: %w", kernelMeta, meta["Version"], err)
	}
	kernels, err := a.show(ctx, name)
	if err != nil {
		return nil, err
	}
	kernel, err := fetchPackage(ctx, a, cache, kernels[name])
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	boot, err := fetchPackage(ctx, a, cache, records[bootPackage])
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", bootPackage, err)
	}
	fw, err := locate(kernel, boot)
	if err != nil {
		return nil, err
	}
	files, packages, err := fetchFonts(ctx, a, cache)
	if err != nil {
		return nil, err
	}
	fw.Fonts, fw.Packages = files, append(fw.Packages, packages...)
	slices.SortFunc(fw.Packages, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return fw, nil
}

// locate finds the files in the two packages.
func locate(kernel, boot Package) (*Firmware, error) {
	release := strings.TrimPrefix(kernel.Name, kernelPrefix)
	fw := &Firmware{
		Kernel:        filepath.Join(kernel.Dir, "boot/vmlinuz-"+release),
		KernelRelease: release,
		KernelConfig:  filepath.Join(kernel.Dir, "boot/config-"+release),
		Modules:       filepath.Join(kernel.Dir, "lib/modules", release),
		Loader:        filepath.Join(boot.Dir, "usr/lib/systemd/boot/efi/systemd-bootx64.efi"),
		Stub:          filepath.Join(boot.Dir, "usr/lib/systemd/boot/efi/linuxx64.efi.stub"),
		Packages:      []Package{kernel, boot},
	}
	if _, err := os.Stat(fw.Modules); errors.Is(err, fs.ErrNotExist) {
		// Releases after bookworm have /lib inside /usr.
		fw.Modules = filepath.Join(kernel.Dir, "usr/lib/modules", release)
	}
	for _, f := range []string{fw.Kernel, fw.KernelConfig, fw.Modules, fw.Loader, fw.Stub} {
		if _, err := os.Stat(f); err != nil {
			return nil, fmt.Errorf("look into packages: %w", err)
		}
	}
	return fw, nil
}

func fetchPackage(ctx context.Context, a *apt, cache string, r record) (Package, error) {
	p := Package{
		Name:         r["Package"],
		Version:      r["Version"],
		Architecture: r["Architecture"],
		Source:       r["Source"],
		SHA256:       r["SHA256"],
	}
	if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != sha256.Size {
		return Package{}, fmt.Errorf("apt's record has no SHA-256 (%q)", p.SHA256)
	}
	p.Dir = filepath.Join(cache, fmt.Sprintf("%s_%s", p.Name, p.SHA256[:16]))
	if _, err := os.Stat(p.Dir); err != nil {
		if err := obtain(ctx, a, p); err != nil {
			return Package{}, err
		}
	}
	text, err := os.ReadFile(p.Copyright())
	if err != nil {
		return Package{}, fmt.Errorf("read copyright: %w", err)
	}
	p.Licences = licences(string(text))
	return p, nil
}

// obtain downloads, verifies and unpacks a package, and gives the folder its name last.
func obtain(ctx context.Context, a *apt, p Package) error {
	if err := os.MkdirAll(filepath.Dir(p.Dir), 0o755); err != nil {
		return fmt.Errorf("make cache: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(p.Dir), "unpack-")
	if err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	deb, err := a.download(ctx, tmp, p.Name+"="+p.Version)
	if err != nil {
		return err
	}
	sum, err := fileSHA256(deb)
	if err != nil {
		return err
	}
	if sum != p.SHA256 {
		return fmt.Errorf("%s has the SHA-256 %s, apt's record says %s", filepath.Base(deb), sum, p.SHA256)
	}
	files := filepath.Join(tmp, "files")
	if err := run(ctx, "", "dpkg-deb", "--extract", deb, files); err != nil {
		return err
	}
	if err := decompressModules(ctx, files); err != nil {
		return err
	}
	// dpkg-deb keeps the archive's modes; the cache must stay readable for whoever builds.
	if err := os.Chmod(files, 0o755); err != nil {
		return fmt.Errorf("open unpacked folder: %w", err)
	}
	if err := os.Rename(files, p.Dir); err != nil && !errors.Is(err, fs.ErrExist) {
		// Another build may have been faster; what it unpacked has the same hash.
		if _, serr := os.Stat(p.Dir); serr != nil {
			return fmt.Errorf("keep unpacked package: %w", err)
		}
	}
	return nil
}

func fileSHA256(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("hash package: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash package: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
