package api

import (
	"io"
	"net/http"
	"testing"
)

func TestWhatIsMountedNeedsNoLoginAndAnAnswerMayHaveHeaders(t *testing.T) {
	d := newDesk(t, nil)
	d.server.Mount("/events", func(w http.ResponseWriter, r *http.Request, source string) {
		_, _ = io.WriteString(w, r.URL.Path+" from "+source)
	})
	d.server.HandleAlone(http.MethodPost, "authTokens", func(c *Call) (Answer, error) {
		return Answer{Header: http.Header{"X-Token": {"for " + c.User}}}, nil
	})
	for path, want := range map[string]string{
		"/events/v1":  "/events/v1 from 127.0.0.1",
		"/EVENTS":     "/EVENTS from 127.0.0.1",
		"/eventsmore": "",
		"/events%2f":  "/events/ from 127.0.0.1",
	} {
		answer, err := d.client.Get(d.base + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			if answer.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: want a login asked for, got %d", path, answer.StatusCode)
			}
			continue
		}
		if string(body) != want {
			t.Errorf("%s: want %q, got %q", path, want, body)
		}
	}
	for user, want := range map[string]string{"script": "for script", "nobody": ""} {
		q, err := http.NewRequest(http.MethodPost, d.base+"/api/v1/authTokens", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.SetBasicAuth(user, "right")
		answer, err := d.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := answer.Header.Get("X-Token"); got != want {
			t.Errorf("%s: want %q, got %q", user, want, got)
		}
	}
}
