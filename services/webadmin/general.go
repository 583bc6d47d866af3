package webadmin

import (
	"net/url"

	"rotunda/services/callbridge/schema"
)

// general is Configuration > General (guide I.1): the TURN server that the Call Bridge and its clients use, the Lync Edge server,
// and the IVR. Each is an object that the API has as well.
func (v *visit) general() {
	p := &sections{Submit: "Save"}
	servers, ivrs := schema.Of("turnServers"), schema.Of("ivrs")
	general, err := v.get(pathOf(schema.GeneralSettings, ""), nil)
	if err != nil {
		v.fail(err)
		return
	}
	edge := func(n *node) bool { return n.Get("type") == "lyncEdge" }
	add := func(s *section, err error) bool {
		if err != nil {
			v.fail(err)
			return false
		}
		p.Sections = append(p.Sections, s)
		return true
	}
	turn, err := v.newSection(servers, general, "turnServer", "TURN server", "turn.", "serverAddress", func(n *node) bool { return !edge(n) },
		row{name: "serverAddress", label: "Server address for the Call Bridge", help: "Host name or IP address at which this Call Bridge reaches the TURN server."},
		row{name: "clientAddress", label: "Server address for clients", help: "Host name or IP address at which callers outside reach it; often the public one."},
		row{name: "type", label: "Kind of server", names: map[string]string{"cms": "Rotunda or Meeting Server", "expressway": "Expressway", "acano": "Acano", "standard": "Standard"}},
		row{name: "username", label: "User name"},
		row{name: "password", label: "Password"},
		row{name: "useShortTermCredentials", label: "Credentials", help: "Short-term ones when the server was set up with “turn short_term_credentials_mode enable”.",
			names: map[string]string{"true": "short-term, shared secret", "false": "user name and password"}},
		row{name: "sharedSecret", label: "Shared secret", help: "The same as in “turn short_term_credentials” on the TURN server."},
		row{name: "tcpPortNumberOverride", label: "TCP port", help: "Where clients reach the server by TCP, if that is not its usual port."})
	if turn != nil {
		turn.Intro = "Callers behind firewalls send their media through this server. Empty the first field to use none."
	}
	if !add(turn, err) {
		return
	}
	lync, err := v.newSection(servers, general, "lyncEdge", "Lync Edge", "edge.", "serverAddress", edge,
		row{name: "serverAddress", label: "Server address", help: "The Lync front end server, or a name that resolves to it."},
		row{name: "username", label: "User name", help: "The Lync client user made for this Call Bridge, such as edge.user@lync.example.com."},
		row{name: "numRegistrations", label: "Number of registrations", help: "Each allows 12 more simultaneous calls through the Lync Edge server."})
	if lync != nil {
		lync.Intro = "Only for calls with Lync or Skype for Business outside your network."
		lync.fixed = url.Values{"type": {"lyncEdge"}}
	}
	if !add(lync, err) {
		return
	}
	ivr, err := v.newSection(ivrs, general, "ivr", "IVR", "ivr.", "uri", func(n *node) bool { return n.Get("tenant") == "" },
		row{name: "uri", label: "IVR numeric ID", help: "What callers dial to reach the voice menu, where they key in the number of their meeting. “Targets IVRs” must be on in an incoming rule."},
		row{name: "resolveLyncConferenceIds", label: "Joining scheduled Lync conferences by ID", names: map[string]string{"true": "allowed", "false": "not allowed"}})
	if ivr != nil {
		ivr.Intro = "Callers are greeted and asked for the number of the meeting that they want to join."
	}
	if !add(ivr, err) {
		return
	}
	v.serve("General", p)
}
