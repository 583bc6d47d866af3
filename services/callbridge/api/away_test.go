package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

func TestWithoutTheDatabaseObjectsAreReadAndNotChanged(t *testing.T) {
	t.Parallel()
	database := databasetest.New(t)
	st, err := store.Open(t.Context(), store.Options{Client: database.Client(), Patience: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	d := newDesk(t, st)
	one := d.make("coSpaces", url.Values{"name": {"Room"}})
	database.Stop()
	if name, _ := d.read(one, nil).get("name"); name != "Room" {
		t.Errorf("want Room, got %s", name)
	}
	a := d.api(http.MethodPut, one, url.Values{"name": {"Hall"}})
	d.fails(a, http.StatusServiceUnavailable, "databaseNotReady")
	if a.header.Get("Retry-After") == "" || strings.Count(a.body, "databaseNotReady") != 1 {
		t.Errorf("want Retry-After and one failure, got %s", a.body)
	}
	// What is wrong with a request is told without the database.
	d.fails(d.api(http.MethodPost, one, nil), http.StatusBadRequest, "invalidOperation")
	d.fails(d.api(http.MethodPut, one, url.Values{"tenant": {"x"}}), http.StatusBadRequest, "tenant:invalidValue")
	database.Start()
	for end := time.Now().Add(time.Minute); ; {
		a := d.api(http.MethodPut, one, url.Values{"name": {"Lobby"}})
		if a.status == http.StatusOK {
			break
		}
		if time.Now().After(end) || a.status != http.StatusServiceUnavailable {
			t.Fatalf("want 200 when the database is back, got %d %s", a.status, a.body)
		}
	}
	if name, _ := d.read(one, nil).get("name"); name != "Lobby" {
		t.Errorf("want Lobby, got %s", name)
	}
}
