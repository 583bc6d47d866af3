package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"rotunda/init/callers"
)

// Client asks the shell. It is safe for concurrent use.
type Client struct{ http http.Client }

// NewClient returns a client of the socket at a path.
func NewClient(socket string) *Client {
	return &Client{http.Client{Timeout: 45 * time.Second, Transport: &http.Transport{
		MaxIdleConns: 4, IdleConnTimeout: time.Minute, DialContext: callers.Dial(socket),
	}}}
}

// Check returns the account, or an error that is one of this package's and safe to show to the far end.
func (c *Client) Check(ctx context.Context, q Question) (Account, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return Account{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://mmp/check", bytes.NewReader(body))
	if err != nil {
		return Account{}, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return Account{}, fmt.Errorf("%w (%w)", ErrUnavailable, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return Account{}, fmt.Errorf("%w (%w)", ErrUnavailable, err)
	}
	var a Account
	var r refusal
	switch answer.StatusCode {
	case http.StatusOK:
		if err := json.Unmarshal(b, &a); err != nil || a.User == "" || a.Role == "" {
			return Account{}, fmt.Errorf("%w (answer of the shell: %w)", ErrUnavailable, err)
		}
		return a, nil
	case http.StatusUnauthorized:
		if json.Unmarshal(b, &r) == nil && r.Reason == password {
			return Account{}, ErrPassword
		}
		if len(q.Certificates) > 0 {
			return Account{}, ErrCertificate
		}
		return Account{}, ErrRefused
	}
	return Account{}, fmt.Errorf("%w (status %d)", ErrUnavailable, answer.StatusCode)
}
