package schema

// Users, and the directories that they come from (reference section 2.8, guide chapter 5).

// User is a person of a directory.
var User = declare(Object{
	Name: "user", Plural: "users", Methods: Read, Missing: "userDoesNotExist",
	Help:  "A user, imported from a directory.",
	Order: "userJid", Search: []string{"userJid", "name", "email"},
	Filters: []Filter{{"tenantFilter", "tenant"}, {"emailFilter", "email"}, {"cdrTagFilter", "cdrTag"}},
	Unique: []Unique{
		{Name: "userJid", Fields: []string{"userJid"}, Fold: true},
	},
	Lookup: []string{"email", "authenticationId", "directoryGuid", "ldapSource"},
	Fields: []Field{
		{Name: "userJid", Kind: Text, Min: 1, Max: 500, Access: Shown, List: true, Help: "The name with which the user signs in."},
		{Name: "name", Kind: Text, Max: 500, Access: Shown, Help: "The name that people see."},
		{Name: "email", Kind: Text, Max: 500, Access: Shown, Help: "The address for e-mail."},
		{Name: "authenticationId", Kind: Text, Max: 500, Access: Shown, Help: "The name by which single sign-on knows the user."},
		{Name: "tenant", Kind: Reference, To: "tenants", Holds: true, Access: Shown, List: true, Help: "The tenant that the user belongs to."},
		{Name: "userProfile", Kind: Reference, To: "userProfiles", Access: Shown, Help: "What the user may do."},
		{Name: "cdrTag", Kind: Text, Max: 100, Access: Shown, Help: "Copied into the records of the user's call legs."},
		{Name: "ldapSource", Kind: Reference, To: "ldapSources", Access: Internal, Help: "The source that the user was imported from."},
		{Name: "directoryGuid", Kind: GUID, Access: Internal, Help: "The GUID of the directory, which stays when the JID changes."},
		{Name: "distinguishedName", Kind: Text, Max: 2000, Access: Internal, Help: "The entry in the directory; the password is checked against it."},
		{Name: "firstName", Kind: Text, Max: 500, Access: Internal, Help: "The given name."},
		{Name: "lastName", Kind: Text, Max: 500, Access: Internal, Help: "The surname."},
		{Name: "phone", Kind: Text, Max: 200, Access: Internal, Help: "The telephone number."},
		{Name: "mobile", Kind: Text, Max: 200, Access: Internal, Help: "The number of the mobile phone."},
	},
})

// LDAPServer is a directory.
var LDAPServer = declare(Object{
	Name: "ldapServer", Plural: "ldapServers", Methods: CRUD, Missing: "ldapServerDoesNotExist",
	Help:  "A directory: where it is, and the account that reads it.",
	Order: "address", Search: []string{"address", "name"},
	Fields: []Field{
		{Name: "address", Kind: Text, Min: 1, Max: 255, Required: true, Check: Host, List: true, Help: "Its host name or address."},
		{Name: "name", Kind: Text, Max: 200, List: true, Since: "2.9", Help: "The name that administrators see."},
		{Name: "portNumber", Kind: Number, Min: 1, Max: 65535, Required: true, List: true, Help: "Usually 636, or 389 without TLS."},
		{Name: "username", Kind: Text, Max: 1000, List: true, Help: "The distinguished name of the account that reads it."},
		{Name: "password", Kind: Text, Max: 1000, Access: Hidden, Help: "The password of that account."},
		{Name: "secure", Kind: Bool, Required: true, List: true, Help: "Whether to use TLS; certificates are checked as the MMP's tls ldap says."},
		{Name: "usePagedResults", Kind: Bool, Default: "true", Since: "2.1", Help: "Whether results are asked for in pages; false for Oracle Internet Directory."},
	},
})

