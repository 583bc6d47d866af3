package text

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// The folder of the image; on a developer's machine whatever is installed.
func openFonts(t testing.TB) *Fonts {
	t.Helper()
	for _, folder := range []string{os.Getenv("ROTUNDA_FONTS"), "/usr/share/fonts/rotunda", "/usr/share/fonts"} {
		if folder == "" {
			continue
		}
		if f, err := Open(folder); err == nil {
			t.Cleanup(func() { f.Close() })
			return f
		}
	}
	t.Skip("no fonts are installed: install fonts-dejavu-core, fonts-noto-core, fonts-droid-fallback, fonts-nanum")
	return nil
}

// has skips a test whose letters no font of this machine has.
func (f *Fonts) has(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		found := false
		for _, one := range f.files {
			found = found || one.covers(r)
		}
		if !found {
			t.Skipf("no installed font has %q", r)
		}
	}
}

func (b *Bitmap) ink() int {
	n := 0
	for _, a := range b.Alpha {
		n += int(a)
	}
	return n / 255
}

// columns returns the first and the last column with ink.
func (b *Bitmap) columns() (first, last int) {
	first, last = b.Width, -1
	for i, a := range b.Alpha {
		if a > 0 {
			first, last = min(first, i%b.Width), max(last, i%b.Width)
		}
	}
	return first, last
}

func TestLettersOfAllScriptsAreDrawn(t *testing.T) {
	f := openFonts(t)
	for script, s := range map[string]string{
		"Latin": "Grüße", "Greek": "Ελλάδα", "Cyrillic": "Привет", "Arabic": "سلام", "Hebrew": "שלום", "Devanagari": "नमस्ते",
		"Thai": "สวัสดี", "Han": "会议", "kana": "カナ", "Hangul": "회의", "Armenian": "Հայ", "Georgian": "ქართული", "Tamil": "தமிழ்",
	} {
		t.Run(script, func(t *testing.T) {
			f.has(t, s)
			b := f.Render(s, Style{Size: 32})
			n := utf8.RuneCountInString(s)
			if b.ink() < 20*n || b.Width < 8*n/2 || b.Height < 32 || len(b.Alpha) != b.Width*b.Height {
				t.Errorf("want %d letters of 32 pixels, got %d pixels of ink on %d × %d", n, b.ink(), b.Width, b.Height)
			}
			if f.isBox(s) {
				t.Error("want letters, got the empty boxes of a missing font")
			}
		})
	}
}

// isBox tells whether a text looks like as many private letters, which no font has.
func (f *Fonts) isBox(s string) bool {
	a := f.Render(s, Style{Size: 32})
	b := f.Render(strings.Repeat("\U0001F1E9", utf8.RuneCountInString(s)), Style{Size: 32})
	return a.Width == b.Width && string(a.Alpha) == string(b.Alpha)
}

func TestArabicLettersJoin(t *testing.T) {
	f := openFonts(t)
	f.has(t, "بيت")
	joined := f.Render("بيت", Style{Size: 64})
	apart := 0
	for _, r := range "بيت" {
		apart += f.Render(string(r), Style{Size: 64}).Width - 2*margin
	}
	if joined.Width >= apart*9/10 {
		t.Errorf("want joined letters to be narrower than their isolated forms of %d pixels, got %d", apart, joined.Width)
	}
	// Letters that join leave no empty column between the first and the last one of the base line's stroke.
	first, last := joined.columns()
	for x := first; x <= last; x++ {
		empty := true
		for y := range joined.Height {
			empty = empty && joined.Alpha[y*joined.Width+x] == 0
		}
		if empty {
			t.Fatalf("want one connected word from column %d to %d, got a gap at %d", first, last, x)
		}
	}
}

func TestReadingBeginsAtTheSideOfTheScript(t *testing.T) {
	f := openFonts(t)
	// A letter and dots, which take the direction of the letter.
	for s, want := range map[string]string{"ש....": "right", "س....": "right", "M....": "left"} {
		f.has(t, s)
		b := f.Render(s, Style{Size: 64})
		left, right := 0, 0
		for i, a := range b.Alpha {
			if i%b.Width < b.Width/2 {
				left += int(a)
			} else {
				right += int(a)
			}
		}
		if got := map[bool]string{true: "right", false: "left"}[right > left]; got != want {
			t.Errorf("%q: want the letter at the %s, got %d of ink at the left and %d at the right", s, want, left/255, right/255)
		}
	}
}

func TestTextFitsItsWidth(t *testing.T) {
	f := openFonts(t)
	for _, s := range []string{"A name that is much too long for a pane", "هذا اسم طويل جدا لا يمكن أن يتسع", "一个非常长的名字放不进小窗口里面", "WWWWWWWWWWWWWWWWWWWW", "i"} {
		for _, width := range []int{20, 60, 200} {
			for _, lines := range []int{1, 3} {
				b := f.Render(s, Style{Size: 20, MaxWidth: width, Lines: lines})
				if b.Width > width {
					t.Errorf("%q in %d pixels and %d lines: got %d pixels", s, width, lines, b.Width)
				}
				if one := f.Render("x", Style{Size: 20}); b.Height > (one.Height*3/2)*lines {
					t.Errorf("%q: want at most %d lines, got %d pixels", s, lines, b.Height)
				}
			}
		}
	}
	cut, all := f.Render("A name that is too long", Style{Size: 20, MaxWidth: 100}), f.Render("A name that is too long", Style{Size: 20})
	if cut.Width < 80 || cut.Width >= all.Width {
		t.Errorf("want as much as fits into 100 pixels, got %d of %d", cut.Width, all.Width)
	}
	if wrapped := f.Render("one two three four five six", Style{Size: 20, MaxWidth: 100, Lines: 5}); wrapped.Height < 2*f.Render("x", Style{Size: 20}).Height {
		t.Errorf("want several lines, got a height of %d", wrapped.Height)
	}
}

