package webadmin

import "rotunda/services/callbridge/schema"

var yesNo = map[string]string{"true": "yes", "false": "no"}

// outbound is Configuration > Outbound calls (guide 6.2.1).
func (v *visit) outbound() {
	v.tables("Outbound calls", "Rules are tried in the order of their priority, the highest first. A rule that matches decides where the call goes; when the call "+
		"cannot be made there, it ends, unless the rule says Continue: then the next one is tried.",
		&grid{object: schema.Of("outboundDialPlanRules"), One: "rule", None: "There are no rules: no outgoing call can be routed.", detail: true, CanFilter: true, rows: []row{
			{name: "domain", label: "Domain", help: "The domain that is called: whole, such as example.com, or with a wildcard, such as *.com."},
			{name: "sipProxy", label: "SIP proxy to use", help: "Host name or IP address, with a port if need be. Empty calls the domain directly."},
			{name: "localContactDomain", label: "Local contact domain", help: "For trunks to Lync. Leave it empty for all others."},
			{name: "localFromDomain", label: "Local from domain", help: "The domain that the call says it comes from. Empty for the usual one."},
			{name: "trunkType", label: "Trunk type", names: map[string]string{"sip": "Standard SIP", "lync": "Lync", "avaya": "Avaya"}},
			{name: "failureAction", label: "Behavior", names: map[string]string{"stop": "Stop", "continue": "Continue"}},
			{name: "priority", label: "Priority", help: "Higher numbers are tried first."},
			{name: "sipControlEncryption", label: "Encryption", names: map[string]string{"auto": "Auto", "encrypted": "Encrypted", "unencrypted": "Unencrypted"},
				help: "Choose Encrypted for every rule to Lync: Auto may fall back to TCP."},
		}})
}

// incoming is Configuration > Incoming calls with its two tables (guide 6.2.2 and 6.2.3).
func (v *visit) incoming() {
	v.tables("Incoming calls", "",
		&grid{Key: "match.", Title: "Call matching", object: schema.Of("inboundDialPlanRules"), One: "rule", None: "There are no rules: calls to every domain are matched.",
			Intro: "What a call to a domain may reach here. Higher priorities come first. When no rule matches, call forwarding decides.", detail: true, rows: []row{
				{name: "domain", label: "Domain name", help: "The whole domain, such as meetingserver.example.com, or the IP address that is called."},
				{name: "priority", label: "Priority", help: "Higher numbers are tried first. The highest rule that reaches spaces also makes the addresses in invitations."},
				{name: "resolveTocoSpaces", label: "Targets spaces", names: yesNo},
				{name: "resolveToUsers", label: "Targets users", names: yesNo},
				{name: "resolveToIvrs", label: "Targets IVRs", names: yesNo},
				{name: "resolveToLyncConferences", label: "Targets Lync", names: yesNo},
				{name: "resolveToLyncSimplejoin", label: "Targets Lync Simplejoin", names: yesNo},
				{name: "tenant", label: "Tenant"},
			}},
		&grid{Key: "forward.", Title: "Call forwarding", object: schema.Of("forwardingDialPlanRules"), One: "rule", None: "There are no rules: calls that match nothing above are ended.",
			Intro: "What happens to calls that no matching rule took. A call that matches nothing here is ended.", detail: true, rows: []row{
				{name: "matchPattern", label: "Domain matching pattern", help: "May hold wildcards, such as exa*.com. Not * alone: it would send calls in circles."},
				{name: "priority", label: "Priority", help: "Higher numbers are tried first."},
				{name: "action", label: "Forward", names: map[string]string{"forward": "forward", "reject": "reject"}},
				{name: "callerIdMode", label: "Caller ID", names: map[string]string{"preserve": "pass through", "regenerate": "use dial plan"}},
				{name: "destinationDomain", label: "Forwarding domain", help: "The domain that the call is sent to. Empty keeps the one that was called."},
				{name: "uriParameters", label: "URI parameters", names: map[string]string{"discard": "discard", "forward": "forward"}},
				{name: "tenant", label: "Tenant"},
			}})
}

// cdr is Configuration > CDR settings (guide 3.1.6): where call detail records are sent.
func (v *visit) cdr() {
	o := schema.Of("cdrReceivers")
	v.tables("CDR settings", "Call detail records are sent to these receivers as calls begin and end. They are not kept here.",
		&grid{object: o, One: "receiver", None: "There are no receivers: call detail records are not sent.", detail: true, rows: []row{
			{name: "uri", label: "Receiver URI", help: "The whole address, such as https://cdr.example.com:8443/receive."},
		}})
}

// spaces is Configuration > Spaces (guide I.6).
func (v *visit) spaces() {
	v.tables("Spaces", "A space is a meeting room that is always there. People join it by its URI, its call ID or a link.",
		&grid{object: schema.CoSpace, One: "space", None: "There are no spaces yet.", detail: true, CanFilter: true, rows: []row{
			{name: "name", label: "Name", help: "What people see, such as Call 001."},
			{name: "uri", label: "URI user part", help: "What is before the @ of its address, such as 88001."},
			{name: "secondaryUri", label: "Secondary URI user part", help: "A second address, such as a name beside a number."},
			{name: "callId", label: "Call ID", help: "The number that callers key in. Digits only."},
			{name: "passcode", label: "Passcode", help: "What callers must enter. Empty for none."},
			{name: "defaultLayout", label: "Default layout", help: "What new participants see at first."},
		}})
}
