package directory

import (
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/store"
)

// The checks refuse, when an administrator writes them, settings that would fail each synchronisation. They are of the shape of
// api.Hooks.Prepare.

// PrepareMapping compiles the expressions of an ldapMappings object.
func PrepareMapping(_ *store.Tx, d *store.Draft, _ map[string]string) error {
	for _, field := range mappingFields {
		if _, err := ParseMapping(d.Text(field)); err != nil {
			return invalid(field, err)
		}
	}
	return nil
}

// PrepareSource looks at base and filter of an ldapSources object.
func PrepareSource(_ *store.Tx, d *store.Draft, _ map[string]string) error {
	if err := checkBase(d, "baseDn"); err != nil {
		return err
	}
	if _, err := normalFilter(d.Text("filter")); err != nil {
		return invalid("filter", err)
	}
	return nil
}

// PrepareTemplateSource looks at the filter of an ldapUserCoSpaceTemplateSources object.
func PrepareTemplateSource(_ *store.Tx, d *store.Draft, _ map[string]string) error {
	if _, err := normalFilter(d.Text("filter")); err != nil {
		return invalid("filter", err)
	}
	return nil
}

// PrepareSearchLocation looks at base, filter and attributes of a directorySearchLocations object.
func PrepareSearchLocation(_ *store.Tx, d *store.Draft, _ map[string]string) error {
	if err := checkBase(d, "baseDn"); err != nil {
		return err
	}
	if f := d.Text("filterFormat"); f != "" {
		if _, err := searchFilter(f, "x"); err != nil {
			return invalid("filterFormat", err)
		}
	}
	for _, field := range personFields {
		if a := d.Text(field); a != "" && !attributeName.MatchString(a) {
			return &failure.Parameter{Name: field, Fault: failure.Invalid, Why: "use the name of an attribute, such as mail, without dollar signs"}
		}
	}
	return nil
}

func checkBase(d *store.Draft, field string) error {
	if _, err := ldap.ParseDN(d.Text(field)); err != nil {
		return &failure.Parameter{Name: field, Fault: failure.Invalid,
			Why: "use a distinguished name such as ou=people,dc=example,dc=com: " + reason(err)}
	}
	return nil
}

func invalid(field string, err error) error {
	return &failure.Parameter{Name: field, Fault: failure.Invalid, Why: err.Error()}
}

// personFields are the fields of a directorySearchLocations object that name attributes.
var personFields = []string{"firstName", "lastName", "displayName", "phone", "mobile", "email", "sip", "organisation"}

// typed is what stands in a filterFormat for what a user typed.
const typed = "$1"

// searchFilter puts what somebody typed into a filter, so that it is text and nothing else there (RFC 4515, 3).
func searchFilter(format, text string) (string, error) {
	return normalFilter(strings.ReplaceAll(format, typed, ldap.EscapeFilter(text)))
}