func TestHostileTextIsTamed(t *testing.T) {
	for in, want := range map[string]string{
		"a\x00b\x1b[31mc":                       "ab[31mc",
		"user\u202etxt.exe":                     "usertxt.exe",
		"  a \t\r\n  b  ":                       "a b",
		"e\u0301\u0301\u0301\u0301\u0301\u0301": "e\u0301\u0301\u0301\u0301",
		"\xff\xfe":                              "\ufffd\ufffd",
		"a\u2066b\u2069\ufeffc\u00adde":         "abcde",
		"नि\u200dक":                             "नि\u200dक",
		"\ue000\U0010ffff":                      "",
	} {
		if got := string(clean(nil, in, MaxRunes, false)); got != want {
			t.Errorf("%q: want %q, got %q", in, want, got)
		}
	}
	if got := string(clean(nil, "a\r\nb\n", MaxRunes, true)); got != "a\nb" {
		t.Errorf("want line ends to be kept in a message, got %q", got)
	}
	f := openFonts(t)
	for _, s := range []string{strings.Repeat("x", 10<<20), strings.Repeat("\u0301", 1<<20), strings.Repeat("\x00", 1<<20), strings.Repeat("\n", 1<<20),
		strings.Repeat("﷽", 5000)} {
		b := f.Render(s, Style{Size: 1 << 20, MaxWidth: 1 << 30, Lines: 1 << 20})
		if b.Width > MaxSide || b.Height > MaxSide {
			t.Errorf("want at most %d pixels each way, got %d × %d", MaxSide, b.Width, b.Height)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	f := openFonts(t)
	style := Style{Size: 20}
	a := f.Render("one", style)
	if b := f.Render("one", style); a != b {
		t.Error("want the bitmap of before, got another one")
	}
	for i := range 3 * cacheTexts {
		f.Render(strings.Repeat("n", i%7)+string(rune('a'+i%26))+string(rune(0x4e00+i)), Style{Size: 8 + i%40})
	}
	if n := f.cache.order.Len(); n > cacheTexts || n != len(f.cache.found) || f.cache.bytes > cacheBytes || f.cache.bytes <= 0 {
		t.Errorf("want at most %d texts and %d bytes, got %d (%d found) and %d", cacheTexts, cacheBytes, n, len(f.cache.found), f.cache.bytes)
	}
	if b := f.Render("one", style); a == b {
		t.Error("want what was used longest ago to be dropped, got it back")
	}
	if n := testing.AllocsPerRun(100, func() { f.Render("one", style) }); n > 0 {
		t.Errorf("want a known text without allocation, got %v", n)
	}
}

func TestFolderWithoutFonts(t *testing.T) {
	folder := t.TempDir()
	if _, err := Open(folder); err == nil {
		t.Error("want an error for an empty folder, got none")
	}
	if err := os.WriteFile(folder+"/NotoSans-Regular.ttf", []byte("this is not a font, though it is named like one"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder); err == nil || !strings.Contains(err.Error(), "NotoSans-Regular.ttf") {
		t.Errorf("want an error that names the broken file, got %v", err)
	}
	if _, err := Open(folder + "/none"); err == nil {
		t.Error("want an error for a missing folder, got none")
	}
}

func FuzzRender(f *testing.F) {
	fonts := openFonts(f)
	f.Add("Ada Lovelace", 20, 100, 1)
	f.Add("مرحبا 123 (abc)\nनमस्ते", 30, 50, 3)
	f.Add("e\u0301\u0302\u200d\u202e\xff", 256, 4096, 32)
	f.Fuzz(func(t *testing.T, s string, size, width, lines int) {
		b := fonts.Render(s, Style{Size: size, MaxWidth: width, Lines: lines, Centred: size%2 == 0})
		if b.Width > MaxSide || b.Height > MaxSide || len(b.Alpha) != b.Width*b.Height || width > 0 && b.Width > width {
			t.Errorf("%q: %d × %d with %d bytes in a width of %d", s, b.Width, b.Height, len(b.Alpha), width)
		}
	})
}

func BenchmarkRenderNew(b *testing.B) {
	f := openFonts(b)
	for b.Loop() {
		f.mu.Lock()
		f.render("Grace Hopper (Conference Room)", Style{Size: 24, MaxWidth: 300, Lines: 1})
		f.mu.Unlock()
	}
}

func BenchmarkRenderKnown(b *testing.B) {
	f := openFonts(b)
	for b.Loop() {
		f.Render("Grace Hopper (Conference Room)", Style{Size: 24, MaxWidth: 300})
	}
}
