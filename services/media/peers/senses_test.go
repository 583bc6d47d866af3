package peers

import (
	"encoding/binary"
	"io"
	"math"
	"sync"
)

// colour is luma, blue and red difference, as BT.601 has them for full red, green and so on.
type colour [3]byte

var (
	black  = colour{16, 128, 128}
	white  = colour{235, 128, 128}
	red    = colour{81, 90, 240}
	green  = colour{145, 54, 34}
	blue   = colour{41, 240, 110}
	yellow = colour{210, 16, 146}
)

// rgb of the colours, as programs want them.
var rgb = map[colour]string{black: "000000", white: "ffffff", red: "ff0000", green: "00ff00", blue: "0000ff", yellow: "ffff00"}

// alike allows for what encoders lose, and for those that take BT.709 for BT.601.
func alike(a, b colour) bool {
	for i := range a {
		if math.Abs(float64(a[i])-float64(b[i])) > 40 {
			return false
		}
	}
	return true
}

// eye is the last picture that somebody saw: I420 of width × height.
type eye struct {
	mu            sync.Mutex
	width, height int
	frame         []byte
	frames        int
}

// look takes a picture.
func (e *eye) look(width, height int, fill func(frame []byte)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.width, e.height = width, height
	if n := width * height * 3 / 2; len(e.frame) != n {
		e.frame = make([]byte, n)
	}
	fill(e.frame)
	e.frames++
}

// watch reads raw pictures of a size that a program writes.
func (e *eye) watch(width, height int) func(io.Reader) {
	return func(r io.Reader) {
		b := make([]byte, width*height*3/2)
		for {
			if _, err := io.ReadFull(r, b); err != nil {
				return
			}
			e.look(width, height, func(frame []byte) { copy(frame, b) })
		}
	}
}

// at is the colour at a point, in parts of the sides.
func (e *eye) at(x, y float64) (c colour, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.frame == nil {
		return c, false
	}
	px, py := int(x*float64(e.width)), int(y*float64(e.height))
	luma, quarter := e.width*e.height, e.width*e.height/4
	i := py/2*(e.width/2) + px/2
	return colour{e.frame[py*e.width+px], e.frame[luma+i], e.frame[luma+quarter+i]}, true
}

// count is how many pictures were seen.
func (e *eye) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.frames
}

// sees tells whether a point has a colour.
func (e *eye) sees(x, y float64, want colour) bool {
	c, ok := e.at(x, y)
	return ok && alike(c, want)
}

// bright counts the points of a part of the picture, of the upper left corner to the lower right one, that are whiter
// than a video picture of these tests gets: letters and icons.
func (e *eye) bright(left, top, right, bottom float64) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for y := int(top * float64(e.height)); y < int(bottom*float64(e.height)); y++ {
		for x := int(left * float64(e.width)); x < int(right*float64(e.width)); x++ {
			if e.frame[y*e.width+x] > 200 {
				n++
			}
		}
	}
	return n
}

// ear keeps the last seconds of what somebody heard.
type ear struct {
	mu      sync.Mutex
	rate    int
	pcm     []int16
	samples int
}

// hear takes sound.
func (e *ear) hear(pcm []int16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pcm = append(e.pcm, pcm...)
	e.samples += len(pcm)
	if over := len(e.pcm) - 2*e.rate; over > 0 {
		e.pcm = e.pcm[:copy(e.pcm, e.pcm[over:])]
	}
}

// listen reads samples of 16 bits that a program writes.
func (e *ear) listen(r io.Reader) {
	b := make([]byte, 2*e.rate/50)
	pcm := make([]int16, len(b)/2)
	for {
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		for i := range pcm {
			pcm[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
		}
		e.hear(pcm)
	}
}

// level of a frequency in the last quarter of a second, 1 for the loudest tone there can be.
func (e *ear) level(frequency float64) float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.rate / 4
	if len(e.pcm) < n {
		return 0
	}
	return goertzel(e.pcm[len(e.pcm)-n:], frequency, e.rate)
}

// goertzel is the level of one frequency.
func goertzel(pcm []int16, frequency float64, rate int) float64 {
	w := 2 * math.Pi * frequency / float64(rate)
	var s1, s2 float64
	for _, v := range pcm {
		s1, s2 = float64(v)+2*math.Cos(w)*s1-s2, s1
	}
	power := max(0, s1*s1+s2*s2-2*math.Cos(w)*s1*s2)
	return math.Sqrt(power) * 2 / float64(len(pcm)) / 32768
}

// A tone of somebody who talks is an eighth of the loudest, or more; what leaks by coding is much less than a fiftieth.
const (
	loud  = 0.05
	quiet = 0.01
)

func (e *ear) hears(frequency float64) bool    { return e.level(frequency) > loud }
func (e *ear) hearsNot(frequency float64) bool { return e.level(frequency) < quiet }

// count is how many samples were heard.
func (e *ear) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.samples
}
