package network

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// NIC is one port of a network card.
type NIC struct {
	// Kernel is the device's name in this boot.
	Kernel string
	// MAC is the permanent address in lower case, "00:50:56:bc:fc:7d".
	MAC string
	// PCI is the address of the card's function, "0000:0b:00.0".
	PCI string
	// Bridge is the address of VMware's virtual PCI bridge that the card sits behind; empty elsewhere.
	Bridge string
	// Port tells the ports of one PCI function apart.
	Port   int
	Driver string
}

// Card is what the map remembers of the card behind a letter.
type Card struct {
	MAC  string `json:"mac"`
	PCI  string `json:"pci"`
	Port int    `json:"port,omitempty"`
}

// at tells whether the card was where the port is now.
func (c Card) at(n NIC) bool { return c.PCI == n.PCI && c.Port == n.Port }

// Assignment says which port carries which letter.
type Assignment struct {
	// Ports by letter.
	Ports map[string]NIC
	// Unnamed ports found no free letter, in PCI order.
	Unnamed []NIC
	// Vanished letters are kept for cards that are not there, in order.
	Vanished []string
}

// Assign deals the letters in names to the ports and returns the map to store.
//
//   - A port whose MAC is in the map keeps its letter.
//   - A letter whose MAC is not there goes to the one port with an unknown MAC at the same PCI address: the card was
//     replaced.
//   - Other ports get the next free letters in PCI order.
//   - A letter whose card has vanished stays reserved, so that a card that failed to come up shifts nobody.
//   - If not one card of the map is there, the disk has moved to another machine, and dealing starts anew. Otherwise
//     a virtual machine taken to another hypervisor would find all its letters reserved for the cards it left behind.
//
// The result does not depend on the order of nics.
func Assign(nics []NIC, stored map[string]Card, names []string) (Assignment, map[string]Card) {
	nics = slices.Clone(nics)
	slices.SortFunc(nics, byPCI)

	a := Assignment{Ports: map[string]NIC{}}
	next := map[string]Card{}
	letterOf := make([]string, len(nics))
	taken := func(letter string) bool { return slices.Contains(letterOf, letter) }

	known := make([]string, 0, len(stored))
	for letter := range stored {
		known = append(known, letter)
	}
	slices.Sort(known)

	// Two ports may show one MAC (a bond's members, a careless copy of a virtual machine): the place decides first.
	keep := func(same func(Card, NIC) bool, onlyIfOne bool) {
		for _, letter := range known {
			if taken(letter) {
				continue
			}
			var found []int
			for i, n := range nics {
				if letterOf[i] == "" && same(stored[letter], n) {
					found = append(found, i)
				}
			}
			if len(found) == 1 || len(found) > 1 && !onlyIfOne {
				letterOf[found[0]] = letter
			}
		}
	}
	keep(func(c Card, n NIC) bool { return c.MAC == n.MAC && c.at(n) }, false)
	keep(func(c Card, n NIC) bool { return c.MAC == n.MAC }, false)
	// Some drivers give all ports of one function the same place; then nobody can say which one was replaced.
	keep(func(c Card, n NIC) bool { return c.at(n) }, true)

	present := slices.ContainsFunc(letterOf, func(l string) bool { return l != "" })
	if present || len(nics) == 0 {
		for letter, card := range stored {
			next[letter] = card
		}
	}
	for i, n := range nics {
		if letterOf[i] == "" {
			free := slices.IndexFunc(names, func(l string) bool {
				_, reserved := next[l]
				return !reserved
			})
			if free < 0 {
				a.Unnamed = append(a.Unnamed, n)
				continue
			}
			letterOf[i] = names[free]
		}
		next[letterOf[i]] = Card{MAC: n.MAC, PCI: n.PCI, Port: n.Port}
		// A map that came from a machine with more names may hold one that this board does not show.
		if slices.Contains(names, letterOf[i]) {
			a.Ports[letterOf[i]] = n
		} else {
			a.Unnamed = append(a.Unnamed, n)
		}
	}
	for _, letter := range names {
		if _, reserved := next[letter]; reserved && !taken(letter) {
			a.Vanished = append(a.Vanished, letter)
		}
	}
	return a, next
}

// byPCI orders ports as an administrator counts them.
//
// That is by domain, bus, device and function, each as a number. On VMware the bus numbers run against the order in
// which the adapters were added: behind its root ports 15.0, 16.0 … 18.0, 15.1 … the buses are 03, 0b, 13, 1b, 04 …,
// and with a PVSCSI disk controller in the first slot the fourth adapter lands behind 15.1 on bus 04, before the
// three others (Linux distributions name them ens192, ens224, ens256, ens161). There the bridge's function comes
// first and its device second, which is the order of the pciSlotNumber entries of the .vmx file.
func byPCI(x, y NIC) int {
	bx, by := parsePCI(x.Bridge), parsePCI(y.Bridge)
	px, py := parsePCI(x.PCI), parsePCI(y.PCI)
	return cmp.Or(
		cmp.Compare(rank(x), rank(y)),
		cmp.Compare(bx.function, by.function),
		cmp.Compare(bx.device, by.device),
		cmp.Compare(px.domain, py.domain),
		cmp.Compare(px.bus, py.bus),
		cmp.Compare(px.device, py.device),
		cmp.Compare(px.function, py.function),
		cmp.Compare(x.Port, y.Port),
		cmp.Compare(x.MAC, y.MAC),
		cmp.Compare(x.Kernel, y.Kernel),
	)
}

// rank puts the cards in VMware's slots before the others, so that the order is a total one on any machine.
func rank(n NIC) int {
	if n.Bridge != "" {
		return 0
	}
	return 1
}

// pciAddress is domain:bus:device.function.
type pciAddress struct{ domain, bus, device, function uint64 }

// parsePCI reads "0000:0b:00.0"; what is not of that form is the zero address.
func parsePCI(s string) pciAddress {
	a, _ := pciFrom(s)
	return a
}

func pciFrom(s string) (pciAddress, bool) {
	domain, rest, ok1 := strings.Cut(s, ":")
	bus, rest, ok2 := strings.Cut(rest, ":")
	device, function, ok3 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || !ok3 {
		return pciAddress{}, false
	}
	var a pciAddress
	for _, f := range []struct {
		text string
		to   *uint64
	}{{domain, &a.domain}, {bus, &a.bus}, {device, &a.device}, {function, &a.function}} {
		n, err := strconv.ParseUint(f.text, 16, 32)
		if err != nil {
			return pciAddress{}, false
		}
		*f.to = n
	}
	return a, true
}
