package schema

// Call Bridges, and the TURN servers and Web Bridges that they use (reference section 2.10).

// CallBridge is one of the machines of a cluster.
var CallBridge = declare(Object{
	Name: "callBridge", Plural: "callBridges", Methods: CRUD, Missing: "callBridgeDoesNotExist",
	Help:   "A Call Bridge of the cluster.",
	Order:  "name",
	Unique: []Unique{{Name: "callBridgeName", Fields: []string{"name"}, Fold: true, Code: "duplicateCallBridgeName"}},
	Fields: []Field{
		{Name: "name", Kind: Text, Min: 1, Max: 200, Required: true, List: true, Help: "Its name, which it has as uniqueName in system/configuration/cluster."},
		{Name: "address", Kind: URL, Values: []string{"https"}, List: true, Help: "Where the others reach its API, such as https://cms2.example.com:445."},
		{Name: "sipDomain", Kind: Text, Max: 255, Check: Domain, List: true, Help: "The domain by which the others call it."},
		{Name: "callBridgeGroup", Kind: Reference, To: "callBridgeGroups", List: true, Since: "2.1", Help: "The group that it belongs to."},
	},
})

// CallBridgeGroup are Call Bridges that share their load.
var CallBridgeGroup = declare(Object{
	Name: "callBridgeGroup", Plural: "callBridgeGroups", Methods: CRUD, Missing: "callBridgeGroupDoesNotExist",
	Since: "2.1", Help: "Call Bridges, usually of one place, that share their load.",
	Order: "name",
	Fields: []Field{
		{Name: "name", Kind: Text, Max: 200, List: true, Help: "Its name."},
		{Name: "loadBalancingEnabled", Kind: Bool, Default: "false", List: true, Help: "Whether incoming calls move to where their meeting is."},
		{Name: "loadBalanceLyncCalls", Kind: Bool, Default: "false", List: true, Help: "Whether calls of Lync clients move too."},
		{Name: "loadBalanceOutgoingCalls", Kind: Bool, Default: "false", List: true, Since: "2.2", Help: "Whether outgoing calls are made by the least loaded."},
		{Name: "loadBalanceUserCalls", Kind: Bool, Default: "true", List: true, Since: "2.3", Help: "Whether calls of the web app move too."},
		{Name: "loadBalanceIndirectCalls", Kind: Bool, Default: "false", List: true, Since: "2.4", Help: "Whether calls through a proxy that stays in the path move too."},
	},
})

// Cluster is what one Call Bridge says of itself.
var Cluster = declare(Object{
	Name: "cluster", Plural: "cluster", Path: "system/configuration/cluster", Methods: Create | Read | Update, Singleton: true, Local: true,
	Help: "What this Call Bridge is called in its cluster, and how much it carries.",
	Fields: []Field{
		{Name: "uniqueName", Kind: Text, Max: 200, Empty: true, Help: "The name that it has among callBridges."},
		{Name: "peerLinkBitRate", Kind: Number, Empty: true, Help: "The highest rate of media to another Call Bridge, in bits per second."},
		{Name: "participantLimit", Kind: Number, Empty: true, Help: "How many participants it takes; any number, when not set."},
		{Name: "loadLimit", Kind: Number, Empty: true, Since: "2.1", Help: "The load that it takes; what the hardware carries, when not set."},
		{Name: "newConferenceLoadLimitBasisPoints", Kind: Number, Max: 10000, Fallback: "5000", Empty: true, Since: "2.1", Help: "Up to which part of the load limit it takes meetings that are new to it, in hundredths of a percent."},
		{Name: "existingConferenceLoadLimitBasisPoints", Kind: Number, Max: 10000, Fallback: "8000", Empty: true, Since: "2.1", Help: "Up to which part of the load limit it takes more participants of its meetings, in hundredths of a percent."},
		{Name: "maxPeerVideoStreams", Kind: Number, Max: 9, Fallback: "4", Empty: true, Since: "2.3", Help: "How many video streams of a meeting go to another Call Bridge."},
	},
})

// TURNServer is where media finds its way through firewalls.
var TURNServer = declare(Object{
	Name: "turnServer", Plural: "turnServers", Methods: CRUD, Missing: "turnServerDoesNotExist",
	Help:  "A TURN server, by which media finds its way through firewalls.",
	Order: "serverAddress", Search: []string{"serverAddress", "clientAddress"},
	Fields: []Field{
		{Name: "serverAddress", Kind: Text, Max: 255, Check: Host, List: true, Help: "The address for the Call Bridge; a name that does not exist where the Call Bridge is not to use it."},
		{Name: "clientAddress", Kind: Text, Max: 255, Check: Host, List: true, Help: "The address for clients outside."},
		{Name: "username", Kind: Text, Max: 128, Help: "The user name of static credentials."},
		{Name: "password", Kind: Text, Max: 128, Access: Hidden, Help: "The password of static credentials."},
		{Name: "useShortTermCredentials", Kind: Bool, Default: "false", Since: "3.1", Help: "Whether user names that last a while are made with sharedSecret."},
		{Name: "sharedSecret", Kind: Text, Max: 128, Access: Hidden, Since: "3.1", Help: "What the MMP's turn short_term_credentials has too."},
		{Name: "type", Kind: Choice, Values: []string{"standard", "cms", "acano", "expressway", "lyncEdge"}, Default: "standard", List: true, Help: "The kind of server, which says what ports it has."},
		{Name: "numRegistrations", Kind: Number, Max: 1000, List: true, Help: "How many accounts are used at a Lync Edge server."},
		{Name: "tcpPortNumberOverride", Kind: Number, Min: 1, Max: 65535, Help: "The port for TCP where it is not the usual one."},
		{Name: "callBridge", Kind: Reference, To: "callBridges", Since: "2.1", Help: "The Call Bridge that uses it; all of them, when neither this nor a group is set."},
		{Name: "callBridgeGroup", Kind: Reference, To: "callBridgeGroups", Since: "2.1", Help: "The group that uses it."},
	},
})

