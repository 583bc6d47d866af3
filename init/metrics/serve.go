package metrics

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"rotunda/init/callers"
)

// Folder has a folder for each daemon, which PID 1 makes, with the socket that the daemon answers on.
const Folder = "/run/rotunda/figures"

// ContentType is that of the text.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// connectionsEach bounds what one user has open.
const connectionsEach = 8

// Serve answers at path until ctx ends, with what collect sets. Without a path there is nobody to answer. Who may come is for
// the folder to say.
func Serve(ctx context.Context, path, daemon string, collect func(context.Context, *Page)) error {
	if path == "" {
		<-ctx.Done()
		return nil
	}
	l, err := callers.Listen(path)
	if err != nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return answer(ctx, callers.Listener(l, connectionsEach), func(ctx context.Context) *Page {
		p := NewPage(daemon)
		collect(ctx, p)
		return p
	})
}

// answer serves pages until ctx ends.
func answer(ctx context.Context, l net.Listener, page func(context.Context) *Page) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		var text bytes.Buffer
		_ = page(r.Context()).Write(&text) // to memory
		w.Header().Set("Content-Type", ContentType)
		_, _ = w.Write(text.Bytes())
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
