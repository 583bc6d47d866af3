package api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/layout"
)

func TestAProfileKnowsWhereItIsUsed(t *testing.T) {
	d := newDesk(t, openStore(t))
	profile := d.make("callLegProfiles", url.Values{"name": {"guests"}})
	if a := d.api(http.MethodGet, profile+"/usage", nil); !strings.HasSuffix(a.body, `<callLegProfileUsage id="`+id(profile)+`" total="0"/>`) {
		t.Errorf("want no use, got %s", a.body)
	}
	by := url.Values{"callLegProfile": {id(profile)}}
	if a := d.api(http.MethodPut, "system/profiles", by); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	space := d.make("coSpaces", by)
	method := d.make(space+"/accessMethods", by)
	d.make("tenants", url.Values{"name": {"Acme"}, "callLegProfile": by["callLegProfile"]})
	a := d.api(http.MethodGet, profile+"/usage", nil)
	for _, want := range []string{`total="4"`, "<global/>", `<tenant id="`, `<coSpace id="` + id(space) + `"/>`, `<accessMethod id="` + id(method) + `"><coSpace>` + id(space) + `</coSpace></accessMethod>`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("want %s in %s", want, a.body)
		}
	}
	if root := d.read(profile+"/usage", url.Values{"offset": {"1"}, "limit": {"2"}}); root.attr("total") != "4" || len(root.Children) != 2 || root.Children[0].XMLName.Local != "tenant" {
		t.Errorf("want the second and the third, got %v", root)
	}
	for value, want := range map[string]string{"referenced": "1", "unreferenced": "0"} {
		if have := d.read("callLegProfiles", url.Values{"usageFilter": {value}}).attr("total"); have != want {
			t.Errorf("usageFilter=%s: want %s, got %s", value, want, have)
		}
	}
}

func TestSpacesOfAUser(t *testing.T) {
	d := newDesk(t, openStore(t))
	user := d.user("fred@example.com")
	space := d.make("coSpaces", nil)
	spaceID, _ := store.ParseID(id(space))
	var member store.ID
	if err := d.store.Write(t.Context(), func(tx *store.Tx) error {
		m := tx.New(schema.CoSpaceUser, spaceID)
		m.SetRef("userId", user)
		member = m.ID()
		return tx.Put(m)
	}); err != nil {
		t.Fatal(err)
	}
	// A large client spells it so.
	a := d.api(http.MethodGet, "users/"+user.String()+"/usercoSpaces", nil)
	if want := `<userCoSpaces total="1"><userCoSpace id="` + member.String() + `"><coSpaceId>` + spaceID.String() + `</coSpaceId></userCoSpace></userCoSpaces>`; !strings.HasSuffix(a.body, want) {
		t.Errorf("want %s, got %s", want, a.body)
	}
}

func TestWebBridgeProfilesInForce(t *testing.T) {
	d := newDesk(t, openStore(t))
	profile := func(values url.Values) string { return id(d.make("webBridgeProfiles", values)) }
	global := profile(url.Values{"allowSecrets": {"false"}, "userPortalEnabled": {"false"}, "name": {"all"}})
	if a := d.api(http.MethodPut, "system/profiles", url.Values{"webBridgeProfile": {global}}); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	tenant := d.make("tenants", url.Values{"name": {"Acme"}, "webBridgeProfile": {profile(url.Values{"userPortalEnabled": {"true"}})}})
	bridge := d.make("webBridges", url.Values{"tenant": {id(tenant)}, "webBridgeProfile": {profile(url.Values{"allowPasscodes": {"false"}})}})
	for path, want := range map[string][3]string{"system/profiles": {"false", "false", "true"}, tenant: {"false", "true", "true"}, bridge: {"false", "true", "false"}} {
		root := d.read(path+"/effectiveWebBridgeProfile", nil)
		for i, name := range []string{"allowSecrets", "userPortalEnabled", "allowPasscodes"} {
			if have, _ := root.get(name); have != want[i] {
				t.Errorf("%s: %s: want %s, got %s", path, name, want[i], have)
			}
		}
		if have, _ := root.get("allowUnauthenticatedGuests"); have != "true" || root.XMLName.Local != "effectiveWebBridgeProfile" {
			t.Errorf("%s: want what the system assumes as well, got %v", path, root)
		}
	}
}

func TestLayoutDocuments(t *testing.T) {
	d := newDesk(t, openStore(t))
	one := d.make("layoutTemplates", url.Values{"name": {"two"}})
	path := "/api/v1/" + one + "/template"
	document := ` {"templates": [{"panes": [{"x":0,"y":0,"w":5000,"h":10000}, {"x":5000,"y":0,"w":5000,"h":10000}], "comment": "&=%41"}]}` + "\n"
	if a := d.do(http.MethodPut, path, document); a.status != http.StatusOK || a.location != path {
		t.Fatalf("got %d %q %s", a.status, a.location, a.body)
	}
	if a := d.do(http.MethodGet, path, ""); a.body != document || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("want it as it was sent, got %s %q", a.header.Get("Content-Type"), a.body)
	}
	if size, _ := d.read(one, nil).get("templateSize"); size != strconv.Itoa(len(document)) {
		t.Errorf("templateSize: got %s", size)
	}
	for _, bad := range []string{"", "name=x", "{", `{"templates":[]}`, `{"templates":[{"panes":[{"x":9000,"y":0,"w":5000,"h":100}]}]}`} {
		d.fails(d.do(http.MethodPut, path, bad), http.StatusBadRequest, "template:invalidValue")
	}
	d.fails(d.do(http.MethodPut, path, "{"+strings.Repeat(" ", layout.TemplateSize)+"}"), http.StatusBadRequest, "layoutTemplateDescriptionTooLong")
	if a := d.do(http.MethodGet, path, ""); a.body != document {
		t.Error("a wrong document has taken the place of the right one")
	}
}
