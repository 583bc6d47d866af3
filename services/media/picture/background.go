package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"os"
	"sync"
	"sync/atomic"

	xdraw "golang.org/x/image/draw"
)

// Limits of a background file: what a camera makes, and no more. The least side keeps a picture of one pixel from being
// taken for one.
const (
	maxBackgroundFile = 16 << 20
	maxBackgroundArea = 40 << 20 // pixels
	// As many backgrounds are kept as there may be different ones in use; each costs one frame.
	maxBackgrounds = 32
)

// background is one file at one size.
type background struct {
	ready atomic.Bool // there is a frame to take
	// Guarded by the lock of backgrounds.
	frame   *Frame
	dropped bool
	used    uint64 // when it was last asked for, in calls
}

type backgroundKey struct {
	path          string
	changed       int64 // a file that was replaced is another one
	width, height int
}

// backgrounds reads files without keeping a tick waiting.
type backgrounds struct {
	pool *Pool
	fail func(error)

	mu      sync.Mutex
	known   map[backgroundKey]*background
	calls   uint64
	reading chan struct{} // one file at a time
	done    sync.WaitGroup
	closed  bool
}

func newBackgrounds(pool *Pool, fail func(error)) *backgrounds {
	return &backgrounds{pool: pool, fail: fail, known: map[backgroundKey]*background{}, reading: make(chan struct{}, 1)}
}

// get returns a background that is ready now or will be. It is never nil.
func (b *backgrounds) get(path string, width, height int) *background {
	k := backgroundKey{path, 0, width, height}
	if st, err := os.Stat(path); err == nil {
		k.changed = st.ModTime().UnixNano()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if one := b.known[k]; one != nil {
		one.used = b.calls
		return one
	}
	one := &background{used: b.calls}
	if b.closed {
		return one
	}
	if len(b.known) >= maxBackgrounds {
		b.forget()
	}
	b.known[k] = one
	b.done.Go(func() {
		b.reading <- struct{}{}
		defer func() { <-b.reading }()
		frame, err := readBackground(b.pool, path, width, height)
		if err != nil {
			b.fail(err)
			return
		}
		b.put(one, frame)
	})
	return one
}

func (b *backgrounds) put(one *background, frame *Frame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one.dropped {
		frame.Release()
		return
	}
	one.frame = frame
	one.ready.Store(true)
}

// take returns the frame with one more holder, nil if there is none.
func (b *backgrounds) take(one *background) *Frame {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one.frame == nil {
		return nil
	}
	return one.frame.Retain()
}

// forget drops the one that nobody has asked for for longest; canvases that show it hold its frame.
func (b *backgrounds) forget() {
	var oldest backgroundKey
	for k, one := range b.known {
		if o := b.known[oldest]; o == nil || one.used < o.used {
			oldest = k
		}
	}
	b.drop(oldest)
}

func (b *backgrounds) drop(k backgroundKey) {
	one := b.known[k]
	one.dropped = true
	if one.frame != nil {
		one.frame.Release()
		one.frame = nil
	}
	delete(b.known, k)
}

func (b *backgrounds) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.done.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for k := range b.known {
		b.drop(k)
	}
}

// readBackground reads a JPEG or PNG and fills a frame with it; what does not fit the sides is cut off.
func readBackground(pool *Pool, path string, width, height int) (*Frame, error) {
	h, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open background: %w", err)
	}
	defer h.Close()
	data, err := io.ReadAll(io.LimitReader(h, maxBackgroundFile+1))
	if err != nil {
		return nil, fmt.Errorf("read background %s: %w", path, err)
	}
	if len(data) > maxBackgroundFile {
		return nil, fmt.Errorf("background %s: more than %d bytes", path, maxBackgroundFile)
	}
	rgba, err := decodeBackground(data, width, height)
	if err != nil {
		return nil, fmt.Errorf("background %s: %w", path, err)
	}
	f, err := pool.Get(width, height)
	if err != nil {
		return nil, err
	}
	f.lay(newSprite(rgba, matrixFor(height)), 0, 0, f.all())
	return f, nil
}

// decodeBackground is the part that looks at foreign bytes.
func decodeBackground(data []byte, width, height int) (*image.RGBA, error) {
	c, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > maxBackgroundArea/c.Height {
		return nil, fmt.Errorf("picture of %d × %d: want at most %d pixels", c.Width, c.Height, maxBackgroundArea)
	}
	p, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	from := p.Bounds()
	if w, h := from.Dx()*height, from.Dy()*width; w > h {
		from = image.Rect(0, 0, max(from.Dy()*width/height, 1), from.Dy()).Add(from.Min).Add(image.Pt((from.Dx()-from.Dy()*width/height)/2, 0))
	} else if h > w {
		from = image.Rect(0, 0, from.Dx(), max(from.Dx()*height/width, 1)).Add(from.Min).Add(image.Pt(0, (from.Dy()-from.Dx()*height/width)/2))
	}
	rgba := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(rgba, rgba.Rect, image.NewUniform(backdropColour), image.Point{}, draw.Src) // behind what is transparent
	xdraw.CatmullRom.Scale(rgba, rgba.Rect, p, from, draw.Over, nil)
	return rgba, nil
}
