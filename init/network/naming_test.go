package network

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var fourNames = []string{"a", "b", "c", "d"}

func port(mac, pci string) NIC { return NIC{Kernel: "eth" + mac, MAC: mac, PCI: pci} }

// macs shows an assignment as letter=MAC.
func macs(a Assignment) string {
	var out []string
	for _, l := range fourNames {
		if n, ok := a.Ports[l]; ok {
			out = append(out, l+"="+n.MAC)
		}
	}
	for _, n := range a.Unnamed {
		out = append(out, "-="+n.MAC)
	}
	for _, l := range a.Vanished {
		out = append(out, l+"!")
	}
	return strings.Join(out, " ")
}

func TestLettersFollowCards(t *testing.T) {
	vmware := func(mac, pci, bridge string) NIC { return NIC{MAC: mac, PCI: pci, Bridge: bridge} }
	for _, test := range []struct {
		name   string
		nics   []NIC
		stored map[string]Card
		names  []string
		want   string
	}{
		{"the first start deals in PCI order, compared as numbers",
			[]NIC{port("m3", "0000:10:00.0"), port("m2", "0000:0b:00.0"), port("m1", "0000:03:00.1"), port("m0", "0000:03:00.0")},
			nil, fourNames, "a=m0 b=m1 c=m2 d=m3"},
		{"domains come before buses",
			[]NIC{port("m1", "0001:00:03.0"), port("m2", "10000:00:01.0"), port("m0", "0000:ff:00.0")},
			nil, fourNames, "a=m0 b=m1 c=m2"},
		{"ports of one function go by number",
			[]NIC{{MAC: "m1", PCI: "0000:03:00.0", Port: 1}, {MAC: "m9", PCI: "0000:03:00.0"}},
			nil, fourNames, "a=m9 b=m1"},
		{"VMware's fourth adapter is the fourth although its bus is the first",
			[]NIC{vmware("m3", "0000:04:00.0", "0000:00:15.1"), vmware("m0", "0000:0b:00.0", "0000:00:16.0"),
				vmware("m1", "0000:13:00.0", "0000:00:17.0"), vmware("m2", "0000:1b:00.0", "0000:00:18.0")},
			nil, fourNames, "a=m0 b=m1 c=m2 d=m3"},
		{"a card keeps its letter wherever it sits",
			[]NIC{port("m0", "0000:09:00.0"), port("m1", "0000:03:00.0")},
			map[string]Card{"a": {MAC: "m0", PCI: "0000:03:00.0"}, "b": {MAC: "m1", PCI: "0000:04:00.0"}},
			fourNames, "a=m0 b=m1"},
		{"a new card in front takes the next free letter",
			[]NIC{port("new", "0000:01:00.0"), port("m0", "0000:03:00.0")},
			map[string]Card{"a": {MAC: "m0", PCI: "0000:03:00.0"}},
			fourNames, "a=m0 b=new"},
		{"a replaced card inherits the letter of its slot",
			[]NIC{port("m0", "0000:03:00.0"), port("new", "0000:04:00.0")},
			map[string]Card{"a": {MAC: "m0", PCI: "0000:03:00.0"}, "b": {MAC: "m1", PCI: "0000:04:00.0"}},
			fourNames, "a=m0 b=new"},
		{"all cards replaced in their slots inherit, as in a copied virtual machine",
			[]NIC{port("n1", "0000:04:00.0"), port("n0", "0000:03:00.0")},
			map[string]Card{"a": {MAC: "m1", PCI: "0000:04:00.0"}, "b": {MAC: "m0", PCI: "0000:03:00.0"}},
			fourNames, "a=n1 b=n0"},
		{"two unknown ports at one place are not a replacement",
			[]NIC{port("m0", "0000:03:00.0"), port("n0", "0000:04:00.0"), port("n1", "0000:04:00.0")},
			map[string]Card{"a": {MAC: "m0", PCI: "0000:03:00.0"}, "b": {MAC: "m1", PCI: "0000:04:00.0"}},
			fourNames, "a=m0 c=n0 d=n1 b!"},
		{"a vanished card's letter stays reserved",
			[]NIC{port("m1", "0000:04:00.0"), port("new", "0000:05:00.0")},
			map[string]Card{"a": {MAC: "m0", PCI: "0000:03:00.0"}, "b": {MAC: "m1", PCI: "0000:04:00.0"}},
			fourNames, "b=m1 c=new a!"},
		{"a machine where no card is known is another machine",
			[]NIC{port("n1", "0000:00:13.0"), port("n0", "0000:00:12.0")},
			map[string]Card{"a": {MAC: "m0", PCI: "0000:03:00.0"}, "b": {MAC: "m1", PCI: "0000:04:00.0"}},
			fourNames, "a=n0 b=n1"},
		{"a start without any card forgets nothing",
			nil, map[string]Card{"a": {MAC: "m0", PCI: "0000:03:00.0"}}, fourNames, "a!"},
		{"a board with one name leaves the other ports alone",
			[]NIC{port("m1", "0000:04:00.0"), port("m0", "0000:03:00.0")},
			nil, []string{"a"}, "a=m0 -=m1"},
		{"two ports with one MAC are told apart by place",
			[]NIC{port("m0", "0000:04:00.0"), port("m0", "0000:03:00.0")},
			map[string]Card{"b": {MAC: "m0", PCI: "0000:03:00.0"}, "a": {MAC: "m0", PCI: "0000:04:00.0"}},
			fourNames, "a=m0 b=m0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, _ := Assign(test.nics, test.stored, test.names)
			if got := macs(a); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestLettersStayThroughAnyHistory plays random histories of adding, removing and replacing cards.
func TestLettersStayThroughAnyHistory(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var nics []NIC
		serial := 0
		fresh := func(slot int) NIC {
			serial++
			return port(fmt.Sprintf("02:00:00:00:00:%02x", serial), fmt.Sprintf("0000:%02x:00.0", slot))
		}
		stored := map[string]Card{}
		for boot := range 12 {
			switch used := func(slot string) bool {
				return slices.ContainsFunc(nics, func(n NIC) bool { return n.PCI == slot })
			}; r.IntN(4) {
			case 0, 1:
				if n := fresh(1 + r.IntN(9)); !used(n.PCI) {
					nics = append(nics, n)
				}
			case 2:
				if len(nics) > 0 {
					i := r.IntN(len(nics))
					nics = slices.Delete(nics, i, i+1)
				}
			case 3:
				if len(nics) > 0 {
					i := r.IntN(len(nics))
					mac := fresh(1).MAC
					nics[i].MAC = mac
				}
			}
			r.Shuffle(len(nics), func(i, j int) { nics[i], nics[j] = nics[j], nics[i] })

			a, next := Assign(nics, stored, fourNames)
			where := fmt.Sprintf("seed %d boot %d", seed, boot)
			if got := len(a.Ports) + len(a.Unnamed); got != len(nics) {
				t.Fatalf("%s: %d ports are accounted for, want %d", where, got, len(nics))
			}
			for letter, card := range stored {
				for _, n := range nics {
					if n.MAC == card.MAC && a.Ports[letter].MAC != n.MAC {
						t.Fatalf("%s: card %s had letter %s, now it has %s", where, n.MAC, letter, a.Ports[letter].MAC)
					}
				}
			}
			again, same := Assign(nics, next, fourNames)
			if d := cmp.Diff(a.Ports, again.Ports); d != "" {
				t.Fatalf("%s: the next start with the same cards differs:\n%s", where, d)
			}
			if d := cmp.Diff(next, same); d != "" {
				t.Fatalf("%s: the map changes without a change of cards:\n%s", where, d)
			}
			stored = next
		}
	}
}

func TestDiscoverFindsCardsAndNothingElse(t *testing.T) {
	sys := t.TempDir()
	device := func(path, name string, attrs map[string]string) {
		t.Helper()
		dir := filepath.Join(sys, "devices", path, "net", name)
		write(t, filepath.Join(dir, "type"), "1\n")
		for k, v := range attrs {
			write(t, filepath.Join(dir, k), v+"\n")
		}
		link(t, filepath.Join("../../devices", path, "net", name), filepath.Join(sys, "class/net", name))
	}
	device("pci0000:00/0000:00:16.0/0000:0b:00.0", "eth0", map[string]string{"address": "00:50:56:BC:00:01"})
	write(t, filepath.Join(sys, "devices/pci0000:00/0000:00:16.0/vendor"), "0x15ad\n")
	write(t, filepath.Join(sys, "devices/pci0000:00/0000:00:16.0/device"), "0x07a0\n")
	link(t, "../../../../bus/pci/drivers/vmxnet3", filepath.Join(sys, "devices/pci0000:00/0000:00:16.0/0000:0b:00.0/driver"))
	link(t, "../../", filepath.Join(sys, "devices/pci0000:00/0000:00:16.0/0000:0b:00.0/net/eth0/device"))
	device("pci0000:00/0000:00:03.0/virtio1", "eth1", map[string]string{"address": "52:54:00:00:00:01", "dev_port": "1"})
	device("pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0", "usb0", map[string]string{"address": "52:54:00:00:00:02"})
	device("virtual", "br0", map[string]string{"address": "52:54:00:00:00:03"})
	device("virtual", "lo", map[string]string{"type": "772", "address": "00:00:00:00:00:00"})
	write(t, filepath.Join(sys, "class/net/bonding_masters"), "\n")

	got, err := Discover(sys, func(kernel string) string {
		return map[string]string{"eth1": "52:54:00:00:00:FF"}[kernel]
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []NIC{
		{Kernel: "eth0", MAC: "00:50:56:bc:00:01", PCI: "0000:0b:00.0", Bridge: "0000:00:16.0", Driver: "vmxnet3"},
		{Kernel: "eth1", MAC: "52:54:00:00:00:ff", PCI: "0000:00:03.0", Port: 1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("wanted (-) and got (+) differ:\n%s", d)
	}
}

func TestTheMapSurvivesAndADamagedOneDoesNotStopTheStart(t *testing.T) {
	sys, path := t.TempDir(), filepath.Join(t.TempDir(), "machine/interfaces.json")
	for name, slot := range map[string]string{"eth0": "0000:03:00.0", "eth1": "0000:04:00.0"} {
		dir := filepath.Join(sys, "devices/pci0000:00", slot, "net", name)
		write(t, filepath.Join(dir, "type"), "1\n")
		write(t, filepath.Join(dir, "address"), "52:54:00:00:00:0"+name[3:]+"\n")
		link(t, filepath.Join("../../devices/pci0000:00", slot, "net", name), filepath.Join(sys, "class/net", name))
	}
	current := func(string) string { return "" }

	first, warnings := Identify(sys, path, fourNames, current)
	if len(warnings) > 0 || first.Ports["a"].Kernel != "eth0" || first.Ports["b"].Kernel != "eth1" {
		t.Fatalf("first start: got %v with warnings %v, want a=eth0 b=eth1 and none", first.Ports, warnings)
	}
	if stored, err := loadMap(path); err != nil || stored["b"] != (Card{MAC: "52:54:00:00:00:01", PCI: "0000:04:00.0"}) {
		t.Fatalf("stored map: got %v, %v", stored, err)
	}

	write(t, path, `{"schema":1,"interfaces":{"a":`)
	second, warnings := Identify(sys, path, fourNames, current)
	if len(warnings) != 1 || !strings.Contains(warnings[0], "not readable") {
		t.Errorf("damaged map: got warnings %q, want one that says so", warnings)
	}
	if d := cmp.Diff(first.Ports, second.Ports); d != "" {
		t.Errorf("damaged map: letters differ from PCI order:\n%s", d)
	}
	if _, err := loadMap(path); err != nil {
		t.Errorf("the damaged map was not replaced: %v", err)
	}

	blocked := filepath.Join(path, "below-a-file/interfaces.json")
	third, warnings := Identify(sys, blocked, fourNames, current)
	if len(third.Ports) != 2 || len(warnings) == 0 {
		t.Errorf("a disk that refuses: got %d ports and warnings %v, want 2 ports and a warning", len(third.Ports), warnings)
	}
}

func TestMapsThatAreNotOursAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"another schema":     `{"schema":2,"interfaces":{}}`,
		"an unknown letter":  `{"schema":1,"interfaces":{"e":{"mac":"52:54:00:00:00:01","pci":"0000:03:00.0"}}}`,
		"a bad MAC":          `{"schema":1,"interfaces":{"a":{"mac":"52:54","pci":"0000:03:00.0"}}}`,
		"a bad PCI address":  `{"schema":1,"interfaces":{"a":{"mac":"52:54:00:00:00:01","pci":"3"}}}`,
		"a file too large":   `{"schema":1}` + strings.Repeat(" ", maxMapSize),
		"an empty file":      ``,
		"something not JSON": "\x00\x00\x00\x00",
	} {
		if m, err := parseMap([]byte(text)); err == nil {
			t.Errorf("%s: got %v, want an error", name, m)
		}
	}
}

func FuzzMap(f *testing.F) {
	f.Add([]byte(`{"schema":1,"interfaces":{"a":{"mac":"52:54:00:00:00:01","pci":"0000:03:00.0","port":1}}}`))
	f.Add([]byte(`{"schema":1}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMap(b)
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "interfaces.json")
		if err := saveMap(path, m); err != nil {
			t.Fatal(err)
		}
		again, err := loadMap(path)
		if err != nil {
			t.Fatalf("what was stored cannot be read: %v", err)
		}
		if d := cmp.Diff(m, again); d != "" {
			t.Errorf("stored and read differ:\n%s", d)
		}
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
