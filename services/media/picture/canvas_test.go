package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/services/media/control"
	"rotunda/services/media/layout"
	"rotunda/services/media/text"
)

// shown is who sends which frame.
type shown map[uint32]*Frame

func (s shown) Latest(source uint32) *Frame { return s[source] }

func newComposer(t testing.TB) (*Composer, *Pool) {
	t.Helper()
	pool := NewPool()
	var fonts *text.Fonts
	for _, folder := range []string{"/usr/share/fonts/rotunda", "/usr/share/fonts"} {
		if f, err := text.Open(folder); err == nil {
			fonts = f
			t.Cleanup(func() { f.Close() })
			break
		}
	}
	c := NewComposer(pool, fonts, slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	return c, pool
}

func newCanvas(t testing.TB, c *Composer, width, height int) *Canvas {
	t.Helper()
	v, err := c.NewCanvas(width, height)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func plain(t testing.TB, pool *Pool, width, height int, c yuv) *Frame {
	t.Helper()
	f, err := pool.Get(width, height)
	if err != nil {
		t.Fatal(err)
	}
	f.paint(f.all(), c)
	return f
}

// textured draws waves of all directions and lengths around a centre that moves with n: soft, like what a camera sees.
func textured(t testing.TB, pool *Pool, width, height, n int) *Frame {
	t.Helper()
	f := plain(t, pool, width, height, yuv{128, 110, 140})
	cx, cy := width/2+n*7%width/4, height/3
	for y := range height {
		row := f.Y[y*f.StrideY:][:width]
		for x := range row {
			d := (x-cx)*(x-cx) + (y-cy)*(y-cy)
			row[x] = byte(60 + d*150/(width*width) + (d/(4*width))%37 + x*30/width)
		}
	}
	return f
}

// at returns the colour of a pixel.
func (f *Frame) at(x, y int) yuv {
	return yuv{f.Y[y*f.StrideY+x], f.U[y/2*f.StrideC+x/2], f.V[y/2*f.StrideC+x/2]}
}

func same(a, b *Frame) error {
	if a.Width != b.Width || a.Height != b.Height {
		return fmt.Errorf("%d × %d and %d × %d", a.Width, a.Height, b.Width, b.Height)
	}
	for y := range a.Height {
		for x := range a.Width {
			if a.at(x, y) != b.at(x, y) {
				return fmt.Errorf("pixel %d, %d: %v and %v", x, y, a.at(x, y), b.at(x, y))
			}
		}
	}
	return nil
}

// scene shows n participants, sources 1..n, in a layout.
func scene(view control.View, n int, change func(*layout.Room)) *layout.Scene {
	room := &layout.Room{}
	for i := range n {
		room.Participants = append(room.Participants, layout.Participant{Source: uint32(i + 1), Leg: fmt.Sprint(i + 1),
			Name: fmt.Sprint("Participant ", i+1), Video: true})
	}
	if change != nil {
		change(room)
	}
	s, _ := layout.Seat(&view, room, nil, time.Time{})
	return layout.Show(&view, room, s, 0, 1280, 720)
}

func TestEverybodyIsInTheirOwnPane(t *testing.T) {
	c, pool := newComposer(t)
	for _, name := range layout.Names {
		s := scene(control.View{Layout: name}, 25, nil)
		frames := shown{}
		for i := range uint32(25) {
			frames[i+1] = plain(t, pool, 640, 360, yuv{uint8(30 + 7*i), uint8(40 + 5*i), uint8(220 - 6*i)})
		}
		v := newCanvas(t, c, 1280, 720)
		v.Draw(s, frames)
		for i, p := range s.Panes {
			x, y := p.Rect.X+p.Rect.W/2, p.Rect.Y+p.Rect.H/3
			if got, want := v.Frame().at(x, y), frames[p.Source].at(0, 0); got != want {
				t.Errorf("%s: want pane %d to show source %d, %v; got %v", name, i, p.Source, want, got)
			}
		}
	}
}

func TestPortraitIsWholeBetweenBars(t *testing.T) {
	c, pool := newComposer(t)
	v := newCanvas(t, c, 1280, 720)
	f := plain(t, pool, 360, 640, yuv{200, 90, 160})
	f.paint(layout.Rect{W: 360, H: 40}, yuv{80, 128, 128}) // the upper edge, which cropping would take away
	v.Draw(scene(control.View{Layout: layout.SpeakerOnly}, 1, nil), shown{1: f})
	for _, c := range []struct {
		x, y int
		want yuv
	}{{100, 360, yuv{16, 128, 128}}, {1180, 360, yuv{16, 128, 128}}, {640, 360, yuv{200, 90, 160}}, {640, 6, yuv{80, 128, 128}}} {
		if got := v.Frame().at(c.x, c.y); got != c.want {
			t.Errorf("at %d, %d: want %v, got %v", c.x, c.y, c.want, got)
		}
	}
}

func TestOnlyPanesWithNewFramesAreDrawn(t *testing.T) {
	c, pool := newComposer(t)
	v := newCanvas(t, c, 1280, 720)
	s := scene(control.View{Layout: layout.AllEqualQuarters, Labels: true}, 4, nil)
	frames := shown{1: textured(t, pool, 640, 360, 1), 2: textured(t, pool, 640, 360, 2)}
	if !v.Draw(s, frames) {
		t.Error("want the first draw to change the picture")
	}
	if v.Draw(s, frames) {
		t.Error("want nothing to change without a new frame")
	}
	mark := yuv{1, 2, 3} // shows whether a pane is drawn again
	for _, p := range s.Panes {
		v.frame.paint(layout.Rect{X: p.Rect.X + 100, Y: p.Rect.Y + 100, W: 2, H: 2}, mark)
	}
	frames[2] = textured(t, pool, 640, 360, 3)
	if !v.Draw(s, frames) {
		t.Error("want a new frame to change the picture")
	}
	for i, p := range s.Panes {
		if got, want := v.Frame().at(p.Rect.X+100, p.Rect.Y+100) != mark, i == 1; got != want {
			t.Errorf("pane %d: want drawn again %v, got %v", i, want, got)
		}
	}
}

// However a picture came about, by small steps or at once, it is the same to the last bit.
func TestSmallStepsGiveTheWholePicture(t *testing.T) {
	c, pool := newComposer(t)
	random := rand.New(rand.NewPCG(3, 4))
	all := make([]*Frame, 12)
	for i := range all {
		size := [][2]int{{640, 360}, {320, 240}, {180, 320}, {426, 240}}[i%4]
		all[i] = textured(t, pool, size[0], size[1], i)
	}
	overlapping := []control.Pane{{W: 10000, H: 10000}, {X: 3000, Y: 2000, W: 6000, H: 7000}, {X: 100, Y: 4000, W: 5000, H: 5500}}
	scenes := []*layout.Scene{
		scene(control.View{Layout: layout.Telepresence, Labels: true, Counter: "always"}, 9, func(r *layout.Room) {
			r.Recording, r.Streaming, r.Message = true, true, control.Message{Text: "over two panes and more", Position: "bottom"}
			r.Participants[0].Muted = true
		}),
		scene(control.View{Template: overlapping, Labels: true}, 5, func(r *layout.Room) { r.Message.Text = "in the middle"; r.Streaming = true }),
		scene(control.View{Layout: layout.AllEqual, Labels: true}, 5, func(r *layout.Room) {
			r.Message.Text, r.Speakers, r.Participants[3].CameraOff = "middle", []uint32{2}, true
		}),
		scene(control.View{Layout: layout.OnePlusFive}, 3, func(r *layout.Room) { r.Recording = true }),
		scene(control.View{Screen: "lobby", Title: "Lobby"}, 3, nil),
	}
	v := newCanvas(t, c, 1280, 720)
	frames := shown{}
	s := scenes[0]
	for i := range 60 {
		if random.IntN(5) == 0 {
			s = scenes[random.IntN(len(scenes))]
		}
		for range random.IntN(3) {
			frames[uint32(1+random.IntN(9))] = all[random.IntN(len(all))]
		}
		v.Draw(s, frames)
		fresh, err := c.NewCanvas(1280, 720)
		if err != nil {
			t.Fatal(err)
		}
		fresh.Draw(s, frames)
		if err := same(v.Frame(), fresh.Frame()); err != nil {
			t.Fatalf("step %d, %s: small steps and the whole differ: %v", i, s.Layout, err)
		}
		fresh.Close()
	}
}

func TestDrawingAllocatesNothing(t *testing.T) {
	c, pool := newComposer(t)
	v := newCanvas(t, c, 1280, 720)
	s := scene(control.View{Layout: layout.AllEqualNinths, Labels: true, Counter: "always"}, 9, func(r *layout.Room) { r.Message.Text = "hello" })
	frames, list := benchFrames(t, pool, 9, 1280, 720)
	v.Draw(s, frames)
	if n := testing.AllocsPerRun(20, func() {
		renew(list)
		if !v.Draw(s, frames) {
			t.Error("want new frames to be drawn")
		}
	}); n > 0 {
		t.Errorf("want no allocation per draw, got %v", n)
	}
}

// benchFrames makes one frame for each of n sources.
func benchFrames(t testing.TB, pool *Pool, n, width, height int) (shown, []*Frame) {
	frames := shown{}
	var list []*Frame
	for i := range n {
		f := textured(t, pool, width, height, i)
		frames[uint32(i+1)] = f
		list = append(list, f)
	}
	return frames, list
}

// renew makes a frame look like a new one without moving pixels: it was released and taken again.
func renew(list []*Frame) {
	for _, f := range list {
		f.smaller.drop()
		f.serial = serials.Add(1)
	}
}

func TestCopiesAreMadeOnceAndGivenBack(t *testing.T) {
	_, pool := newComposer(t)
	f := textured(t, pool, 1280, 720, 0)
	var made [8]*Frame
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() { made[i], _ = f.Smaller(1+i%2, pool) })
	}
	all.Wait()
	for i, m := range made {
		if m != made[i%2] || m.Width != 640>>(i%2) || m.Height != 360>>(i%2) {
			t.Errorf("want one copy of each size for all, got %p of %d × %d", m, m.Width, m.Height)
		}
	}
	mapped := pool.Bytes()
	f.Release()
	for range 5 {
		f = textured(t, pool, 1280, 720, 0)
		f.Smaller(2, pool)
		f.Release()
	}
	if pool.Bytes() != mapped {
		t.Errorf("want copies to be given back with their frame: %d bytes mapped after %d", pool.Bytes(), mapped)
	}
	small := plain(t, pool, 20, 12, yuv{})
	if s, level := small.Smaller(2, pool); s != small || level != 0 {
		t.Errorf("want a tiny frame itself, got level %d", level)
	}
}

