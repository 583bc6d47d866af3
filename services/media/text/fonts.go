package text

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/font/opentype/tables"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/sys/unix"
)

// Limits of what is taken from a folder.
const (
	maxFonts    = 64
	maxFontSize = 32 << 20
)

// Fonts is a set of font files, the preferred ones first, and the texts lately drawn with them. It may be used by several
// goroutines at a time.
type Fonts struct {
	mu    sync.Mutex
	files []*file
	draw  drawer
	cache cache
}

// file is one font.
type file struct {
	name string
	data []byte // the mapped file
	has  []span // the characters it has, in order
	// Made when first needed.
	face    *font.Face
	outline *sfnt.Font
	broken  bool
}

// span is a range of characters, both ends included.
type span struct{ low, high rune }

// Open maps the TrueType and OpenType files in a folder and below it. Upright fonts of normal weight are taken, those
// without serifs first. It is an error if there are none.
func Open(folder string) (*Fonts, error) {
	var paths []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ext := strings.ToLower(filepath.Ext(path)); !d.IsDir() && (ext == ".ttf" || ext == ".otf") && preference(path) >= 0 {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list fonts: %w", err)
	}
	sort.SliceStable(paths, func(i, j int) bool {
		a, b := preference(paths[i]), preference(paths[j])
		if a != b {
			return a < b
		}
		return filepath.Base(paths[i]) < filepath.Base(paths[j])
	})
	f := &Fonts{}
	var broken error
	for _, path := range paths[:min(len(paths), maxFonts)] {
		one, err := open(path)
		if err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		f.files = append(f.files, one)
	}
	if len(f.files) == 0 {
		return nil, errors.Join(fmt.Errorf("no font in %s", folder), broken)
	}
	// The first font gives line heights and the ellipsis, so that it has to work.
	if f.files[0].load(); f.files[0].broken {
		f.Close()
		return nil, fmt.Errorf("read font %s: no usable tables", f.files[0].name)
	}
	return f, nil
}

// Close unmaps the files; nothing may be drawn afterwards.
func (f *Fonts) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	for _, one := range f.files {
		err = errors.Join(err, unix.Munmap(one.data))
	}
	f.files = nil
	return err
}

// preference sorts fonts by name; -1 is not used at all.
func preference(path string) int {
	name := strings.ToLower(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
	for _, word := range []string{"bold", "italic", "oblique", "light", "thin", "medium", "black", "condensed", "mono", "slanted",
		"display", "math", "rashi", "kufi", "unjoined"} {
		if strings.Contains(name, word) {
			return -1
		}
	}
	switch {
	case name == "notosans-regular" || name == "notosans":
		return 0
	case strings.HasPrefix(name, "notosanssymbols"):
		return 6
	case strings.HasPrefix(name, "notosans"):
		return 1
	case name == "dejavusans":
		return 2
	case strings.Contains(name, "fallback"):
		return 4 // has all of Han
	case strings.HasPrefix(name, "nanum"):
		return 5 // has all of Hangul, and lists Han characters that are blank
	case strings.Contains(name, "serif"):
		return 7
	}
	return 3
}

func open(path string) (*file, error) {
	h, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open font: %w", err)
	}
	defer h.Close()
	st, err := h.Stat()
	if err != nil {
		return nil, fmt.Errorf("open font: %w", err)
	}
	if st.Size() < 12 || st.Size() > maxFontSize {
		return nil, fmt.Errorf("font %s of %d bytes: want at most %d", path, st.Size(), maxFontSize)
	}
	data, err := unix.Mmap(int(h.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map font %s: %w", path, err)
	}
	f := &file{name: filepath.Base(path), data: data}
	if err := f.index(); err != nil {
		unix.Munmap(data)
		return nil, fmt.Errorf("read font %s: %w", path, err)
	}
	return f, nil
}

// index notes which characters the font has.
func (f *file) index() error {
	l, err := opentype.NewLoader(bytes.NewReader(f.data))
	if err != nil {
		return err
	}
	raw, err := l.RawTable(opentype.MustNewTag("cmap"))
	if err != nil {
		return err
	}
	table, _, err := tables.ParseCmap(raw)
	if err != nil {
		return err
	}
	cmap, _, err := font.ProcessCmap(table, 0)
	if err != nil {
		return err
	}
	for it := cmap.Iter(); it.Next(); {
		r, glyph := it.Char()
		if glyph == 0 {
			continue
		}
		if n := len(f.has); n > 0 && f.has[n-1].high+1 == r {
			f.has[n-1].high = r
		} else {
			f.has = append(f.has, span{r, r})
		}
	}
	slices.SortFunc(f.has, func(a, b span) int { return int(a.low - b.low) })
	f.has = slices.Clip(f.has)
	return nil
}

func (f *file) covers(r rune) bool {
	i := sort.Search(len(f.has), func(i int) bool { return f.has[i].high >= r })
	return i < len(f.has) && f.has[i].low <= r
}

// load reads the tables for shaping.
func (f *file) load() {
	if f.face != nil || f.broken {
		return
	}
	f.broken = true
	outline, err := sfnt.Parse(f.data)
	if err != nil {
		return
	}
	l, err := opentype.NewLoader(trimmed(f.data))
	if err != nil {
		return
	}
	shapes, err := font.NewFont(l)
	if err != nil {
		return
	}
	f.face, f.outline, f.broken = font.NewFace(shapes), outline, false
}

// trimmed is a font file that seems to have only the tables needed to place letters: the names of the others are blotted
// out in a copy of the directory, which makes the reader pass over them.
func trimmed(data []byte) *overlaid {
	const record = 16
	n := 12 + record*int(binary.BigEndian.Uint16(data[4:]))
	head := slices.Clone(data[:min(n, len(data))])
	for at := 12; at+record <= len(head); at += record {
		switch string(head[at : at+4]) {
		case "glyf", "loca", "CFF ", "post", "name", "gvar", "fvar", "avar", "SVG ", "COLR", "CPAL", "vhea", "vmtx", "VORG":
			copy(head[at:], "----")
		}
	}
	return &overlaid{bytes.NewReader(data), head}
}

// overlaid is a file with other bytes at its beginning.
type overlaid struct {
	*bytes.Reader
	head []byte
}

func (o *overlaid) Read(b []byte) (int, error) {
	at := o.Size() - int64(o.Len())
	n, err := o.Reader.Read(b)
	o.lay(b[:n], at)
	return n, err
}

func (o *overlaid) ReadAt(b []byte, at int64) (int, error) {
	n, err := o.Reader.ReadAt(b, at)
	o.lay(b[:n], at)
	return n, err
}

func (o *overlaid) lay(b []byte, at int64) {
	if at >= 0 && at < int64(len(o.head)) {
		copy(b, o.head[at:])
	}
}
