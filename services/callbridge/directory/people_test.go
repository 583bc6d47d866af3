package directory

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"rotunda/services/callbridge/directory/slapdtest"
	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

func (x *scene) location(fields ...string) *store.Record {
	x.Helper()
	return x.add(schema.DirectorySearchLocation, store.ID{}, append([]string{"ldapServer", x.server.ID().String(), "baseDn", slapdtest.People,
		"filterFormat", "(|(cn=*$1*)(uid=$1*))", "label", "Everybody", "displayName", "cn", "lastName", "sn", "firstName", "givenName", "email", "mail",
		"phone", "telephoneNumber", "mobile", "mobile", "sip", "sAMAccountName", "organisation", "ou"}, fields...)...)
}

func names(people []Person) string {
	var list []string
	for _, p := range people {
		list = append(list, p.Location+"/"+p.SIP)
	}
	return strings.Join(list, " ")
}

func TestPeopleAreFoundInTheDirectory(t *testing.T) {
	x := prepareScene(t, three)
	x.location()
	found, err := x.im.Search(t.Context(), store.ID{}, " fre ", 10)
	want := Person{Location: "Everybody", FirstName: "Fred", LastName: "Of fred", DisplayName: "Name fred", Phone: "+1 408 5550", Mobile: "+1 408 5551",
		Email: "fred@example.com", SIP: "fred", Organisation: "Sales"}
	if err != nil || len(found) != 1 || found[0] != want {
		t.Fatalf("wanted fred, got %+v, %v", found, err)
	}
	if found, _ := x.im.Search(t.Context(), store.ID{}, "name", 2); len(found) != 2 {
		t.Errorf("wanted 2 people at most, got %v", names(found))
	}
	if found, err := x.im.Search(t.Context(), store.ID{}, "f", 10); len(found) != 0 || err != nil {
		t.Errorf("one letter: wanted nobody, got %v, %v", names(found), err)
	}
}

// What somebody types is text: it widens no search.
func TestWhatIsTypedIsNoFilter(t *testing.T) {
	x := prepareScene(t, func(w io.Writer) {
		three(w)
		writePerson(w, "star", "ou: a*b(c)\\d\n")
	})
	at := x.location("filterFormat", "(ou=$1)")
	for _, c := range []struct{ typed, want string }{
		{"Sales", "Everybody/fred"}, {"S*", ""}, {"**", ""}, {"x)(uid=*", ""}, {"*)(objectClass=*", ""}, {`a*b(c)\d`, "Everybody/star"}, {"\x00\x00", ""}, {"$1", ""},
	} {
		found, err := x.im.Search(t.Context(), store.ID{}, c.typed, 10)
		if got := names(found); got != c.want || err != nil {
			t.Errorf("%q: wanted %q, got %q, %v", c.typed, c.want, got, err)
		}
	}
	if _, err := x.im.Search(t.Context(), store.ID{}, strings.Repeat("x", 201), 10); err == nil {
		t.Error("201 bytes were searched for")
	}
	x.edit(at, "filterFormat", "")
	if _, err := x.im.Search(t.Context(), store.ID{}, "fred", 10); err == nil {
		t.Error("wanted an error without a filter")
	}
}

func TestLocationsAreOfATenantAndInOrder(t *testing.T) {
	x := prepareScene(t, func(w io.Writer) {
		three(w)
		for i := range 80 {
			writePerson(w, fmt.Sprintf("many%02d", i), "")
		}
	})
	tenant := x.add(schema.Tenants, store.ID{}, "name", "Example")
	x.location("priority", "1")
	own := x.location("priority", "5", "label", "Ours", "tenant", tenant.ID().String(), "filterFormat", "(uid=fred*)")
	if found, err := x.im.Search(t.Context(), tenant.ID(), "name", 10); err != nil || names(found[:1]) != "Ours/fred" || strings.Count(names(found), "/fred") != 1 {
		t.Errorf("wanted the tenant's fred first, and once, got %s, %v", names(found), err)
	}
	if found, err := x.im.Search(t.Context(), store.ID{}, "fred", 10); err != nil || names(found) != "Everybody/fred" {
		t.Errorf("no tenant: got %s, %v", names(found), err)
	}
	if found, err := x.im.Search(t.Context(), store.ID{}, "many", 1000); err != nil || len(found) != mostFound {
		t.Errorf("wanted %d people, got %d, %v", mostFound, len(found), err)
	}
	// A location that does not answer keeps nobody from being found elsewhere.
	x.edit(own, "baseDn", "ou=gone,"+slapdtest.Suffix)
	found, err := x.im.Search(t.Context(), tenant.ID(), "fred", 10)
	if err == nil || !strings.Contains(err.Error(), "search Ours") || names(found) != "Everybody/fred" {
		t.Errorf("wanted fred and an error about Ours, got %s, %v", names(found), err)
	}
}

func TestSettingsThatWouldFailAreRefusedWhenTheyAreWritten(t *testing.T) {
	x := prepareScene(t, nil)
	for _, c := range []struct {
		object       *schema.Object
		prepare      func(*store.Tx, *store.Draft, map[string]string) error
		field, value string
		why          string
	}{
		{schema.LDAPMapping, PrepareMapping, "jidMapping", "$mail", "character 1"},
		{schema.LDAPMapping, PrepareMapping, "coSpaceCallIdMapping", `$a|'/(/x/'$`, "character 6"},
		{schema.LDAPSource, PrepareSource, "baseDn", "people", "distinguished name"},
		{schema.LDAPSource, PrepareSource, "filter", "(uid=*", "RFC 4515"},
		{schema.LDAPUserCoSpaceTemplateSource, PrepareTemplateSource, "filter", "uid", "RFC 4515"},
		{schema.DirectorySearchLocation, PrepareSearchLocation, "filterFormat", "(cn=$1", "RFC 4515"},
		{schema.DirectorySearchLocation, PrepareSearchLocation, "email", "$mail$", "name of an attribute"},
		{schema.DirectorySearchLocation, PrepareSearchLocation, "baseDn", "x", "distinguished name"},
	} {
		x.write(func(tx *store.Tx) error {
			d := tx.New(c.object, store.ID{})
			if err := c.prepare(tx, d, nil); err != nil {
				t.Errorf("%s without %s: %v", c.object.Name, c.field, err)
			}
			d.Set(c.field, c.value)
			err, ok := c.prepare(tx, d, nil).(*failure.Parameter)
			if !ok || err.Name != c.field || err.Fault != failure.Invalid || !strings.Contains(err.Why, c.why) {
				t.Errorf("%s %q: wanted invalidValue with %q, got %v", c.field, c.value, c.why, err)
			}
			return nil
		})
	}
}
