package collection

import (
	"fmt"
	"slices"
	"strings"

	"rotunda/services/callbridge/schema"
)

// Collection is the document.
type Collection struct {
	Info      Info       `json:"info"`
	Auth      Auth       `json:"auth"`
	Variables []Variable `json:"variable"`
	Items     []Item     `json:"item"`
}

// Info says what a collection is.
type Info struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Schema      string `json:"schema"`
}

// Auth is HTTP's Basic.
type Auth struct {
	Type  string     `json:"type"`
	Basic []Variable `json:"basic"`
}

// Variable is a name with a value, and also a parameter of a query or a form.
type Variable struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Type        string `json:"type,omitempty"`
	Description string `json:"description,omitempty"`
	Disabled    bool   `json:"disabled,omitempty"`
}

// Item is a folder of further items, or a request.
type Item struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Items       []Item   `json:"item,omitempty"`
	Events      []Event  `json:"event,omitempty"`
	Request     *Request `json:"request,omitempty"`
}

// Event is a script that a client runs after the answer.
type Event struct {
	Listen string `json:"listen"`
	Script Script `json:"script"`
}

// Script is one, by line.
type Script struct {
	Type string   `json:"type"`
	Exec []string `json:"exec"`
}

// Request is what is sent.
type Request struct {
	Method      string `json:"method"`
	URL         URL    `json:"url"`
	Body        *Body  `json:"body,omitempty"`
	Description string `json:"description,omitempty"`
}

// URL is one in parts; Raw is the whole of it, without what is switched off.
type URL struct {
	Raw   string     `json:"raw"`
	Host  []string   `json:"host"`
	Path  []string   `json:"path"`
	Query []Variable `json:"query,omitempty"`
}

// Body is a form.
type Body struct {
	Mode string     `json:"mode"`
	Form []Variable `json:"urlencoded"`
}

