package callers

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
)

// Listen makes a socket at a path, in the place of one that an earlier life left. Every user may open it: who may ask is for the server
// to say, by [User].
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

type userKey struct{}

// As is a context of a request by a user.
func As(ctx context.Context, uid uint32) context.Context {
	return context.WithValue(ctx, userKey{}, uid)
}

// User is who has sent a request, by its context; false for one that did not come by [Serve].
func User(ctx context.Context) (uint32, bool) {
	uid, ok := ctx.Value(userKey{}).(uint32)
	return uid, ok
}

// Serve answers on a unix socket until ctx ends, each user on so many connections at most. It closes l.
func Serve(ctx context.Context, l net.Listener, each int, s *http.Server) error {
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if uid, ok := UID(c); ok {
			return As(ctx, uid)
		}
		return ctx
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(Listener(l, each)); ctx.Err() == nil {
		return err
	}
	return nil
}
