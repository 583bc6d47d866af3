package callers

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

func TestAServerKnowsWhoAsksAndEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	// The second takes the place of the first, as after a crash, which leaves the file.
	left, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o666 {
		t.Errorf("the socket: %v, %v", st, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- Serve(ctx, l, 1, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			uid, ok := User(r.Context())
			fmt.Fprint(w, uid, ok)
		})})
	}()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return net.Dial("unix", path) }}}
	answer, err := client.Get("http://x/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if b, err := io.ReadAll(answer.Body); err != nil || string(b) != fmt.Sprint(os.Getuid(), true) {
		t.Errorf("it takes us for %q, %v", b, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("at the end: %v", err)
	}
	if _, ok := User(t.Context()); ok {
		t.Error("a context of no request has a user")
	}
	if l, err = Listen(path); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Serve(t.Context(), l, 1, &http.Server{}); err == nil {
		t.Error("a listener that is closed is served")
	}
}
