package schema

// What pages of the Web Admin keep for one Call Bridge and no path of the API reaches (guide appendix I, chapters 5.2 and 7.3). Each
// machine has its own: the guide asks that those of a cluster are configured alike.

// CallSettings is the page Configuration > Call settings. What callLegProfiles say too counts here where no profile says it.
var CallSettings = declare(Object{
	Name: "callSettings", Plural: "callSettings", Methods: Read | Update, Singleton: true, Local: true, Page: true,
	Help: "How SIP and web app calls are made where no profile says otherwise.",
	Fields: []Field{
		{Name: "sipMediaEncryption", Kind: Choice, Values: []string{"optional", "required", "prohibited"}, Fallback: "optional", Help: "Whether media of SIP calls is encrypted: allowed, required or disabled."},
		{Name: "participantLabels", Kind: Bool, Fallback: "false", Help: "Whether names stand below the pictures in SIP calls."},
		{Name: "audioPacketSizeMs", Kind: Choice, Values: []string{"10", "20", "40"}, Fallback: "20", Help: "The preferred length of outgoing audio packets in milliseconds."},
		{Name: "telepresenceCallsAllowed", Kind: Bool, Fallback: "false", Help: "Whether TIP calls of telepresence rooms are accepted; they need 4000000 bits per second at least."},
		{Name: "sipPresentationChannelEnabled", Kind: Bool, Fallback: "true", Help: "Whether SIP calls offer a presentation channel and BFCP."},
		{Name: "bfcpMode", Kind: Choice, Values: []string{"serverOnly", "serverAndClient"}, Fallback: "serverOnly", Help: "Which roles of BFCP are offered; serverOnly is usual."},
		{Name: "resourcePriority", Kind: Text, Max: 200, Check: ResourcePriority, Help: "The Resource-Priority header of outgoing SIP calls, such as q735.3; none, when not set."},
		{Name: "sipUdp", Kind: Choice, Values: []string{"disabled", "singleAddress", "multiAddress"}, Fallback: "singleAddress", Help: "Whether SIP uses UDP, and on one interface or on all that the Call Bridge listens on."},
		{Name: "lyncPresence", Kind: Bool, Fallback: "false", Help: "Whether presence of addresses here is told to Lync."},
		{Name: "lyncPacketPacing", Kind: Choice, Values: []string{"default", "delay"}, Fallback: "default", Help: "How packets to Lync are spaced; leave it at default."},
		bandwidth("sipReceiveBandwidth", "2500000", "from SIP endpoints"),
		bandwidth("sipTransmitBandwidth", "2500000", "to SIP endpoints"),
		bandwidth("webAppReceiveBandwidth", "2000000", "from the web app"),
		bandwidth("webAppTransmitBandwidth", "2000000", "to the web app"),
		bandwidth("serverReflexiveBandwidth", "2000000", "through a network address translation"),
		bandwidth("relayBandwidth", "2000000", "through a TURN server"),
		bandwidth("vpnBandwidth", "2000000", "through a VPN"),
		bandwidth("lyncContentBandwidth", "8000000", "of content shared with Lync"),
	},
})

// bandwidth is a row of the bandwidth settings. Audio alone takes 64 kbit/s (guide I.3).
func bandwidth(name, fallback, of string) Field {
	return Field{Name: name, Kind: Number, Min: 64000, Max: 100_000_000, Fallback: fallback, Help: "The highest rate of media " + of + ", in bits per second."}
}

// GeneralSettings is which objects the pages Configuration > General and > Active Directory edit, and what stands there alone.
var GeneralSettings = declare(Object{
	Name: "generalSettings", Plural: "generalSettings", Methods: Read | Update, Singleton: true, Local: true, Page: true,
	Help: "Which objects the pages General and Active Directory edit, and the settings that stand there alone.",
	Fields: []Field{
		{Name: "turnServer", Kind: Reference, To: "turnServers", Help: "The TURN server of the page General."},
		{Name: "lyncEdge", Kind: Reference, To: "turnServers", Help: "The Lync Edge server of the page General."},
		{Name: "ivr", Kind: Reference, To: "ivrs", Help: "The IVR of the page General."},
		{Name: "webBridgeAddress", Kind: Reference, To: "webBridgeAddresses", Help: "The web address for invitations of the page General."},
		{Name: "ivrNumber", Kind: Reference, To: "ivrNumbers", Help: "The IVR telephone number for invitations of the page General."},
		{Name: "ldapServer", Kind: Reference, To: "ldapServers", Help: "The server of the page Active Directory."},
		{Name: "ldapMapping", Kind: Reference, To: "ldapMappings", Help: "The mapping of the page Active Directory."},
		{Name: "ldapSource", Kind: Reference, To: "ldapSources", Help: "The source of the page Active Directory."},
		{Name: "restrictSearchToSearcherOu", Kind: Bool, Fallback: "false", Help: "Whether users find people of their own organisational unit alone."},
	},
})
