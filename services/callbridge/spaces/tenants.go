package spaces

import (
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// tenantOf returns the tenant of a space, or of an access method's space; the zero ID for none.
func tenantOf(v store.View, r *store.Record) store.ID {
	if r.Object() == schema.AccessMethod {
		if r = v.Get(schema.CoSpace, r.Parent()); r == nil {
			return store.ID{}
		}
	}
	if t := v.Ref(r, "tenant"); t != nil {
		return t.ID()
	}
	return store.ID{}
}

// groupOf returns the tenant group in which a tenant's call IDs differ; the zero ID for that of no group.
func groupOf(v store.View, tenant store.ID) store.ID {
	if t := v.Get(schema.Tenants, tenant); t != nil {
		if g := v.Ref(t, "tenantGroup"); g != nil {
			return g.ID()
		}
	}
	return store.ID{}
}
