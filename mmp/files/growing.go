package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
)

// ahead is how far a file grows beyond what has been asked for: what OpenSSH's client has under way is 2 MiB.
const ahead = 2 * mib

// growing is a [File] that is made while it is read. Reading waits for what is not there yet.
type growing struct {
	file   *os.File
	cancel context.CancelFunc
	made   chan struct{}

	mu     sync.Mutex
	change sync.Cond
	// size is what there is, wanted the end of what has been asked for.
	size, wanted int64
	done, closed bool
	err          error
}

var errClosed = errors.New("the file was closed")

// grow begins to make a file, which takes f over. ctx is that of who opens it.
func grow(ctx context.Context, f *os.File, produce func(context.Context, io.Writer) error) *growing {
	ctx, cancel := context.WithCancel(ctx)
	g := &growing{file: f, cancel: cancel, made: make(chan struct{})}
	g.change.L = &g.mu
	stop := context.AfterFunc(ctx, func() { g.finish(context.Canceled) })
	go func() {
		defer close(g.made)
		defer stop()
		err := func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				}
			}()
			return produce(ctx, (*growth)(g))
		}()
		g.finish(err)
	}()
	return g
}

// finish sets how it ended; the first to say so counts.
func (g *growing) finish(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.done {
		g.done, g.err = true, err
	}
	g.change.Broadcast()
}

// growth is the side that writes.
type growth growing

func (w *growth) Write(p []byte) (int, error) {
	g := (*growing)(w)
	g.mu.Lock()
	for g.size > g.wanted+ahead && !g.closed && !g.done {
		g.change.Wait()
	}
	at, over := g.size, g.closed || g.done
	g.mu.Unlock()
	if over {
		return 0, errClosed
	}
	n, err := g.file.WriteAt(p, at)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size += int64(n)
	g.change.Broadcast()
	return n, err
}

// ReadAt implements [io.ReaderAt].
func (g *growing) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, os.ErrInvalid
	}
	end := off + int64(len(p))
	g.mu.Lock()
	if end > g.wanted {
		g.wanted = end
		g.change.Broadcast()
	}
	for g.size < end && !g.done && !g.closed {
		g.change.Wait()
	}
	size, err, closed := g.size, g.err, g.closed
	g.mu.Unlock()
	switch {
	case closed:
		return 0, os.ErrClosed
	case size >= end:
		return g.file.ReadAt(p, off)
	case err != nil:
		return 0, err
	case off >= size:
		return 0, io.EOF
	}
	n, err := g.file.ReadAt(p[:size-off], off)
	if err == nil {
		err = io.EOF
	}
	return n, err
}

// Size is the present one.
func (g *growing) Size() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size
}

// Close ends what makes it.
func (g *growing) Close() error {
	g.mu.Lock()
	g.closed = true
	g.change.Broadcast()
	g.mu.Unlock()
	g.cancel()
	<-g.made
	return g.file.Close()
}
