package callers

import (
	"context"
	"net"
)

// Dial connects to the socket at a path, whatever address is asked for: it is for [net/http.Transport].
func Dial(path string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
}
