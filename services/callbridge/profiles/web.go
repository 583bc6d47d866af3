package profiles

import (
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// ForWebBridge returns the webBridgeProfile of a web bridge; without one, what holds for meetings of a tenant on any web bridge. Both
// may be nil.
func ForWebBridge(v store.View, bridge, tenant *store.Record) Effective {
	c := begin(v, schema.WebBridgeProfile, "webBridgeProfile", 3)
	c.tenant(bridge, tenant)
	c.at(WebBridge, bridge)
	return c.end()
}

// Addresses returns the addresses of the web app, in the order of lists, of the lowest webBridgeProfile that has any: a list is
// inherited as a whole.
func (e Effective) Addresses(v store.View) []*store.Record {
	return e.below(v, schema.WebBridgeAddress)
}

// IVRNumbers returns the telephone numbers, as Addresses does.
func (e Effective) IVRNumbers(v store.View) []*store.Record { return e.below(v, schema.IVRNumber) }

func (e Effective) below(v store.View, o *schema.Object) []*store.Record {
	for i := len(e.levels) - 1; i >= 0; i-- {
		if p := e.levels[i].Profile; p != nil {
			if l := v.Below(o, p.ID()); len(l) > 0 {
				return l
			}
		}
	}
	return nil
}
