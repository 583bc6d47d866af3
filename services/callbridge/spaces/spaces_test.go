package spaces

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

// none is the parent of what lives below nothing.
var none store.ID

type fields map[string]string

func open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Options{Client: databasetest.Start(t), Machine: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// prepare is what the API runs before it stores an object.
func prepare(tx *store.Tx, d *store.Draft, orders map[string]string) error {
	switch d.Object() {
	case schema.CoSpace:
		return PrepareCoSpace(tx, d, orders)
	case schema.AccessMethod:
		return PrepareAccessMethod(tx, d, orders)
	case schema.CoSpaceUser:
		return PrepareMember(tx, d, orders)
	case schema.CoSpaceTemplate:
		return PrepareCoSpaceTemplate(tx, d, orders)
	case schema.BulkParameterSet:
		return PrepareBulkParameterSet(tx, d, orders)
	case schema.BulkSync:
		return PrepareBulkSync(tx, d, orders)
	}
	return nil
}

// fill does what the API does with parameters: it parses them, and sets fields or gathers orders.
func fill(d *store.Draft, f fields) (orders map[string]string, err error) {
	orders = map[string]string{}
	for name, v := range f {
		row := d.Object().Field(name)
		if v, err = row.Parse(v); err != nil {
			return nil, err
		}
		if row.Access.Stored() {
			d.Set(row.Name, v)
		} else {
			orders[row.Name] = v
		}
	}
	return orders, nil
}

// post makes an object as a client does.
func post(s *store.Store, o *schema.Object, parent store.ID, f fields) (*store.Record, error) {
	var id store.ID
	err := s.Write(context.Background(), func(tx *store.Tx) error {
		d := tx.New(o, parent)
		if o.Singleton {
			d = tx.Edit(tx.Only(o))
		}
		id = d.ID()
		orders, err := fill(d, f)
		if err == nil {
			err = prepare(tx, d, orders)
		}
		if err != nil {
			return err
		}
		return tx.Put(d)
	})
	if err != nil {
		return nil, err
	}
	return s.Get(o, id), nil
}

func mustPost(t testing.TB, s *store.Store, o *schema.Object, parent store.ID, f fields) *store.Record {
	t.Helper()
	r, err := post(s, o, parent, f)
	if err != nil {
		t.Fatalf("make %s %v: %v", o.Name, f, err)
	}
	return r
}

// change is PUT.
func change(s *store.Store, r *store.Record, f fields) (*store.Record, error) {
	err := s.Write(context.Background(), func(tx *store.Tx) error {
		d := tx.Edit(r)
		orders, err := fill(d, f)
		if err == nil {
			err = prepare(tx, d, orders)
		}
		if err != nil {
			return err
		}
		return tx.Put(d)
	})
	return s.Get(r.Object(), r.ID()), err
}

func mustChange(t testing.TB, s *store.Store, r *store.Record, f fields) *store.Record {
	t.Helper()
	r, err := change(s, r, f)
	if err != nil {
		t.Fatalf("change %s to %v: %v", r, f, err)
	}
	return r
}

func remove(s *store.Store, r *store.Record) error {
	return s.Write(context.Background(), func(tx *store.Tx) error { return tx.Delete(tx.Get(r.Object(), r.ID())) })
}

// is says whether an error is the failure of a code, or the parameterError of a parameter, or the clash that has the code.
func is(err error, code string) bool {
	var c failure.Code
	var p *failure.Parameter
	var conflict *store.Conflict
	switch {
	case errors.As(err, &c):
		return string(c) == code
	case errors.As(err, &p):
		return p.Name == code
	case errors.As(err, &conflict):
		return conflict.Unique.Code == code
	}
	return err == nil && code == ""
}

func shown(elements []Element, name string) string {
	for _, e := range elements {
		if e.Name == name {
			return e.Text
		}
	}
	return ""
}

func ref(r *store.Record) string { return r.ID().String() }

func user(t testing.TB, s *store.Store, jid string, more fields) *store.Record {
	t.Helper()
	f := fields{"userJid": jid}
	var id store.ID
	err := s.Write(context.Background(), func(tx *store.Tx) error {
		d := tx.New(schema.User, none)
		id = d.ID()
		for k, v := range f {
			d.Set(k, v)
		}
		for k, v := range more {
			d.Set(k, v)
		}
		return tx.Put(d)
	})
	if err != nil {
		t.Fatalf("make user %s: %v", jid, err)
	}
	return s.Get(schema.User, id)
}

var (
	callIDForm = regexp.MustCompile(`^[1-9][0-9]{8}$`)
	secretForm = regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)
)