func TestFrameTakenAgainIsANewOne(t *testing.T) {
	_, pool := newComposer(t)
	f := plain(t, pool, 64, 64, yuv{})
	first := f.serial
	f.Release()
	if g := plain(t, pool, 64, 64, yuv{}); g != f || g.serial == first {
		t.Errorf("want the same memory with another serial, got %p for %p, %d for %d", g, f, g.serial, first)
	}
}

func TestSpritesBlendExactly(t *testing.T) {
	_, pool := newComposer(t)
	p := image.NewRGBA(image.Rect(0, 0, 64, 16))
	for i := range 64 {
		for y := range 16 {
			p.SetRGBA(i, y, color.RGBA{A: uint8(4 * i)}) // black, more and more of it
		}
	}
	f := plain(t, pool, 64, 16, yuv{216, 128, 128})
	f.lay(newSprite(p, &bt709), 0, 0, f.all())
	for i := range 64 {
		a := 4 * i
		want := (216*(255-a) + 16*a) / 255
		if got := int(f.at(i, 5).y); got < want-1 || got > want+1 {
			t.Errorf("black of coverage %d over 216: want %d, got %d", a, want, got)
		}
		if got := f.at(i, 5); got.u < 127 || got.u > 129 || got.v < 127 || got.v > 129 {
			t.Errorf("want grey to stay grey, got %v", got)
		}
	}
	for _, c := range []struct {
		rgb  color.RGBA
		want yuv
	}{{color.RGBA{255, 255, 255, 255}, yuv{235, 128, 128}}, {color.RGBA{0, 0, 0, 255}, yuv{16, 128, 128}}, {color.RGBA{255, 0, 0, 255}, yuv{63, 102, 240}},
		{color.RGBA{0, 0, 255, 255}, yuv{32, 240, 118}}} {
		if got := bt709.of(c.rgb); got != c.want {
			t.Errorf("%v in BT.709: want %v, got %v", c.rgb, c.want, got)
		}
	}
}

