package firmware

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// codecPackages are the packages whose static libraries the media worker is linked with, and the folder or file of
// headers that each has.
var codecPackages = []struct {
	name    string
	headers []string
}{
	// The GPL of x264 holds for the whole worker once it is linked in.
	{name: "libx264-dev", headers: []string{"x264.h", "x264_config.h"}},
	{name: "libopenh264-dev", headers: []string{"wels"}},
	{name: "libvpx-dev", headers: []string{"vpx"}},
	{name: "libopus-dev", headers: []string{"opus"}},
	{name: "libyuv-dev", headers: []string{"libyuv.h", "libyuv"}},
}

// libraryFolders are where packages and builds have their libraries.
var libraryFolders = []string{"usr/lib", "usr/lib/x86_64-linux-gnu"}

// Codecs are the libraries that turn pictures and sound into packets and back.
type Codecs struct {
	// Include and Lib are the folders for the compiler and the linker. Their path changes when their content does.
	Include string
	Lib     string
	// Packages that they come from.
	Packages []Package
}

// FetchCodecs brings the codec libraries into the cache folder, or finds them there: FFmpeg built from Debian's source package
// with only what is used, the others as Debian builds them.
func FetchCodecs(ctx context.Context, cache string, log func(format string, args ...any)) (*Codecs, error) {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return nil, fmt.Errorf("locate firmware cache: %w", err)
	}
	var c *Codecs
	err = withLists(ctx, cache, func(a *apt) error {
		var err error
		c, err = fetchCodecs(ctx, a, cache, log)
		return err
	})
	return c, err
}

func fetchCodecs(ctx context.Context, a *apt, cache string, log func(string, ...any)) (*Codecs, error) {
	names := []string{ffmpegBinary}
	for _, p := range codecPackages {
		names = append(names, p.name)
	}
	records, err := a.show(ctx, names...)
	if err != nil {
		return nil, err
	}
	ffmpeg, err := buildFFmpeg(ctx, cache, records[ffmpegBinary]["Version"], log)
	if err != nil {
		return nil, err
	}
	c := &Codecs{Packages: []Package{ffmpeg}}
	h := sha256.New()
	fmt.Fprintln(h, filepath.Base(ffmpeg.Dir))
	headers := map[string][]string{ffmpegSource: {"libavcodec", "libavutil"}}
	for _, p := range codecPackages {
		unpacked, err := fetchPackage(ctx, a, cache, records[p.name])
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", p.name, err)
		}
		c.Packages = append(c.Packages, unpacked)
		headers[p.name] = p.headers
		fmt.Fprintln(h, filepath.Base(unpacked.Dir), p.headers)
	}
	runtime, err := compilerLibraries(ctx)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, fmt.Sprintf("codecs_%x", h.Sum(nil))[:len("codecs_")+16])
	if _, err := os.Stat(dir); err != nil {
		if err := collect(dir, c.Packages, headers); err != nil {
			return nil, fmt.Errorf("collect codecs: %w", err)
		}
	}
	c.Include, c.Lib = filepath.Join(dir, "include"), filepath.Join(dir, "lib")
	c.Packages = append(c.Packages, runtime...)
	return c, nil
}

// collect copies headers and static libraries of all packages into one folder, and gives it its name last.
func collect(dir string, packages []Package, headers map[string][]string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "collect-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, p := range packages {
		for _, h := range headers[p.Name] {
			if err := copyTree(filepath.Join(p.Dir, "usr/include", h), filepath.Join(tmp, "include", h)); err != nil {
				return err
			}
		}
		found := 0
		for _, folder := range libraryFolders {
			libraries, err := filepath.Glob(filepath.Join(p.Dir, folder, "*.a"))
			if err != nil {
				return err
			}
			for _, l := range libraries {
				if err := copyTree(l, filepath.Join(tmp, "lib", filepath.Base(l))); err != nil {
					return err
				}
			}
			found += len(libraries)
		}
		if found == 0 {
			return fmt.Errorf("%s has no static library", p.Name)
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, serr := os.Stat(dir); serr != nil {
			return err
		}
	}
	return nil
}

// Publish makes name a link to the folder that holds include and lib, in one step.
func (c *Codecs) Publish(name string) error {
	name, err := filepath.Abs(name)
	if err != nil {
		return fmt.Errorf("publish codecs: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("publish codecs: %w", err)
	}
	// Relative, so that a tree with its cache inside can be moved.
	target, err := filepath.Rel(filepath.Dir(name), filepath.Dir(c.Lib))
	if err != nil {
		return fmt.Errorf("publish codecs: %w", err)
	}
	if old, err := os.Readlink(name); err == nil && old == target {
		return nil
	}
	next := fmt.Sprintf("%s.%d", name, os.Getpid())
	if err := os.Symlink(target, next); err != nil {
		return fmt.Errorf("publish codecs: %w", err)
	}
	if err := os.Rename(next, name); err != nil {
		os.Remove(next)
		return fmt.Errorf("publish codecs: %w", err)
	}
	return nil
}

// copyTree copies a file, or a folder with all files below it.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		below, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, below)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return copyFile(name, target)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return out.Close()
}
