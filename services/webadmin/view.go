package webadmin

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

// visit is one request of somebody who has signed in.
type visit struct {
	*Server
	w       http.ResponseWriter
	r       *http.Request
	session *session
	who     caller
}

// frame is what surrounds a page.
type frame struct {
	Title  string
	Host   string
	Style  string
	Script string
	Icon   string
	Path   string
	User   string
	Token  string
	Notice string
	Menu   []menu
	Data   any
}

// menu is one group of pages.
type menu struct {
	Title string
	Icon  string
	Items []item
}

type item struct {
	Title, Path string
	Here        bool
}

// menus in the order of those whom administrators know.
func menus(in *session, path string) []menu {
	all := []menu{
		{"Status", "pulse", []item{{Title: "General", Path: "/status"}, {Title: "Calls", Path: "/status/calls"}, {Title: "Users", Path: "/status/users"},
			{Title: "Database", Path: "/status/database"}, {Title: "Licences", Path: "/status/licences"}}},
		{"Configuration", "sliders", []item{{Title: "General", Path: "/configuration/general"}, {Title: "Active Directory", Path: "/configuration/directory"},
			{Title: "Call settings", Path: "/configuration/calls"}, {Title: "Outbound calls", Path: "/configuration/outbound"},
			{Title: "Incoming calls", Path: "/configuration/incoming"}, {Title: "Trace a call", Path: "/configuration/trace"}, {Title: "CDR settings", Path: "/configuration/cdr"},
			{Title: "Spaces", Path: "/configuration/spaces"}, {Title: "API", Path: "/configuration/api"}}},
		{"Logs", "lines", []item{{Title: "Event log", Path: "/logs/events"}, {Title: "Detailed tracing", Path: "/logs/tracing"}}},
		{"User", "person", []item{{Title: "Current user", Path: "/user"}}},
	}
	if !in.has(roleAdmin, roleAppAdmin) {
		all = []menu{{"Logs", "lines", all[2].Items[:1]}, all[3]}
	}
	for m := range all {
		items := all[m].Items
		for i := range items {
			p := items[i].Path
			items[i].Here = path == p || (p != "/status" && strings.HasPrefix(path, p+"/"))
		}
	}
	return all
}

// show renders a page.
func (v *visit) show(view, title string, data any) { v.showStatus(http.StatusOK, view, title, data) }

func (v *visit) showStatus(status int, view, title string, data any) {
	v.execute(v.w, status, view, &frame{Title: title, Host: v.options.Hostname, Style: v.style, Script: v.script, Icon: v.iconPath(), Path: v.r.URL.Path,
		User: v.session.user, Token: v.session.token, Notice: v.session.told(), Menu: menus(v.session, v.r.URL.Path), Data: data})
}

// problem is a page that says what went wrong.
func (v *visit) problem(status int, title, text string) {
	v.showStatus(status, "problem", title, text)
}

// fail shows an error of the API where there is no form to show it in.
func (v *visit) fail(err error) {
	if notFound(err) {
		v.problem(http.StatusNotFound, "It is not there", "The object does not exist, or does not exist any more.")
		return
	}
	v.options.Log.Warn("a page could not be made", "path", v.r.URL.Path, "error", err)
	v.problem(http.StatusBadGateway, "The Call Bridge does not give what this page needs", upper(publicly(err))+".")
}

// went goes to a page after a change, with a notice, so that reloading it does not send the form again.
func (v *visit) went(to, notice string) {
	if notice != "" {
		v.session.tell(notice)
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
}

func (v *visit) get(path string, query url.Values) (*node, error) {
	return v.bridge.get(v.r.Context(), v.who, path, query)
}

func (v *visit) send(method, path string, values url.Values) (string, error) {
	return v.bridge.send(v.r.Context(), v.who, method, path, values)
}

// posted says whether a form was sent.
func (v *visit) posted() bool { return v.r.Method == http.MethodPost }

// execute renders a view whole before a byte leaves, so that a slip in it is an error and no half page.
func (s *Server) execute(w http.ResponseWriter, status int, view string, data *frame) {
	var b bytes.Buffer
	if err := s.views[view].ExecuteTemplate(&b, "frame", data); err != nil {
		s.options.Log.Error("a page could not be rendered", "view", view, "error", err)
		http.Error(w, "this page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// parse reads the views: each with the frame and the parts that they share.
func (s *Server) parse() map[string]*template.Template {
	functions := template.FuncMap{
		"spaced": spaced,
		"upper":  upper,
		"lasted": lasted,
		"rate":   rate,
		"join":   strings.Join,
		"add":    func(a, b int) int { return a + b },
		"dict": func(pairs ...any) (map[string]any, error) {
			if len(pairs)%2 != 0 {
				return nil, fmt.Errorf("dict of %d values", len(pairs))
			}
			m := map[string]any{}
			for i := 0; i < len(pairs); i += 2 {
				m[pairs[i].(string)] = pairs[i+1]
			}
			return m, nil
		},
	}
	shared := template.Must(template.New("").Funcs(functions).ParseFS(files, "pages/frame.html", "pages/icons.html", "pages/fields.html", "pages/grid.html"))
	views := map[string]*template.Template{}
	for _, name := range []string{"login", "resume", "problem", "status", "calls", "users", "database", "licences", "trace", "sections", "progress", "grids", "confirm",
		"explorer", "report", "collection", "object", "choose", "events", "tracing", "user"} {
		views[name] = template.Must(template.Must(shared.Clone()).ParseFS(files, "pages/"+name+".html"))
	}
	return views
}
