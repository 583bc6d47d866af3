// Package prompts has the built-in prompts spoken, by Debian's espeak-ng: WAV files of 16 kHz, mono, for the names and words of the
// Call Bridge's table of prompts.
//
// A file is a function of its words and of the version of espeak-ng: nothing random is in the synthesis, and what is done to the sound
// afterwards is arithmetic that comes out the same on every machine that builds. Speaking takes a second or two, so all files together are
// kept in the cache. Source for levels: ITU-T P.56 (speech at −26 dBov is usual; telephones want it a bit louder).
package prompts

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"rotunda/firmware"
	"rotunda/image/cache"
	"rotunda/services/callbridge/prompts/prompt"
)

// File is a prompt that was spoken.
type File struct {
	Name string
	Data []byte
}

// Made are the files, in the order of the table, and what they were made with.
type Made struct {
	Files []File
	// Packages are installed on the building machine; nothing of them is shipped but the sound of their voice.
	Packages []firmware.Package
}

// The voice: how fast in words a minute, how high, 0 to 99.
const (
	voice = "en-us"
	speed = 150
	pitch = 45
)

// edition changes when what is done here makes other bytes of the same words.
const edition = 2

// Make speaks all prompts, or finds them in the cache.
func Make(ctx context.Context, made cache.Cache, table []prompt.Prompt) (*Made, error) {
	packages, err := installed(ctx)
	if err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("prompts %d %s %d %d", edition, voice, speed, pitch)
	for _, p := range packages {
		settings += fmt.Sprintf(" %s %s %s", p.Name, p.Version, p.SHA256)
	}
	var words strings.Builder
	for _, p := range table {
		fmt.Fprintf(&words, "%s %d %q\n", p.Name, p.Pause, p.Text)
	}
	all, err := made.Get(settings, []byte(words.String()), func() ([]byte, error) { return speakAll(ctx, table) })
	if err != nil {
		return nil, fmt.Errorf("speak prompts: %w", err)
	}
	m := &Made{Packages: packages}
	if m.Files, err = unpack(all); err != nil {
		return nil, fmt.Errorf("read prompts: %w", err)
	}
	return m, nil
}

// speakAll returns all files as one archive.
func speakAll(ctx context.Context, table []prompt.Prompt) ([]byte, error) {
	work, err := os.MkdirTemp("", "prompts-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	var all bytes.Buffer
	w := tar.NewWriter(&all)
	for _, p := range table {
		if p.Text == "" {
			continue
		}
		data, err := speak(ctx, work, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		if err := w.WriteHeader(&tar.Header{Name: p.Name.File(), Mode: 0o644, Size: int64(len(data)), Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return all.Bytes(), nil
}

func unpack(all []byte) ([]File, error) {
	var files []File
	for r := tar.NewReader(bytes.NewReader(all)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		files = append(files, File{h.Name, data})
	}
}

// speak makes the WAV file of one prompt.
func speak(ctx context.Context, work string, p prompt.Prompt) ([]byte, error) {
	file := filepath.Join(work, p.Name.File())
	c := exec.CommandContext(ctx, "espeak-ng", "-v", voice, "-s", fmt.Sprint(speed), "-p", fmt.Sprint(pitch), "-w", file, p.Text)
	// Voices in the home folder of whoever builds must not count.
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("espeak-ng: %w: %s (image/install-packages installs what building needs)", err, bytes.TrimSpace(out))
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pcm, rate, err := readWAV(b)
	if err != nil {
		return nil, fmt.Errorf("what espeak-ng wrote: %w", err)
	}
	after := 200
	if strings.HasPrefix(string(p.Name), "number_") {
		after = 40 // numbers are put together from parts
	}
	out := level(trim(resample(pcm, rate), after))
	return writeWAV(append(out, make([]float64, p.Pause*Rate/1000)...)), nil
}

// tools are the packages that speech comes from, and the file of each that its hash is of.
var tools = []struct{ name, file string }{
	{"espeak-ng", "/bin/espeak-ng"},
	{"espeak-ng-data", "/phondata"},
	{"libespeak-ng1", "/libespeak-ng.so.1"},
}

// installed describes them. Their copyright file is not machine-readable: what it says of the program is written here.
func installed(ctx context.Context) ([]firmware.Package, error) {
	var list []firmware.Package
	for _, t := range tools {
		says, err := query(ctx, "--show", "--showformat=${Package}\\t${Version}\\t${Architecture}\\t${source:Package}", t.name)
		if err != nil {
			return nil, fmt.Errorf("find %s (image/install-packages installs what building needs): %w", t.name, err)
		}
		fields := strings.Split(says, "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("dpkg-query describes %s as %q", t.name, says)
		}
		files, err := query(ctx, "--listfiles", t.name)
		if err != nil {
			return nil, err
		}
		p := firmware.Package{Name: fields[0], Version: fields[1], Architecture: fields[2], Source: fields[3], Dir: "/", Licences: []string{"GPL-3.0-or-later"}}
		for line := range strings.Lines(files) {
			if name := strings.TrimSpace(line); strings.HasSuffix(name, t.file) {
				p.HashOf = name
			}
		}
		data, err := os.ReadFile(p.HashOf)
		if err != nil {
			return nil, fmt.Errorf("look into %s: %w", t.name, err)
		}
		sum := sha256.Sum256(data)
		p.SHA256 = hex.EncodeToString(sum[:])
		list = append(list, p)
	}
	return list, nil
}

func query(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, "dpkg-query", args...)
	var text strings.Builder
	c.Stderr = &text
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("dpkg-query: %w: %s", err, strings.TrimSpace(text.String()))
	}
	return string(out), nil
}
