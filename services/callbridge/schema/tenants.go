package schema

// Tenancy (reference section 2.9).

// Tenants is the type of organisations of their own; [Tenant] is the scope.
var Tenants = declare(Object{
	Name: "tenant", Plural: "tenants", Methods: CRUD, Missing: "tenantDoesNotExist",
	Help:  "An organisation that shares the system with others, with profiles and limits of its own.",
	Order: "name", Filters: []Filter{{"callLegProfileFilter", "callLegProfile"}},
	Lookup: []string{"tenantGroup"},
	Fields: []Field{
		{Name: "name", Kind: Text, Min: 1, Max: 200, Required: true, List: true, Help: "Its name."},
		{Name: "tenantGroup", Kind: Reference, To: "tenantGroups", List: true, Help: "The group in which call IDs differ."},
		{Name: "callLegProfile", Kind: Reference, To: "callLegProfiles", List: true, Help: "What participants see and may do."},
		{Name: "callProfile", Kind: Reference, To: "callProfiles", Help: "How meetings behave."},
		{Name: "dtmfProfile", Kind: Reference, To: "dtmfProfiles", Help: "Which keys do what."},
		{Name: "ivrBrandingProfile", Kind: Reference, To: "ivrBrandingProfiles", Help: "Prompts of IVRs."},
		{Name: "callBrandingProfile", Kind: Reference, To: "callBrandingProfiles", Help: "Prompts of meetings and the text of invitations."},
		{Name: "participantLimit", Kind: Number, Help: "How many participants all its meetings may have at once; any number, when not set."},
		{Name: "userProfile", Kind: Reference, To: "userProfiles", Since: "2.0", Help: "What its users may do."},
		{Name: "dialInSecurityProfile", Kind: Reference, To: "dialInSecurityProfiles", Since: "3.0", Help: "How long passcodes must be."},
		{Name: "webBridgeProfile", Kind: Reference, To: "webBridgeProfiles", Since: "3.0", Help: "How the web app behaves."},
	},
})

// TenantGroups is the type whose objects say in which tenants call IDs differ; [TenantGroup] is the scope.
var TenantGroups = declare(Object{
	Name: "tenantGroup", Plural: "tenantGroups", Methods: Create | Read | Delete, Missing: "tenantGroupDoesNotExist",
	Help: "Tenants in which no two spaces have the same call ID; it has no fields.",
})
