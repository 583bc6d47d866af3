package prompts

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"strings"
	"testing"
)

// wav writes a file of samples that are bytes already; extensible has the tag in its extension.
func wav(tag, channels, rate, bits int, data []byte, extensible bool) []byte {
	le := binary.LittleEndian
	var format []byte
	first := tag
	if extensible {
		first = waveExtensible
	}
	format = le.AppendUint16(le.AppendUint16(format, uint16(first)), uint16(channels))
	format = le.AppendUint32(le.AppendUint32(format, uint32(rate)), uint32(rate*channels*bits/8))
	format = le.AppendUint16(le.AppendUint16(format, uint16(channels*bits/8)), uint16(bits))
	if extensible {
		format = le.AppendUint16(format, 22)
		format = append(format, make([]byte, 6)...)
		format = append(le.AppendUint16(format, uint16(tag)), "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"...)
	}
	b := append([]byte("RIFF\xff\xff\xff\xffWAVE"), chunk("LIST", []byte("odd"))...)
	return append(append(b, chunk("fmt ", format)...), chunk("data", data)...)
}

func chunk(id string, data []byte) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(id), uint32(len(data))), data...)
	if len(data)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// samples reads what normalize wrote.
func samples(t *testing.T, b []byte) (pcm []int16, rate int) {
	t.Helper()
	le := binary.LittleEndian
	if len(b) < 44 || string(b[:4]) != "RIFF" || string(b[8:16]) != "WAVEfmt " || string(b[36:40]) != "data" || le.Uint32(b[4:]) != uint32(len(b)-8) || le.Uint32(b[40:]) != uint32(len(b)-44) {
		t.Fatalf("no plain WAV file: %q", b[:min(len(b), 44)])
	}
	if le.Uint32(b[16:]) != 16 || le.Uint16(b[20:]) != 1 || le.Uint16(b[22:]) != 1 || le.Uint16(b[32:]) != 2 || le.Uint16(b[34:]) != 16 || le.Uint32(b[28:]) != 2*le.Uint32(b[24:]) {
		t.Fatalf("not 16-bit mono PCM: %x", b[16:36])
	}
	for rate, b = int(le.Uint32(b[24:])), b[44:]; len(b) > 0; b = b[2:] {
		pcm = append(pcm, int16(le.Uint16(b)))
	}
	return pcm, rate
}

