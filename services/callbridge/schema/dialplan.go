package schema

// The dial plan (reference section 2.7, guide chapters 6.2 and 6.3). Rules with a higher priority come first.

// IVR is a number where callers are asked for a call ID.
var IVR = declare(Object{
	Name: "ivr", Plural: "ivrs", Methods: CRUD, Missing: "ivrDoesNotExist",
	Help:  "A number where callers are asked for the call ID of a meeting.",
	Order: "uri", Filters: []Filter{{"tenantFilter", "tenant"}},
	Unique: []Unique{{Name: "ivrUri", Fields: []string{"uri"}, Fold: true, Code: "ivrUriConflict"}},
	Fields: []Field{
		{Name: "uri", Kind: Text, Min: 1, Max: 200, Required: true, Check: URIUser, List: true, Help: "The user part of its address."},
		{Name: "tenant", Kind: Reference, To: "tenants", Holds: true, List: true, Help: "The tenant that it belongs to."},
		{Name: "tenantGroup", Kind: Reference, To: "tenantGroups", List: true, Help: "The group whose meetings it reaches; without it, those outside every group."},
		{Name: "ivrBrandingProfile", Kind: Reference, To: "ivrBrandingProfiles", Help: "Its prompts."},
		{Name: "resolveCoSpaceCallIds", Kind: Bool, Default: "true", List: true, Help: "Whether it takes call IDs of spaces."},
		{Name: "resolveLyncConferenceIds", Kind: Bool, Default: "false", List: true, Help: "Whether it takes IDs of scheduled Lync conferences."},
	},
})

// OutboundDialPlanRule says where calls to a domain go.
var OutboundDialPlanRule = declare(Object{
	Name: "outboundDialPlanRule", Plural: "outboundDialPlanRules", Methods: CRUD, Missing: "outboundDialPlanRuleDoesNotExist",
	Help:  "Where calls to a domain go.",
	Order: "domain", Filters: []Filter{{"tenantFilter", "tenant"}},
	Fields: []Field{
		{Name: "domain", Kind: Text, Min: 1, Max: 255, Required: true, Check: DomainPattern, List: true, Help: "The domain, or a pattern such as *.com."},
		{Name: "priority", Kind: Number, Default: "0", List: true, Help: "Rules with a higher number come first."},
		{Name: "localContactDomain", Kind: Text, Max: 255, Check: Domain, List: true, Help: "The domain of the contact; leave it empty unless it is a Lync trunk."},
		{Name: "localFromDomain", Kind: Text, Max: 255, Check: Domain, List: true, Help: "The domain that calls come from."},
		{Name: "sipProxy", Kind: Text, Max: 255, Check: HostPort, List: true, Help: "The proxy that takes the call; without one, the domain itself is called."},
		{Name: "trunkType", Kind: Choice, Values: []string{"sip", "lync", "avaya"}, Default: "sip", List: true, Help: "The kind of equipment there."},
		{Name: "failureAction", Kind: Choice, Values: []string{"stop", "continue"}, Default: "stop", List: true, Help: "Whether the next rule is tried when the call cannot be made."},
		{Name: "sipControlEncryption", Kind: Choice, Values: []string{"auto", "encrypted", "unencrypted"}, Default: "auto", List: true, Help: "Whether signalling uses TLS; auto falls back to TCP, so use encrypted for Lync."},
		{Name: "scope", Kind: Choice, Values: []string{"global", "callBridge", "callBridgeGroup"}, Default: "global", List: true, Since: "2.2", Help: "Which Call Bridges use the rule."},
		{Name: "callBridge", Kind: Reference, To: "callBridges", List: true, Help: "The Call Bridge, with the scope callBridge."},
		{Name: "callBridgeGroup", Kind: Reference, To: "callBridgeGroups", List: true, Since: "2.2", Help: "The group, with the scope callBridgeGroup."},
		{Name: "tenant", Kind: Reference, To: "tenants", Holds: true, List: true, Help: "The tenant whose calls use the rule; all calls, when not set."},
		{Name: "callRouting", Kind: Choice, Values: []string{"default", "traversal"}, Default: "default", List: true, Help: "Whether media goes through TURN."},
	},
})

