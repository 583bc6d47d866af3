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
	status, b, err := c.ask(ctx, "check", q)
	if err != nil {
		return Account{}, err
	}
	var a Account
	var r refusal
	switch status {
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
	return Account{}, fmt.Errorf("%w (status %d)", ErrUnavailable, status)
}

// Keep tells of a session, and says by [ErrEnded] that it is to end. It is asked for each use of the session, and at least once in
// [KeepEvery]. The answer is for [Session.Account].
func (c *Client) Keep(ctx context.Context, s Session) (account time.Time, err error) {
	status, b, err := c.ask(ctx, "keep", s)
	switch {
	case err != nil:
		return time.Time{}, err
	case status == http.StatusGone:
		return time.Time{}, ErrEnded
	case status != http.StatusOK:
		return time.Time{}, fmt.Errorf("%w (status %d)", ErrUnavailable, status)
	}
	if err := json.Unmarshal(b, &account); err != nil {
		return time.Time{}, fmt.Errorf("%w (answer of the shell: %w)", ErrUnavailable, err)
	}
	return account, nil
}

// Leave says that a session has ended.
func (c *Client) Leave(ctx context.Context, id string) error {
	status, _, err := c.ask(ctx, "leave", Session{ID: id})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%w (status %d)", ErrUnavailable, status)
	}
	return err
}

// ask sends a question and reads the answer.
func (c *Client) ask(ctx context.Context, path string, question any) (status int, b []byte, err error) {
	body, err := json.Marshal(question)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://mmp/"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("%w (%w)", ErrUnavailable, err)
	}
	defer answer.Body.Close()
	if b, err = io.ReadAll(io.LimitReader(answer.Body, maxBody)); err != nil {
		return 0, nil, fmt.Errorf("%w (%w)", ErrUnavailable, err)
	}
	return answer.StatusCode, b, nil
}
