package directory

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"rotunda/mmp/identity/slapdtest"
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

// searcher is a user who looks for others.
func (x *scene) searcher(fields ...string) *store.Record {
	x.Helper()
	return x.add(schema.User, store.ID{}, append([]string{"userJid", uuid.NewString() + "@example.com"}, fields...)...)
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
	anybody := x.searcher()
	found, err := x.im.Search(t.Context(), anybody, " fre ", 10)
	want := Person{Location: "Everybody", FirstName: "Fred", LastName: "Of fred", DisplayName: "Name fred", Phone: "+1 408 5550", Mobile: "+1 408 5551",
		Email: "fred@example.com", SIP: "fred", Organisation: "Sales"}
	if err != nil || len(found) != 1 || found[0] != want {
		t.Fatalf("wanted fred, got %+v, %v", found, err)
	}
	if found, _ := x.im.Search(t.Context(), anybody, "name", 2); len(found) != 2 {
		t.Errorf("wanted 2 people at most, got %v", names(found))
	}
	if found, err := x.im.Search(t.Context(), anybody, "f", 10); len(found) != 0 || err != nil {
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
	anybody := x.searcher()
	for _, c := range []struct{ typed, want string }{
		{"Sales", "Everybody/fred"}, {"S*", ""}, {"**", ""}, {"x)(uid=*", ""}, {"*)(objectClass=*", ""}, {`a*b(c)\d`, "Everybody/star"}, {"\x00\x00", ""}, {"$1", ""},
	} {
		found, err := x.im.Search(t.Context(), anybody, c.typed, 10)
		if got := names(found); got != c.want || err != nil {
			t.Errorf("%q: wanted %q, got %q, %v", c.typed, c.want, got, err)
		}
	}
	if _, err := x.im.Search(t.Context(), anybody, strings.Repeat("x", 201), 10); err == nil {
		t.Error("201 bytes were searched for")
	}
	x.edit(at, "filterFormat", "")
	if _, err := x.im.Search(t.Context(), anybody, "fred", 10); err == nil {
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
	anybody, ours := x.searcher(), x.searcher("tenant", tenant.ID().String())
	x.location("priority", "1")
	own := x.location("priority", "5", "label", "Ours", "tenant", tenant.ID().String(), "filterFormat", "(uid=fred*)")
	if found, err := x.im.Search(t.Context(), ours, "name", 10); err != nil || names(found[:1]) != "Ours/fred" || strings.Count(names(found), "/fred") != 1 {
		t.Errorf("wanted the tenant's fred first, and once, got %s, %v", names(found), err)
	}
	if found, err := x.im.Search(t.Context(), anybody, "fred", 10); err != nil || names(found) != "Everybody/fred" {
		t.Errorf("no tenant: got %s, %v", names(found), err)
	}
	if found, err := x.im.Search(t.Context(), anybody, "many", 1000); err != nil || len(found) != mostFound {
		t.Errorf("wanted %d people, got %d, %v", mostFound, len(found), err)
	}
	// A location that does not answer keeps nobody from being found elsewhere.
	x.edit(own, "baseDn", "ou=gone,"+slapdtest.Suffix)
	found, err := x.im.Search(t.Context(), ours, "fred", 10)
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

func TestASearchIsRestrictedToTheSearchersOwnUnit(t *testing.T) {
	x := prepareScene(t, func(w io.Writer) {
		three(w)
		fmt.Fprintf(w, "dn: ou=north,%s\nobjectClass: organizationalUnit\nou: north\n\n", slapdtest.People)
		fmt.Fprintf(w, "dn: uid=nora,ou=north,%s\nobjectClass: inetOrgPerson\nobjectClass: user\nuid: nora\ncn: Name nora\nsn: n\nsAMAccountName: nora\n\n", slapdtest.People)
	})
	x.location()
	north := x.searcher("distinguishedName", "uid=nils,OU=North,"+slapdtest.People)
	people := x.searcher("distinguishedName", dn("fred"))
	other := x.searcher("distinguishedName", "uid=olaf,ou=elsewhere,"+slapdtest.Suffix)
	unknown := x.searcher()
	look := func(who *store.Record, want string) {
		t.Helper()
		found, err := x.im.Search(t.Context(), who, "name", 10)
		list := strings.Fields(names(found))
		slices.Sort(list)
		if got := strings.Join(list, " "); got != want || err != nil {
			t.Errorf("%s: wanted %q, got %q, %v", who.Text("distinguishedName"), want, got, err)
		}
	}
	everybody := "Everybody/anna Everybody/ben Everybody/fred Everybody/nora"
	for _, who := range []*store.Record{north, people, other, unknown} {
		look(who, everybody)
	}
	x.write(func(tx *store.Tx) error {
		d := tx.Edit(tx.Only(schema.GeneralSettings))
		d.SetBool("restrictSearchToSearcherOu", true)
		return tx.Put(d)
	})
	look(north, "Everybody/nora")
	look(people, everybody)
	look(other, "")
	look(unknown, "")
}
