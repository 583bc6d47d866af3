package record

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// target is what an RTMP URL says.
type target struct {
	address string // host:port
	host    string
	tls     bool
	app     string
	key     string
	// base is the URL without the key and without credentials: what the server is told, and logs may say.
	base string
}

// parseTarget reads rtmp://host[:1935]/app/key or rtmps://host[:443]/app/key. The key is the last part of the path with the
// query behind it; the application may have several parts. Its errors do not repeat the URL, since the key is a
// secret. A user name and password in front of the host are for Adobe's authentication, which is not supported: they are not
// sent, and a server that asks for them is reported. Other servers take credentials in the query.
func parseTarget(text string) (t target, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return t, errors.New("stream URL is malformed")
	}
	port := "1935"
	switch strings.ToLower(u.Scheme) {
	case "rtmp":
	case "rtmps":
		t.tls, port = true, "443"
	default:
		return t, fmt.Errorf("stream URL begins with %q: want rtmp or rtmps", u.Scheme)
	}
	if t.host = u.Hostname(); t.host == "" {
		return t, errors.New("stream URL has no host")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	t.address = net.JoinHostPort(t.host, port)
	path := strings.Trim(u.EscapedPath(), "/")
	cut := strings.LastIndexByte(path, '/')
	if cut <= 0 {
		return t, errors.New("stream URL has no application and stream key: want rtmp://host/application/key")
	}
	t.app, t.key = strings.TrimRight(path[:cut], "/"), path[cut+1:]
	if u.RawQuery != "" {
		t.key += "?" + u.RawQuery
	}
	const limit = 4096
	if len(text) > limit {
		return t, fmt.Errorf("stream URL of %d bytes: at most %d", len(text), limit)
	}
	t.base = strings.ToLower(u.Scheme) + "://" + u.Host + "/" + t.app
	return t, nil
}
