package webadmin

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"rotunda/services/callbridge/schema"
)

// report is a path of the API that belongs to no table: what the system tells, questions, and orders to one object (reference
// sections 2.1 to 2.12).
type report struct {
	// of is the plural of the objects below which it is, "" at the top; path is the rest.
	of, path string
	help     string
	method   string
	// ask are its parameters.
	ask []string
	// needs says that there is no answer without a parameter.
	needs bool
	// raw is a document that can be replaced.
	raw bool
}

var reports = []report{
	{path: "system/status", help: "Version, uptime and what the Call Bridge carries."},
	{path: "system/alarms", help: "The faults that there are now."},
	{path: "system/database", help: "The state of the database."},
	{path: "system/load", help: "The load of media processing."},
	{path: "system/licensing", help: "The features of the licence and until when they count."},
	{path: "system/multipartyLicensing", help: "Personal and shared licences, and what is used of them."},
	{path: "system/multipartyLicensing/activePersonalLicenses", help: "The users whose personal licences are in use."},
	{path: "system/MPLicenseUsage", help: "Snapshots of the use of licences, one in five minutes.", ask: []string{"startTime", "endTime", "hostId", "offset", "limit"}},
	{path: "system/MPLicenseUsage/knownHosts", help: "The machines that the snapshots are of."},
	{path: "system/diagnostics", help: "The diagnostics that were taken.", ask: []string{"coSpaceFilter", "callCorrelatorFilter", "offset", "limit"}},
	{path: "clusterLicensing", help: "The licences of the cluster."},
	{path: "accessQuery", help: "How a URI or a call ID would be reached.", method: http.MethodPost, ask: []string{"uri", "callId", "tenant"}},
	{path: "uriUsageQuery", help: "What a URI belongs to.", method: http.MethodPost, ask: []string{"uri", "tenant"}},
	{path: "conversationIdQuery", help: "Whether a Lync conversation is here.", ask: []string{"conversationId"}, needs: true},
	{of: "coSpaces", path: "meetingEntryDetail", help: "How one gets into meetings of the space."},
	{of: "coSpaces", path: "emailInvitation", help: "The text of an invitation.", ask: []string{"language"}},
	{of: "coSpaces", path: "diagnostics", help: "Takes diagnostics of the space's meetings.", method: http.MethodPost},
	{of: "accessMethods", path: "emailInvitation", help: "The text of an invitation.", ask: []string{"language"}},
	{of: "calls", path: "diagnostics", help: "Takes diagnostics of the call.", method: http.MethodPost},
	{of: "callLegs", path: "callLegProfileTrace", help: "Where the settings in force come from."},
	{of: "callLegs", path: "cameraControl", help: "Moves the far camera.", method: http.MethodPut, ask: []string{"pan", "tilt", "zoom", "focus"}},
	{of: "callLegs", path: "generateKeyframe", help: "Asks for a whole picture.", method: http.MethodPost},
	{of: "callLegProfiles", path: "usage", help: "Who uses the profile."},
	{of: "users", path: "userCoSpaces", help: "The spaces that the user is a member of."},
	{of: "turnServers", path: "status", help: "Whether the server is reached."},
	{of: "webBridges", path: "status", help: "Whether the Web Bridge is connected."},
	{of: "webBridges", path: "effectiveWebBridgeProfile", help: "The profile in force, merged from all levels."},
	{of: "webBridges", path: "updateCustomization", help: "Fetches the archive of pictures and texts once more.", method: http.MethodPost},
	{of: "tenants", path: "effectiveWebBridgeProfile", help: "The profile in force, merged from all levels."},
	{of: "profiles", path: "effectiveWebBridgeProfile", help: "The profile in force, merged from all levels."},
	{of: "layoutTemplates", path: "template", help: "The layouts of the template, in JSON.", raw: true},
}

// viewSegment separates an object from a report in the explorer's paths.
const viewSegment = "view/"

// reportOf finds a report by the path below explorerPath; at is nil for one at the top.
func reportOf(path string) (at *place, r *report) {
	above, rest, ok := strings.Cut("/"+path, "/"+viewSegment)
	if !ok {
		return nil, nil
	}
	of := ""
	if above = strings.Trim(above, "/"); above != "" {
		at, ok = parsePlace(above)
		if !ok || at.ID == "" && !at.Object.Singleton {
			return nil, nil
		}
		of = at.Object.Plural
	}
	for i := range reports {
		if reports[i].of == of && reports[i].path == rest {
			return at, &reports[i]
		}
	}
	return nil, nil
}

// reportsOf are those of an object.
func reportsOf(at *place) (list []childLink) {
	for _, r := range reports {
		if r.of == at.Object.Plural && (at.ID != "" || at.Object.Singleton) {
			list = append(list, childLink{r.path, at.Path() + "/" + viewSegment + r.path, r.help})
		}
	}
	return list
}