func TestBackgroundFiles(t *testing.T) {
	folder := t.TempDir()
	p := image.NewRGBA(image.Rect(0, 0, 300, 300))
	for y := range 300 {
		for x := range 300 {
			p.SetRGBA(x, y, color.RGBA{uint8(200 * x / 300), 90, 30, 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	write(t, folder+"/a.png", b.Bytes())
	b.Reset()
	if err := jpeg.Encode(&b, p, nil); err != nil {
		t.Fatal(err)
	}
	write(t, folder+"/a.jpg", b.Bytes())
	write(t, folder+"/broken.jpg", b.Bytes()[:200])
	plainColour := matrixFor(720).of(backdropColour)
	for name, shows := range map[string]bool{"a.png": true, "a.jpg": true, "broken.jpg": false, "none.png": false} {
		c, pool := newComposer(t)
		v := newCanvas(t, c, 1280, 720)
		s := scene(control.View{Screen: "welcome", Background: filepath.Join(folder, name)}, 0, nil)
		v.Draw(s, shown{})
		c.backgrounds.done.Wait()
		if changed := v.Draw(s, shown{}); changed != shows {
			t.Errorf("%s: want the picture to change %v when the file has been read, got %v", name, shows, changed)
		}
		if got := v.Frame().at(1100, 100); (got != plainColour) != shows {
			t.Errorf("%s: want to be shown %v, got %v", name, shows, got)
		}
		mapped := pool.Bytes()
		other := newCanvas(t, c, 1280, 720)
		other.Draw(s, shown{})
		if shows && pool.Bytes() > mapped+int64(len(other.frame.Y)+2*len(other.frame.U)) {
			t.Errorf("%s: want a second canvas to share the background", name)
		}
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBackgroundsAreForgotten(t *testing.T) {
	c, pool := newComposer(t)
	folder := t.TempDir()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxBackgrounds {
		path := fmt.Sprintf("%s/%d.png", folder, i)
		write(t, path, b.Bytes())
		c.backgrounds.get(path, 64, 64)
		c.backgrounds.done.Wait()
	}
	one := plain(t, pool, 64, 64, yuv{})
	if n := len(c.backgrounds.known); n != maxBackgrounds || pool.Bytes() > int64(len(one.Y)+2*len(one.U))*(maxBackgrounds+2) {
		t.Errorf("want %d backgrounds and their memory, got %d and %d bytes", maxBackgrounds, n, pool.Bytes())
	}
}

func FuzzBackground(f *testing.F) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 9, 7))); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	// A header that promises 60,000 × 60,000 pixels.
	huge := bytes.Clone(b.Bytes())
	copy(huge[16:], []byte{0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60})
	f.Add(huge)
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := decodeBackground(data, 32, 18); err == nil && (p.Rect.Dx() != 32 || p.Rect.Dy() != 18) {
			t.Errorf("want 32 × 18, got %v", p.Rect)
		}
	})
}

