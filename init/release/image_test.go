package release

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// testPE is an EFI image with one section .osrel; the rest of its size is filled with bytes that depend on the text.
func testPE(osrel string, size int) []byte {
	le := binary.LittleEndian
	const header, table = 64, 64 + 24 + 16
	b := make([]byte, max(size, 512+len(osrel)))
	for i := range b {
		b[i] = byte(i*7) ^ osrel[i%len(osrel)]
	}
	clear(b[:512])
	copy(b, "MZ")
	le.PutUint32(b[60:], header)
	copy(b[header:], "PE\x00\x00")
	le.PutUint16(b[header+6:], 2)
	le.PutUint16(b[header+20:], 16)
	copy(b[table:], ".text")
	s := b[table+40:]
	copy(s, ".osrel")
	le.PutUint32(s[8:], uint32(len(osrel)))
	le.PutUint32(s[16:], uint32(len(osrel)))
	le.PutUint32(s[20:], 512)
	copy(b[512:], osrel)
	return b
}

func osRelease(version string) string {
	return fmt.Sprintf("ID=rotunda\nNAME=Rotunda\nPRETTY_NAME=\"Rotunda %s\"\nROTUNDA_VERSION=%s\nROTUNDA_BUILD=b-%s\n", version, version, version)
}

func testImage(version string, size int) []byte { return testPE(osRelease(version), size) }

func readRelease(b []byte) (Release, error) { return ReadRelease(bytes.NewReader(b), int64(len(b))) }

func TestAnImageSaysWhatItIs(t *testing.T) {
	for _, osrel := range []string{
		osRelease("1.2.0"),
		"ID=\"rotunda\"\r\n# a comment\n\nROTUNDA_VERSION='1.2.0'\nROTUNDA_BUILD=b-1.2.0",
	} {
		got, err := readRelease(testPE(osrel, 4000))
		if want := (Release{"1.2.0", "b-1.2.0"}); err != nil || got != want {
			t.Errorf("%q: want %+v, got %+v, %v", osrel, want, got, err)
		}
	}
}

func TestImagesThatTheLoaderWouldNotStartInOrderAreRefused(t *testing.T) {
	good := testImage("1.2.0", 4000)
	patch := func(at int, b ...byte) []byte {
		out := bytes.Clone(good)
		copy(out[at:], b)
		return out
	}
	section := 64 + 24 + 16 + 40
	for name, c := range map[string]struct {
		image []byte
		want  string
	}{
		"empty":                    {nil, "DOS header lies outside"},
		"no DOS header":            {patch(0, 'X'), "not an EFI image"},
		"PE header far away":       {patch(60, 0xFF, 0xFF, 0xFF, 0xFF), "PE header at"},
		"no PE header":             {patch(64, 'X'), "not an EFI image"},
		"sections outside":         {good[:100], "section table lies outside"},
		"65535 sections":           {patch(70, 0xFF, 0xFF), "65535 sections"},
		"no .osrel":                {patch(section, 'x'), "no such section"},
		".osrel outside":           {patch(section+20, 0xFF, 0xFF, 0xFF, 0x7F), "section lies outside"},
		".osrel larger than given": {patch(section+8, 0xFF, 0xFF), "section of 65535 bytes"},
		"IMAGE_VERSION":            {testPE(osRelease("1")+"IMAGE_VERSION=9\n", 0), `IMAGE_VERSION="9" would decide`},
		"VERSION_ID":               {testPE(osRelease("1")+"VERSION_ID=9\n", 0), `VERSION_ID="9" would decide`},
		"another system":           {testPE(strings.Replace(osRelease("1"), "ID=rotunda", "ID=debian", 1), 0), `ID is "debian"`},
		"no build":                 {testPE("ID=rotunda\nROTUNDA_VERSION=1\n", 0), "ROTUNDA_BUILD"},
		"control characters":       {testPE(osRelease("1\x1b[2J"), 0), "ROTUNDA_"},
	} {
		if got, err := readRelease(c.image); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want an error with %q, got %+v, %v", name, c.want, got, err)
		}
	}
}

func FuzzReadRelease(f *testing.F) {
	good := testImage("1.2.0", 0)
	f.Add(good)
	f.Add(good[:200])
	f.Add([]byte("MZ"))
	f.Add(testPE(osRelease("1")+"VERSION=2\n", 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readRelease(b)
		if err == nil && (!textPattern.MatchString(got.Version) || !textPattern.MatchString(got.Build)) {
			t.Errorf("accepted version %q, build %q", got.Version, got.Build)
		}
	})
}
