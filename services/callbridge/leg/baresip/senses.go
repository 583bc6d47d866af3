package baresip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Levels of [Tone]. One that another telephone talks in is about an eighth of the loudest there can be; what leaks from a neighbour by coding and
// mixing is much less than a fiftieth.
const (
	Loud  = 0.03
	Quiet = 0.01
)

// Heard returns the last part of what it heard in its newest stream of sound, and the samples per second. There is none before the
// first packet.
func (p *Phone) Heard(last time.Duration) (pcm []int16, rate int) {
	p.t.Helper()
	pcm, rate, file := p.recording()
	if file == p.before.file {
		pcm = pcm[min(p.before.samples, len(pcm)):]
	}
	n := int(last.Seconds() * float64(rate))
	return pcm[max(0, len(pcm)-n):], rate
}

// Forget leaves out what was heard until now: the recording stands still while nothing comes, and its end would still be the tone of before.
func (p *Phone) Forget() {
	p.t.Helper()
	pcm, _, file := p.recording()
	p.before.file, p.before.samples = file, len(pcm)
}

// recording is all of the newest stream.
func (p *Phone) recording() (pcm []int16, rate int, file string) {
	p.t.Helper()
	files, _ := filepath.Glob(filepath.Join(p.folder, "dump-*-dec.wav"))
	if len(files) == 0 {
		return nil, 0, ""
	}
	slices.Sort(files) // their names have the time
	file = files[len(files)-1]
	b, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	pcm, rate, channels, err := parseWave(b)
	if err != nil {
		return nil, 0, file // its beginning is not written yet
	}
	mono := pcm[:0]
	for i := 0; i+channels <= len(pcm); i += channels {
		mono = append(mono, pcm[i])
	}
	return mono, rate, file
}

// parseWave reads a WAV file of 16 bits that is still being written: what its header says of lengths does not count.
func parseWave(b []byte) (pcm []int16, rate, channels int, err error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, 0, 0, errors.New("no WAV file")
	}
	for at := 12; at+8 <= len(b); {
		name, size := string(b[at:at+4]), int(binary.LittleEndian.Uint32(b[at+4:]))
		at += 8
		switch {
		case name == "data":
			if channels == 0 {
				return nil, 0, 0, errors.New("data before the format")
			}
			for ; at+2 <= len(b); at += 2 {
				pcm = append(pcm, int16(binary.LittleEndian.Uint16(b[at:])))
			}
			return pcm, rate, channels, nil
		case size > len(b)-at:
			return nil, 0, 0, fmt.Errorf("the part %q is cut off", name)
		case name == "fmt " && size >= 16:
			channels, rate = int(binary.LittleEndian.Uint16(b[at+2:])), int(binary.LittleEndian.Uint32(b[at+4:]))
			if bits := binary.LittleEndian.Uint16(b[at+14:]); bits != 16 || channels == 0 || channels > 2 || rate < 8000 || rate > 48000 {
				return nil, 0, 0, fmt.Errorf("%d bits, %d channels, %d Hz: want 16, 1 or 2, 8000 to 48000", bits, channels, rate)
			}
		}
		at += size + size&1
	}
	return nil, 0, 0, errors.New("no data")
}

// Level of a frequency in the last quarter of a second, 1 for the loudest tone there can be.
func (p *Phone) Level(frequency int) float64 {
	p.t.Helper()
	const window = 250 * time.Millisecond
	pcm, rate := p.Heard(window)
	if rate == 0 || len(pcm) < rate/4 {
		return 0
	}
	return Tone(pcm, frequency, rate)
}

// Tone is the level of one frequency in Hz in some sound, 1 for the loudest tone there can be.
func Tone(pcm []int16, frequency, rate int) float64 {
	if len(pcm) == 0 {
		return 0
	}
	// Goertzel's algorithm.
	w := 2 * math.Pi * float64(frequency) / float64(rate)
	var s1, s2 float64
	for _, v := range pcm {
		s1, s2 = float64(v)+2*math.Cos(w)*s1-s2, s1
	}
	power := max(0, s1*s1+s2*s2-2*math.Cos(w)*s1*s2)
	return math.Sqrt(power) * 2 / float64(len(pcm)) / 32768
}

// Hears says whether a tone is heard now, HearsNot whether it certainly is not. Both are false without any sound.
func (p *Phone) Hears(frequency int) bool { p.t.Helper(); return p.Level(frequency) > Loud }

// HearsNot is described with Hears.
func (p *Phone) HearsNot(frequency int) bool {
	p.t.Helper()
	pcm, rate := p.Heard(250 * time.Millisecond)
	return rate > 0 && len(pcm) >= rate/4 && Tone(pcm, frequency, rate) < Quiet
}

// AwaitTone waits until all of these tones are heard together.
func (p *Phone) AwaitTone(frequencies ...int) {
	p.t.Helper()
	p.until(func() string {
		for _, f := range frequencies {
			if !p.Hears(f) {
				return fmt.Sprintf("%s does not hear %d Hz; the level is %.4f", p.name, f, p.Level(f))
			}
		}
		return ""
	})
}

