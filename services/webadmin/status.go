package webadmin

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rotunda/services/callbridge/schema"
)

// statusPage is Status > General. What the Call Bridge does not tell stays empty, and the rest is shown all the same: this is the page that
// one looks at when something is wrong.
type statusPage struct {
	Version, Uptime, Host, Address, Time string
	Active, Highest, Completed           int64
	AudioOut, AudioIn, VideoOut, VideoIn string
	Load                                 string
	Clustered                            bool
	Faults                               []faultRow
	// Licences are sentences about licence files that do not count, Trial is the day on which a trial began.
	Licences []string
	Trial    string
	Lines    []line
	// Trouble says why something is missing.
	Trouble, LogTrouble string
}

type faultRow struct{ Text, For, Link string }

// recentLines of errors and warnings are shown.
const recentLines = 12

func (v *visit) statusGeneral() {
	p := &statusPage{Host: v.options.Hostname, Address: v.r.Host}
	status, err := v.get("system/status", nil)
	if err != nil {
		p.Trouble = upper(publicly(err)) + "."
	} else {
		p.Version, p.Uptime = status.Get("softwareVersion"), lasted(status.number("uptimeSeconds"))
		if t, err := time.Parse(time.RFC3339, status.Get("cdrTime")); err == nil {
			p.Time = t.UTC().Format("2 January 2006, 15:04:05 UTC")
		}
		p.Active, p.Highest, p.Completed = status.number("callLegsActive"), status.number("callLegsMaxActive"), status.number("callLegsCompleted")
		p.AudioOut, p.AudioIn = rate(status.number("audioBitRateOutgoing")), rate(status.number("audioBitRateIncoming"))
		p.VideoOut, p.VideoIn = rate(status.number("videoBitRateOutgoing")), rate(status.number("videoBitRateIncoming"))
		p.Clustered = status.Get("clusterEnabled") == "true"
	}
	if load, err := v.get("system/load", nil); err == nil {
		p.Load = percent(load.number("mediaProcessingLoad"))
	}
	if alarms, err := v.get("system/alarms", nil); err == nil {
		for _, n := range alarms.Nodes {
			p.Faults = append(p.Faults, newFaultRow(n))
		}
	}
	if licences, err := v.get(pagePrefix+"licences", nil); err == nil {
		for _, n := range licences.Find("problem") {
			p.Licences = append(p.Licences, upper(n.Text)+".")
		}
		p.Trial = licences.Get("trial")
	}
	lines, err := v.logLines("messages", func(l *line) bool { return l.Severity <= severityOf("warning") }, recentLines)
	if err != nil {
		p.LogTrouble = "The log cannot be read at the moment."
	}
	p.Lines = lines
	v.show("status", "Status", p)
}

// percent writes thousandths.
func percent(thousandths int64) string {
	return fmt.Sprintf("%d.%d %%", thousandths/10, thousandths%10)
}

// newFaultRow tells an alarm in words; what it is about is a link where the explorer has it.
func newFaultRow(n *node) faultRow {
	r := faultRow{Text: spaced(n.Get("type")), For: lasted(n.number("activeTimeSeconds"))}
	if reason := n.Get("failureReason"); reason != "" {
		r.Text += ": " + strings.ToLower(spaced(reason))
	}
	for _, c := range n.Nodes {
		if o := schema.Of(c.Name + "s"); o != nil && c.Text != "" {
			r.Link = "/configuration/api/" + o.Plural + "/" + c.Text
		} else if c.Name == "fileName" || c.Name == "callBridgeName" {
			r.Text += " (" + c.Text + ")"
		}
	}
	return r
}

// listPage is a list of the API as Status shows it.
type listPage struct {
	Filter  string
	Columns []string
	Rows    []listRow
	Pager   pager
	None    string
	Tree    *node
}

type listRow struct {
	Link  string
	Cells []string
}

// list reads a page of a collection. Cells are those of columns; the first is the link to the object.
func (v *visit) list(o *schema.Object, none string, columns ...string) (*listPage, error) {
	query := v.r.URL.Query()
	offset, err := strconv.Atoi(query.Get("offset"))
	if err != nil || offset < 0 {
		offset = 0
	}
	p := &listPage{Filter: query.Get("filter"), Columns: columns, None: none}
	ask := url.Values{"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(gridPage)}}
	if p.Filter != "" {
		ask.Set("filter", p.Filter)
		p.None = "Nothing matches “" + p.Filter + "”."
	}
	n, err := v.get(o.URLPath(), ask)
	if err != nil {
		return nil, err
	}
	for _, c := range n.Nodes {
		if one, err := v.get(o.URLPath()+"/"+url.PathEscape(c.ID()), nil); err == nil {
			c = one
		}
		r := listRow{Link: "/configuration/api/" + o.Plural + "/" + c.ID()}
		for _, column := range columns {
			r.Cells = append(r.Cells, c.Get(column))
		}
		if r.Cells[0] == "" {
			r.Cells[0] = c.ID()
		}
		p.Rows = append(p.Rows, r)
	}
	p.Pager = newPager(offset, len(n.Nodes), n.total(), func(to int) string {
		q := url.Values{"offset": {strconv.Itoa(to)}}
		if p.Filter != "" {
			q.Set("filter", p.Filter)
		}
		return v.r.URL.Path + "?" + q.Encode()
	})
	return p, nil
}

func (v *visit) statusCalls() {
	p, err := v.list(schema.Of("calls"), "No calls at the moment.", "name", "callType", "durationSeconds", "numParticipantsLocal", "numCallLegs")
	if err != nil {
		v.fail(err)
		return
	}
	for i := range p.Rows {
		cells := p.Rows[i].Cells
		cells[1] = spaced(cells[1])
		if s, err := strconv.ParseInt(cells[2], 10, 64); err == nil {
			cells[2] = lasted(s)
		}
	}
	p.Columns = []string{"Call", "Kind", "Lasts", "Participants", "Call legs"}
	v.show("calls", "Calls", p)
}

func (v *visit) statusUsers() {
	p, err := v.list(schema.Of("users"), "No users are imported yet. Configuration > Active Directory imports them.", "name", "userJid", "email")
	if err != nil {
		v.fail(err)
		return
	}
	p.Columns = []string{"Name", "Username", "E-mail"}
	v.show("users", "Users", p)
}

func (v *visit) statusDatabase() {
	n, err := v.get("system/database", nil)
	if err != nil {
		v.fail(err)
		return
	}
	v.show("database", "Database", n)
}

// Attribute is for templates.
func (n *node) Attribute(name string) string { return n.Attributes[name] }

// Find are the elements of a name at any depth, in order.
func (n *node) Find(name string) []*node {
	var list []*node
	for _, c := range n.Nodes {
		if c.Name == name {
			list = append(list, c)
		}
		list = append(list, c.Find(name)...)
	}
	return list
}
