package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"rotunda/init/callers"
)

// Client asks the process. It is safe for concurrent use.
type Client struct{ http http.Client }

// patience is beyond what the process takes for a directory that does not answer.
const patience = 40 * time.Second

// NewClient returns a client of the socket at a path.
func NewClient(socket string) *Client {
	return &Client{http.Client{Timeout: patience, Transport: &http.Transport{
		MaxIdleConns: 4, IdleConnTimeout: time.Minute, DialContext: callers.Dial(socket),
	}}}
}

// CheckPassword asks the directory. The error wraps [ErrWrong] or [ErrUnavailable].
func (c *Client) CheckPassword(ctx context.Context, user, password string) error {
	return c.ask(ctx, "password", credentials{user, password}, &struct{}{})
}

// CheckCertificate asks whose a certificate is, in DER with those that issued it behind it. The error wraps [ErrWrong] or
// [ErrUnavailable].
func (c *Client) CheckCertificate(ctx context.Context, chain [][]byte) (Holder, error) {
	var h Holder
	err := c.ask(ctx, "certificate", presented{chain}, &h)
	return h, err
}

// Test goes through a login step by step; without a password it ends at the person's entry. The error says that the process does not
// answer.
func (c *Client) Test(ctx context.Context, user, password string) ([]Step, error) {
	var r report
	err := c.ask(ctx, "test", credentials{user, password}, &r)
	return r.Steps, err
}

func (c *Client) ask(ctx context.Context, what string, question, into any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://identity/"+what, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%w: the service identity does not answer: %w", ErrUnavailable, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if answer.StatusCode == http.StatusOK {
		if err := json.Unmarshal(b, into); err != nil {
			return fmt.Errorf("%w: answer of the service identity: %w", ErrUnavailable, err)
		}
		return nil
	}
	var f failure
	if json.Unmarshal(b, &f) != nil || f.Error == "" {
		f.Error = answer.Status
	}
	for _, kind := range []error{ErrWrong, ErrUnavailable} {
		f.Error = strings.TrimPrefix(f.Error, kind.Error()+": ")
	}
	if answer.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("%w: %s", ErrWrong, f.Error)
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, f.Error)
}
