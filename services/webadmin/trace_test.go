package webadmin

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTheDialPlanSaysWhyACallGoesWhereItGoes types addresses and reads which rule takes them.
func TestTheDialPlanSaysWhyACallGoesWhereItGoes(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	made(t, v, "coSpaces", "v.name", "Sales", "v.uri", "sales")
	in := made(t, v, "inboundDialPlanRules", "v.domain", "meet.example.com", "v.resolveToCoSpaces", "true")
	made(t, v, "outboundDialPlanRules", "v.domain", "partner.example.net", "v.sipProxy", "proxy.example.net")

	trace := func(query string) string {
		t.Helper()
		p := v.get("/configuration/trace?" + query)
		if p.status != http.StatusOK {
			t.Fatalf("%s: want a page, got %d: %s", query, p.status, p.main())
		}
		return p.text
	}
	// The plan follows the database by itself.
	await(t, "the rule takes the call", func() bool {
		return strings.Contains(trace("uri=sales@meet.example.com&direction=incoming"), "The call is answered here: space.")
	})
	wants(t, "a space", trace("uri=sales@meet.example.com&direction=incoming"), in, "matches", "meet.example.com")
	wants(t, "nobody", trace("uri=nobody@meet.example.com"), "The call is refused.", "meet.example.com")
	wants(t, "another domain", trace("uri=sales@other.example.com"), "The call is refused.", "passed over")
	wants(t, "no address", trace("uri=%20"), "Type the address of a call", "aria-invalid")
	await(t, "the rule makes the call", func() bool {
		return strings.Contains(trace("uri=bob@partner.example.net&direction=outgoing"), "The call is made to")
	})
	wants(t, "an outgoing call", trace("uri=bob@partner.example.net&direction=outgoing"), "proxy.example.net", "matches")
	wants(t, "an outgoing call without a rule", trace("uri=bob@elsewhere.example.org&direction=outgoing"), "The call is refused.", "passed over")
	wants(t, "markup", trace("uri=%3Cscript%3E@meet.example.com"), "&lt;script&gt;")
}

// TestTheTrialIsStartedOnce presses the button of Status > Licences.
func TestTheTrialIsStartedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	p := v.get("/status/licences")
	wants(t, "before", p.main(), "Cluster", "Start the trial", "Activated never")
	if strings.Contains(p.text, "The trial began") {
		t.Error("a trial runs that nobody has started")
	}
	p = v.submit(p, "trial")
	wants(t, "the button", p.main(), "The trial began on", "Activated")
	if len(p.find("button", "value", "trial")) > 0 {
		t.Error("a second trial is offered")
	}
	wants(t, "the last day", p.main(), time.Now().UTC().AddDate(0, 0, 90).Format("2006-Jan-02"))
	// Somebody else has the old page still.
	p = v.post("/status/licences", "do", "trial")
	wants(t, "again", p.main(), "no trial")
	forged := v.visitorPost("/status/licences")
	if forged == http.StatusOK {
		t.Error("a form without the session's token starts a trial")
	}
}

// visitorPost sends the form without the session's token.
func (v *visitor) visitorPost(path string) int {
	v.Helper()
	token := v.token
	defer func() { v.token = token }()
	v.token = "forged"
	return v.post(path, "do", "trial").status
}