func TestRecordingsBecomePlainPCM(t *testing.T) {
	le := binary.LittleEndian
	float := func(v ...float32) (b []byte) {
		for _, x := range v {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	for name, c := range map[string]struct {
		file []byte
		rate int
		want []int16
	}{
		"PCM 16":         {wav(1, 1, 16000, 16, []byte{1, 0, 0xff, 0xff, 0, 0x80}, false), 16000, []int16{1, -1, -32768}},
		"stereo":         {wav(1, 2, 44100, 16, []byte{100, 0, 50, 0, 0, 0x80, 0, 0x80}, false), 44100, []int16{75, -32768}},
		"PCM 8":          {wav(1, 1, 8000, 8, []byte{128, 0, 255}, false), 8000, []int16{0, -32768, 32512}},
		"PCM 24":         {wav(1, 1, 48000, 24, []byte{9, 1, 0, 9, 0xff, 0xff}, false), 48000, []int16{1, -1}},
		"PCM 32":         {wav(1, 1, 22050, 32, []byte{9, 9, 1, 0}, false), 22050, []int16{1}},
		"float":          {wav(3, 1, 32000, 32, float(0, 1, -1, 2, -9, float32(math.NaN()), 0.5), false), 32000, []int16{0, 32767, -32767, 32767, -32768, 0, 16384}},
		"extensible":     {wav(1, 1, 16000, 16, []byte{7, 0}, true), 16000, []int16{7}},
		"mu-law":         {wav(7, 1, 8000, 8, []byte{0xff, 0x7f, 0x00, 0x80, 0xef}, false), 8000, []int16{0, 0, -32124, 32124, 132}},
		"A-law":          {wav(6, 1, 8000, 8, []byte{0xd5, 0x55, 0x2a, 0xaa}, false), 8000, []int16{8, -8, -32256, 32256}},
		"half a sample":  {wav(1, 1, 16000, 16, []byte{7, 0, 9}, false), 16000, []int16{7}},
		"an open end":    {append(wav(1, 1, 16000, 16, nil, false)[:len(wav(1, 1, 16000, 16, nil, false))-4], 0xff, 0xff, 0xff, 0xff, 5, 0), 16000, []int16{5}},
		"something more": {append(wav(1, 1, 16000, 16, []byte{7, 0}, false), "junk after it"...), 16000, []int16{7}},
	} {
		out, err := normalize(c.file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		pcm, rate := samples(t, out)
		if rate != c.rate || len(pcm) != len(c.want) {
			t.Errorf("%s: want %v at %d, got %v at %d", name, c.want, c.rate, pcm, rate)
			continue
		}
		for i := range pcm {
			if pcm[i] != c.want[i] {
				t.Errorf("%s: want %v, got %v", name, c.want, pcm)
				break
			}
		}
	}
}

func TestErrorsSayWhatIsWrongWithARecording(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":      {nil, "no WAV file"},
		"MP3":          {[]byte("ID3\x04 and so on, for more than twelve bytes"), "no WAV file"},
		"no sound":     {wav(1, 1, 16000, 16, nil, false), "no sound"},
		"half":         {wav(1, 1, 16000, 16, []byte{7, 0}, false)[:40], "not copied completely"},
		"format alone": {wav(1, 1, 16000, 16, nil, false)[:44+4], "no sound"},
		"many":         {wav(1, 6, 16000, 16, []byte{7, 0}, false), "6 channels"},
		"fast":         {wav(1, 1, 96000, 16, []byte{7, 0}, false), "96000 samples a second"},
		"slow":         {wav(1, 1, 4000, 16, []byte{7, 0}, false), "4000 samples a second"},
		"compressed":   {wav(17, 1, 16000, 4, []byte{7, 0}, false), "format 17 with 4 bits"},
		"long":         {wav(1, 1, 8000, 8, make([]byte, 8000*65), false), "lasts 65 seconds"},
		"big":          {make([]byte, maxWAV+1), "at most 8388608"},
		"wrong order":  {append([]byte("RIFF\xff\xff\xff\xffWAVE"), chunk("data", []byte{1, 2})...), "before the description"},
	} {
		if _, err := normalize(c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want an error with %q, got %v", name, c.want, err)
		}
	}
}

// FuzzRecordings checks that what comes out is plain, in bounds, and stays the same when it goes in again.
func FuzzRecordings(f *testing.F) {
	f.Add(wav(1, 1, 16000, 16, []byte{1, 0, 0xff, 0xff}, false))
	f.Add(wav(3, 2, 48000, 32, make([]byte, 16), true))
	f.Add(wav(7, 1, 8000, 8, []byte{1, 2, 3}, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := normalize(b)
		if err != nil {
			return
		}
		pcm, rate := samples(t, out)
		if rate < minRate || rate > maxRate || len(pcm) == 0 || len(pcm) > maxSeconds*rate {
			t.Fatalf("%d samples at %d", len(pcm), rate)
		}
		if again, err := normalize(out); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("once more: %v", err)
		}
	})
}

func picture(width, height int) *image.RGBA {
	p := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width {
		p.Set(i, i%height, color.RGBA{200, byte(i), 40, 255})
	}
	return p
}

func asJPEG(t testing.TB, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(width, height), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(t testing.TB, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, picture(width, height)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// claiming is a PNG that says it is of another size.
func claiming(t testing.TB, width, height uint32) []byte {
	b := asPNG(t, 16, 16)
	binary.BigEndian.PutUint32(b[16:], width)
	binary.BigEndian.PutUint32(b[20:], height)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestPicturesAreLookedAt(t *testing.T) {
	for name, c := range map[string]struct {
		file            []byte
		extension, want string
	}{
		"JPEG":      {asJPEG(t, 640, 360), ".jpg", ""},
		"PNG":       {asPNG(t, 64, 64), ".png", ""},
		"too large": {claiming(t, 3841, 2160), "", "3841 × 2160"},
		"huge":      {claiming(t, 60_000, 60_000), "", "60000 × 60000"},
		"lying":     {claiming(t, 3840, 2160), "", "cannot be read"},
		"long":      {asPNG(t, 60_000, 16), ".png", ""},
		"tiny":      {asPNG(t, 15, 100), "", "15 × 100"},
		"text":      {[]byte("<html>not found</html>"), "", "neither a JPEG nor a PNG"},
		"nothing":   {nil, "", "neither a JPEG nor a PNG"},
		"half":      {asJPEG(t, 100, 100)[:700], "", "cannot be read"},
		"big":       {make([]byte, maxPicture+1), "", "at most 4194304"},
	} {
		extension, err := checkPicture(c.file)
		if extension != c.extension || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, %q, got %q, %v", name, c.extension, c.want, extension, err)
		}
	}
}

func FuzzPictures(f *testing.F) {
	f.Add(asJPEG(f, 20, 20))
	f.Add(asPNG(f, 20, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		// What claims to be large takes long to fill, and is refused for its size elsewhere.
		if c, _, err := image.DecodeConfig(bytes.NewReader(b)); err == nil && c.Width*c.Height > 1<<20 && c.Width*c.Height <= maxPictureArea {
			return
		}
		extension, err := checkPicture(b)
		if (err == nil) != (extension == ".jpg" || extension == ".png") {
			t.Errorf("got %q, %v", extension, err)
		}
	})
}