// WebBridge is a server of the web app.
var WebBridge = declare(Object{
	Name: "webBridge", Plural: "webBridges", Methods: CRUD, Missing: "webBridgeDoesNotExist",
	Help:  "A Web Bridge, to which Call Bridges connect so that people can use the web app.",
	Order: "url", Filters: []Filter{{"tenantFilter", "tenant"}},
	Fields: []Field{
		{Name: "url", Kind: URL, Values: []string{"c2w"}, List: true, Help: "Where Call Bridges connect to, such as c2w://edge.example.com:9999."},
		{Name: "tenant", Kind: Reference, To: "tenants", Holds: true, List: true, Help: "The tenant whose meetings it reaches."},
		{Name: "tenantGroup", Kind: Reference, To: "tenantGroups", List: true, Help: "The group whose meetings it reaches."},
		{Name: "callBridge", Kind: Reference, To: "callBridges", List: true, Since: "2.1", Help: "The Call Bridge that connects to it; all of them, when neither this nor a group is set."},
		{Name: "callBridgeGroup", Kind: Reference, To: "callBridgeGroups", List: true, Since: "2.1", Help: "The group that connects to it."},
		{Name: "webBridgeProfile", Kind: Reference, To: "webBridgeProfiles", List: true, Since: "3.0", Help: "How the web app behaves there."},
	},
})

// WebBridgeProfile says how the web app behaves.
var WebBridgeProfile = declare(Object{
	Name: "webBridgeProfile", Plural: "webBridgeProfiles", Methods: CRUD, Missing: "webBridgeProfileDoesNotExist", UsageFilter: true,
	Since: "3.0", Help: "How the web app behaves, and what invitations say of ways in.",
	Order: "name",
	Fields: []Field{
		{Name: "name", Kind: Text, Max: 200, List: true, Help: "The name that administrators see."},
		{Name: "resourceArchive", Kind: URL, Values: []string{"http", "https"}, Help: "The archive with your own pictures and texts."},
		{Name: "allowPasscodes", Kind: Bool, Fallback: "true", Help: "Whether meetings are found by a call ID or a URI with a passcode."},
		{Name: "allowSecrets", Kind: Bool, Fallback: "true", Help: "Whether links with a secret lead to a meeting."},
		{Name: "userPortalEnabled", Kind: Bool, Fallback: "true", Help: "Whether users can sign in."},
		{Name: "allowUnauthenticatedGuests", Kind: Bool, Fallback: "true", Help: "Whether guests may join; false leaves joining to users who have signed in."},
		{Name: "resolveCoSpaceCallIds", Kind: Bool, Fallback: "true", Help: "Whether meetings are found by call IDs."},
		{Name: "resolveCoSpaceUris", Kind: Choice, Values: []string{"off", "domainSuggestionDisabled", "domainSuggestionEnabled"}, Fallback: "off", Help: "Whether meetings are found by URIs, and whether the domain is completed."},
		{Name: "resolveLyncConferenceIds", Kind: Bool, Fallback: "false", Help: "Kept for clients of older versions; without effect."},
	},
})

// WebBridgeAddress is an address of the web app.
var WebBridgeAddress = declare(Object{
	Name: "webBridgeAddress", Plural: "webBridgeAddresses", Parent: WebBridgeProfile, Methods: CRUD, Missing: "webBridgeAddressDoesNotExist",
	Since: "3.1", Help: "An address of the web app, for invitations and join information.",
	Cap: 32, Most: 32, TooMany: "tooManyWebBridgeAddresses",
	Order: "label", Search: []string{"label", "address"},
	Fields: []Field{
		{Name: "label", Kind: Text, Max: 200, Check: Line, List: true, Help: "What it is called."},
		{Name: "address", Aliases: []string{"url"}, Kind: URL, Values: []string{"https", "http"}, Required: true, List: true, Help: "The address, such as https://join.example.com."},
	},
})

// IVRNumber is a number that people call.
var IVRNumber = declare(Object{
	Name: "ivrNumber", Plural: "ivrNumbers", Parent: WebBridgeProfile, Methods: CRUD, Missing: "ivrNumberDoesNotExist",
	Since: "3.1", Help: "A telephone number of an IVR, for invitations and join information.",
	Cap: 32, Most: 32, TooMany: "tooManyIvrNumbers",
	Order: "label", Search: []string{"label", "number"},
	Fields: []Field{
		{Name: "label", Kind: Text, Max: 200, Check: Line, List: true, Help: "What it is called."},
		{Name: "number", Kind: Text, Min: 1, Max: 200, Check: Line, Required: true, List: true, Help: "The number as people read it."},
	},
})

// CDRReceiver is where call records go.
var CDRReceiver = declare(Object{
	Name: "cdrReceiver", Plural: "cdrReceivers", Path: "system/cdrReceivers", Methods: CRUD, Local: true, Missing: "cdrReceiverDoesNotExist",
	Most: 4, TooMany: "tooManyCdrReceivers",
	Help:  "Where this Call Bridge sends its call records.",
	Order: "uri",
	Fields: []Field{
		{Name: "uri", Aliases: []string{"url"}, Kind: URL, Values: []string{"http", "https"}, List: true, Empty: true, Help: "The address, which is used as it stands."},
	},
})