func TestNothingReachesOutsideOfAFrame(t *testing.T) {
	_, pool := newComposer(t)
	dst, src := plain(t, pool, 64, 48, yuv{50, 60, 70}), plain(t, pool, 64, 48, yuv{90, 100, 110})
	random := rand.New(rand.NewPCG(5, 6))
	box := func() layout.Rect {
		return layout.Rect{X: random.IntN(200) - 100, Y: random.IntN(200) - 100, W: random.IntN(200) - 20, H: random.IntN(200) - 20}
	}
	s := newSprite(newDrawing(31, 15).RGBA, &bt709)
	for range 2000 {
		a, b := box(), box()
		stretch(dst, a, src, b)
		dst.paint(a, yuv{1, 2, 3})
		dst.lay(s, a.X&^1, a.Y&^1, b)
	}
}

func benchmarkDraw(b *testing.B, view control.View, people, fresh int) {
	c, pool := newComposer(b)
	v := newCanvas(b, c, 1280, 720)
	view.Labels = true
	s := scene(view, people, nil)
	frames, list := benchFrames(b, pool, people, 1280, 720)
	v.Draw(s, frames)
	b.ReportAllocs()
	before := busy(b)
	n := 0
	for ; b.Loop(); n++ {
		// The next few have a new frame, as if their cameras were slower than the canvas.
		for i := range fresh {
			renew(list[(n*fresh+i)%people : (n*fresh+i)%people+1])
		}
		v.Draw(s, frames)
	}
	b.ReportMetric(float64((busy(b)-before).Microseconds())/float64(n), "cpu-µs/op")
}