// Make makes the collection of all tables.
func Make() *Collection {
	c := &Collection{
		Info: Info{Name: "Rotunda", Description: "Every request of the API, made from its declarations. Set the variables server, user and password; " +
			"the folder \"" + FirstMeeting + "\" then works from top to bottom.",
			Schema: "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
		Auth: Auth{Type: "basic", Basic: []Variable{{Key: "username", Value: "{{user}}", Type: "string"}, {Key: "password", Value: "{{password}}", Type: "string"}}},
		Variables: []Variable{{Key: "server", Value: "https://meetings.example.com", Type: "string"}, {Key: "user", Value: "admin", Type: "string"},
			{Key: "password", Value: "", Type: "string"}},
		Items: []Item{firstMeeting()},
	}
	for _, o := range objects() {
		c.Items = append(c.Items, folder(o))
		if !o.Singleton {
			c.Variables = append(c.Variables, Variable{Key: variable(o), Value: "", Type: "string"})
		}
	}
	orders := Item{Name: "orders", Description: "Requests to what is going on."}
	for _, o := range schema.Orders() {
		orders.Items = append(orders.Items, request(o.Help, method(o), schema.FullPath(o), nil, form(o, o.Methods&schema.Create != 0)))
	}
	c.Items = append(c.Items, orders)
	return c
}

// FirstMeeting is the name of the folder that is run from top to bottom.
const FirstMeeting = "A first meeting"

// firstMeeting makes a space, looks at it, changes it, gives it a second way in, and takes it away again.
func firstMeeting() Item {
	on := func(key, value string) Variable { return Variable{Key: key, Value: value, Type: "text"} }
	space, method := schema.CoSpace, schema.AccessMethod
	path, methods := schema.FullPath(space), schema.FullPath(method)
	return Item{Name: FirstMeeting, Description: "A space with a host's and a guests' way in.", Items: []Item{
		request("What the system is", "GET", "system/status", nil, nil),
		kept(space, request("Make a space", "POST", path, nil, []Variable{on("name", "First meeting"), on("uri", "first.meeting"), on("requireCallId", "true")})),
		request("Look at it", "GET", one(space, path), nil, nil),
		request("Give guests a passcode", "PUT", one(space, path), nil, []Variable{on("passcode", "2468")}),
		kept(method, request("Give hosts a way in of their own", "POST", methods, nil, []Variable{on("name", "Hosts"), on("uri", "first.meeting"), on("passcode", "135790")})),
		request("Find it", "GET", path, []Variable{{Key: "filter", Value: "first.meeting"}}, nil),
		request("The ways in", "GET", methods, nil, nil),
		request("What invitations say", "GET", one(space, path)+"/emailInvitation", nil, nil),
		request("Take it away", "DELETE", one(space, path), nil, nil),
	}}
}

func objects() []*schema.Object {
	list := slices.DeleteFunc(slices.Clone(schema.All()), func(o *schema.Object) bool { return o.Page })
	slices.SortFunc(list, func(a, b *schema.Object) int {
		return strings.Compare(strings.ToLower(schema.FullPath(a)), strings.ToLower(schema.FullPath(b)))
	})
	return list
}

// folder has the requests of one type.
func folder(o *schema.Object) Item {
	path := schema.FullPath(o)
	f := Item{Name: strings.TrimPrefix(path, "/api/v1/"), Description: o.Help}
	if o.Singleton {
		if o.Methods&schema.Read != 0 {
			f.Items = append(f.Items, request("Read", "GET", path, nil, nil))
		}
		if o.Methods&schema.Update != 0 {
			f.Items = append(f.Items, request("Change", "PUT", path, nil, form(o, false)))
		}
		return f
	}
	if o.Methods&schema.Read != 0 {
		f.Items = append(f.Items, request("List", "GET", path, query(o), nil), request("Read one", "GET", one(o, path), nil, nil))
	}
	collection := path
	if o.CreateBelow != nil {
		collection = one(o.CreateBelow, schema.FullPath(o.CreateBelow)) + "/" + o.Plural
	}
	if o.Methods&schema.Create != 0 || o.CreateBelow != nil {
		f.Items = append(f.Items, kept(o, request("Make one", "POST", collection, nil, form(o, true))))
	}
	if o.Methods&schema.Update != 0 {
		f.Items = append(f.Items, request("Change one", "PUT", one(o, path), nil, form(o, false)))
	}
	if o.Methods&schema.Delete != 0 {
		f.Items = append(f.Items, request("Delete one", "DELETE", one(o, path), nil, nil))
	}
	return f
}

func method(o *schema.Object) string {
	if o.Methods&schema.Create != 0 {
		return "POST"
	}
	return "PUT"
}

// variable is where the ID of an object of a type is kept.
func variable(o *schema.Object) string { return o.Name + "Id" }

func one(o *schema.Object, path string) string { return path + "/{{" + variable(o) + "}}" }

// query has the parameters of a list; those that would narrow it are switched off.
func query(o *schema.Object) []Variable {
	list := []Variable{{Key: "offset", Value: "0", Description: "How many to leave out."}, {Key: "limit", Value: fmt.Sprint(o.Cap), Description: "How many to show."},
		{Key: "filter", Description: "A part of a name.", Disabled: true}}
	for _, f := range o.Filters {
		list = append(list, Variable{Key: f.Name, Description: "Only those whose " + f.Field + " is this.", Disabled: true})
	}
	if o.UsageFilter {
		list = append(list, Variable{Key: "usageFilter", Value: "unreferenced", Description: "referenced or unreferenced", Disabled: true})
	}
	return list
}

// form has the parameters of a request that makes or changes an object; those that need not be sent are switched off.
func form(o *schema.Object, create bool) []Variable {
	var list []Variable
	for i := range o.Fields {
		f := &o.Fields[i]
		if !f.Access.Settable(create) {
			continue
		}
		list = append(list, Variable{Key: f.Name, Value: example(f), Type: "text", Description: f.Help, Disabled: !create || !f.Required})
	}
	return list
}

// example is a value that a field could have.
func example(f *schema.Field) string {
	switch {
	case f.Kind == schema.Reference:
		if to := schema.Of(f.To); to != nil {
			return "{{" + variable(to) + "}}"
		}
	case f.Default != "":
		return f.Default
	case f.Fallback != "":
		return f.Fallback
	case f.Kind == schema.Bool:
		return "true"
	case f.Kind == schema.Choice:
		return f.Values[0]
	case f.Kind == schema.Number:
		return fmt.Sprint(f.Min)
	case f.Kind == schema.URL:
		return f.Values[0] + "://example.com"
	}
	return ""
}

// kept keeps the ID of what a request made, for those behind it.
func kept(o *schema.Object, i Item) Item {
	i.Events = []Event{{Listen: "test", Script: Script{Type: "text/javascript", Exec: []string{
		"const place = pm.response.headers.get('Location');",
		"if (place) { " + keep + "'" + variable(o) + "', place.split('/').pop()); }",
	}}}}
	return i
}

// keep begins the statement that [Sender.Send] knows.
const keep = "pm.collectionVariables.set("

func request(name, method, path string, query, form []Variable) Item {
	path = "api/v1/" + strings.TrimPrefix(strings.TrimPrefix(path, "/api/v1"), "/")
	u := URL{Host: []string{"{{server}}"}, Path: strings.Split(path, "/"), Query: query}
	for i, part := range u.Path {
		// <id> is for people; clients want the variable of the type before it.
		if part == "<id>" {
			u.Path[i] = "{{" + variable(schema.Of(u.Path[i-1])) + "}}"
		}
	}
	path = strings.Join(u.Path, "/")
	u.Raw = "{{server}}/" + path
	var sent []string
	for _, q := range query {
		if !q.Disabled {
			sent = append(sent, q.Key+"="+q.Value)
		}
	}
	if len(sent) > 0 {
		u.Raw += "?" + strings.Join(sent, "&")
	}
	r := &Request{Method: method, URL: u}
	if method == "POST" || method == "PUT" {
		r.Body = &Body{Mode: "urlencoded", Form: slices.Concat([]Variable{}, form)}
	}
	return Item{Name: name, Request: r}
}
