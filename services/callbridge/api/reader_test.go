package api

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestTheShellMayReadHowTheCallBridgeIsAndNothingElse(t *testing.T) {
	for name, readers := range map[string][]int{"the shell": {os.Getuid()}, "somebody else": {os.Getuid() + 1}, "nobody": nil} {
		d := newDesk(t, openStore(t), func(o *Options) { o.Readers = readers })
		onSocket(t, d)
		for line, allowed := range map[string]bool{
			"GET /api/v1/system/status": true, "GET /api/v1/system/database": true, "GET /api/v1/system/alarms": true, "GET /api/v1/calls": true,
			"GET /api/v1/callLegs?limit=5": true, "GET /api/v1/coSpaces": false, "GET /api/v1/users": false, "PUT /api/v1/system/status": false,
			"DELETE /api/v1/calls": false, "GET /api/v1/calls/../coSpaces": false, "GET /internal/logs": false,
		} {
			method, path, _ := strings.Cut(line, " ")
			r, err := http.NewRequest(method, "http://callbridge"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := http.StatusUnauthorized
			if allowed && name == "the shell" {
				want = http.StatusOK
			}
			if a := d.send(r); a.status != want {
				t.Errorf("%s as %s: want %d, got %d %s", line, name, want, a.status, a.body)
			}
		}
	}
}