// busy is the processor time of this process: unlike the clock it leaves out what else the machine does.
func busy(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkDrawNinths(b *testing.B) {
	benchmarkDraw(b, control.View{Layout: layout.AllEqualNinths}, 9, 9)
}
func BenchmarkDrawOnePlusSeven(b *testing.B) {
	benchmarkDraw(b, control.View{Layout: layout.OnePlusSeven}, 8, 8)
}
func BenchmarkDrawTwentyFifths(b *testing.B) {
	benchmarkDraw(b, control.View{Layout: layout.AllEqualTwentyFifths}, 25, 25)
}
func BenchmarkDrawTwentyFifthsHalfRate(b *testing.B) {
	benchmarkDraw(b, control.View{Layout: layout.AllEqualTwentyFifths}, 25, 12)
}
func BenchmarkDrawSixteenths(b *testing.B) {
	benchmarkDraw(b, control.View{Layout: layout.AllEqualSixteenths}, 16, 16)
}
func BenchmarkDrawNothingNew(b *testing.B) {
	benchmarkDraw(b, control.View{Layout: layout.AllEqualTwentyFifths}, 25, 0)
}

// A scene that changes with each draw: two speakers take turns.
func BenchmarkDrawNewScene(b *testing.B) {
	c, pool := newComposer(b)
	v := newCanvas(b, c, 1280, 720)
	view := control.View{Layout: layout.AllEqualNinths, Labels: true}
	scenes := [2]*layout.Scene{scene(view, 9, func(r *layout.Room) { r.Speakers = []uint32{1} }), scene(view, 9, func(r *layout.Room) { r.Speakers = []uint32{2} })}
	frames, _ := benchFrames(b, pool, 9, 1280, 720)
	for n := 0; b.Loop(); n++ {
		v.Draw(scenes[n%2], frames)
	}
}

func TestASmallerCopyOfACanvasFollowsIt(t *testing.T) {
	c, pool := newComposer(t)
	v := newCanvas(t, c, 640, 360)
	s := &layout.Scene{Look: layout.Look{Width: 640, Height: 360}, Panes: []layout.Pane{{Rect: layout.Rect{W: 640, H: 360}, Source: 1}}}
	dark, light := textured(t, pool, 640, 360, 0), textured(t, pool, 640, 360, 0)
	for i := range light.Y {
		dark.Y[i], light.Y[i] = 50, 200
	}
	for _, f := range []*Frame{dark, light} {
		v.Draw(s, shown{1: f})
		half, _ := v.Frame().Smaller(1, pool)
		if got, want := half.Y[half.StrideY*half.Height/2+half.Width/2], f.Y[0]; got != want {
			t.Errorf("the middle of the copy: got %d, want %d", got, want)
		}
	}
}

func TestATileThatManyShowIsScaledOnce(t *testing.T) {
	c, pool := newComposer(t)
	f := textured(t, pool, 1280, 720, 3)
	s := &layout.Scene{Look: layout.Look{Width: 640, Height: 360}, Panes: []layout.Pane{{Rect: layout.Rect{X: 2, Y: 2, W: 426, H: 240}, Source: 1}}}
	var all []*Canvas
	for range 4 {
		v := newCanvas(t, c, 640, 360)
		v.Draw(s, shown{1: f})
		all = append(all, v)
	}
	for i, v := range all[1:] {
		if ssim := SSIM(v.Frame(), all[0].Frame()); ssim != 1 {
			t.Errorf("composition %d differs from the first one: SSIM %v, want 1", i+1, ssim)
		}
	}
	if f.smaller.tiles[0].copy == nil || f.smaller.count != 1 {
		t.Errorf("%d tiles are kept, want one", f.smaller.count)
	}
}

// BenchmarkPersonal is a beat of nine compositions of nine new frames, each without one of them.
func BenchmarkPersonal(b *testing.B) {
	c, pool := newComposer(b)
	frames, list := benchFrames(b, pool, 9, 1280, 720)
	var canvases []*Canvas
	var scenes []*layout.Scene
	for viewer := range 9 {
		canvases = append(canvases, newCanvas(b, c, 1280, 720))
		s := &layout.Scene{Look: layout.Look{Width: 1280, Height: 720}}
		for i, n := 0, 0; i < 9; i++ {
			if i != viewer {
				s.Panes = append(s.Panes, layout.Pane{Rect: layout.Rect{X: n % 3 * 426, Y: n / 3 * 240, W: 426, H: 240}, Source: uint32(i + 1)})
				n++
			}
		}
		scenes = append(scenes, s)
	}
	for b.Loop() {
		renew(list)
		for i, v := range canvases {
			v.Draw(scenes[i], frames)
		}
	}
}
