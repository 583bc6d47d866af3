package release

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// MaxImage bounds an EFI image. Three of them leave a quarter of the EFI system partition free.
const MaxImage = 256 << 20

// Limits for reading an image's headers. The stub has eight sections and a .osrel of 200 bytes.
const (
	maxHeaderOffset   = 1 << 16
	maxOptionalHeader = 1 << 12
	maxSections       = 96
	maxOSRelease      = 1 << 16
)

// Release is what an EFI image says that it is.
type Release struct {
	Version string
	Build   string
}

// textPattern is what may be printed of a version, a build or a platform without a second look.
var textPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}$`)

// sortFields are the fields of .osrel that systemd-boot 252 sorts by before the file name.
var sortFields = []string{"IMAGE_ID", "IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID"}

// ReadRelease reads version and build from the .osrel section of an EFI image. It fails for an image that the loader would
// not list, or that it would sort by something else than its file name.
func ReadRelease(r io.ReaderAt, size int64) (Release, error) {
	text, err := readOSRelease(r, size)
	if err != nil {
		return Release{}, fmt.Errorf("read .osrel: %w", err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimSpace(strings.TrimRight(line, "\r\n\x00")), "=")
		if ok && !strings.HasPrefix(key, "#") {
			fields[key] = unquote(value)
		}
	}
	for _, key := range sortFields {
		if v, ok := fields[key]; ok {
			return Release{}, fmt.Errorf("read .osrel: %s=%.64q would decide which version starts", key, v)
		}
	}
	if fields["ID"] != "rotunda" {
		return Release{}, fmt.Errorf("read .osrel: ID is %.64q, want \"rotunda\"", fields["ID"])
	}
	out := Release{Version: fields["ROTUNDA_VERSION"], Build: fields["ROTUNDA_BUILD"]}
	for key, v := range map[string]string{"ROTUNDA_VERSION": out.Version, "ROTUNDA_BUILD": out.Build} {
		if !textPattern.MatchString(v) {
			return Release{}, fmt.Errorf("read .osrel: %s is %.64q", key, v)
		}
	}
	return out, nil
}

func unquote(s string) string {
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}

// readOSRelease finds the section (PE format specification, "COFF File Header" and "Section Table").
func readOSRelease(r io.ReaderAt, size int64) ([]byte, error) {
	le := binary.LittleEndian
	read := func(off, n int64, what string) ([]byte, error) {
		if off < 0 || n < 0 || off > size || n > size-off {
			return nil, fmt.Errorf("%s lies outside of the image", what)
		}
		b := make([]byte, n)
		if _, err := r.ReadAt(b, off); err != nil && !(errors.Is(err, io.EOF) && off+n == size) {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return b, nil
	}
	dos, err := read(0, 64, "DOS header")
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(dos, []byte("MZ")) {
		return nil, errors.New("not an EFI image")
	}
	at := int64(le.Uint32(dos[60:]))
	if at > maxHeaderOffset {
		return nil, fmt.Errorf("PE header at %d", at)
	}
	pe, err := read(at, 24, "PE header")
	if err != nil {
		return nil, err
	}
	sections, optional := int64(le.Uint16(pe[6:])), int64(le.Uint16(pe[20:]))
	if !bytes.HasPrefix(pe, []byte("PE\x00\x00")) || sections > maxSections || optional > maxOptionalHeader {
		return nil, fmt.Errorf("not an EFI image: %d sections, optional header of %d bytes", sections, optional)
	}
	table, err := read(at+24+optional, sections*40, "section table")
	if err != nil {
		return nil, err
	}
	for ; len(table) > 0; table = table[40:] {
		if string(bytes.TrimRight(table[:8], "\x00")) != ".osrel" {
			continue
		}
		virtual, raw := int64(le.Uint32(table[8:])), int64(le.Uint32(table[16:]))
		if virtual == 0 || virtual > raw || virtual > maxOSRelease {
			return nil, fmt.Errorf("section of %d bytes, %d in the file", virtual, raw)
		}
		return read(int64(le.Uint32(table[20:])), virtual, "section")
	}
	return nil, errors.New("no such section")
}