func TestCallIDsAndSecretsAreGenerated(t *testing.T) {
	s := open(t)
	r := mustPost(t, s, schema.CoSpace, none, fields{"name": "a", "requireCallId": "true"})
	if !callIDForm.MatchString(r.Text("callId")) || !secretForm.MatchString(r.Text("secret")) {
		t.Errorf("the call ID is %q, the secret %q; want 9 digits and 22 characters", r.Text("callId"), r.Text("secret"))
	}
	if got := mustPost(t, s, schema.CoSpace, none, fields{"name": "a", "requireCallId": "true", "callId": "42"}).Text("callId"); got != "42" {
		t.Errorf("a call ID that was given became %q", got)
	}
	bare := mustPost(t, s, schema.CoSpace, none, fields{"name": "a", "requireCallId": "false"})
	if bare.Has("callId") || bare.Has("secret") {
		t.Errorf("a space without a call ID has %q and the secret %q", bare.Text("callId"), bare.Text("secret"))
	}
	if bare = mustChange(t, s, bare, fields{"callId": "77"}); !bare.Has("secret") {
		t.Error("a call ID came without a secret")
	}
	first := bare.Text("secret")
	if bare = mustChange(t, s, bare, fields{"name": "b", "regenerateSecret": "false"}); bare.Text("secret") != first {
		t.Error("another change replaced the secret")
	}
	if bare = mustChange(t, s, bare, fields{"regenerateSecret": "true"}); bare.Text("secret") == first || !secretForm.MatchString(bare.Text("secret")) {
		t.Errorf("regenerateSecret made %q of %q", bare.Text("secret"), first)
	}
	if bare = mustChange(t, s, bare, fields{"secret": ""}); !secretForm.MatchString(bare.Text("secret")) {
		t.Errorf("an unset secret is %q; want a new one", bare.Text("secret"))
	}
	if bare = mustChange(t, s, bare, fields{"secret": "own"}); bare.Text("secret") != "own" {
		t.Errorf("a secret that was given became %q", bare.Text("secret"))
	}
	m := mustPost(t, s, schema.AccessMethod, r.ID(), fields{"callId": "1234"})
	if !secretForm.MatchString(m.Text("secret")) || m.Text("secret") == r.Text("secret") {
		t.Errorf("the access method's secret is %q, the space's %q", m.Text("secret"), r.Text("secret"))
	}
	if again := mustChange(t, s, m, fields{"regenerateSecret": "true"}); again.Text("secret") == m.Text("secret") {
		t.Error("regenerateSecret kept an access method's secret")
	}
	if n := shown(ShowCoSpace(s, r, true), "numAccessMethods"); n != "1" {
		t.Errorf("numAccessMethods is %q; want 1", n)
	}
}

