package prompts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// requestTime bounds one request.
const requestTime = 10 * time.Second

// unreachableError means that asking for another file is of no use either.
type unreachableError struct{ error }

func (e *unreachableError) Unwrap() error { return e.error }

// statusError is an answer other than a file and that there is none.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("the web server answers %d", int(e)) }

var errRedirections = errors.New("the web server redirects more than 3 times")

// answer is what a web server says of a file.
type answer struct {
	same, gone     bool
	content        []byte
	etag, modified string
}

// fetcher asks web servers.
type fetcher struct {
	client    *http.Client
	transport *http.Transport
}

// newFetcher asks for the configuration of TLS at each connection, so that trusted certificates change without a restart.
func newFetcher(config func() *tls.Config) *fetcher {
	dialer := &net.Dialer{Timeout: requestTime}
	t := &http.Transport{
		Proxy: nil, DialContext: dialer.DialContext,
		MaxConnsPerHost: 2 * askedAtOnce, MaxIdleConnsPerHost: askedAtOnce, IdleConnTimeout: time.Minute,
		ResponseHeaderTimeout: requestTime, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
	}
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		var c *tls.Config
		if config != nil {
			c = config()
		}
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		return (&tls.Dialer{NetDialer: dialer, Config: c}).DialContext(ctx, network, address)
	}
	redirections := func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 {
			return errRedirections
		}
		return nil
	}
	return &fetcher{client: &http.Client{Transport: t, CheckRedirect: redirections}, transport: t}
}

func (f *fetcher) close() { f.transport.CloseIdleConnections() }

// get fetches a file of a folder, unless it is the one that etag and modified name.
func (f *fetcher) get(ctx context.Context, location, name, etag, modified string) (answer, error) {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return answer{}, &unreachableError{errors.New("resourceLocation is no address that begins with http:// or https://")}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath(name).String(), nil)
	if err != nil {
		return answer{}, &unreachableError{withoutAddress(err)}
	}
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	} else if modified != "" {
		r.Header.Set("If-Modified-Since", modified)
	}
	a, err := f.client.Do(r)
	if errors.Is(err, errRedirections) {
		return answer{}, errRedirections
	}
	if err != nil {
		return answer{}, &unreachableError{withoutAddress(err)}
	}
	defer a.Body.Close()
	switch a.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		if etag == "" && modified == "" {
			return answer{}, errors.New("the web server says that a file has not changed that it was never asked for")
		}
		return answer{same: true}, nil
	case http.StatusNotFound, http.StatusGone:
		return answer{gone: true}, nil
	default:
		return answer{}, statusError(a.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(a.Body, most(name)+1))
	if err != nil {
		return answer{}, fmt.Errorf("the web server's answer breaks off: %w", withoutAddress(err))
	}
	if int64(len(b)) > most(name) {
		return answer{}, tooLarge("the file has more than %d bytes", most(name))
	}
	return answer{content: b, etag: bounded(a.Header.Get("ETag")), modified: bounded(a.Header.Get("Last-Modified"))}, nil
}

// bounded drops what is too long to be kept and sent back.
func bounded(s string) string {
	if len(s) > 256 {
		return ""
	}
	return s
}

// withoutAddress leaves the address out, which may have a password in it.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
