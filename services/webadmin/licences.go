package webadmin

import (
	"net/http"
	"net/url"
)

// licencesPage is Status > Licences: what the licence file and the cluster's document say, what is wrong with them, and the trial.
type licencesPage struct {
	Problems []string
	// Trial is the day on which a trial began, Applied the cluster's features where any has a last day.
	Trial         string
	This, Cluster []licenceRow
	Refused       string
}

type licenceRow struct{ Name, Status, Expiry, Limit string }

// licences shows what is licensed; its button starts the trial (guide chapter 17.1.1, step 3).
func (v *visit) licences() {
	p := &licencesPage{}
	if v.posted() {
		_, err := v.send(http.MethodPost, pagePrefix+"licences/trial", url.Values{})
		if err == nil {
			v.went(v.r.URL.Path, "The trial has started: every feature lasts for 90 days.")
			return
		}
		p.Refused = upper(publicly(err))
	}
	n, err := v.get(pagePrefix+"licences", nil)
	if err != nil {
		v.fail(err)
		return
	}
	for _, problem := range n.Find("problem") {
		p.Problems = append(p.Problems, upper(problem.Text)+".")
	}
	p.Trial = n.Get("trial")
	if n, err = v.get("system/licensing", nil); err == nil {
		p.This = licenceRows(n)
	}
	if n, err = v.get("clusterLicensing", nil); err == nil {
		p.Cluster = licenceRows(n)
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.show("licences", "Licences", p)
}

func licenceRows(n *node) (rows []licenceRow) {
	for _, features := range n.Find("features") {
		for _, f := range features.Nodes {
			r := licenceRow{Name: spaced(f.Name), Status: spaced(f.Get("status")), Expiry: f.Get("expiry"), Limit: f.Get("limit")}
			if r.Expiry == "" && f.Get("status") == "activated" {
				r.Expiry = "never"
			}
			rows = append(rows, r)
		}
	}
	return rows
}
