package collection

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Read reads a collection. It is of the kind that [Make] makes; what other clients may add is left out.
func Read(document []byte) (*Collection, error) {
	var c Collection
	if err := json.Unmarshal(document, &c); err != nil {
		return nil, fmt.Errorf("read collection: %w", err)
	}
	return &c, nil
}

// Folder returns the requests below a folder, by its name.
func (c *Collection) Folder(name string) []Item {
	for _, i := range c.Items {
		if i.Name == name {
			return i.Items
		}
	}
	return nil
}

// Sender sends requests as a client of such collections does.
type Sender struct {
	Client *http.Client
	// Values of variables; requests add to them.
	Values map[string]string
}

// Answer is what came back.
type Answer struct {
	Status int
	Body   string
}

// maxAnswer bounds one.
const maxAnswer = 4 << 20

// Send sends one request and keeps the IDs that its script keeps.
func (s *Sender) Send(ctx context.Context, c *Collection, i Item) (Answer, error) {
	form := url.Values{}
	if i.Request.Body != nil {
		for _, v := range i.Request.Body.Form {
			if !v.Disabled {
				form.Set(v.Key, s.fill(v.Value))
			}
		}
	}
	var body io.Reader
	if i.Request.Body != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, i.Request.Method, s.fill(i.Request.URL.Raw), body)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w", i.Name, err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	login := map[string]string{}
	for _, v := range c.Auth.Basic {
		login[v.Key] = s.fill(v.Value)
	}
	r.SetBasicAuth(login["username"], login["password"])
	answer, err := s.Client.Do(r)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w", i.Name, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("%s: read the answer: %w", i.Name, err)
	}
	if place := answer.Header.Get("Location"); place != "" {
		for _, e := range i.Events {
			if m := keeps.FindStringSubmatch(strings.Join(e.Script.Exec, "\n")); m != nil {
				s.Values[m[1]] = place[strings.LastIndex(place, "/")+1:]
			}
		}
	}
	return Answer{answer.StatusCode, string(b)}, nil
}

var (
	keeps    = regexp.MustCompile(regexp.QuoteMeta(keep) + `'(\w+)'`)
	mentions = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// fill puts the values of variables in their places; unknown ones stay.
func (s *Sender) fill(text string) string {
	return mentions.ReplaceAllStringFunc(text, func(m string) string {
		if v, ok := s.Values[strings.Trim(m, "{}")]; ok {
			return v
		}
		return m
	})
}
