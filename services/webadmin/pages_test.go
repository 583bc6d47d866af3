package webadmin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"rotunda/services/callbridge/schema"
)

// allPages are those that can be opened without an object.
func allPages() []string {
	list := []string{"/status", "/status/calls", "/status/users", "/status/database", "/status/licences", "/configuration/trace", "/configuration/trace?uri=nobody@example.com", "/configuration/general", "/configuration/directory", "/configuration/calls",
		"/configuration/outbound", "/configuration/outbound?add=1", "/configuration/incoming", "/configuration/incoming?match.add=1", "/configuration/incoming?forward.add=1",
		"/configuration/cdr", "/configuration/cdr?add=1", "/configuration/spaces", "/configuration/spaces?add=1", "/configuration/api", "/logs/events", "/logs/tracing", "/user"}
	for _, r := range reports {
		if r.of == "" {
			list = append(list, explorerPath+"/view/"+r.path)
		}
	}
	for _, o := range schema.All() {
		if o.Parent != nil || o.Page || o.Methods&schema.Read == 0 {
			continue
		}
		list = append(list, explorerPath+"/"+o.Plural)
		if o.Methods&schema.Create != 0 && !o.Singleton && o.CreateBelow == nil {
			list = append(list, explorerPath+"/"+o.Plural+"?new")
		}
	}
	return list
}

func TestEveryPageIsThereAndCanBeUsedByAScreenReader(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	pages := append([]string{}, allPages()...)
	space := made(t, v, "coSpaces", "v.name", "Weekly", "v.uri", "weekly")
	pages = append(pages, space, space+"/coSpaceUsers", space+"/accessMethods", space+"/accessMethods?new", space+"/view/meetingEntryDetail", space+"/view/emailInvitation", explorerPath+"/profiles/view/effectiveWebBridgeProfile", "/configuration/spaces?edit="+space[len(space)-36:])
	for _, path := range pages {
		p := v.get(path)
		if p.status != http.StatusOK {
			t.Errorf("%s: want 200, got %d: %s", path, p.status, p.main())
			continue
		}
		accessible(t, path, p)
	}
	accessible(t, "/login", s.visitor().get("/login"))
}

// made makes an object in the explorer and returns the path of its page.
func made(t *testing.T, v *visitor, plural string, pairs ...string) string {
	t.Helper()
	p := v.get(explorerPath + "/" + plural + "?new")
	p = v.submit(p, "save", pairs...)
	path := p.path
	if p.status != http.StatusOK || !strings.HasPrefix(path, explorerPath+"/"+plural+"/") {
		t.Fatalf("make one of %s: want its page, got %d at %s: %s", plural, p.status, path, p.main())
	}
	return path
}

// accessible checks what the Web Content Accessibility Guidelines 2.2 ask and markup can show: a language, a title, one first heading, a
// name for every control, every description that is referred to, no ID twice, no positive tabindex.
func accessible(t *testing.T, path string, p *seen) {
	t.Helper()
	ids := map[string]*html.Node{}
	labels := map[string]string{}
	for n := range p.root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attribute(n, "id"); id != "" {
			if ids[id] != nil {
				t.Errorf("%s: the ID %s is there twice", path, id)
			}
			ids[id] = n
		}
		if n.Data == "label" && attribute(n, "for") != "" {
			labels[attribute(n, "for")] = wordsOf(n)
		}
		if n.Data == "html" && attribute(n, "lang") == "" {
			t.Errorf("%s: no language", path)
		}
		if has(n, "style") || strings.HasPrefix(strings.Join(names(n), " "), "on") || n.Data == "style" || n.Data == "script" && n.FirstChild != nil {
			t.Errorf("%s: <%s> has style or script in the page, which the policy forbids", path, n.Data)
		}
		if tab := attribute(n, "tabindex"); tab != "" && tab != "0" && tab != "-1" {
			t.Errorf("%s: <%s tabindex=%s> breaks the order of the page", path, n.Data, tab)
		}
	}
	if n := len(p.find("h1", "", "")); n != 1 {
		t.Errorf("%s: want one first heading, got %d", path, n)
	}
	regions := map[string]bool{}
	for n := range p.root.Descendants() {
		if n.Type != html.ElementNode || attribute(n, "aria-hidden") == "true" {
			continue
		}
		name := attribute(n, "aria-label")
		if attribute(n, "role") == "region" {
			if name == "" || name == "List" || regions[name] {
				t.Errorf("%s: the region %q does not say which of the page it is", path, name)
			}
			regions[name] = true
		}
		for _, id := range strings.Fields(attribute(n, "aria-labelledby") + " " + attribute(n, "aria-describedby")) {
			if ids[id] == nil {
				t.Errorf("%s: <%s> refers to %s, which is not there", path, n.Data, id)
			}
		}
		switch n.Data {
		case "input", "select", "textarea":
			if attribute(n, "type") == "hidden" {
				continue
			}
			if name == "" {
				name = labels[attribute(n, "id")]
			}
			for up := n.Parent; name == "" && up != nil; up = up.Parent {
				if up.Data == "label" {
					name = wordsOf(up)
				}
			}
		case "button", "a", "h1", "h2", "h3", "th", "title":
			if name == "" {
				name = wordsOf(n)
			}
		case "progress", "nav", "section":
			if name == "" && n.Data == "section" && len(strings.Fields(attribute(n, "aria-labelledby"))) == 0 {
				continue
			}
			if attribute(n, "aria-labelledby") != "" {
				continue
			}
		default:
			continue
		}
		if strings.TrimSpace(name) == "" {
			t.Errorf("%s: <%s %s> has no name", path, n.Data, attribute(n, "name")+attribute(n, "href"))
		}
	}
}