// reportPage is a report, with its parameters.
type reportPage struct {
	Crumbs  []crumb
	Help    string
	Pattern string
	Method  string
	Fields  []reportField
	Raw     bool
	Body    string
	Errors  []string
	// Answer is what came; Text where it is no XML, Done where it is nothing.
	Answer *node
	Text   string
	Done   string
}

type reportField struct{ Name, Value, Error string }

func (v *visit) report(at *place, r *report) {
	path := r.path
	p := &reportPage{Crumbs: []crumb{{"API", explorerPath}}, Help: r.help, Method: r.method, Raw: r.raw}
	if at != nil {
		path = at.API() + "/" + r.path
		p.Crumbs = at.crumbs()
	}
	p.Pattern = apiPrefix + path
	values := url.Values{}
	sent := v.r.URL.Query()
	if v.posted() {
		sent = v.r.PostForm
	}
	for _, name := range r.ask {
		value := sent.Get(name)
		p.Fields = append(p.Fields, reportField{Name: name, Value: value})
		if value != "" {
			values.Set(name, value)
		}
	}
	status := http.StatusOK
	var answer *reply
	var err error
	switch {
	case r.method != "" && !v.posted() || r.needs && len(values) == 0:
		// An order is given by its button alone.
	case r.method != "":
		answer, err = v.bridge.exchange(v.r.Context(), v.who, r.method, path, []byte(values.Encode()), formType)
	case v.posted() && r.raw:
		p.Body = v.r.PostForm.Get("body")
		if _, err = v.bridge.exchange(v.r.Context(), v.who, http.MethodPut, path, []byte(p.Body), "application/json"); err == nil {
			v.went(v.r.URL.Path, "Saved.")
			return
		}
	default:
		if len(values) > 0 {
			path += "?" + values.Encode()
		}
		answer, err = v.bridge.exchange(v.r.Context(), v.who, http.MethodGet, path, nil, "")
		if at != nil && notFound(err) && !r.raw {
			v.fail(err)
			return
		}
	}
	if err != nil && !(r.raw && !v.posted() && notFound(err)) {
		status = http.StatusUnprocessableEntity
		if refused, ok := asRefusal(err); ok {
			for _, f := range refused.Failures {
				placed := false
				for i := range p.Fields {
					if strings.EqualFold(p.Fields[i].Name, f.Parameter) {
						p.Fields[i].Error, placed = f.sentence(), true
					}
				}
				if !placed {
					p.Errors = append(p.Errors, f.sentence())
				}
			}
			if len(refused.Failures) == 0 {
				p.Errors = append(p.Errors, upper(refused.Error())+".")
			}
		} else {
			p.Errors = append(p.Errors, upper(publicly(err))+".")
		}
	}
	if answer != nil {
		p.show(answer)
	}
	v.showStatus(status, "report", r.path, p)
}

// show takes an answer apart.
func (p *reportPage) show(a *reply) {
	switch {
	case p.Raw:
		p.Body = string(a.body)
	case len(a.body) == 0:
		p.Done = "Done."
		if a.location != "" {
			p.Done = "Done: " + a.location
		}
	case strings.Contains(a.kind, "xml"):
		n, err := parseNode(bytes.NewReader(a.body))
		if err != nil {
			p.Errors = append(p.Errors, upper(err.Error())+".")
			return
		}
		p.Answer = n
	case utf8.Valid(a.body):
		p.Text = string(a.body)
	default:
		p.Done = "The answer is no text."
	}
}

// All is the answer as the tree of its own element.
func (p *reportPage) All() []*node { return []*node{p.Answer} }

// reply is an answer of the API as it came.
type reply struct {
	kind, location string
	body           []byte
}

func readReply(r *http.Response) (*reply, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	return &reply{r.Header.Get("Content-Type"), r.Header.Get("Location"), b}, nil
}

// reportTypes are the reports at the top, for the list of all that the API has.
func reportTypes() (list []explorerType) {
	for _, r := range reports {
		t := explorerType{Path: apiPrefix + r.path, Help: r.help, Page: explorerPath + "/" + viewSegment + r.path, Methods: "view"}
		if r.method == http.MethodPost {
			t.Methods = "ask"
		}
		if r.of != "" {
			o := schema.Of(r.of)
			t.Path = apiPrefix + apiPattern(o) + "/<" + spacedLower(o.Name) + " id>/" + r.path
			if o.Singleton {
				t.Path = apiPrefix + o.URLPath() + "/" + r.path
			}
			t.Page = explorerPath + "/" + root(o).Plural
			if r.method != "" {
				t.Methods = "send"
			} else if r.raw {
				t.Methods = "view, edit"
			}
		}
		list = append(list, t)
	}
	return list
}
