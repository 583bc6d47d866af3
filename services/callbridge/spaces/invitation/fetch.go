package invitation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"
)

// fetchTime bounds a fetch. Somebody waits for the invitation in front of a browser, and gets ours when it is over.
const fetchTime = 5 * time.Second

// HTTP fetches templates from web servers: GET with ?language=, 200 with UTF-8 text or 404 for none in that language.
type HTTP struct{ client *http.Client }

// NewHTTP makes a Fetcher on a transport; nil is one of its own. Templates are not kept: a change on the web server counts at once.
func NewHTTP(transport http.RoundTripper) *HTTP {
	if transport == nil {
		transport = &http.Transport{
			Proxy: nil,
			// An address that hangs must not gather connections.
			MaxConnsPerHost: 8, IdleConnTimeout: 30 * time.Second, ResponseHeaderTimeout: fetchTime, TLSHandshakeTimeout: fetchTime,
		}
	}
	return &HTTP{client: &http.Client{Transport: transport, Timeout: fetchTime, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 {
			return errors.New("more than 3 redirections")
		}
		return nil
	}}}
}

// Fetch implements [Fetcher].
func (h *HTTP) Fetch(ctx context.Context, address, language string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", errors.New("the address is none of http:// or https://")
	}
	q := u.Query()
	q.Set("language", language)
	u.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "text/plain")
	a, err := h.client.Do(r)
	if err != nil {
		return "", hideAddress(err)
	}
	defer a.Body.Close()
	switch a.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return "", ErrNone
	default:
		return "", fmt.Errorf("the server answers %d", a.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(a.Body, MaxTemplate+1))
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	if len(b) > MaxTemplate {
		return "", fmt.Errorf("the template has more than %d bytes", MaxTemplate)
	}
	if !utf8.Valid(b) {
		return "", errors.New("the template is not UTF-8")
	}
	return string(b), nil
}

// hideAddress leaves out the address, which may have a password in it; the caller names the profile.
func hideAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
