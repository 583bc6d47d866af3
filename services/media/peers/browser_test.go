package peers

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/websocket"
)

//go:embed browser_test.html
var browserPage []byte

// browser is Debian's Chromium without a window, driven by its DevTools protocol.
type browser struct {
	*testing.T
	address string // of its DevTools
	pages   *httptest.Server
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	need(t, "chromium")
	folder := t.TempDir()
	c := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required",
		"--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
		// Addresses as they are, and those of this machine: a page of a meeting gets them with the permission for the camera.
		"--disable-features=WebRtcHideLocalIpsWithMdns", "--allow-loopback-in-peer-connection",
		"--remote-debugging-port=0", "--remote-allow-origins=*", "--user-data-dir="+folder, "about:blank")
	said := &lines{}
	c.Stderr = said
	// It starts many processes; they all end with their group.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		_ = c.Wait()
		if t.Failed() {
			t.Logf("chromium says\n%s", said)
		}
	})
	b := &browser{T: t, pages: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(browserPage)
	}))}
	t.Cleanup(b.pages.Close)
	until(t, "chromium has started", func() bool {
		port, err := os.ReadFile(filepath.Join(folder, "DevToolsActivePort"))
		first, _, ok := strings.Cut(string(port), "\n")
		b.address = "127.0.0.1:" + first
		return err == nil && ok
	})
	return b
}

// tab is one page.
type tab struct {
	*testing.T
	socket *websocket.Conn

	mu      sync.Mutex
	last    int
	answers map[int]chan answer
}

type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// open opens the page of these tests.
func (b *browser) open() *tab {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPut, "http://"+b.address+"/json/new?"+b.pages.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	var target struct {
		Socket string `json:"webSocketDebuggerUrl"`
	}
	if err := json.Unmarshal(body, &target); err != nil {
		b.Fatalf("%v: %s", err, body)
	}
	t := &tab{T: b.T, answers: map[int]chan answer{}}
	if t.socket, err = websocket.Dial(target.Socket, "", b.pages.URL); err != nil {
		b.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(t.read)
	b.Cleanup(func() {
		t.socket.Close()
		wait.Wait()
	})
	until(b.T, "the page is there", func() bool { return eval[bool](t, "typeof call == 'function'") })
	return t
}

func (t *tab) read() {
	for {
		var a answer
		if err := websocket.JSON.Receive(t.socket, &a); err != nil {
			return
		}
		t.mu.Lock()
		to := t.answers[a.ID]
		delete(t.answers, a.ID)
		t.mu.Unlock()
		if to != nil {
			to <- a
		}
	}
}

// eval evaluates an expression in the page, and waits for it if it is a promise.
func eval[V any](t *tab, format string, args ...any) (value V) {
	t.Helper()
	for i, a := range args {
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		args[i] = string(b)
	}
	expression := fmt.Sprintf(format, args...)
	t.mu.Lock()
	t.last++
	id, ready := t.last, make(chan answer, 1)
	t.answers[id] = ready
	t.mu.Unlock()
	if err := websocket.JSON.Send(t.socket, map[string]any{"id": id, "method": "Runtime.evaluate",
		"params": map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}}); err != nil {
		t.Fatal(err)
	}
	var a answer
	select {
	case a = <-ready:
	case <-t.Context().Done():
		t.Fatal("the test is over")
	}
	var result struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	if a.Error != nil {
		t.Fatalf("%.80s: %s", expression, a.Error.Message)
	}
	if err := json.Unmarshal(a.Result, &result); err != nil {
		t.Fatal(err)
	}
	if x := result.Exception; x != nil {
		t.Fatalf("%.80s: %s %s", expression, x.Text, x.Exception.Description)
	}
	if len(result.Result.Value) > 0 {
		if err := json.Unmarshal(result.Result.Value, &value); err != nil {
			t.Fatalf("%.80s: %v: %s", expression, err, result.Result.Value)
		}
	}
	return value
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
