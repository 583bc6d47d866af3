package schema

// Templates that users make spaces from, and spaces made by the hundred (reference sections 2.1 and 2.2).

// CoSpaceTemplate is what users make spaces from.
var CoSpaceTemplate = declare(Object{
	Name: "coSpaceTemplate", Plural: "coSpaceTemplates", Methods: CRUD, Missing: "coSpaceTemplateDoesNotExist",
	Since: "2.9", Help: "What users make spaces from: the profiles and ways in that such a space has.",
	Order: "name", Search: []string{"name", "description"},
	Fields: []Field{
		{Name: "name", Kind: Text, Max: 200, List: true, Help: "The name that users see."},
		{Name: "description", Kind: Text, Max: 1000, List: true, Help: "What it is good for."},
		{Name: "callProfile", Kind: Reference, To: "callProfiles", List: true, Help: "How meetings behave."},
		{Name: "callLegProfile", Kind: Reference, To: "callLegProfiles", List: true, Help: "What participants see and may do."},
		{Name: "dialInSecurityProfile", Kind: Reference, To: "dialInSecurityProfiles", List: true, Since: "3.0", Help: "How long passcodes must be."},
		{Name: "defaultAccessMethodTemplate", Kind: Reference, To: "accessMethodTemplates", Since: "3.2", Help: "The way in that invitations name."},
	},
})

// AccessMethodTemplate is one way into the spaces of a template.
var AccessMethodTemplate = declare(Object{
	Name: "accessMethodTemplate", Plural: "accessMethodTemplates", Parent: CoSpaceTemplate, Methods: CRUD, Missing: "coSpaceAccessMethodTemplateDoesNotExist",
	Since: "2.9", Help: "One way into the spaces that are made from the template.",
	Order: "name",
	Fields: []Field{
		{Name: "name", Kind: Text, Max: 200, List: true, Help: "The name that users see."},
		{Name: "uriGenerator", Kind: Text, Max: 200, Check: URIGenerator, List: true, Help: "The user part of its address; the $ becomes what is generated or what the user chooses."},
		{Name: "callLegProfile", Kind: Reference, To: "callLegProfiles", List: true, Help: "What its participants see and may do."},
		{Name: "generateUniqueCallId", Kind: Bool, Default: "false", List: true, Help: "Whether it gets a call ID of its own."},
		{Name: "dialInSecurityProfile", Kind: Reference, To: "dialInSecurityProfiles", List: true, Since: "3.0", Help: "How long its passcode must be."},
		{Name: "scope", Kind: Choice, Values: []string{"public", "private", "member", "directory"}, Since: "3.2", Help: "Who is shown this way in."},
	},
})

// BulkParameterSet says how spaces are made by the hundred.
var BulkParameterSet = declare(Object{
	Name: "cospaceBulkParameterSet", Plural: "cospaceBulkParameterSets", Methods: CRUD, Missing: "cospaceBulkParameterSetDoesNotExist",
	Since: "2.0", Help: "How many spaces are made by one step; $index$ in a mapping is the number of each.",
	Order: "coSpaceNameMapping", Search: []string{"coSpaceNameMapping", "coSpaceUriMapping"}, Filters: []Filter{{"tenantFilter", "tenant"}},
	Fields: []Field{
		{Name: "startIndex", Kind: Number, Required: true, List: true, Help: "The first number."},
		{Name: "endIndex", Kind: Number, Required: true, List: true, Help: "The last number."},
		{Name: "coSpaceUriMapping", Kind: Text, Max: 200, Check: IndexURI, List: true, Help: "The user part of the address, such as room$index$."},
		{Name: "coSpaceNameMapping", Kind: Text, Max: 200, Check: IndexMapping, List: true, Help: "The name, such as Room $index$."},
		{Name: "coSpaceCallIdMapping", Kind: Text, Max: 200, Check: IndexMapping, List: true, Help: "The call ID, such as 88$index$."},
		{Name: "tenant", Kind: Reference, To: "tenants", Holds: true, List: true, Help: "The tenant that they belong to."},
		{Name: "callProfile", Kind: Reference, To: "callProfiles", Help: "How meetings behave."},
		{Name: "callBrandingProfile", Kind: Reference, To: "callBrandingProfiles", Help: "Prompts of meetings and the text of invitations."},
		{Name: "nonMemberAccess", Kind: Bool, Default: "true", Help: "Whether those who are no members may join."},
	},
})

// BulkSync makes the spaces of a set anew, or removes them.
var BulkSync = declare(Object{
	Name: "cospaceBulkSync", Plural: "cospaceBulkSyncs", Methods: Create | Read | Delete, Missing: "cospaceBulkSyncDoesNotExist",
	Since: "2.0", Help: "Makes the spaces of a parameter set anew, or removes them.",
	Order: "created",
	Fields: []Field{
		{Name: "cospaceBulkParameterSet", Kind: Reference, To: "cospaceBulkParameterSets", Required: true, Access: OnCreate, List: true, Help: "The parameter set."},
		{Name: "removeAll", Kind: Bool, Default: "false", Access: OnCreate, List: true, Help: "True removes what was made earlier and makes nothing."},
		{Name: "status", Kind: Choice, Values: []string{"pending", "running", "complete", "failedCoSpaceUriConflict", "failedCallIdConflict",
			"failedIndexRangeInvalid", "failedIndexRangeTooGreat", "failedNoSuchParameterSet", "failed"}, Access: Shown, Default: "pending", List: true, Help: "How far it is."},
		{Name: "created", Kind: Text, Max: 40, Check: Time, Access: Internal, Help: "When it was asked for, which orders them."},
		{Name: "callBridge", Kind: GUID, Access: Internal, Help: "The machine that carries it out."},
	},
})
