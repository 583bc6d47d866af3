package store

import (
	"slices"

	"rotunda/services/callbridge/schema"
)

// claimed is a value that an object has to itself.
type claimed struct {
	index  *index
	field  int
	folded string
	scope  ID
}

// standing is how an object stands towards others before it is put.
type standing struct {
	claims []claimed
	// tenant of a family, group of a tenant; zero where there is none.
	tenant, group ID
}

// scopesOf returns how an object stands; nothing for one that is not there.
func (tx *Tx) scopesOf(k *kind, r *Record) standing {
	var s standing
	if r == nil {
		return s
	}
	s.claims = tx.claimsOf(k, r)
	if k.tenant >= 0 {
		s.tenant = tx.tenantOf(k, r)
	}
	if k == tx.batch.store.model.tenants {
		s.group = tx.groupOf(r.id)
	}
	return s
}

func (tx *Tx) claimsOf(k *kind, r *Record) []claimed {
	var all []claimed
	for _, c := range k.claims {
		if v := r.at(c.field); v != "" {
			all = append(all, claimed{c.index, c.field, c.index.folded(v), tx.scopeOf(c.index, k, r)})
		}
	}
	return all
}

// scopeOf is where a value must differ.
func (tx *Tx) scopeOf(x *index, k *kind, r *Record) ID {
	switch x.Within {
	case schema.Siblings:
		return r.parent
	case schema.Tenant:
		return tx.tenantOf(k, r)
	case schema.TenantGroup:
		return tx.groupOf(tx.tenantOf(k, r))
	}
	return ID{}
}

// tenantOf is the tenant of an object, or of the one above it; zero for none, and for one that is gone.
func (tx *Tx) tenantOf(k *kind, r *Record) ID {
	if k.tenant < 0 && k.parent != nil {
		k, r = k.parent, tx.batch.get(k.parent, r.parent)
	}
	tenants := tx.batch.store.model.tenants
	if r == nil || k.tenant < 0 || tenants == nil {
		return ID{}
	}
	id, ok := ParseID(r.at(k.tenant))
	if !ok || tx.batch.get(tenants, id) == nil {
		return ID{}
	}
	return id
}

// groupOf is the group of a tenant; zero for none.
func (tx *Tx) groupOf(tenant ID) ID {
	m := tx.batch.store.model
	if tenant == (ID{}) || m.groups == nil {
		return ID{}
	}
	r := tx.batch.get(m.tenants, tenant)
	if r == nil {
		return ID{}
	}
	id, ok := ParseID(r.at(m.tenants.fields["tenantGroup"]))
	if !ok || tx.batch.get(m.groups, id) == nil {
		return ID{}
	}
	return id
}

// family is the object that a record is or lives below.
func (r *Record) family() ID {
	if r.parent != (ID{}) {
		return r.parent
	}
	return r.id
}

// taken returns another object that has a value; nil when there is none.
func (tx *Tx) taken(c claimed, r *Record) (with *Record) {
	m := tx.batch.store.model
	tx.batch.find(c.index, c.folded, func(o *Record) bool {
		if o.id == r.id || c.index.Within != schema.Siblings && o.family() == r.family() {
			return true
		}
		if tx.scopeOf(c.index, m.of[o.object], o) == c.scope {
			with = o
		}
		return with == nil
	})
	return with
}

// claim checks values and puts their fences, but for those that were an object's before.
func (tx *Tx) claim(k *kind, r *Record, before []claimed) error {
	for _, c := range tx.claimsOf(k, r) {
		if slices.ContainsFunc(before, func(b claimed) bool { return b.index == c.index && b.folded == c.folded && b.scope == c.scope }) {
			continue
		}
		fence := c.index.fence(c.folded)
		tx.guards.fences[fence], tx.guards.claims[fence] = true, true
		if with := tx.taken(c, r); with != nil {
			return &Conflict{Unique: declared(k, c), Field: k.object.Fields[c.field].Name, Value: r.at(c.field), With: with}
		}
	}
	return nil
}

