package stream

import "testing"

func TestSPSTellsProfileAndSize(t *testing.T) {
	for _, c := range []struct {
		name          string
		nal           []byte
		width, height int
	}{
		// Made by x264: 1920×1080 High, cropped from 1088 lines.
		{"x264 1080p High", []byte{0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58}, 1920, 1080},
		{"x264 720p Constrained Baseline", []byte{0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xba, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80}, 1280, 720},
	} {
		got, err := ParseSPS(c.nal)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got.Width != c.width || got.Height != c.height {
			t.Errorf("%s: got %d × %d, want %d × %d", c.name, got.Width, got.Height, c.width, c.height)
		}
		if want := [3]byte(c.nal[1:4]); got.Profile != want {
			t.Errorf("%s: got profile %x, want %x", c.name, got.Profile, want)
		}
	}
}
