// Package chromium drives Debian's Chromium in tests, without a window, by its DevTools protocol: real pages and real WebRTC, with no
// other program in between. A browser and everything that it started end with the test.
package chromium

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// patience is how long anything may take on a slow machine.
const patience = 30 * time.Second

// Browser is one running Chromium.
type Browser struct {
	t       testing.TB
	address string // of its DevTools
}

// Start starts a browser with further flags. Without Chromium the test is skipped.
func Start(t testing.TB, flags ...string) *Browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	folder := t.TempDir()
	c := exec.Command(program, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--autoplay-policy=no-user-gesture-required", "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
		"--disable-backgrounding-occluded-windows", "--remote-debugging-port=0", "--remote-allow-origins=*", "--user-data-dir=" + folder},
		append(flags, "about:blank")...)...)
	said := &output{}
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
	b := &Browser{t: t}
	Until(t, "chromium has started", func() bool {
		port, err := os.ReadFile(filepath.Join(folder, "DevToolsActivePort"))
		first, _, ok := strings.Cut(string(port), "\n")
		b.address = "127.0.0.1:" + first
		return err == nil && ok
	})
	return b
}

// WebRTC are flags that let a page have this machine's own addresses, as one of a meeting has with the permission for the camera.
var WebRTC = []string{"--disable-features=WebRtcHideLocalIpsWithMdns", "--allow-loopback-in-peer-connection"}

// output is what the browser says, for a test that fails.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Tab is one page.
type Tab struct {
	t      testing.TB
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

// Open opens an address in a tab of its own.
func (b *Browser) Open(address string) *Tab {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+b.address+"/json/new?"+address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	var target struct {
		Socket string `json:"webSocketDebuggerUrl"`
	}
	if err := json.Unmarshal(body, &target); err != nil {
		b.t.Fatalf("%v: %s", err, body)
	}
	t := &Tab{t: b.t, answers: map[int]chan answer{}}
	if t.socket, err = websocket.Dial(target.Socket, "", "http://"+b.address); err != nil {
		b.t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(t.read)
	b.t.Cleanup(func() {
		t.socket.Close()
		wait.Wait()
	})
	return t
}

func (t *Tab) read() {
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

// Command calls a method of the DevTools protocol, such as "Page.navigate".
func (t *Tab) Command(method string, params map[string]any) json.RawMessage {
	t.t.Helper()
	a, ok := t.ask(method, params)
	if !ok {
		t.t.Fatalf("%s: the test is over", method)
	}
	if a.Error != nil {
		t.t.Fatalf("%s: %s", method, a.Error.Message)
	}
	return a.Result
}

// Eval evaluates an expression in the page, and waits for it if it is a promise. The arguments go into the format's verbs as
// JSON.
func Eval[V any](t *Tab, format string, args ...any) (value V) {
	t.t.Helper()
	for i, a := range args {
		b, err := json.Marshal(a)
		if err != nil {
			t.t.Fatal(err)
		}
		args[i] = string(b)
	}
	expression := fmt.Sprintf(format, args...)
	b := t.Command("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true})
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
	if err := json.Unmarshal(b, &result); err != nil {
		t.t.Fatal(err)
	}
	if x := result.Exception; x != nil {
		t.t.Fatalf("%.80s: %s %s", expression, x.Text, x.Exception.Description)
	}
	if len(result.Result.Value) > 0 {
		if err := json.Unmarshal(result.Result.Value, &value); err != nil {
			t.t.Fatalf("%.80s: %v: %s", expression, err, result.Result.Value)
		}
	}
	return value
}

// Until waits for something that comes by itself.
func Until(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}
