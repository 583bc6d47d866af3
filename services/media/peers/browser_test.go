package peers

import (
	_ "embed"
	"net/http"
	"net/http/httptest"
	"testing"

	"rotunda/services/chromium"
)

//go:embed browser_test.html
var browserPage []byte

// browser shows the page of these tests.
type browser struct {
	*testing.T
	chromium *chromium.Browser
	pages    *httptest.Server
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	b := &browser{T: t, chromium: chromium.Start(t, chromium.WebRTC...), pages: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(browserPage)
	}))}
	t.Cleanup(b.pages.Close)
	return b
}

// tab is one page.
type tab struct {
	*testing.T
	page *chromium.Tab
}

// open opens the page of these tests.
func (b *browser) open() *tab {
	b.Helper()
	t := &tab{b.T, b.chromium.Open(b.pages.URL)}
	until(b.T, "the page is there", func() bool { return eval[bool](t, "typeof call == 'function'") })
	return t
}

// eval evaluates an expression in the page, and waits for it if it is a promise.
func eval[V any](t *tab, format string, args ...any) V {
	t.Helper()
	return chromium.Eval[V](t.page, format, args...)
}

// at is the colour at a point of what comes with a MID; black while nothing comes.
func (t *tab) at(mid string, x, y float64) colour {
	t.Helper()
	c := eval[[]float64](t, "look(%v, %v, %v)", mid, x, y)
	r, g, b := c[0], c[1], c[2]
	return colour{byte(16 + 0.257*r + 0.504*g + 0.098*b), byte(128 - 0.148*r - 0.291*g + 0.439*b), byte(128 + 0.439*r - 0.368*g - 0.071*b)}
}

func (t *tab) sees(mid string, x, y float64, want colour) bool {
	t.Helper()
	return alike(t.at(mid, x, y), want)
}

// hears tells whether a tone is the loudest thing that is heard.
func (t *tab) hears(frequency float64) bool {
	t.Helper()
	heard := eval[struct{ Frequency, Level float64 }](t, "hear()")
	return heard.Level > -60 && heard.Frequency > frequency-60 && heard.Frequency < frequency+60
}

// figure is one object of getStats.
type figure map[string]any

// figures are those of a type, and of a kind where that is not empty.
func (t *tab) figures(kind, media string) (list []figure) {
	t.Helper()
	for _, f := range eval[[]figure](t, "figures()") {
		if f["type"] == kind && (media == "" || f["kind"] == media) {
			list = append(list, f)
		}
	}
	return list
}

func (f figure) number(name string) float64 {
	v, _ := f[name].(float64)
	return v
}
