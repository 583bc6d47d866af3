package webadmin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rotunda/init/callers"
)

const (
	// apiPrefix is where the API is; pagePrefix where the objects that only pages know are, on the unix socket alone.
	apiPrefix  = "/api/v1/"
	pagePrefix = "/internal/"
	// apiLimit bounds one call of a page; imports run in the background of the Call Bridge.
	apiLimit = 20 * time.Second
)

// errUnavailable: the Call Bridge does not answer.
var errUnavailable = errors.New("the Call Bridge does not answer: it may be starting; try again in a moment")

// caller is on whose behalf a page calls the API.
type caller struct{ user, source string }

// bridge calls the API over the Call Bridge's unix socket.
type bridge struct{ client *http.Client }

// newTransport reaches the Call Bridge's socket, whatever the address of a request says.
func newTransport(socket string) *http.Transport {
	return &http.Transport{
		DialContext:         callers.Dial(socket),
		MaxIdleConnsPerHost: 16,
		// The Call Bridge may be restarted at any time; what is kept longer is more often dead.
		IdleConnTimeout:       10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		DisableCompression:    true,
	}
}

func newBridge(transport http.RoundTripper) *bridge {
	return &bridge{&http.Client{Transport: transport, Timeout: apiLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// refusal is a failure that the API answered.
type refusal struct {
	Status   int
	Failures []fault
}

// fault is one child of failureDetails.
type fault struct {
	// Code is the element; Parameter, Error and Detail are those of a parameterError.
	Code, Parameter, Error, Detail string
}

func (r *refusal) Error() string {
	if len(r.Failures) == 0 {
		return fmt.Sprintf("the Call Bridge answered %d %s", r.Status, http.StatusText(r.Status))
	}
	var texts []string
	for _, f := range r.Failures {
		texts = append(texts, f.sentence())
	}
	return strings.Join(texts, " ")
}

// notFound says whether an error is that of an object that is not there.
func notFound(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.Status == http.StatusNotFound
}

// get reads an object or a list.
func (b *bridge) get(ctx context.Context, who caller, path string, query url.Values) (*node, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	response, err := b.do(ctx, who, http.MethodGet, path, nil, "")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return parseNode(response.Body)
}

// send changes something; it returns the ID in Location.
func (b *bridge) send(ctx context.Context, who caller, method, path string, values url.Values) (id string, err error) {
	var body []byte
	if values != nil {
		body = []byte(values.Encode())
	}
	response, err := b.do(ctx, who, method, path, body, formType)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	location := strings.TrimRight(response.Header.Get("Location"), "/")
	return location[strings.LastIndexByte(location, '/')+1:], nil
}

// exchange gives an answer as it came.
func (b *bridge) exchange(ctx context.Context, who caller, method, path string, body []byte, kind string) (*reply, error) {
	response, err := b.do(ctx, who, method, path, body, kind)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return readReply(response)
}

// formType is the content type of forms.
const formType = "application/x-www-form-urlencoded"

func (b *bridge) do(ctx context.Context, who caller, method, path string, content []byte, kind string) (*http.Response, error) {
	var body io.Reader
	if content != nil {
		body = bytes.NewReader(content)
	}
	if !strings.HasPrefix(path, "/") {
		path = apiPrefix + path
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://callbridge"+path, body)
	if err != nil {
		return nil, fmt.Errorf("call the API: %w", err)
	}
	if content != nil {
		request.Header.Set("Content-Type", kind)
	}
	request.Header.Set("Rotunda-User", who.user)
	request.Header.Set("Rotunda-Source", who.source)
	response, err := b.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errUnavailable, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	r := &refusal{Status: response.StatusCode}
	if response.StatusCode == http.StatusServiceUnavailable {
		return nil, errUnavailable
	}
	if details, err := parseNode(response.Body); err == nil && details.Name == "failureDetails" {
		for _, n := range details.Nodes {
			r.Failures = append(r.Failures, fault{Code: n.Name, Parameter: n.Attributes["parameter"], Error: n.Attributes["error"], Detail: n.Attributes["detail"]})
		}
	}
	return nil, r
}
