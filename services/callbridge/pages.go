package callbridge

import (
	"errors"
	"net/http"
	"strings"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/licence"
	"rotunda/services/callbridge/route"
	"rotunda/services/callbridge/store"
)

// hookPages adds what the admin pages alone ask.
func (b *bridge) hookPages() {
	b.api.HandlePage(http.MethodGet, "licences", func(*api.Call) (api.Answer, error) {
		e := api.Element{Name: "licences"}
		for _, text := range b.licences.Problems() {
			e.Elements = append(e.Elements, api.Text("problem", text))
		}
		if began, ok := b.licences.Trial(); ok {
			e.Elements = append(e.Elements, api.Text("trial", began.Format("2006-Jan-02")))
		}
		return api.Answer{Root: &e}, nil
	})
	b.api.HandlePage(http.MethodPost, "licences/trial", func(c *api.Call) (api.Answer, error) {
		err := b.licences.StartTrial()
		if errors.Is(err, licence.ErrApplied) {
			return api.Answer{}, &failure.Parameter{Name: "trial", Fault: failure.Invalid, Why: err.Error()}
		}
		if err != nil {
			return api.Answer{}, err
		}
		c.Audit("started the trial of 90 days")
		return api.Answer{}, nil
	})
	b.api.HandlePage(http.MethodGet, "dialPlanTrace", b.traceDialPlan)
}

// mostTraced is the longest address that is traced.
const mostTraced = 1024

// traceDialPlan answers what would become of a call, with every rule that was looked at.
func (b *bridge) traceDialPlan(c *api.Call) (api.Answer, error) {
	uri := strings.TrimSpace(c.Params.Get("uri"))
	if uri == "" || len(uri) > mostTraced {
		return api.Answer{}, &failure.Parameter{Name: "uri", Fault: failure.Invalid, Why: "type the address of a call, such as sales@example.com"}
	}
	var e route.Explained
	if c.Params.Get("direction") == "outgoing" {
		e = b.calls.router.ExplainOutgoing(uri)
	} else {
		var err error
		if e, err = b.calls.router.ExplainIncoming(c.View(), uri); err != nil {
			return api.Answer{}, &failure.Parameter{Name: "uri", Fault: failure.Invalid, Why: "this is no address: " + err.Error()}
		}
	}
	id := func(id store.ID) string {
		if id == (store.ID{}) {
			return ""
		}
		return id.String()
	}
	root := api.Element{Name: "dialPlanTrace", Elements: []api.Element{
		api.Text("verdict", e.Verdict), api.Text("what", e.What), api.Text("why", e.Why), api.Text("rule", id(e.Rule)),
	}}
	for _, s := range e.Trace.Steps {
		verdict := "passed over"
		if s.Matched {
			verdict = "matches"
		}
		root.Elements = append(root.Elements, api.Element{Name: "step", Elements: []api.Element{
			api.Text("table", string(s.Table)), api.Text("rule", id(s.Rule)), api.Text("name", s.Name), api.Text("verdict", verdict), api.Text("why", s.Why),
		}})
	}
	for _, a := range e.Attempts {
		var transports []string
		for _, t := range a.Transports {
			transports = append(transports, string(t))
		}
		root.Elements = append(root.Elements, api.Element{Name: "attempt", Elements: []api.Element{
			api.Text("rule", id(a.Rule)), api.Text("to", a.To.String()), api.Text("next", a.Next.String()), api.Text("transport", strings.Join(transports, ", ")),
			api.Text("from", a.From.String()),
		}})
	}
	return api.Answer{Root: &root}, nil
}
