package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"rotunda/init/callers"
	"rotunda/init/config"
)

// Client is a [Machine] at the other end of the socket. It is safe for concurrent use.
type Client struct {
	http http.Client
	// last is the configuration that was read or made last, nil before. A generation never changes, so it is sent once.
	last atomic.Pointer[Config]
}

// NewClient returns a client of the socket at path; nothing is connected until the first call.
func NewClient(path string) *Client {
	return &Client{http: http.Client{Transport: &http.Transport{
		DialContext:     callers.Dial(path),
		MaxIdleConns:    4,
		IdleConnTimeout: time.Minute,
	}}}
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 8 << 20

func ask[R any](ctx context.Context, c *Client, method, path string, arg any) (result R, err error) {
	var body io.Reader
	if method != http.MethodGet {
		b, err := json.Marshal(arg)
		if err != nil {
			return result, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://init"+path, body)
	if err != nil {
		return result, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// The address that net/http puts in front means nothing to whoever reads this.
		if e := (*url.Error)(nil); errors.As(err, &e) {
			err = e.Err
		}
		return result, fmt.Errorf("the system does not answer: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return result, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var refusal struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(b, &refusal); err != nil || refusal.Error == "" {
			refusal.Error = resp.Status
		}
		return result, &Error{Status: resp.StatusCode, Text: refusal.Error}
	}
	if err := json.Unmarshal(b, &result); err != nil {
		return result, fmt.Errorf("read answer: %w", err)
	}
	return result, nil
}

func do(ctx context.Context, c *Client, method, path string, arg any) error {
	_, err := ask[json.RawMessage](ctx, c, method, path, arg)
	return err
}

// The methods of [Machine].

func (c *Client) Config(ctx context.Context) (Config, error) {
	last, path := c.last.Load(), "/config"
	if last != nil {
		path += "?" + url.Values{knownGeneration: {strconv.Itoa(last.Generation)}}.Encode()
	}
	now, err := ask[Config](ctx, c, "GET", path, nil)
	switch {
	case err != nil:
	case now.Document == nil && last != nil && now.Generation == last.Generation:
		now.Document = last.Document.Clone()
	case now.Document == nil:
		err = errors.New("read answer: no document")
	default:
		c.keep(now)
	}
	return now, err
}

// keep remembers a configuration, but for one that runs because none could be read.
func (c *Client) keep(now Config) {
	if now.FailSafe == "" {
		c.last.Store(&Config{Generation: now.Generation, Document: now.Document.Clone()})
	}
}

func (c *Client) SetConfig(ctx context.Context, generation int, doc *config.Document) (Applied, error) {
	a, err := ask[Applied](ctx, c, "PUT", "/config", setConfig{generation, doc})
	if err == nil {
		c.keep(Config{Generation: a.Generation, Document: doc})
	}
	return a, err
}

func (c *Client) TryConfig(ctx context.Context, generation int, doc *config.Document, from string) (Applied, error) {
	return ask[Applied](ctx, c, "PUT", "/config/trial", tryConfig{setConfig{generation, doc}, from})
}

func (c *Client) ConfirmConfig(ctx context.Context, by Confirmation) error {
	return do(ctx, c, "POST", "/config/confirm", by)
}

func (c *Client) Interfaces(ctx context.Context) ([]Interface, error) {
	return ask[[]Interface](ctx, c, "GET", "/interfaces", nil)
}

func (c *Client) Release(ctx context.Context) (Release, error) {
	return ask[Release](ctx, c, "GET", "/release", nil)
}

func (c *Client) Health(ctx context.Context) (Health, error) {
	return ask[Health](ctx, c, "GET", "/health", nil)
}

func (c *Client) Filesystems(ctx context.Context) ([]Filesystem, error) {
	return ask[[]Filesystem](ctx, c, "GET", "/filesystems", nil)
}

func (c *Client) Clock(ctx context.Context) (time.Time, error) {
	t, err := ask[timed](ctx, c, "GET", "/clock", nil)
	return t.Time, err
}

func (c *Client) SetClock(ctx context.Context, t time.Time) error {
	return do(ctx, c, "PUT", "/clock", timed{t})
}

func (c *Client) Versions(ctx context.Context) ([]Version, error) {
	return ask[[]Version](ctx, c, "GET", "/versions", nil)
}

func (c *Client) CheckUpgrade(ctx context.Context, file string) (UpgradePlan, error) {
	return ask[UpgradePlan](ctx, c, "POST", "/upgrade/check", named{file})
}

func (c *Client) Upgrade(ctx context.Context, file string) (UpgradePlan, error) {
	return ask[UpgradePlan](ctx, c, "POST", "/upgrade", named{file})
}

func (c *Client) DeleteVersion(ctx context.Context, number int) error {
	return do(ctx, c, "POST", "/versions/delete", numbered{number})
}

func (c *Client) Snapshot(ctx context.Context, name string) (string, error) {
	n, err := ask[named](ctx, c, "POST", "/backup", named{name})
	return n.Name, err
}

func (c *Client) CheckBackup(ctx context.Context, file string) (Backup, error) {
	return ask[Backup](ctx, c, "POST", "/backup/check", named{file})
}

func (c *Client) Rollback(ctx context.Context, file string) error {
	return do(ctx, c, "POST", "/backup/rollback", named{file})
}

func (c *Client) FactoryReset(ctx context.Context, scope string) error {
	return do(ctx, c, "POST", "/reset", named{scope})
}

func (c *Client) Capture(ctx context.Context, o CaptureOrder, listening func()) (result Capture, err error) {
	// The interim answer is read by a goroutine of net/http, which may outlive a request that is given up.
	began := make(chan struct{}, 1)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		if code == hasBegun {
			select {
			case began <- struct{}{}:
			default:
			}
		}
		return nil
	}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		result, err = ask[Capture](ctx, c, "POST", "/capture", o)
	}()
	select {
	case <-began:
		listening()
		<-done
	case <-done:
		select {
		case <-began:
			listening()
		default:
		}
	}
	return result, err
}

func (c *Client) StopCapture(ctx context.Context, iface string) error {
	return do(ctx, c, "POST", "/capture/stop", named{iface})
}

func (c *Client) Traces(ctx context.Context) (Traces, error) {
	return ask[Traces](ctx, c, "GET", "/traces", nil)
}

func (c *Client) Restart(ctx context.Context, service string) error {
	return do(ctx, c, "POST", "/restart", named{service})
}

func (c *Client) Power(ctx context.Context, action string) error {
	return do(ctx, c, "POST", "/power", named{action})
}

var _ Machine = (*Client)(nil)
