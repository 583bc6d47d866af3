package network

import (
	"context"
	"net/netip"
	"slices"

	"rotunda/init/config"
	"rotunda/init/control"
)

// Observed returns what the kernel says now, in the order a, b, c, d; only names that have hardware.
func (r *Reconciler) Observed(ctx context.Context) ([]control.Interface, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o, err := r.look(nil)
	if err != nil {
		return nil, err
	}
	var out []control.Interface
	for _, letter := range config.InterfaceNames {
		port, ok := r.options.Ports[letter]
		if !ok {
			continue
		}
		var lease *control.Lease
		if l, ok := r.leases[letter]; ok {
			lease = &control.Lease{Address: l.Address, Gateway: l.Router, DNS: l.DNS, Server: l.Server, Expires: l.Expires}
		}
		out = append(out, describe(letter, port, o, lease))
	}
	return out, nil
}

// describe is one interface of an observation. A port whose link has gone is shown without values.
func describe(letter string, port NIC, o Observation, lease *control.Lease) control.Interface {
	i := control.Interface{Name: letter, Kernel: port.Kernel, MAC: port.MAC, Driver: port.Driver, Lease: lease}
	link, ok := o.Links[port.Kernel]
	if !ok {
		return i
	}
	i.MAC, i.Up, i.Carrier, i.MTU = link.MAC, link.Up, link.Carrier, link.MTU
	if link.Carrier {
		i.Speed, i.FullDuplex = link.Mode.Speed, link.Mode.FullDuplex
	}
	for _, a := range o.Addresses {
		if a.Link == link.Index {
			i.Addresses = append(i.Addresses, a.Prefix)
		}
	}
	// A table has the routes of both families, each with rules of its own.
	type half struct {
		table int
		four  bool
	}
	sources := map[half]netip.Addr{}
	for _, r := range o.Rules {
		if r.Protocol == protocol {
			of := half{r.Table, r.From.Addr().Is4()}
			// Several addresses may lead to one table; then its routes hold for any of them.
			if _, again := sources[of]; again {
				sources[of] = netip.Addr{}
			} else {
				sources[of] = r.From.Addr()
			}
		}
	}
	routes := slices.Clone(o.Routes)
	slices.SortStableFunc(routes, compareTables)
	for _, r := range routes {
		if r.Link != link.Index || r.Type == Multicast {
			continue
		}
		shown := control.Route{
			Source:      sources[half{r.Table, r.Destination.Addr().Is4()}],
			Destination: r.Destination, Gateway: r.Gateway, Table: r.Table,
			Global: r.Table == mainTable && r.Destination.Bits() == 0,
		}
		i.Routes = append(i.Routes, shown)
	}
	return i
}

// compareTables puts the local table first and the default route of the main table last before the tables of the
// interfaces, as administrators know the listing.
func compareTables(x, y Route) int {
	if x.Table != y.Table {
		return y.Table - x.Table
	}
	return y.Destination.Bits() - x.Destination.Bits()
}
