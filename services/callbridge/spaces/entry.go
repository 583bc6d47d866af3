package spaces

import (
	"net/url"
	"strings"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/spaces/invitation"
	"rotunda/services/callbridge/store"
)

// Domain returns the domain of the addresses of spaces: that of the inbound rule with the highest priority that reaches spaces, the
// first by the alphabet among several (guide chapter 6.2.2). Rules of other tenants do not count. It is "" when there is no such rule;
// then every domain leads to spaces, and none is theirs.
func Domain(v store.View, tenant store.ID) string {
	var best string
	var highest int64
	v.Each(schema.InboundDialPlanRule, func(r *store.Record) bool {
		if !r.Bool("resolveTocoSpaces") {
			return true
		}
		if of := v.Ref(r, "tenant"); of != nil && of.ID() != tenant {
			return true
		}
		domain := strings.ToLower(r.Text("domain"))
		priority, _ := r.Number("priority")
		if domain != "" && (best == "" || priority > highest || priority == highest && domain < best) {
			best, highest = domain, priority
		}
		return true
	})
	return best
}

// address puts a user part and a domain together; "" when there is no user part.
func address(user, domain string) string {
	if user == "" || domain == "" {
		return user
	}
	return user + "@" + domain
}

// Entry is how a meeting is reached: the meetingEntryDetail of a space or of an access method, and what invitations and the web app
// tell beside it.
type Entry struct {
	Space store.ID
	// AccessMethod is the one it belongs to, the zero ID for the space's own.
	AccessMethod store.ID
	// URI is the whole address, user@domain; without a domain the user part alone.
	URI    string
	CallID string
	// Passcode and Links let people in: they are for those who may see the space.
	Passcode string
	Links    []invitation.WebBridge
	Numbers  []invitation.Number
}

// EntryOf returns how a space is reached, or, where method is not nil, by that access method of it.
func EntryOf(v store.View, space, method *store.Record) Entry {
	e := Entry{Space: space.ID()}
	by := space
	if method != nil {
		by, e.AccessMethod = method, method.ID()
	}
	var tenantID store.ID
	tenant := v.Ref(space, "tenant")
	if tenant != nil {
		tenantID = tenant.ID()
	}
	user := by.Text("uri")
	if user == "" && method == nil {
		user = space.Text("secondaryUri")
	}
	e.URI = address(user, Domain(v, tenantID))
	e.CallID, e.Passcode = by.Text("callId"), by.Text("passcode")
	e.Links, e.Numbers = webEntry(v, tenant, e.CallID, by.Text("secret"))
	return e
}

// webEntry returns the addresses of the web app with the links of a call ID, and the numbers of IVRs, that hold for a tenant.
func webEntry(v store.View, tenant *store.Record, callID, secret string) ([]invitation.WebBridge, []invitation.Number) {
	profile := profiles.ForWebBridge(v, nil, tenant)
	if !profile.Bool("allowSecrets") {
		secret = ""
	}
	if !profile.Bool("resolveCoSpaceCallIds") {
		callID = ""
	}
	var bridges []invitation.WebBridge
	for _, a := range profile.Addresses(v) {
		bridges = append(bridges, invitation.WebBridge{
			Label: a.Text("label"), Address: a.Text("address"), Hyperlink: Link(a.Text("address"), callID, secret)})
	}
	var numbers []invitation.Number
	for _, n := range profile.IVRNumbers(v) {
		numbers = append(numbers, invitation.Number{Label: n.Text("label"), Number: n.Text("number")})
	}
	return bridges, numbers
}

// Link returns the web link of a call ID at an address of the web app; "" without a call ID. Whoever has the secret is let in without
// a passcode.
func Link(address, callID, secret string) string {
	if address == "" || callID == "" {
		return ""
	}
	link := strings.TrimRight(address, "/") + "/meeting/" + url.PathEscape(callID)
	if secret != "" {
		link += "?secret=" + url.QueryEscape(secret)
	}
	return link
}

// Access is the answer to an accessQuery.
type Access struct{ URI, WebAddress, IVR string }

// AccessQuery says how an address or a call ID of a tenant would be reached; the zero tenant is none. It does not tell whether
// there is such a space, so that nobody finds call IDs by asking.
func AccessQuery(v store.View, uri, callID string, tenant store.ID) (Access, error) {
	if uri == "" && callID == "" {
		return Access{}, &failure.Parameter{Name: "uri", Fault: failure.Missing, Why: "give a uri or a callId"}
	}
	var of *store.Record
	if tenant != (store.ID{}) {
		if of = v.Get(schema.Tenants, tenant); of == nil {
			return Access{}, failure.Code(schema.Tenants.Missing)
		}
	}
	var a Access
	if uri != "" {
		if a.URI = uri; !strings.Contains(uri, "@") {
			a.URI = address(uri, Domain(v, tenant))
		}
	}
	links, numbers := webEntry(v, of, callID, "")
	if len(links) > 0 {
		a.WebAddress = links[0].Hyperlink
		if a.WebAddress == "" {
			a.WebAddress = links[0].Address
		}
	}
	if callID != "" && len(numbers) > 0 {
		a.IVR = numbers[0].Number
	}
	return a, nil
}

// Usage is the answer to a uriUsageQuery; one of them is set, or none.
type Usage struct{ CoSpace, User, IVR *store.Record }

// URIUsage says what has an address. A tenant bounds the search to what belongs to it; the zero tenant looks everywhere. Spaces and
// IVRs are found by the user part, users by the whole address.
func URIUsage(v store.View, uri string, tenant store.ID) (Usage, error) {
	uri = strings.TrimSpace(uri)
	for _, scheme := range []string{"sip:", "sips:"} {
		if len(uri) > len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) {
			uri = uri[len(scheme):]
			break
		}
	}
	if uri == "" {
		return Usage{}, &failure.Parameter{Name: "uri", Fault: failure.Missing, Why: "give the address to look for"}
	}
	belongs := func(r *store.Record) bool {
		of := v.Ref(r, "tenant")
		return tenant == (store.ID{}) || of != nil && of.ID() == tenant
	}
	user, _, _ := strings.Cut(uri, "@")
	for _, r := range v.Find(uriIndex, user) {
		if r.Object() == schema.AccessMethod {
			r = v.Get(schema.CoSpace, r.Parent())
		}
		if r != nil && belongs(r) {
			return Usage{CoSpace: r}, nil
		}
	}
	if r := UserByJID(v, uri); r != nil && belongs(r) {
		return Usage{User: r}, nil
	}
	for _, r := range v.Find("ivrUri", user) {
		if belongs(r) {
			return Usage{IVR: r}, nil
		}
	}
	return Usage{}, nil
}