// AwaitNoTone waits until none of these tones is heard, while sound comes.
func (p *Phone) AwaitNoTone(frequencies ...int) {
	p.t.Helper()
	p.until(func() string {
		for _, f := range frequencies {
			if !p.HearsNot(f) {
				return fmt.Sprintf("%s still hears %d Hz, or nothing at all; the level is %.4f", p.name, f, p.Level(f))
			}
		}
		return ""
	})
}

// until asks again and again until there is nothing left to complain about.
func (p *Phone) until(complaint func() string) {
	p.t.Helper()
	limit := time.Now().Add(patience)
	for {
		why := complaint()
		if why == "" {
			return
		}
		if time.Now().After(limit) {
			p.t.Fatal(why)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// Picture is the next picture that it is shown, nil when none comes within a second.
func (p *Phone) Picture() image.Image {
	p.t.Helper()
	p.shots++
	// baresip remembers one wish at a time, in 100 bytes: a link with a short name leads to the folder. A wish that was not
	// fulfilled yet stays, with its file.
	path := filepath.Join(p.short(), strconv.Itoa(p.shots)+".png")
	p.Command("snapshot_recv", path)
	for limit := time.Now().Add(time.Second); time.Now().Before(limit); <-time.After(20 * time.Millisecond) {
		for n := p.shots; n > 0; n-- {
			name := filepath.Join(p.folder, strconv.Itoa(n)+".png")
			f, err := os.Open(name)
			if err != nil {
				continue
			}
			picture, err := png.Decode(f)
			f.Close()
			if err != nil {
				break // it is being written
			}
			os.Remove(name)
			return picture
		}
	}
	return nil
}

// short is a path of less than 60 bytes to the folder.
func (p *Phone) short() string {
	p.t.Helper()
	if len(p.folder) < 60 {
		return p.folder
	}
	link := filepath.Join(os.TempDir(), fmt.Sprintf("baresip%d", p.command.Process.Pid))
	if _, err := os.Lstat(link); err != nil {
		if err := os.Symlink(p.folder, link); err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { os.Remove(link) })
	}
	return link
}

// colours by the names that Options.Colour takes as well.
var colours = map[string]color.RGBA{
	"black": {0, 0, 0, 255}, "white": {255, 255, 255, 255}, "red": {255, 0, 0, 255}, "green": {0, 128, 0, 255}, "lime": {0, 255, 0, 255},
	"blue": {0, 0, 255, 255}, "yellow": {255, 255, 0, 255}, "magenta": {255, 0, 255, 255}, "cyan": {0, 255, 255, 255},
}

// ParseColour reads a name of black, white, red, green, lime, blue, yellow, magenta and cyan, or #rrggbb.
func ParseColour(s string) (color.RGBA, error) {
	if c, ok := colours[s]; ok {
		return c, nil
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 16, 32); err == nil && len(s) == 7 && s[0] == '#' {
		return color.RGBA{byte(n >> 16), byte(n >> 8), byte(n), 255}, nil
	}
	return color.RGBA{}, fmt.Errorf("colour %q: want a name or #rrggbb", s)
}

// Alike allows for what encoders lose, and for those that take BT.709 for BT.601.
func Alike(a, b color.Color) bool {
	ar, ag, ab, _ := a.RGBA()
	br, bg, bb, _ := b.RGBA()
	for _, d := range [3]float64{float64(ar) - float64(br), float64(ag) - float64(bg), float64(ab) - float64(bb)} {
		if math.Abs(d)/257 > 70 {
			return false
		}
	}
	return true
}

// At is the colour of a picture at a point, in parts of the sides.
func At(m image.Image, x, y float64) color.Color {
	b := m.Bounds()
	return m.At(b.Min.X+int(x*float64(b.Dx()-1)), b.Min.Y+int(y*float64(b.Dy()-1)))
}

// AwaitColour waits until a point of the picture has a colour; x and y are parts of the sides, from the upper left corner.
func (p *Phone) AwaitColour(x, y float64, name string) {
	p.t.Helper()
	want, err := ParseColour(name)
	if err != nil {
		p.t.Fatal(err)
	}
	p.until(func() string {
		m := p.Picture()
		if m == nil {
			return fmt.Sprintf("%s sees nothing, want %s", p.name, name)
		}
		if c := At(m, x, y); !Alike(c, want) {
			return fmt.Sprintf("%s sees %v at %.2f, %.2f, want %s", p.name, c, x, y, name)
		}
		return ""
	})
}

// AwaitPicture waits until a picture is as it should be; is says what is wrong, or nothing.
func (p *Phone) AwaitPicture(is func(image.Image) (wrong string)) {
	p.t.Helper()
	p.until(func() string {
		m := p.Picture()
		if m == nil {
			return p.name + " sees nothing"
		}
		return is(m)
	})
}
