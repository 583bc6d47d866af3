package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// Person is somebody whom a search found. What the location names no attribute for, and what the entry has not, is empty.
type Person struct {
	// Location is the label of where the person was found.
	Location                                                                  string
	FirstName, LastName, DisplayName, Phone, Mobile, Email, SIP, Organisation string
}

const (
	// mostFound bounds what one location yields.
	mostFound = 50
	// mostTyped bounds what is searched for, in bytes.
	mostTyped = 200
	// searchPatience bounds all locations together: somebody waits.
	searchPatience = 8 * time.Second
)

// Search looks for people on behalf of a user in the directorySearchLocations of the user's tenant and of none, those with the highest
// priority first. It returns up to most people, at most 50 of one location, each address for e-mail or SIP once. What was found
// is returned with the error of a location that did not answer.
//
// Text is what somebody typed: it never becomes a part of the filter's syntax. Fewer than 2 characters find nobody. Where the general settings
// restrict searches, only what is below the node that the user's own entry is in is looked at (guide 5.2).
func (im *Importer) Search(ctx context.Context, user *store.Record, text string, most int) ([]Person, error) {
	text = strings.TrimSpace(text)
	if utf8.RuneCountInString(text) < 2 {
		return nil, nil
	}
	if len(text) > mostTyped || !utf8.ValidString(text) {
		return nil, errors.New("what is searched for is longer than 200 bytes, or no text")
	}
	ctx, cancel := context.WithTimeout(ctx, searchPatience)
	defer cancel()
	var people []Person
	var failed []error
	seen := map[string]bool{}
	for _, at := range im.locations(user) {
		if len(people) >= most {
			break
		}
		base, ok := im.baseFor(at, user)
		if !ok {
			continue
		}
		found, err := im.searchAt(ctx, at, base, text)
		if err != nil {
			failed = append(failed, fmt.Errorf("search %s: %w", at.Text("label"), err))
		}
		for _, p := range found {
			key := strings.ToLower(cmp.Or(p.SIP, p.Email))
			if len(people) >= most || key != "" && seen[key] {
				continue
			}
			seen[key] = true
			people = append(people, p)
		}
	}
	return people, errors.Join(failed...)
}

// locations are those of a user's tenant and of none.
func (im *Importer) locations(user *store.Record) []*store.Record {
	tenant, _ := user.Ref("tenant")
	var all []*store.Record
	im.Store.Each(schema.DirectorySearchLocation, func(r *store.Record) bool {
		if id, ok := r.Ref("tenant"); !ok || id == tenant {
			all = append(all, r)
		}
		return true
	})
	slices.SortStableFunc(all, func(a, b *store.Record) int {
		x, _ := a.Number("priority")
		y, _ := b.Number("priority")
		return cmp.Compare(y, x)
	})
	return all
}

// baseFor returns where a location is searched for a user; false when nothing of it may be. A user whose entry is not known finds nobody
// where searches are restricted.
func (im *Importer) baseFor(at, user *store.Record) (string, bool) {
	base := at.Text("baseDn")
	if !im.Store.Only(schema.GeneralSettings).Bool("restrictSearchToSearcherOu") {
		return base, true
	}
	own, err := ldap.ParseDN(user.Text("distinguishedName"))
	if err != nil || len(own.RDNs) < 2 {
		return "", false
	}
	unit := &ldap.DN{RDNs: own.RDNs[1:]}
	node, err := ldap.ParseDN(base)
	switch {
	case err != nil:
		return "", false
	case node.EqualFold(unit) || unit.AncestorOfFold(node):
		return base, true
	case node.AncestorOfFold(unit):
		return unit.String(), true
	}
	return "", false
}

// errEnough ends a search that has found its share.
var errEnough = errors.New("enough")

func (im *Importer) searchAt(ctx context.Context, at *store.Record, base, text string) ([]Person, error) {
	r := im.Store.Ref(at, "ldapServer")
	if r == nil || !at.Has("filterFormat") {
		return nil, errors.New("it has no server or no filterFormat")
	}
	filter, err := searchFilter(at.Text("filterFormat"), text)
	if err != nil {
		return nil, err
	}
	session, err := connect(ctx, serverOf(r), im.TLS())
	if err != nil {
		return nil, err
	}
	defer session.close()
	var attributes []string
	for _, f := range personFields {
		if at.Has(f) {
			attributes = append(attributes, at.Text(f))
		}
	}
	if len(attributes) == 0 {
		return nil, errors.New("it names no attributes")
	}
	var found []Person
	err = session.search(ctx, base, filter, attributes, serverOf(r).paged, func(e entry) error {
		p := Person{Location: at.Text("label")}
		for field, into := range map[string]*string{"firstName": &p.FirstName, "lastName": &p.LastName, "displayName": &p.DisplayName,
			"phone": &p.Phone, "mobile": &p.Mobile, "email": &p.Email, "sip": &p.SIP, "organisation": &p.Organisation} {
			if at.Has(field) {
				*into = e.text(at.Text(field))
			}
		}
		if p == (Person{Location: p.Location}) {
			return nil
		}
		if found = append(found, p); len(found) == mostFound {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}
