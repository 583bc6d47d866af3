package directory

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// mapping is an ldapMappings object, compiled.
type mapping struct {
	jid, name, cdrTag, authentication           *Mapping
	spaceName, spaceURI, spaceSecond, spaceCall *Mapping
	// attributes are all that any of them reads, and those that every import reads.
	attributes []string
}

// mappingFields are the fields of an ldapMappings object that have expressions.
var mappingFields = []string{"jidMapping", "nameMapping", "cdrTagMapping", "authenticationIdMapping",
	"coSpaceNameMapping", "coSpaceUriMapping", "coSpaceSecondaryUriMapping", "coSpaceCallIdMapping"}

// alwaysRead are the attributes that an import reads without being told (guide appendix F).
var alwaysRead = append([]string{"mail", "telephoneNumber", "mobile", "sn", "givenName"}, guidAttributes...)

// compiled reads a mapping; nil expressions are those that are not set.
func compiled(r *store.Record) (*mapping, error) {
	m := &mapping{attributes: append([]string(nil), alwaysRead...)}
	into := []**Mapping{&m.jid, &m.name, &m.cdrTag, &m.authentication, &m.spaceName, &m.spaceURI, &m.spaceSecond, &m.spaceCall}
	for i, field := range mappingFields {
		text := r.Text(field)
		if text == "" {
			continue
		}
		x, err := ParseMapping(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		*into[i] = x
		m.attributes = append(m.attributes, x.Attributes()...)
	}
	if m.jid == nil {
		return nil, errors.New("jidMapping is not set: set it to one such as $sAMAccountName$@example.com")
	}
	m.attributes = distinct(m.attributes)
	return m, nil
}

// distinct drops names that are there twice, in whatever case.
func distinct(names []string) []string {
	seen := map[string]bool{}
	kept := names[:0]
	for _, n := range names {
		if key := strings.ToLower(n); !seen[key] {
			seen[key] = true
			kept = append(kept, n)
		}
	}
	return kept
}

// spaces says whether the mapping makes any.
func (m *mapping) spaces() bool { return m.spaceURI != nil || m.spaceName != nil || m.spaceCall != nil }

// person is what one entry is to become.
type person struct {
	dn, guid, jid, name, email, authentication, cdrTag string
	first, last, phone, mobile                         string
	// space says whether there is to be one.
	space                                       bool
	spaceName, spaceURI, spaceSecond, spaceCall string
	// left out are fields whose value did not fit, with the reason; they are not set.
	leftOut []string
}

// of makes a person of an entry. The error says why the entry is none.
//
// A JID, an authentication ID, a URI and a call ID are not set where an attribute of theirs is missing: half of one would belong to
// many. A name and a tag are made of what is there.
func (m *mapping) of(e entry) (person, error) {
	p := person{
		dn: e.dn, guid: e.guid(), email: fit(nil, schema.User, "email", e.text("mail")),
		first: fit(nil, schema.User, "firstName", e.text("givenName")), last: fit(nil, schema.User, "lastName", e.text("sn")),
		phone: fit(nil, schema.User, "phone", e.text("telephoneNumber")), mobile: fit(nil, schema.User, "mobile", e.text("mobile")),
	}
	jid, complete := m.jid.Expand(e.text)
	if !complete {
		return p, fmt.Errorf("it lacks an attribute of jidMapping (%s): add a presence filter such as (%s=*)",
			strings.Join(m.jid.Attributes(), ", "), m.jid.Attributes()[0])
	}
	if strings.ContainsFunc(jid, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return p, fmt.Errorf("its JID %q has white space", clip(jid))
	}
	var err error
	if p.jid, err = schema.User.Field("userJid").Parse(jid); err != nil || p.jid == "" {
		return p, fmt.Errorf("its JID %q is no JID", clip(jid))
	}
	if len(p.dn) > 2000 {
		return p, errors.New("its distinguished name is longer than 2000 bytes")
	}
	p.name = fit(&p, schema.User, "name", loose(m.name, e))
	p.cdrTag = fit(&p, schema.User, "cdrTag", loose(m.cdrTag, e))
	p.authentication = fit(&p, schema.User, "authenticationId", strict(m.authentication, e))
	if !m.spaces() {
		return p, nil
	}
	p.spaceName = fit(&p, schema.CoSpace, "name", loose(m.spaceName, e))
	p.spaceURI = fit(&p, schema.CoSpace, "uri", strict(m.spaceURI, e))
	p.spaceSecond = fit(&p, schema.CoSpace, "secondaryUri", strict(m.spaceSecond, e))
	p.spaceCall = fit(&p, schema.CoSpace, "callId", strict(m.spaceCall, e))
	p.space = p.spaceURI != "" || p.spaceCall != "" || p.spaceName != "" && m.spaceURI == nil && m.spaceCall == nil
	return p, nil
}

func loose(m *Mapping, e entry) string {
	if m == nil {
		return ""
	}
	text, _ := m.Expand(e.text)
	return strings.TrimSpace(text)
}

func strict(m *Mapping, e entry) string {
	if m == nil {
		return ""
	}
	text, complete := m.Expand(e.text)
	if !complete {
		return ""
	}
	return text
}

// fit returns a value that its field takes, or "" and notes that in p.
func fit(p *person, o *schema.Object, field, value string) string {
	fitting, err := o.Field(field).Parse(value)
	if err != nil && p != nil {
		p.leftOut = append(p.leftOut, o.Name+"."+err.Error())
	}
	return fitting
}

// value is one field and what it is to be.
type value struct{ field, text string }

// source is an ldapSources object with what it names, as an import needs it.
type source struct {
	id, tenant, profile string
	nonMembers          bool
	mapping             *mapping
}

// sourceOf reads a source. A profile that is gone counts as none; users of a tenant that is gone must not become everybody's.
func sourceOf(v store.View, r *store.Record, m *mapping) (source, error) {
	s := source{id: r.ID().String(), nonMembers: r.Text("nonMemberAccess") != "false", mapping: m}
	if r.Has("tenant") {
		if v.Ref(r, "tenant") == nil {
			return s, errors.New("its tenant does not exist any more")
		}
		s.tenant = r.Text("tenant")
	}
	if v.Ref(r, "userProfile") != nil {
		s.profile = r.Text("userProfile")
	}
	return s, nil
}

// user returns the fields of a person's user.
func (p person) user(s source) []value {
	return []value{
		{"userJid", p.jid}, {"name", p.name}, {"email", p.email}, {"authenticationId", p.authentication}, {"tenant", s.tenant},
		{"userProfile", s.profile}, {"cdrTag", p.cdrTag}, {"ldapSource", s.id}, {"directoryGuid", p.guid}, {"distinguishedName", p.dn},
		{"firstName", p.first}, {"lastName", p.last}, {"phone", p.phone}, {"mobile", p.mobile},
	}
}

// coSpace returns the fields of a person's space that synchronisation sets each time: those without a mapping belong to
// administrators and members.
func (p person) coSpace(s source, user store.ID) []value {
	fields := []value{{"autoGenerated", "true"}, {"ldapSource", s.id}, {"ownerId", user.String()}, {"tenant", s.tenant}, {"cdrTag", p.cdrTag}}
	m := s.mapping
	for _, f := range []struct {
		from  *Mapping
		value value
	}{{m.spaceName, value{"name", p.spaceName}}, {m.spaceURI, value{"uri", p.spaceURI}},
		{m.spaceSecond, value{"secondaryUri", p.spaceSecond}}, {m.spaceCall, value{"callId", p.spaceCall}}} {
		if f.from != nil {
			fields = append(fields, f.value)
		}
	}
	return fields
}

// closes says whether a space is to be closed to those who are no members: where the source says so, a space without a passcode
// is, each time (guide 5.4). A member opens it by setting a passcode; after that it is the member's.
func (s source) closes(passcode string) bool { return !s.nonMembers && passcode == "" }

// owner returns the fields of the owner's membership.
func owner(user store.ID) []value {
	return append([]value{{"userId", user.String()}, {"autoGenerated", "true"}}, ownerRights...)
}

// ownerRights are those of spaces.SetRights for members that LDAP makes.
var ownerRights = func() (rights []value) {
	for _, f := range schema.CoSpaceUser.Fields {
		if f.Kind != schema.Bool || !strings.HasPrefix(f.Name, "can") {
			continue
		}
		text := "false"
		switch f.Name {
		// The last one opens a space that its source closes to others (guide 5.4).
		case "canAddRemoveMember", "canChangePasscode", "canPostMessage", "canDeleteAllMessages", "canChangeNonMemberAccessAllowed":
			text = "true"
		}
		rights = append(rights, value{f.Name, text})
	}
	return rights
}()

// has says whether a record has the values already.
func has(r *store.Record, fields []value) bool {
	for _, f := range fields {
		if r.Text(f.field) != f.text {
			return false
		}
	}
	return true
}

// set puts them into a draft.
func set(d *store.Draft, fields []value) {
	for _, f := range fields {
		d.Set(f.field, f.text)
	}
}
