package database

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve answers on a unix socket until the test ends.
func serve(t *testing.T, socket string, h http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() { s.Close(); <-done })
}

func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestTheSnapshotIsWhatTheDatabaseAnswers(t *testing.T) {
	at, folder := socket(t), t.TempDir()
	want := strings.Repeat("x", 1<<20)
	serve(t, at, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != Path {
			http.Error(w, "no", http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(want))
	})
	if err := (Copy{Socket: at}).Contribute(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(folder, File)); err != nil || string(b) != want {
		t.Errorf("wanted %d bytes, got %d, %v", len(want), len(b), err)
	}
}

func TestADatabaseThatIsStartingIsWaitedFor(t *testing.T) {
	at, folder := socket(t), t.TempDir()
	done := make(chan error, 1)
	go func() { done <- Copy{Socket: at, Patience: time.Minute}.Contribute(t.Context(), folder) }()
	serve(t, at, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("late")) })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(folder, File)); err != nil || string(b) != "late" {
		t.Errorf("wanted the snapshot, got %q, %v", b, err)
	}
}

func TestWithoutAWholeSnapshotThereIsNone(t *testing.T) {
	broken, refusing := socket(t), socket(t)
	serve(t, broken, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 100<<10))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	serve(t, refusing, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	for _, test := range []struct{ name, socket, want string }{
		{"broken off", broken, "read snapshot of the database: "},
		{"refused", refusing, "500"},
		{"no database", socket(t), "the database does not answer: "},
	} {
		if err := (Copy{Socket: test.socket}).Contribute(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: wanted %q, got %v", test.name, test.want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (Copy{Socket: socket(t), Patience: time.Hour}).Contribute(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: wanted %v, got %v", context.Canceled, err)
	}
}
