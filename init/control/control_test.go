package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"rotunda/init/callers"
	"rotunda/init/config"
)

// recorder answers what the tests ask; any other method of the nil Machine crashes, which one test wants.
type recorder struct {
	Machine
	generation int
	failSafe   string
	power      string
	restarted  string
	tried      string
	stop       chan struct{}
}

func (r *recorder) Config(context.Context) (Config, error) {
	return Config{Generation: r.generation, Document: config.Factory(), FailSafe: r.failSafe}, nil
}

func (r *recorder) SetConfig(_ context.Context, g int, doc *config.Document) (Applied, error) {
	if g != r.generation {
		return Applied{}, Refuse(http.StatusConflict, "it is generation %d", r.generation)
	}
	r.generation++
	return Applied{Generation: r.generation, RebootNeeded: []string{doc.Hostname}}, nil
}

func (r *recorder) TryConfig(ctx context.Context, g int, doc *config.Document, from string) (Applied, error) {
	r.tried = from
	return r.SetConfig(ctx, g, doc)
}

func (r *recorder) ConfirmConfig(_ context.Context, by Confirmation) error {
	if by.Age > time.Minute {
		return Refuse(http.StatusConflict, "this session is older")
	}
	r.tried = ""
	return nil
}

func (r *recorder) Health(context.Context) (Health, error) {
	return Health{LastCrash: "panic: secret", LastCrashAt: time.Unix(1e9, 0), Uptime: time.Minute}, nil
}

func (r *recorder) Clock(context.Context) (time.Time, error) { return time.Unix(1e9, 0).UTC(), nil }

func (r *recorder) Restart(_ context.Context, service string) error {
	r.restarted = service
	return nil
}

func (r *recorder) Power(_ context.Context, action string) error {
	r.power = action
	return nil
}

// Capture listens if the interface is a, and ends when its stop comes.
func (r *recorder) Capture(ctx context.Context, o CaptureOrder, listening func()) (Capture, error) {
	if o.Interface != "a" {
		return Capture{}, Refuse(http.StatusNotFound, "no interface %s", o.Interface)
	}
	listening()
	select {
	case <-r.stop:
		return Capture{Packets: 3, Ended: CaptureStopped}, nil
	case <-ctx.Done():
		return Capture{}, ctx.Err()
	}
}

func (r *recorder) StopCapture(context.Context, string) error {
	close(r.stop)
	return nil
}

func serve(t *testing.T, writers map[uint32]bool) (*recorder, *Client, *[]string) {
	t.Helper()
	r := &recorder{generation: 7, stop: make(chan struct{})}
	var logged []string
	path := filepath.Join(t.TempDir(), "s")
	s := &Server{Machine: r, Writers: writers, Log: func(text string) { logged = append(logged, text) }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, path) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	// The path is there a moment before anybody listens.
	for c, err := net.Dial("unix", path); ; c, err = net.Dial("unix", path) {
		if err == nil {
			c.Close()
			break
		}
	}
	return r, NewClient(path), &logged
}

// A document with thousands of rules takes long to be read, and a change begins with it.
func TestAConfigurationIsSentOnce(t *testing.T) {
	ctx := t.Context()
	r, c, _ := serve(t, map[uint32]bool{uint32(os.Getuid()): true})
	first, err := c.Config(ctx)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ask[Config](ctx, c, "GET", "/config?known=7", nil)
	if err != nil || answer.Document != nil || answer.Generation != 7 {
		t.Errorf("wanted the number alone, got %+v, %v", answer, err)
	}
	first.Document.Hostname = "changed"
	again, err := c.Config(ctx)
	if err != nil || again.Generation != 7 || !reflect.DeepEqual(again.Document, config.Factory()) {
		t.Errorf("wanted the same document whatever became of the first answer, got %+v, %v", again, err)
	}
	again.Document.Hostname = "mine"
	if _, err := c.SetConfig(ctx, 7, again.Document); err != nil {
		t.Fatal(err)
	}
	again.Document.Hostname = "later"
	if now, err := c.Config(ctx); err != nil || now.Generation != 8 || now.Document.Hostname != "mine" {
		t.Errorf("wanted what was stored, got %+v, %v", now, err)
	}
	r.generation = 9
	if now, err := c.Config(ctx); err != nil || now.Generation != 9 || now.Document.Hostname != "rotunda" {
		t.Errorf("wanted what somebody else has stored, got %+v, %v", now, err)
	}
	r.failSafe = "nothing can be read"
	if now, err := c.Config(ctx); err != nil || now.FailSafe == "" || now.Document.Hostname != "rotunda" {
		t.Errorf("wanted the fail-safe configuration whole, got %+v, %v", now, err)
	}
}