// LDAPMapping makes users and spaces of entries of a directory.
var LDAPMapping = declare(Object{
	Name: "ldapMapping", Plural: "ldapMappings", Methods: CRUD, Missing: "ldapMappingDoesNotExist",
	Help:  "How users, and spaces of their own, are made of entries of a directory; $attribute$ is the value of an attribute.",
	Order: "jidMapping",
	Fields: []Field{
		{Name: "jidMapping", Kind: Text, Max: 1000, Check: Line, List: true, Help: "The user's JID, such as $sAMAccountName$@example.com; it must differ for each."},
		{Name: "nameMapping", Kind: Text, Max: 1000, Check: Line, List: true, Help: "The name that people see, such as $cn$."},
		{Name: "cdrTagMapping", Kind: Text, Max: 1000, Check: Line, List: true, Help: "The tag in call records."},
		{Name: "authenticationIdMapping", Kind: Text, Max: 1000, Check: Line, List: true, Help: "The name for single sign-on, such as $mail$."},
		{Name: "coSpaceNameMapping", Kind: Text, Max: 1000, Check: Line, List: true, Help: "The name of the user's space."},
		{Name: "coSpaceUriMapping", Kind: Text, Max: 1000, Check: Line, List: true, Help: "The URI of the user's space, such as $sAMAccountName$.space; without it, there is none."},
		{Name: "coSpaceSecondaryUriMapping", Kind: Text, Max: 1000, Check: Line, List: true, Help: "The second URI of the user's space."},
		{Name: "coSpaceCallIdMapping", Kind: Text, Max: 1000, Check: Line, List: true, Help: "The call ID of the user's space."},
	},
})

// LDAPSource is a part of a directory that is imported.
var LDAPSource = declare(Object{
	Name: "ldapSource", Plural: "ldapSources", Methods: CRUD, Missing: "ldapSourceDoesNotExist",
	Help:  "A part of a directory that is imported: which entries of which server, by which mapping.",
	Order: "baseDn", Search: []string{"baseDn", "filter", "name"}, Filters: []Filter{{"tenantFilter", "tenant"}},
	Fields: []Field{
		{Name: "server", Kind: Reference, To: "ldapServers", Required: true, List: true, Help: "The directory."},
		{Name: "mapping", Kind: Reference, To: "ldapMappings", Required: true, List: true, Help: "How users are made of entries."},
		{Name: "baseDn", Kind: Text, Min: 1, Max: 1000, Required: true, List: true, Help: "The node below which entries are imported."},
		{Name: "filter", Kind: Text, Max: 4000, List: true, Help: "Which entries are imported, as in RFC 4515, such as (mail=*)."},
		{Name: "tenant", Kind: Reference, To: "tenants", Holds: true, List: true, Help: "The tenant that the users belong to."},
		{Name: "userProfile", Kind: Reference, To: "userProfiles", Since: "2.0", Help: "What the users may do."},
		{Name: "nonMemberAccess", Kind: Bool, Default: "true", Since: "2.4", Help: "Whether others may join the users' spaces; false gives them passcodes."},
		{Name: "name", Kind: Text, Max: 200, List: true, Since: "3.0", Help: "The name that administrators see."},
	},
})

// LDAPSync is one import.
var LDAPSync = declare(Object{
	Name: "ldapSync", Plural: "ldapSyncs", Methods: Create | Read | Delete, Missing: "ldapSyncDoesNotExist", Most: 100, TooMany: "tooManyLdapSyncs",
	Help:  "One import, waiting, going on or done; without tenant and source it is of everything.",
	Order: "created",
	Fields: []Field{
		{Name: "tenant", Kind: Reference, To: "tenants", Access: OnCreate, List: true, Help: "Import the sources of this tenant alone."},
		{Name: "ldapSource", Kind: Reference, To: "ldapSources", Access: OnCreate, List: true, Help: "Import this source alone."},
		{Name: "removeWhenFinished", Kind: Bool, Default: "true", Access: OnCreate, Help: "Whether it disappears when it is done."},
		{Name: "state", Kind: Choice, Values: []string{"pending", "inProgress", "complete", "failed"}, Access: Shown, Default: "pending", List: true, Help: "How far it is."},
		{Name: "failureReason", Kind: Choice, Values: []string{"tenantDoesNotExist", "ldapSourceDoesNotExist", "clashOccurred", "ldapError"}, Access: Shown, List: true, Help: "Why it failed."},
		{Name: "numUsersImported", Kind: Number, Access: Shown, List: true, Help: "How many users it has brought."},
		{Name: "numLdapSourcesComplete", Kind: Number, Access: Shown, List: true, Help: "How many sources are done; left out while there is none."},
		{Name: "created", Kind: Text, Max: 40, Check: Time, Access: Internal, Help: "When it was asked for, which orders them."},
		{Name: "callBridge", Kind: GUID, Access: Internal, Help: "The machine that carries it out."},
		{Name: "detail", Kind: Text, Max: 4000, Access: Internal, Help: "What went wrong, in a sentence for administrators."},
	},
})