// declared is the Unique of the object's own table.
func declared(k *kind, c claimed) schema.Unique {
	for _, u := range k.object.Unique {
		if u.Name == c.index.Name {
			return u
		}
	}
	return c.index.Unique
}

// checkClaims checks what an object claims that was put already; before is how it stood.
func (tx *Tx) checkClaims(k *kind, cur, r *Record, before standing) error {
	if err := tx.claim(k, r, before.claims); err != nil {
		return err
	}
	m := tx.batch.store.model
	now := tx.scopesOf(k, r)
	if cur != nil && now.tenant != before.tenant {
		// Those below it are of its tenant, and their values meet those of another one now.
		for _, child := range k.below {
			if !slices.ContainsFunc(child.claims, func(c claim) bool { return c.index.byTenant() }) {
				continue
			}
			for _, o := range tx.batch.below(child, r.id) {
				if err := tx.claim(child, o, nil); err != nil {
					return err
				}
			}
		}
	}
	switch k {
	case m.tenants:
		if cur == nil && !tx.isReferenced(r.id) || cur != nil && now.group == before.group {
			return nil
		}
		at := k.fields["tenantGroup"]
		return tx.checkTenants([]ID{r.id}, "tenantGroup", r.at(at))
	case m.groups:
		// A new one that tenants name already; its ID was given.
		if cur == nil && tx.isReferenced(r.id) {
			return tx.checkTenants(tx.tenantsOf(k, r), "", "")
		}
	}
	return nil
}

func (x *index) byTenant() bool {
	return x.Within == schema.Tenant || x.Within == schema.TenantGroup
}

func (tx *Tx) isReferenced(id ID) bool {
	found := false
	tx.batch.referrers(id, func(*Record, reference) bool { found = true; return false })
	return found
}

// tenantsOf are the tenants whose objects meet others when a tenant or a group goes or comes.
func (tx *Tx) tenantsOf(k *kind, r *Record) []ID {
	m := tx.batch.store.model
	switch k {
	case m.tenants:
		return []ID{r.id}
	case m.groups:
		var ids []ID
		tx.batch.referrers(r.id, func(o *Record, by reference) bool {
			if o.object == m.tenants.object {
				ids = append(ids, o.id)
			}
			return true
		})
		return ids
	}
	return nil
}

// tenantConflict is the failure of a change that would bring two objects with one value into one tenant group.
const tenantConflict = "tenantGroupCoSpaceIdConflict"

// checkTenants looks at every object of tenants whose scope is another one now. All fences of the indexes are put: whoever claims a value
// elsewhere at this time does so for a tenant that it may see in its old scope.
func (tx *Tx) checkTenants(tenants []ID, field, value string) error {
	if len(tenants) == 0 {
		return nil
	}
	m := tx.batch.store.model
	for _, x := range m.indexes {
		if x.byTenant() {
			for n := range shards {
				tx.guards.fences[x.shard(n)], tx.guards.claims[x.shard(n)] = true, true
			}
		}
	}
	for _, tenant := range tenants {
		var roots []*Record
		tx.batch.referrers(tenant, func(r *Record, by reference) bool {
			if m.of[r.object].tenant == by.field {
				roots = append(roots, r)
			}
			return true
		})
		for _, root := range roots {
			if err := tx.checkFamily(m.of[root.object], root, field, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Tx) checkFamily(k *kind, root *Record, field, value string) error {
	check := func(k *kind, r *Record) error {
		for _, c := range tx.claimsOf(k, r) {
			if !c.index.byTenant() {
				continue
			}
			if with := tx.taken(c, r); with != nil {
				u := declared(k, c)
				if c.index.Within == schema.TenantGroup {
					u.Code = tenantConflict
				}
				return &Conflict{Unique: u, Field: field, Value: value, With: with}
			}
		}
		return nil
	}
	if err := check(k, root); err != nil {
		return err
	}
	for _, child := range k.below {
		for _, r := range tx.batch.below(child, root.id) {
			if err := check(child, r); err != nil {
				return err
			}
		}
	}
	return nil
}
