package webadmin

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"encoding/xml"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
)

// standin is a stand-in for the Call Bridge: objects in memory by the tables, with the form of answers and failures of the API and none of its
// rules. It lets the pages be looked at without a database; what the real API does is tested against the real one.
type standin struct {
	mu      sync.Mutex
	objects map[string]map[string]string // by path below /api/v1
	order   []string
	users   []string // who called
	fixed   map[string]string
}

func newStandin() *standin {
	return &standin{objects: map[string]map[string]string{}, fixed: map[string]string{
		"system/status":   `<status><softwareVersion>3.8.1</softwareVersion><uptimeSeconds>266520</uptimeSeconds><cdrTime>2026-11-22T13:40:00Z</cdrTime><callLegsActive>17</callLegsActive><callLegsMaxActive>42</callLegsMaxActive><callLegsCompleted>1284</callLegsCompleted><audioBitRateOutgoing>812000</audioBitRateOutgoing><audioBitRateIncoming>734000</audioBitRateIncoming><videoBitRateOutgoing>24300000</videoBitRateOutgoing><videoBitRateIncoming>21800000</videoBitRateIncoming></status>`,
		"system/alarms":   `<alarms total="1"><alarm id="a"><type>cdrConnectionFailure</type><activeTimeSeconds>340</activeTimeSeconds><failureReason>connectFailure</failureReason></alarm></alarms>`,
		"system/database": `<database clustered="disabled"/>`,
		"system/load":     `<load><mediaProcessingLoad>1200</mediaProcessingLoad></load>`,
	}}
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func (s *standin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = append(s.users, r.Header.Get("Rotunda-User"))
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, apiPrefix), pagePrefix)
	fail := func(status int, details string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "<failureDetails>%s</failureDetails>", details)
	}
	if text := s.fixed[path]; text != "" {
		fmt.Fprint(w, text)
		return
	}
	segments := strings.Split(path, "/")
	id := ""
	if _, err := uuid.Parse(segments[len(segments)-1]); err == nil {
		id = segments[len(segments)-1]
		segments = segments[:len(segments)-1]
	}
	collection := strings.Join(segments, "/")
	var o *schema.Object
	for _, c := range schema.All() {
		if c.URLPath() == collection || c.URLPath() == segments[len(segments)-1] {
			o = c
		}
	}
	if o == nil {
		fail(404, "<unrecognizedObject/>")
		return
	}
	_ = r.ParseForm()
	if r.Method == http.MethodPut || r.Method == http.MethodPost {
		if o.Singleton && s.objects[path] == nil {
			s.objects[path] = map[string]string{}
		}
		values := s.objects[path]
		if r.Method == http.MethodPost {
			values = map[string]string{}
			for i := range o.Fields {
				if f := &o.Fields[i]; f.Default != "" && f.Access.Stored() {
					values[f.Name] = f.Default
				}
			}
		}
		if values == nil {
			fail(404, "<"+o.Missing+"/>")
			return
		}
		values = maps.Clone(values)
		for name, v := range r.PostForm {
			f := o.Field(name)
			if f == nil {
				continue
			}
			text, err := f.Parse(v[0])
			if err != nil {
				fail(400, `<parameterError parameter="`+f.Name+`" error="invalidValue" detail="`+escaped(err.Error())+`"/>`)
				return
			}
			values[f.Name] = text
		}
		for _, u := range o.Unique {
			for _, f := range u.Fields {
				for p, other := range s.objects {
					if values[f] != "" && p != path && strings.HasPrefix(p, collection) && strings.EqualFold(other[f], values[f]) {
						fail(400, "<"+cmp.Or(u.Code, "invalidOperation")+"/>")
						return
					}
				}
			}
		}
		if r.Method == http.MethodPost {
			id = uuid.NewString()
			path = collection + "/" + id
			s.order = append(s.order, path)
		}
		s.objects[path] = values
		w.Header().Set("Location", apiPrefix+path)
		return
	}
	if r.Method == http.MethodDelete {
		delete(s.objects, path)
		s.order = slices.DeleteFunc(s.order, func(p string) bool { return p == path })
		return
	}
	write := func(id string, values map[string]string) {
		fmt.Fprintf(w, `<%s id="%s">`, o.Name, id)
		for i := range o.Fields {
			if f := &o.Fields[i]; values[f.Name] != "" && f.Access != schema.Hidden {
				fmt.Fprintf(w, "<%s>%s</%s>", f.Name, escaped(values[f.Name]), f.Name)
			}
		}
		fmt.Fprintf(w, "</%s>", o.Name)
	}
	if id != "" || o.Singleton {
		if s.objects[path] == nil && !o.Singleton {
			fail(404, "<"+o.Missing+"/>")
			return
		}
		write(id, s.objects[path])
		return
	}
	var found []string
	filter := strings.ToLower(r.Form.Get("filter"))
	for _, p := range s.order {
		if strings.HasPrefix(p, collection+"/") && strings.Count(p, "/") == strings.Count(collection, "/")+1 {
			if filter == "" || slices.ContainsFunc(o.Search, func(f string) bool { return strings.Contains(strings.ToLower(s.objects[p][f]), filter) }) {
				found = append(found, p)
			}
		}
	}
	offset, _ := strconv.Atoi(r.Form.Get("offset"))
	fmt.Fprintf(w, `<%s total="%d">`, o.Plural, len(found))
	for _, p := range found[min(offset, len(found)):min(offset+20, len(found))] {
		write(p[len(p)-36:], s.objects[p])
	}
	fmt.Fprintf(w, "</%s>", o.Plural)
}

func (s *standin) add(plural string, pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	r, _ := http.NewRequest(http.MethodPost, apiPrefix+schema.Of(plural).URLPath(), strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := &recorder{h: http.Header{}}
	s.ServeHTTP(w, r)
	return w.h.Get("Location")
}

type recorder struct{ h http.Header }

func (r *recorder) Header() http.Header         { return r.h }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) WriteHeader(int)             {}