// LDAPUserCoSpaceTemplateSource gives users of a source a template of spaces.
var LDAPUserCoSpaceTemplateSource = declare(Object{
	Name: "ldapUserCoSpaceTemplateSource", Plural: "ldapUserCoSpaceTemplateSources", Methods: CRUD, Missing: "ldapUserCoSpaceTemplateSourceDoesNotExist",
	Since: "2.9", Help: "Gives the users of a source a template that they may make spaces from.",
	Order: "filter",
	Fields: []Field{
		{Name: "coSpaceTemplate", Kind: Reference, To: "coSpaceTemplates", Required: true, List: true, Help: "The template."},
		{Name: "ldapSource", Kind: Reference, To: "ldapSources", Required: true, List: true, Help: "The source whose users get it."},
		{Name: "filter", Kind: Text, Max: 4000, List: true, Help: "Which of them, as in RFC 4515; all of them, when not set."},
	},
})

// UserCoSpaceTemplate is a template that a user may make spaces from.
var UserCoSpaceTemplate = declare(Object{
	Name: "userCoSpaceTemplate", Plural: "userCoSpaceTemplates", Parent: User, Methods: Create | Read | Delete, Missing: "userCoSpaceTemplateDoesNotExist",
	Since: "2.9", Help: "A template that the user may make spaces from.",
	Order:  "coSpaceTemplate",
	Unique: []Unique{{Name: "userCoSpaceTemplate", Fields: []string{"coSpaceTemplate"}, Within: Siblings, Code: "duplicateUserCoSpaceTemplate"}},
	Fields: []Field{
		{Name: "coSpaceTemplate", Kind: Reference, To: "coSpaceTemplates", Required: true, List: true, Help: "The template."},
		{Name: "autoGenerated", Kind: Bool, Access: Shown, List: true, Default: "false", Help: "Whether LDAP synchronisation gave it, which then alone takes it away."},
	},
})

// UserProvisionedCoSpace is a space that was made for a user.
var UserProvisionedCoSpace = declare(Object{
	Name: "userProvisionedCoSpace", Plural: "userProvisionedCoSpaces", Parent: User, Methods: Read, Missing: "userProvisionedCoSpaceDoesNotExist",
	Since: "3.1", Help: "A space that was made for the user.",
	Order:  "coSpace",
	Unique: []Unique{{Name: "userProvisionedCoSpace", Fields: []string{"coSpace"}, Within: Siblings}},
	Fields: []Field{
		{Name: "coSpace", Kind: Reference, To: "coSpaces", Access: Shown, List: true, Help: "The space."},
	},
})

// DirectorySearchLocation is where users look for people to call.
var DirectorySearchLocation = declare(Object{
	Name: "directorySearchLocation", Plural: "directorySearchLocations", Methods: CRUD, Missing: "directorySearchLocationDoesNotExist",
	Help:  "A part of a directory in which users look for people to call, and which attributes say what of them.",
	Order: "label", Search: []string{"label", "baseDn"}, Filters: []Filter{{"tenantFilter", "tenant"}},
	Fields: []Field{
		{Name: "ldapServer", Kind: Reference, To: "ldapServers", Required: true, List: true, Help: "The directory."},
		{Name: "tenant", Kind: Reference, To: "tenants", Holds: true, List: true, Help: "The tenant whose users look here; all users, when not set."},
		{Name: "baseDn", Kind: Text, Max: 1000, List: true, Help: "The node below which is looked."},
		{Name: "filterFormat", Kind: Text, Max: 4000, List: true, Help: "The filter as in RFC 4515, where $1 is what the user has typed."},
		{Name: "label", Kind: Text, Max: 200, List: true, Help: "The name that users see."},
		{Name: "priority", Kind: Number, List: true, Help: "Results of locations with a higher number come first."},
		{Name: "firstName", Kind: Text, Max: 200, Check: Line, Help: "The attribute with the given name."},
		{Name: "lastName", Kind: Text, Max: 200, Check: Line, Help: "The attribute with the surname."},
		{Name: "displayName", Kind: Text, Max: 200, Check: Line, Help: "The attribute with the name that people see."},
		{Name: "phone", Kind: Text, Max: 200, Check: Line, Help: "The attribute with the telephone number."},
		{Name: "mobile", Kind: Text, Max: 200, Check: Line, Help: "The attribute with the mobile number."},
		{Name: "email", Kind: Text, Max: 200, Check: Line, Help: "The attribute with the address for e-mail."},
		{Name: "sip", Kind: Text, Max: 200, Check: Line, Help: "The attribute with the SIP address."},
		{Name: "organisation", Aliases: []string{"organization"}, Kind: Text, Max: 200, Check: Line, Help: "The attribute with the organisation."},
	},
})
