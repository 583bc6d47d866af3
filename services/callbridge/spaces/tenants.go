package spaces

import (
	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// PrepareTenant refuses to move a tenant into a tenant group in which one of its call IDs is taken. Without a group, a tenant is
// in one scope with those who have no tenant.
func PrepareTenant(tx *store.Tx, d *store.Draft, _ map[string]string) error {
	if d.Before() == nil || !d.Changed("tenantGroup") {
		return nil
	}
	group, _ := d.Ref("tenantGroup")
	taken := false
	check := func(r *store.Record) {
		id := r.Text("callId")
		if id == "" || taken {
			return
		}
		for _, other := range tx.Find(callIDIndex, id) {
			of := tenantOf(tx, other)
			taken = taken || of != d.ID() && groupOf(tx, of) == group
		}
	}
	tx.Each(schema.CoSpace, func(r *store.Record) bool {
		if of, _ := r.Ref("tenant"); of == d.ID() {
			check(r)
			for _, m := range tx.Below(schema.AccessMethod, r.ID()) {
				check(m)
			}
		}
		return !taken
	})
	if taken {
		return failure.TenantGroupCoSpaceIDConflict
	}
	return nil
}

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
