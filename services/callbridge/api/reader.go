package api

import (
	"net/http"
	"slices"
	"strings"
)

// diagnoses are what one of [Options.Readers] may read: how the Call Bridge is getting on, and nothing that has passcodes.
var diagnoses = []string{"system/status", "system/database", "system/alarms", "calls", "callLegs"}

// who says who makes a request.
func (s *Server) who(r *http.Request) (caller, error) {
	p, _ := r.Context().Value(peerKey{}).(peer)
	if p.local && slices.Contains(s.readers, p.uid) && r.Method == http.MethodGet && r.Header.Get("Authorization") == "" &&
		slices.Contains(diagnoses, strings.TrimPrefix(r.URL.Path, "/api/v1/")) {
		return caller{user: "log bundle", source: "local"}, nil
	}
	return s.logins.of(r, s.front)
}
