package webadmin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rotunda/services/callbridge/schema"
)

// durations for which a trace can be switched on (guide 16.1); then it ends by itself.
var durations = []struct {
	Seconds int64
	Label   string
}{{60, "1 minute"}, {600, "10 minutes"}, {1800, "30 minutes"}, {86400, "24 hours"}}

// traces are the titles of the groups.
var traces = map[string]string{"sip": "SIP", "activeControl": "ActiveControl", "bfcp": "BFCP", "dns": "DNS", "events": "Events", "ice": "ICE", "api": "API", "webBridge": "Web Bridge"}

// tracingPage is Logs > Detailed tracing.
type tracingPage struct {
	Groups []traceGroup
	Any    bool
}

type traceGroup struct {
	Name, Title, Help string
	Left, Until       string
	Choices           []traceChoice
}

type traceChoice struct{ Do, Label string }

func (v *visit) tracing() {
	o := schema.Of("timedLogging")
	if v.posted() {
		name, seconds, _ := strings.Cut(v.r.PostForm.Get("do"), ":")
		n, err := strconv.ParseInt(seconds, 10, 64)
		known := n == 0 || slices.ContainsFunc(durations, func(d struct {
			Seconds int64
			Label   string
		}) bool {
			return d.Seconds == n
		})
		values := url.Values{}
		for i := range o.Fields {
			if f := &o.Fields[i]; f.Access.Settable(false) && (f.Name == name || name == "all" && n == 0) {
				values.Set(f.Name, seconds)
			}
		}
		if err != nil || !known || len(values) == 0 {
			v.problem(http.StatusBadRequest, "This form is not known", "Reload the page and try again.")
			return
		}
		if _, err := v.send(http.MethodPut, pathOf(o, ""), values); err != nil {
			v.fail(err)
			return
		}
		notice := "Tracing of " + traceTitle(name) + " is off."
		switch {
		case name == "all":
			notice = "All tracing is off."
		case n > 0:
			notice = "Tracing of " + traceTitle(name) + " is on for " + lasted(n) + "."
		}
		v.went(v.r.URL.Path, notice)
		return
	}
	n, err := v.get(pathOf(o, ""), nil)
	if err != nil {
		v.fail(err)
		return
	}
	p := &tracingPage{}
	for i := range o.Fields {
		f := &o.Fields[i]
		if !f.Access.Settable(false) || f.Kind != schema.Number {
			continue
		}
		g := traceGroup{Name: f.Name, Title: traceTitle(f.Name), Help: f.Help}
		if help, ok := strings.CutPrefix(f.Help, "For how many seconds "); ok {
			help, _, _ = strings.Cut(help, " are traced")
			if g.Help = upper(help) + "."; strings.EqualFold(help, g.Title) {
				g.Help = ""
			}
		}
		if left := n.number(f.Name); left > 0 {
			g.Left = lasted(left)
			g.Until = v.options.Now().Add(time.Duration(left) * time.Second).UTC().Format("15:04:05 UTC")
			p.Any = true
		}
		for _, d := range durations {
			g.Choices = append(g.Choices, traceChoice{f.Name + ":" + strconv.FormatInt(d.Seconds, 10), d.Label})
		}
		p.Groups = append(p.Groups, g)
	}
	v.show("tracing", "Detailed tracing", p)
}

func traceTitle(name string) string {
	if t := traces[name]; t != "" {
		return t
	}
	return spaced(name)
}
