package profiles

import (
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// Leg is what the settings of a call leg depend on.
type Leg struct {
	// Space is the space whose meeting it is in; nil in a forwarded or ad hoc call, which has Tenant alone.
	Space *store.Record
	// Tenant counts where there is no Space; nil for none.
	Tenant *store.Record
	// AccessMethod is how it came in, Member the coSpaceUser that it belongs to; nil for none.
	AccessMethod, Member *store.Record
	// CallOut is what the call to it was made with, Own what was set for it since.
	CallOut, Own Settings
}

// Settings are a profile, fields, or both; fields count before the profile.
type Settings struct {
	Profile store.ID
	Fields  map[string]string
}

// ForLeg returns the callLegProfile of a leg.
func ForLeg(v store.View, l Leg) Effective {
	c := begin(v, schema.CallLegProfile, "callLegProfile", 7)
	c.tenant(l.Space, l.Tenant)
	c.at(CoSpace, l.Space)
	c.at(AccessMethod, l.AccessMethod)
	c.at(CoSpaceUser, l.Member)
	c.own(CallOut, l.CallOut)
	c.own(CallLeg, l.Own)
	return c.end()
}

// ForCall returns the callProfile of the meetings of a space; without one, of calls of a tenant. Both may be nil.
func ForCall(v store.View, space, tenant *store.Record) Effective {
	return ofSpace(v, schema.CallProfile, "callProfile", space, tenant)
}

// ForCallBranding returns the callBrandingProfile, as ForCall does.
func ForCallBranding(v store.View, space, tenant *store.Record) Effective {
	return ofSpace(v, schema.CallBrandingProfile, "callBrandingProfile", space, tenant)
}

func ofSpace(v store.View, o *schema.Object, field string, space, tenant *store.Record) Effective {
	c := begin(v, o, field, 3)
	c.tenant(space, tenant)
	c.at(CoSpace, space)
	return c.end()
}

// ForDTMF returns the dtmfProfile of a tenant's calls; nil for calls without one.
func ForDTMF(v store.View, tenant *store.Record) Effective {
	c := begin(v, schema.DTMFProfile, "dtmfProfile", 2)
	c.at(Tenant, tenant)
	return c.end()
}

// ForIVR returns the ivrBrandingProfile of an IVR.
func ForIVR(v store.View, ivr *store.Record) Effective {
	c := begin(v, schema.IVRBrandingProfile, "ivrBrandingProfile", 3)
	c.tenant(ivr, nil)
	c.at(IVR, ivr)
	return c.end()
}

// ForUser returns the userProfile of a user.
func ForUser(v store.View, user *store.Record) Effective {
	c := begin(v, schema.UserProfile, "userProfile", 3)
	c.tenant(user, nil)
	c.at(User, user)
	return c.end()
}

// ForCompatibility returns the compatibilityProfile.
func ForCompatibility(v store.View) Effective {
	return begin(v, schema.CompatibilityProfile, "compatibilityProfile", 1).end()
}

// ForPasscodes returns the dialInSecurityProfile of profiles that are attached at a space and at its access method, and the
// tenant of the space. IDs rather than records, since rules ask before a space is stored; the zero ID is none.
func ForPasscodes(v store.View, tenant *store.Record, space, accessMethod store.ID) Effective {
	c := begin(v, schema.DialInSecurityProfile, "dialInSecurityProfile", 4)
	c.at(Tenant, tenant)
	c.own(CoSpace, Settings{Profile: space})
	c.own(AccessMethod, Settings{Profile: accessMethod})
	return c.end()
}

// chain gathers the levels of one profile from the top down.
type chain struct {
	v      store.View
	object *schema.Object
	field  string
	levels []Level
}

func begin(v store.View, o *schema.Object, field string, most int) *chain {
	c := &chain{v: v, object: o, field: field, levels: make([]Level, 0, most)}
	c.at(Global, v.Only(schema.Profiles))
	return c
}

// tenant adds the tenant of an object, or the given one where there is no object.
func (c *chain) tenant(of, otherwise *store.Record) {
	if of != nil {
		otherwise = c.v.Ref(of, "tenant")
	}
	c.at(Tenant, otherwise)
}

// at adds what is attached at an object.
func (c *chain) at(s Scope, holder *store.Record) {
	if holder == nil {
		return
	}
	if p := c.v.Ref(holder, c.field); p != nil {
		c.levels = append(c.levels, Level{Scope: s, Profile: p})
	}
}

func (c *chain) own(s Scope, set Settings) {
	l := Level{Scope: s, Fields: set.Fields}
	if set.Profile != (store.ID{}) {
		l.Profile = c.v.Get(c.object, set.Profile)
	}
	if l.Profile != nil || len(l.Fields) > 0 {
		c.levels = append(c.levels, l)
	}
}

func (c *chain) end() Effective { return Resolve(c.object, c.levels...) }