func TestGeneratedCallIDsAreTakenByNobody(t *testing.T) {
	s := open(t)
	err := s.Write(context.Background(), func(tx *store.Tx) error {
		seen := map[string]bool{}
		for range 300 {
			d := tx.New(schema.CoSpace, none)
			d.Set("callId", newCallID(tx))
			if id := d.Text("callId"); seen[id] || !callIDForm.MatchString(id) {
				t.Errorf("the call ID %s is taken, or malformed", id)
			}
			seen[d.Text("callId")] = true
			if err := tx.Put(d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOwners(t *testing.T) {
	s := open(t)
	fred := user(t, s, "fred@example.com", fields{"directoryGuid": "7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11"})
	ann := user(t, s, "ann@example.com", nil)
	r := mustPost(t, s, schema.CoSpace, none, fields{"ownerJid": "FRED@example.com"})
	if r.Text("ownerId") != ref(fred) || shown(ShowCoSpace(s, r, true), "ownerJid") != "fred@example.com" {
		t.Errorf("the owner is %s, shown as %q; want fred", r.Text("ownerId"), shown(ShowCoSpace(s, r, true), "ownerJid"))
	}
	if r = mustChange(t, s, r, fields{"ownerJid": "ann@example.com"}); r.Text("ownerId") != ref(ann) {
		t.Error("ann does not become the owner")
	}
	if r = mustChange(t, s, r, fields{"ownerAdGuid": "7D2C3A5E-4A0C-4B1F-9E54-0D4F5A9F4A11"}); r.Text("ownerId") != ref(fred) {
		t.Error("fred does not become the owner by the directory's GUID")
	}
	if r = mustChange(t, s, r, fields{"name": "x"}); r.Text("ownerId") != ref(fred) {
		t.Error("another change took the owner away")
	}
	if r = mustChange(t, s, r, fields{"ownerJid": ""}); r.Has("ownerId") || shown(ShowCoSpace(s, r, true), "ownerJid") != "" {
		t.Error("an empty ownerJid keeps the owner")
	}
	for _, f := range []fields{{"ownerJid": "nobody@example.com"}, {"ownerAdGuid": uuid.NewString()}} {
		if _, err := post(s, schema.CoSpace, none, f); !is(err, "userDoesNotExist") {
			t.Errorf("%v gives %v; want userDoesNotExist", f, err)
		}
	}
}

func TestSpacesOfTheDirectoryKeepTheirTagAndStay(t *testing.T) {
	s := open(t)
	source := uuid.New()
	made := func(more fields) *store.Record {
		var id store.ID
		err := s.Write(context.Background(), func(tx *store.Tx) error {
			d := tx.New(schema.CoSpace, none)
			id = d.ID()
			d.SetBool("autoGenerated", true)
			d.Set("cdrTag", "tag")
			for k, v := range more {
				d.Set(k, v)
			}
			return tx.Put(d)
		})
		if err != nil {
			t.Fatal(err)
		}
		return s.Get(schema.CoSpace, id)
	}
	server := mustPost(t, s, schema.LDAPServer, none, fields{"address": "a", "portNumber": "636", "secure": "true"})
	mapping := mustPost(t, s, schema.LDAPMapping, none, nil)
	_ = source
	ldap := mustPost(t, s, schema.LDAPSource, none, fields{"server": ref(server), "mapping": ref(mapping), "baseDn": "dc=x"})
	r := made(fields{"ldapSource": ref(ldap)})
	if _, err := change(s, r, fields{"cdrTag": "other"}); !is(err, "cdrTag") {
		t.Errorf("changing the tag gives %v; want a fault of cdrTag", err)
	}
	if _, err := change(s, r, fields{"cdrTag": "tag", "name": "other"}); err != nil {
		t.Errorf("the tag as it was gives %v", err)
	}
	if err := RemoveCoSpace(nil, r); err != failure.InvalidOperation {
		t.Errorf("deleting it gives %v; want invalidOperation", err)
	}
	bulk := made(nil)
	if err := RemoveCoSpace(nil, bulk); err != nil {
		t.Errorf("deleting a space made in bulk gives %v", err)
	}
	if _, err := change(s, bulk, fields{"cdrTag": "other"}); err != nil {
		t.Errorf("changing the tag of a space made in bulk gives %v", err)
	}
}

func TestWaysIntoOneSpaceDifferByThePasscode(t *testing.T) {
	s := open(t)
	r := mustPost(t, s, schema.CoSpace, none, fields{"uri": "Room", "secondaryUri": "room2", "callId": "100", "passcode": "1"})
	other := mustPost(t, s, schema.CoSpace, none, fields{"uri": "other", "callId": "200"})
	guest := mustPost(t, s, schema.AccessMethod, r.ID(), fields{"uri": "room", "callId": "100", "passcode": "2"})
	for _, c := range []struct {
		name string
		f    fields
		want string
	}{
		{"the space's address and passcode", fields{"uri": "ROOM", "passcode": "1"}, "duplicateCoSpaceUriPasscode"},
		{"its second address", fields{"uri": "room2", "passcode": "1"}, "duplicateCoSpaceUriPasscode"},
		{"its call ID", fields{"callId": "100", "passcode": "1"}, "duplicateCoSpaceIdPasscode"},
		{"the other method's address", fields{"uri": "room", "passcode": "2"}, "duplicateCoSpaceUriPasscode"},
		{"the other method's call ID", fields{"callId": "100", "passcode": "2"}, "duplicateCoSpaceIdPasscode"},
		{"another passcode", fields{"uri": "room", "callId": "100", "passcode": "3"}, ""},
		{"no passcode", fields{"uri": "room", "callId": "100"}, ""},
		{"no passcode again", fields{"callId": "100"}, "duplicateCoSpaceIdPasscode"},
		{"nothing at all", nil, ""},
		{"nothing at all, again", nil, ""},
		{"another space's address", fields{"uri": "other", "passcode": "9"}, "duplicateCoSpaceUri"},
		{"another space's call ID", fields{"callId": "200", "passcode": "9"}, "duplicateCoSpaceId"},
	} {
		if _, err := post(s, schema.AccessMethod, r.ID(), c.f); !is(err, c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	if _, err := change(s, guest, fields{"passcode": "1"}); !is(err, "duplicateCoSpaceUriPasscode") {
		t.Errorf("the space's passcode: %v", err)
	}
	if _, err := change(s, r, fields{"passcode": "2"}); !is(err, "duplicateCoSpaceUriPasscode") {
		t.Errorf("a method's passcode for the space: %v", err)
	}
	if _, err := change(s, r, fields{"uri": "", "secondaryUri": "", "passcode": "2"}); !is(err, "duplicateCoSpaceIdPasscode") {
		t.Errorf("a method's passcode for the space without address: %v", err)
	}
	if _, err := change(s, r, fields{"passcode": "7"}); err != nil {
		t.Errorf("a passcode that is free: %v", err)
	}
	if _, err := change(s, other, fields{"secondaryUri": "OTHER"}); !is(err, "duplicateCoSpaceUri") {
		t.Errorf("one address twice: %v", err)
	}
	if _, err := post(s, schema.CoSpace, none, fields{"uri": "room"}); !is(err, "duplicateCoSpaceUri") {
		t.Errorf("another space with the address: %v", err)
	}
	if _, err := post(s, schema.AccessMethod, uuid.New(), fields{"uri": "x"}); !is(err, "coSpaceDoesNotExist") {
		t.Errorf("a method of no space: %v", err)
	}
}

// TestOnlyOneOfManyGetsThePair: writers that all want one passcode for their access method of one number.
func TestOnlyOneOfManyGetsThePair(t *testing.T) {
	s := open(t)
	r := mustPost(t, s, schema.CoSpace, none, fields{"name": "a"})
	var methods []*store.Record
	for i := range 8 {
		methods = append(methods, mustPost(t, s, schema.AccessMethod, r.ID(), fields{"callId": "100", "passcode": string(rune('a' + i))}))
	}
	errs := make([]error, len(methods))
	var wait sync.WaitGroup
	for i, m := range methods {
		wait.Go(func() { _, errs[i] = change(s, m, fields{"passcode": "same"}) })
	}
	wait.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !is(err, "duplicateCoSpaceIdPasscode") {
			t.Errorf("a loser sees %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d got the passcode; want 1", won)
	}
}

func TestTheDefaultAccessMethodIsOneOfTheSpace(t *testing.T) {
	s := open(t)
	a := mustPost(t, s, schema.CoSpace, none, nil)
	b := mustPost(t, s, schema.CoSpace, none, nil)
	m := mustPost(t, s, schema.AccessMethod, a.ID(), nil)
	if _, err := change(s, a, fields{"defaultAccessMethod": ref(m)}); err != nil {
		t.Errorf("its own: %v", err)
	}
	for _, id := range []string{ref(m), uuid.NewString()} {
		if _, err := change(s, b, fields{"defaultAccessMethod": id}); !is(err, "accessMethodDoesNotExist") {
			t.Errorf("another's, or none: %v; want accessMethodDoesNotExist", err)
		}
	}
}

func TestWhoIsShownAnAccessMethod(t *testing.T) {
	s := open(t)
	r := mustPost(t, s, schema.CoSpace, none, nil)
	for scope, want := range map[string][]Audience{
		"": {Anyone, DirectoryUser, Member}, "public": {Anyone, DirectoryUser, Member}, "directory": {DirectoryUser, Member}, "member": {Member}, "private": {Member},
	} {
		m := mustPost(t, s, schema.AccessMethod, r.ID(), fields{"scope": scope})
		if m.Text("scope") != scope {
			t.Errorf("%q was stored as %q", scope, m.Text("scope"))
		}
		var got []Audience
		for _, a := range []Audience{Anyone, DirectoryUser, Member} {
			if Visible(m, a) {
				got = append(got, a)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q is shown to %v; want %v", scope, got, want)
		}
	}
}

func TestPasscodesAreAsLongAsTheNearestPolicySays(t *testing.T) {
	s := open(t)
	policy := func(n, out string) string {
		return ref(mustPost(t, s, schema.DialInSecurityProfile, none, fields{"minPasscodeLength": n, "allowOutOfPolicy": out}))
	}
	old := mustPost(t, s, schema.CoSpace, none, fields{"uri": "old", "passcode": "1"})
	four, six, eight, lax := policy("4", ""), policy("6", ""), policy("8", ""), policy("", "true")
	mustPost(t, s, schema.Profiles, none, fields{"dialInSecurityProfile": four})
	tenant := ref(mustPost(t, s, schema.Tenants, none, fields{"name": "t", "dialInSecurityProfile": six}))
	const short = "passcodeTooShort"
	for _, c := range []struct {
		name string
		f    fields
		want string
	}{
		{"system, too short", fields{"uri": "a", "passcode": "123"}, short},
		{"system", fields{"uri": "a", "passcode": "1234"}, ""},
		{"none at all", fields{"uri": "b"}, short},
		{"none at all, and no way in", fields{"name": "b"}, ""},
		{"characters, not bytes", fields{"uri": "c", "passcode": "äöü"}, short},
		{"tenant, too short", fields{"uri": "d", "passcode": "12345", "tenant": tenant}, short},
		{"tenant", fields{"uri": "d", "passcode": "123456", "tenant": tenant}, ""},
		{"space, too short", fields{"uri": "e", "passcode": "123456", "tenant": tenant, "dialInSecurityProfile": eight}, short},
		{"space", fields{"callId": "5", "passcode": "12345678", "tenant": tenant, "dialInSecurityProfile": eight}, ""},
		{"space that is lax", fields{"uri": "f", "tenant": tenant, "dialInSecurityProfile": lax}, ""},
	} {
		if _, err := post(s, schema.CoSpace, none, c.f); !is(err, c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	// A space that was there before the policy is changed in other respects only.
	for f, want := range map[*fields]string{{"name": "x"}: "", {"uri": "older"}: "", {"passcode": "12"}: short, {"dialInSecurityProfile": eight}: short, {"tenant": tenant}: short, {"passcode": "1234"}: ""} {
		if _, err := change(s, old, *f); !is(err, want) {
			t.Errorf("an old space, %v: %v; want %q", *f, err, want)
		}
	}
	space := mustPost(t, s, schema.CoSpace, none, fields{"tenant": tenant, "dialInSecurityProfile": eight})
	for _, c := range []struct {
		name string
		f    fields
		want string
	}{
		{"method by the space's, too short", fields{"uri": "g", "passcode": "1234567"}, short},
		{"method by the space's", fields{"uri": "g", "passcode": "12345678"}, ""},
		{"method by its own, too short", fields{"uri": "h", "passcode": "123", "dialInSecurityProfile": four}, short},
		{"method by its own", fields{"uri": "h", "passcode": "1234", "dialInSecurityProfile": four}, ""},
		{"method that is lax", fields{"uri": "i", "dialInSecurityProfile": lax}, ""},
		{"method without a way in", fields{"name": "i"}, ""},
	} {
		if _, err := post(s, schema.AccessMethod, space.ID(), c.f); !is(err, c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	if _, err := change(s, space, fields{"uri": "now"}); !is(err, short) {
		t.Errorf("a first way in without passcode: %v; want %q", err, short)
	}
}