// InboundDialPlanRule says what calls to a domain may reach.
var InboundDialPlanRule = declare(Object{
	Name: "inboundDialPlanRule", Plural: "inboundDialPlanRules", Methods: CRUD, Missing: "inboundDialPlanRuleDoesNotExist",
	Help:  "What incoming calls to a domain may reach.",
	Order: "domain", Filters: []Filter{{"tenantFilter", "tenant"}},
	Unique: []Unique{{Name: "inboundDomain", Fields: []string{"domain"}, Fold: true, Within: Tenant, Code: "inboundDialPlanRuleUriConflict"}},
	Fields: []Field{
		{Name: "domain", Kind: Text, Min: 1, Max: 255, Required: true, Check: Domain, List: true, Help: "The domain, exactly."},
		{Name: "priority", Kind: Number, Default: "0", List: true, Help: "Rules with a higher number come first; the highest that reaches spaces gives invitations their domain."},
		{Name: "resolveToUsers", Kind: Bool, Default: "true", List: true, Help: "Whether calls reach users."},
		{Name: "resolveTocoSpaces", Kind: Bool, Default: "true", List: true, Help: "Whether calls reach spaces."},
		{Name: "resolveToIvrs", Kind: Bool, Default: "true", List: true, Help: "Whether calls reach IVRs."},
		{Name: "resolveToLyncConferences", Kind: Bool, Default: "false", List: true, Help: "Whether calls reach Lync conferences by their IDs."},
		{Name: "resolveToLyncSimplejoin", Kind: Bool, Default: "false", List: true, Since: "2.2", Help: "Whether calls reach Lync meetings by the HTTPS address of the meeting."},
		{Name: "tenant", Kind: Reference, To: "tenants", Holds: true, List: true, Help: "The tenant whose spaces and users are reached; all of them, when not set."},
	},
})

// ForwardingDialPlanRule says what becomes of calls that no inbound rule takes.
var ForwardingDialPlanRule = declare(Object{
	Name: "forwardingDialPlanRule", Plural: "forwardingDialPlanRules", Methods: CRUD, Missing: "forwardingDialPlanRuleDoesNotExist",
	Help:  "What becomes of incoming calls that no inbound rule takes.",
	Order: "matchPattern", Search: []string{"matchPattern", "destinationDomain"}, Filters: []Filter{{"tenantFilter", "tenant"}},
	Fields: []Field{
		{Name: "matchPattern", Kind: Text, Min: 1, Max: 255, Required: true, Check: ForwardPattern, List: true, Help: "The domain, with wildcards anywhere, such as exa*.com."},
		{Name: "destinationDomain", Kind: Text, Max: 255, Check: Domain, List: true, Help: "The domain that the call goes on to; its own one, when not set."},
		{Name: "action", Kind: Choice, Values: []string{"forward", "reject"}, Default: "reject", List: true, Help: "Whether the call is forwarded or refused."},
		{Name: "callerIdMode", Kind: Choice, Values: []string{"regenerate", "preserve"}, Default: "regenerate", List: true, Help: "Whether the caller's address is made by the outbound rules or passed through."},
		{Name: "priority", Kind: Number, Default: "0", List: true, Help: "Rules with a higher number come first."},
		{Name: "tenant", Kind: Reference, To: "tenants", Holds: true, List: true, Help: "The tenant whose outbound rules the call uses."},
		{Name: "uriParameters", Kind: Choice, Values: []string{"discard", "forward"}, Default: "discard", List: true, Since: "2.0", Help: "Whether parameters of the address go along."},
	},
})

// DialTransform rewrites what is dialled before the outbound rules see it.
var DialTransform = declare(Object{
	Name: "dialTransform", Plural: "dialTransforms", Methods: CRUD, Missing: "dialTransformDoesNotExist",
	Help:  "Rewrites what is dialled before the outbound rules see it.",
	Order: "match", Search: []string{"match", "transform"},
	Fields: []Field{
		{Name: "type", Kind: Choice, Values: []string{"raw", "strip", "phone"}, Default: "raw", List: true, Help: "What is done first: nothing; dots, dashes and spaces are removed; a phone number is split into country code and number."},
		{Name: "match", Kind: Text, Max: 1000, Check: Line, List: true, Help: "When it applies, such as ($1/44/)($2/^7/); always, when not set."},
		{Name: "transform", Kind: Text, Max: 1000, Check: Line, List: true, Help: "What becomes of it, such as 90044$2{}@vcs."},
		{Name: "priority", Kind: Number, Default: "0", List: true, Help: "Transforms with a higher number come first."},
		{Name: "action", Kind: Choice, Values: []string{"accept", "acceptPhone", "deny"}, Default: "accept", List: true, Help: "Whether the result is called, called as a phone number, or refused."},
	},
})
