package firmware

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// ffmpegSource is Debian's source package; the version that is current comes from the record of a package built of it.
const (
	ffmpegSource = "ffmpeg"
	ffmpegBinary = "libavcodec-dev"
)

// ffmpegConfiguration is how FFmpeg is configured. Debian's own libavcodec needs some 40 libraries, several of which have no
// static form; everything that is not named here is left out, which also leaves the least code to a hostile stream.
// Without --enable-gpl the result is under the LGPL 2.1 or later.
//
// The words end up in the library (avcodec_configuration), so no path may be among them: the build runs inside the
// source folder, where all names are relative.
var ffmpegConfiguration = []string{
	"--prefix=/usr",
	"--disable-everything", "--disable-autodetect", "--disable-iconv", "--disable-programs", "--disable-doc", "--disable-debug",
	"--disable-network", "--disable-avdevice", "--disable-avformat", "--disable-avfilter", "--disable-swscale",
	"--disable-swresample", "--disable-postproc",
	// One decoder never uses threads here, but many are opened and their pictures given back on different ones: without
	// pthreads the once-only tables and the buffer pools would be unguarded.
	"--enable-pthreads",
	"--enable-pic", "--enable-x86asm",
	"--enable-decoder=h264,vp8,vp9,adpcm_g722",
	"--enable-encoder=aac,adpcm_g722",
	"--extra-cflags=-fstack-protector-strong -fstack-clash-protection -fcf-protection -D_FORTIFY_SOURCE=2",
}

// buildFFmpeg returns FFmpeg, built in that version, in the form of an unpacked package.
func buildFFmpeg(ctx context.Context, cache, version string, log func(string, ...any)) (Package, error) {
	key, err := ffmpegKey(ctx, version)
	if err != nil {
		return Package{}, err
	}
	p := Package{Name: ffmpegSource, Version: version, Architecture: "source", Dir: filepath.Join(cache, "ffmpeg_"+key)}
	if _, err := os.Stat(p.Dir); err != nil {
		log("building FFmpeg %s, about a minute on two cores", version)
		if err := compileFFmpeg(ctx, newSources(cache), p); err != nil {
			return Package{}, fmt.Errorf("build %s %s: %w", ffmpegSource, version, err)
		}
	}
	if p.SHA256, err = fileSHA256(description(p)); err != nil {
		return Package{}, err
	}
	p.HashOf = "the source package's description (.dsc)"
	text, err := os.ReadFile(p.Copyright())
	if err != nil {
		return Package{}, fmt.Errorf("read copyright: %w", err)
	}
	// Debian's file also lists what only --enable-gpl would compile in.
	p.Licences = []string{"LGPL-2.1+"}
	if !strings.Contains(string(text), p.Licences[0]) {
		return Package{}, errors.New("the copyright file of FFmpeg does not name the LGPL-2.1+")
	}
	return p, nil
}

// description is where a built package keeps the description of the source package that it comes from.
func description(p Package) string { return filepath.Join(filepath.Dir(p.Copyright()), p.Name+".dsc") }

// ffmpegKey hashes everything that decides about the bytes of the library.
func ffmpegKey(ctx context.Context, version string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, version)
	for _, tool := range []string{"gcc", "nasm"} {
		says, err := output(ctx, tool, "--version")
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, says)
	}
	for _, word := range ffmpegConfiguration {
		fmt.Fprintln(h, word)
	}
	return fmt.Sprintf("%x", h.Sum(nil))[:16], nil
}

// compileFFmpeg fetches, configures and compiles, and gives the folder its name last.
func compileFFmpeg(ctx context.Context, s sources, p Package) error {
	cache := filepath.Dir(p.Dir)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("make cache: %w", err)
	}
	tmp, err := os.MkdirTemp(cache, "compile-")
	if err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	tree, dsc, err := s.unpack(ctx, tmp, p.Name, p.Version)
	if err != nil {
		return err
	}
	if err := run(ctx, tree, "./configure", ffmpegConfiguration...); err != nil {
		return err
	}
	if err := run(ctx, tree, "make", fmt.Sprintf("-j%d", runtime.NumCPU())); err != nil {
		return err
	}
	done := filepath.Join(tmp, "done")
	if err := run(ctx, tree, "make", "DESTDIR="+done, "install-libs", "install-headers"); err != nil {
		return err
	}
	p.Dir, done = done, p.Dir
	if err := os.MkdirAll(filepath.Dir(p.Copyright()), 0o755); err != nil {
		return fmt.Errorf("keep copyright: %w", err)
	}
	for from, to := range map[string]string{filepath.Join(tree, "debian/copyright"): p.Copyright(), dsc: description(p)} {
		if err := copyFile(from, to); err != nil {
			return err
		}
	}
	if err := os.Rename(p.Dir, done); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, serr := os.Stat(done); serr != nil {
			return fmt.Errorf("keep what was built: %w", err)
		}
	}
	return nil
}