func TestAWriterChangesAndOthersRead(t *testing.T) {
	ctx := context.Background()
	r, c, _ := serve(t, map[uint32]bool{uint32(os.Getuid()): true})
	got, err := c.Config(ctx)
	if err != nil || got.Generation != 7 || !reflect.DeepEqual(got.Document, config.Factory()) {
		t.Fatalf("want generation 7 and the factory document, got %+v, %v", got, err)
	}
	applied, err := c.SetConfig(ctx, 7, got.Document)
	if err != nil || applied.Generation != 8 || applied.RebootNeeded[0] != "rotunda" {
		t.Errorf("want generation 8, got %+v, %v", applied, err)
	}
	if _, err := c.SetConfig(ctx, 7, got.Document); !IsConflict(err) || err.Error() != "it is generation 8" {
		t.Errorf("want a conflict, got %v", err)
	}
	if err := c.Power(ctx, "reboot"); err != nil || r.power != "reboot" {
		t.Errorf("want reboot asked, got %q, %v", r.power, err)
	}

	if a, err := c.TryConfig(ctx, r.generation, config.Factory(), "192.0.2.7:1"); err != nil || a.Generation != r.generation || r.tried != "192.0.2.7:1" {
		t.Errorf("want the trial recorded, got %+v, %v", a, err)
	}
	if err := c.ConfirmConfig(ctx, Confirmation{From: "192.0.2.7:2", Age: time.Hour}); err == nil || err.Error() != "this session is older" {
		t.Errorf("want an older session refused, got %v", err)
	}
	if err := c.ConfirmConfig(ctx, Confirmation{From: "192.0.2.7:2", Age: time.Second}); err != nil || r.tried != "" {
		t.Errorf("want it confirmed, got %v", err)
	}
	if h, err := c.Health(ctx); err != nil || h.LastCrash == "" {
		t.Errorf("want the last crash, got %+v, %v", h, err)
	}
	if err := c.Restart(ctx, "webadmin"); err != nil || r.restarted != "webadmin" {
		t.Errorf("want webadmin restarted, got %q, %v", r.restarted, err)
	}

	r, c, logged := serve(t, map[uint32]bool{uint32(os.Getuid()) + 1: true})
	if h, err := c.Health(ctx); err != nil || h.Uptime != time.Minute || h.LastCrash != "" || !h.LastCrashAt.IsZero() {
		t.Errorf("a reader wants what runs, and gets no trace: got %+v, %v", h, err)
	}
	if at, err := c.Clock(ctx); err != nil || at.Unix() != 1e9 {
		t.Errorf("a reader wants the clock, got %v, %v", at, err)
	}
	if err := c.Power(ctx, "reboot"); err == nil || err.Error() != "permission denied" || r.power != "" {
		t.Errorf("want permission denied and nothing done, got %v, %q", err, r.power)
	}
	if _, err := c.Config(ctx); err == nil || err.Error() != "permission denied" {
		t.Errorf("a reader asks for the document with its credentials: want permission denied, got %v", err)
	}
	if len(*logged) != 2 {
		t.Errorf("want both refusals logged once, got %q", *logged)
	}
}

func TestWhoCapturesIsToldWhenItListensAndWhatBecameOfIt(t *testing.T) {
	_, c, _ := serve(t, map[uint32]bool{uint32(os.Getuid()): true})
	listened := 0
	// It ends only when it was stopped, which happens only when the word that it listens has come through.
	got, err := c.Capture(t.Context(), CaptureOrder{Interface: "a"}, func() {
		listened++
		if err := c.StopCapture(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	})
	if err != nil || got != (Capture{Packets: 3, Ended: CaptureStopped}) || listened != 1 {
		t.Errorf("got %+v, %v, and was told %d times that it listens", got, err, listened)
	}
	_, err = c.Capture(t.Context(), CaptureOrder{Interface: "b"}, func() { t.Error("it listens on an interface that there is not") })
	if status(err) != http.StatusNotFound || err.Error() != "no interface b" {
		t.Errorf("got %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	_, c, _ = serve(t, map[uint32]bool{uint32(os.Getuid()): true})
	if _, err = c.Capture(gone, CaptureOrder{Interface: "a"}, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever gives up: got %v", err)
	}
}

func TestACrashAnswersOneRequestOnly(t *testing.T) {
	ctx := context.Background()
	_, c, logged := serve(t, map[uint32]bool{uint32(os.Getuid()): true})
	if _, err := c.Release(ctx); err == nil || !strings.Contains(err.Error(), "crashed") {
		t.Errorf("want the crash reported, got %v", err)
	}
	if _, err := c.Clock(ctx); err != nil {
		t.Errorf("want the next request answered, got %v", err)
	}
	if len(*logged) != 1 || !strings.Contains((*logged)[0], "control.go") && !strings.Contains((*logged)[0], "server.go") {
		t.Errorf("want the trace logged, got %q", *logged)
	}
}

func TestEveryOperationRefusesABadBody(t *testing.T) {
	s := &Server{Machine: &recorder{}, Writers: map[uint32]bool{1: true}, Log: func(string) {}}
	for _, op := range operations {
		if op.method == http.MethodGet {
			continue
		}
		for _, body := range []string{"", "{", `[]`, strings.Repeat(" ", maxBody+1)} {
			r := httptest.NewRequest(op.method, op.path, strings.NewReader(body))
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r.WithContext(callers.As(r.Context(), 1)))
			if w.Code != http.StatusBadRequest {
				t.Errorf("%s %s with %.10q: want 400, got %d %s", op.method, op.path, body, w.Code, w.Body)
			}
		}
	}
}