func names(n *html.Node) (list []string) {
	for _, a := range n.Attr {
		list = append(list, a.Key)
	}
	return list
}

func TestASpaceIsMadeChangedFoundAndDeletedOnItsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("appadmin")
	p := v.submit(v.get("/configuration/spaces?add=1"), "add", "v.name", "Call 001", "v.uri", "88001", "v.callId", "88001", "v.passcode", "123456")
	wants(t, "after adding", p.main(), "Space “Call 001” added.", "Call 001", "88001", "set")
	if strings.Contains(p.main(), "123456") {
		t.Error("the list shows a passcode")
	}

	p = v.submit(v.get("/configuration/spaces?add=1"), "add", "v.name", "Another", "v.uri", "88001")
	if p.status != http.StatusUnprocessableEntity {
		t.Errorf("the same URI once more: want 422, got %d", p.status)
	}
	wants(t, "the form again", p.main(), "Another space already uses this URI.", "Nothing was lost.")
	if got := attribute(p.find("input", "id", "f-name")[0], "value"); got != "Another" {
		t.Errorf("the name that was typed: want Another, got %q", got)
	}
	uri := p.find("input", "id", "f-uri")[0]
	if attribute(uri, "aria-invalid") != "true" || !strings.HasPrefix(attribute(uri, "aria-describedby"), "f-uri-error") || !has(uri, "autofocus") {
		t.Errorf("the URI: want it marked, described by its error and in focus, got %v", uri.Attr)
	}

	p = v.submit(p, "add", "v.uri", "with space", "v.callId", "abc")
	wants(t, "two slips at once", p.main(), "white space", "Use the digits 0 to 9 alone")

	p = v.get("/configuration/spaces?filter=call")
	edit := ""
	for _, a := range p.find("a", "", "") {
		if wordsOf(a) == "Edit Call 001" {
			edit = attribute(a, "href")
		}
	}
	id := p.find("input", "name", "pick")[0]
	p = v.submit(v.get(strings.Split(edit, "#")[0]), "save:"+attribute(id, "value"), "v.name", "Call 1", "v.passcode", "")
	wants(t, "after the change", p.main(), "Space “Call 1” saved.")
	if strings.Contains(p.main(), "set Edit") {
		t.Error("the passcode was emptied and is still set")
	}

	p = v.submit(v.get("/configuration/spaces"), "delete", "pick", attribute(id, "value"))
	wants(t, "the question", p.main(), "Delete 1 space?", "Call 1", "cannot be undone")
	p = v.submit(p, "delete-confirmed")
	wants(t, "after the deletion", p.main(), "Deleted 1 space.", "There are no spaces yet.")
}

func TestOnlyWhatWasChangedIsSent(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	one, two := s.signedIn("admin"), s.signedIn("appadmin")
	path := made(t, one, "coSpaces", "v.name", "Weekly", "v.uri", "weekly")
	first, second := one.get(path), two.get(path)
	one.submit(first, "save", "v.name", "Daily")
	p := two.submit(second, "save", "v.uri", "daily")
	name, uri := attribute(p.find("input", "id", "f-name")[0], "value"), attribute(p.find("input", "id", "f-uri")[0], "value")
	if name != "Daily" || uri != "daily" {
		t.Errorf("two people changed a field each: want Daily and daily, got %s and %s", name, uri)
	}
}

func TestTheExplorerChoosesDeletesAndKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	profile := made(t, v, "callLegProfiles", "v.name", "Presenters")
	id := profile[len(profile)-36:]
	p := v.submit(v.get(explorerPath+"/coSpaces?new"), "choose:callLegProfile", "v.name", "Half typed", "v.callId", "4711")
	wants(t, "the list to choose from", p.main(), "Choose callLegProfile", "Presenters", id)
	p = v.submit(p, "pick:callLegProfile:"+id)
	if got := attribute(p.find("input", "id", "f-callLegProfile")[0], "value"); got != id {
		t.Errorf("the profile: want %s, got %q", id, got)
	}
	if got := attribute(p.find("input", "id", "f-name")[0], "value"); got != "Half typed" {
		t.Errorf("the name: want it kept, got %q", got)
	}
	wants(t, "the form", p.main(), "Presenters")
	p = v.submit(p, "save")
	wants(t, "the space", p.main(), "created", "secret")
	space := p.path

	p = v.submit(p, "delete")
	if p.status != http.StatusUnprocessableEntity {
		t.Errorf("delete without Allow delete: want 422, got %d", p.status)
	}
	wants(t, "delete without Allow delete", p.main(), "Tick “Allow delete” first.")
	if boxes := v.get(space).find("input", "type", "checkbox"); has(boxes[len(boxes)-2], "checked") || !has(boxes[len(boxes)-1], "checked") {
		t.Error("want Allow delete unticked and Require delete confirmation ticked")
	}
	p = v.submit(v.get(space), "delete", "allow", "1")
	wants(t, "the question", p.main(), "Delete this", "Half typed")
	p = v.submit(p, "delete")
	wants(t, "after the deletion", p.main(), "deleted", "There are none")
	if p := v.get(space); p.status != http.StatusNotFound {
		t.Errorf("the space afterwards: want 404, got %d", p.status)
	}
}

func TestAValueThatTheAPIRefusesIsToldBesideItsField(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	p := v.submit(v.get(explorerPath+"/coSpaces?new"), "save", "v.name", "x", "v.tenant", "7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11", "v.streamUrl", "rtmp://a/b")
	if len(p.find("p", "id", "f-tenant-error")) != 1 {
		t.Errorf("a tenant that does not exist: want the error at its field, got %d: %s", p.status, p.main())
	}
	if got := attribute(p.find("input", "id", "f-streamUrl")[0], "value"); got != "rtmp://a/b" {
		t.Errorf("what was typed: want it kept, got %q", got)
	}
}

func TestTheExplorerShowsWhatBelongsToNoTable(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	wants(t, "the list", v.get("/configuration/api").main(), "/api/v1/system/licensing", "/api/v1/coSpaces/<space id>/meetingEntryDetail", "/api/v1/system/profiles/effectiveWebBridgeProfile")
	wants(t, "a filter", v.get("/configuration/api?filter=LICENS").main(), "/api/v1/clusterLicensing")
	wants(t, "the licences", v.get(explorerPath+"/view/system/licensing").main(), "licensing", "features", "callBridge", "status")
	wants(t, "the status", v.get(explorerPath+"/view/system/status").main(), "softwareVersion")
	space := made(t, v, "coSpaces", "v.name", "Weekly", "v.uri", "weekly", "v.callId", "4711")
	wants(t, "the space", v.get(space).main(), "meetingEntryDetail", "emailInvitation")
	made(t, v, "inboundDialPlanRules", "v.domain", "cms.example.com")
	p := v.get(explorerPath + "/view/accessQuery")
	p = v.send(p.path, url.Values{"token": {v.token}, "uri": {"weekly"}}, nil)
	wants(t, "the answer", p.main(), "accessQuery", "uri weekly@cms.example.com")
	p = v.send(p.path, url.Values{"token": {v.token}, "callId": {"4711"}, "tenant": {"nobody"}}, nil)
	if p.status != http.StatusUnprocessableEntity || len(p.find("p", "id", "f-tenant-error")) != 1 {
		t.Errorf("a tenant that is no ID: want the error at its field, got %d: %s", p.status, p.main())
	}
	if got := attribute(p.find("input", "id", "f-callId")[0], "value"); got != "4711" {
		t.Errorf("what was typed: want it kept, got %q", got)
	}
	template := made(t, v, "layoutTemplates", "v.name", "Corners")
	p = v.get(template + "/view/template")
	if len(p.find("textarea", "id", "body")) != 1 {
		t.Fatalf("the template: want a field for the document, got %s", p.main())
	}
	p = v.send(p.path, url.Values{"token": {v.token}, "body": {"{"}}, nil)
	if p.status != http.StatusUnprocessableEntity || wordsOf(p.find("textarea", "id", "body")[0]) != "{" {
		t.Errorf("a document that is no JSON: want it refused and kept, got %d: %s", p.status, p.main())
	}
}

func TestGeneralEditsTheObjectsOfTheAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	p := v.submit(v.get("/configuration/general"), "save", "v.turn.serverAddress", "turn.example.com", "v.turn.password", "secret-1", "v.turn.username", "cms",
		"v.edge.serverAddress", "fe.example.com", "v.edge.numRegistrations", "2", "v.ivr.uri", "7772")
	wants(t, "General", p.main(), "General: saved.")
	list := v.get(explorerPath + "/turnServers")
	wants(t, "the TURN servers", list.main(), "turn.example.com", "fe.example.com", "lyncEdge")
	wants(t, "the IVRs", v.get(explorerPath+"/ivrs").main(), "7772")
	p = v.get("/configuration/general")
	if strings.Contains(p.text, "secret-1") {
		t.Error("the page shows a password")
	}
	v.submit(p, "save", "v.edge.serverAddress", "")
	if strings.Contains(v.get(explorerPath+"/turnServers").main(), "fe.example.com") {
		t.Error("the Lync Edge server was emptied and is still there")
	}
	p = v.submit(v.get("/configuration/general"), "save", "v.ivr.uri", "a b", "v.turn.username", "other")
	wants(t, "a slip", p.main(), "white space")
	if got := attribute(p.find("input", "id", "f-turn.username")[0], "value"); got != "other" {
		t.Errorf("what was typed in another part: want it kept, got %q", got)
	}
}

func TestCallSettingsAreKept(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	wants(t, "what counts before anybody sets it", v.get("/configuration/calls").main(), "When empty: 2500000.", "not set: 20 ms")
	p := v.submit(v.get("/configuration/calls"), "save", "v.sipMediaEncryption", "required", "v.sipReceiveBandwidth", "4000000")
	wants(t, "Call settings", p.main(), "Call settings: saved.")
	if got := attribute(v.get("/configuration/calls").find("input", "id", "f-sipReceiveBandwidth")[0], "value"); got != "4000000" {
		t.Errorf("the bandwidth: want 4000000, got %q", got)
	}
	p = v.submit(v.get("/configuration/calls"), "apply", "v.sipReceiveBandwidth", "3000000")
	wants(t, "Call settings", p.main(), "applied to SIP calls in progress")
	if got := attribute(v.get("/configuration/calls").find("input", "id", "f-sipReceiveBandwidth")[0], "value"); got != "3000000" {
		t.Errorf("the bandwidth: want 3000000, got %q", got)
	}
	p = v.submit(v.get("/configuration/calls"), "save", "v.sipReceiveBandwidth", "2M")
	wants(t, "a slip", p.main(), "use a number from 64000")
}

func TestATraceIsSwitchedOnAndEndsByItself(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	p := v.get("/logs/tracing")
	for _, d := range []string{"1 minute", "10 minutes", "30 minutes", "24 hours"} {
		wants(t, "the durations", p.main(), "SIP for "+d)
	}
	p = v.submit(p, "sip:600")
	wants(t, "tracing", p.main(), "Tracing of SIP is on for 10 minutes.", "On for")
	p = v.submit(p, "all:0")
	wants(t, "tracing", p.main(), "All tracing is off.")
	if strings.Contains(p.main(), "On for") {
		t.Error("a trace is still on")
	}
}

func TestIncomingCallsHaveTwoTablesThatDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	v.submit(v.get("/configuration/incoming?match.add=1"), "add", "v.match.domain", "cms.example.com", "v.match.resolveToIvrs", "false")
	p := v.submit(v.get("/configuration/incoming?forward.add=1"), "add", "v.forward.matchPattern", "lync.example.com", "v.forward.action", "forward", "v.forward.callerIdMode", "preserve")
	wants(t, "the tables", p.main(), "cms.example.com", "lync.example.com", "pass through")
	p = v.submit(v.get("/configuration/incoming?forward.add=1"), "add", "v.forward.matchPattern", "*")
	if len(p.find("p", "id", "f-forward.matchPattern-error")) != 1 {
		t.Errorf("a rule for everything: want it refused at its field, got %s", p.main())
	}
}

func TestCDRReceiversAreFourAtMost(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	for _, host := range []string{"a", "b", "c", "d"} {
		p := v.submit(v.get("/configuration/cdr?add=1"), "add", "v.uri", "https://"+host+".example.com/cdr")
		wants(t, "the receivers", p.main(), "https://"+host+".example.com/cdr")
	}
	p := v.get("/configuration/cdr")
	wants(t, "a full table", p.main(), "4 is the most there can be.")
}
