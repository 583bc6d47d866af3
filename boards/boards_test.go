package boards

import (
	"path"
	"slices"
	"testing"
	"testing/fstest"
)

func TestMatchFindsTheBoardByItsFirmwareName(t *testing.T) {
	for _, c := range []struct {
		name string
		dmi  DMI
		want string
	}{
		{"VMware", DMI{"VMware, Inc.", "VMware7,1", "440BX Desktop Reference Platform"}, "vm"},
		{"QEMU", DMI{"QEMU", "Standard PC (Q35 + ICH9, 2009)", ""}, "vm"},
		{"Hyper-V", DMI{"Microsoft Corporation", "Virtual Machine", "Virtual Machine"}, "vm"},
		{"a server of a kind that no board names", DMI{"Example Systems", "Rack 1", "Main"}, "vm"},
		{"firmware without names", DMI{}, "vm"},
		{"rack server M4", DMI{"Cisco Systems Inc", "UCSC-C220-M4S", "UCSC-C220-M4S"}, "cms1000"},
		{"rack server M5", DMI{"Cisco Systems Inc", "UCSC-C220-M5SX", "UCSC-C220-M5SX"}, "cms1000"},
		{"rack server in lower case", DMI{"cisco systems inc", "ucsc-c220-m5sx", ""}, "cms1000"},
		{"rack server of an older generation", DMI{"Cisco Systems Inc", "UCSC-C220-M3S", ""}, "vm"},
		{"blade server", DMI{"Cisco Systems Inc", "UCSB-B200-M5", "UCSB-B200-M5"}, "cms2000"},
		{"blade name of another vendor", DMI{"Example Systems", "UCSB-B200-M5", ""}, "vm"},
		{"appliance label with a slash", DMI{"Cisco Systems Inc", "CMS-2000/M6", ""}, "cms2000"},
	} {
		if got := Match(c.dmi).Name; got != c.want {
			t.Errorf("%s: Match(%+v) = %q, want %q", c.name, c.dmi, got, c.want)
		}
	}
}

func TestReadDMITrimsAndToleratesMissingFields(t *testing.T) {
	sysfs := fstest.MapFS{
		"class/dmi/id/sys_vendor":   {Data: []byte("QEMU\n")},
		"class/dmi/id/product_name": {Data: []byte("Standard PC  \n")},
	}
	want := DMI{SysVendor: "QEMU", ProductName: "Standard PC"}
	if got := ReadDMI(sysfs); got != want {
		t.Errorf("ReadDMI = %+v, want %+v", got, want)
	}
}

func TestEveryBoardIsComplete(t *testing.T) {
	others := 0
	for _, b := range All() {
		if b.Name == "" || b.Title == "" || b.Platform == "" {
			t.Errorf("board %q: name, title and platform must be set", b.Name)
		}
		if got, ok := ByName(b.Name); !ok || got.Title != b.Title {
			t.Errorf("ByName(%q) = %q, %v", b.Name, got.Title, ok)
		}
		if len(b.Match) == 0 {
			others++
		}
		for _, i := range b.Match {
			if i == (Identity{}) {
				t.Errorf("board %s: an identity without a pattern matches every machine", b.Name)
			}
			for _, p := range []string{i.SysVendor, i.ProductName, i.BoardName} {
				if _, err := path.Match(p, ""); err != nil {
					t.Errorf("board %s: pattern %q: %v", b.Name, p, err)
				}
			}
		}
		if len(b.Consoles) == 0 || b.Consoles[0].Baud == 0 {
			t.Errorf("board %s: the first console must be a serial line", b.Name)
		}
		if len(b.Interfaces) == 0 || b.Interfaces[0] != "a" || !slices.IsSorted(b.Interfaces) {
			t.Errorf("board %s: interfaces %v, want a, b …", b.Name, b.Interfaces)
		}
		if b.MediaModules < 1 {
			t.Errorf("board %s: %d media modules, want at least 1", b.Name, b.MediaModules)
		}
		if n := len(b.Watchdogs); n == 0 || b.Watchdogs[n-1] != "softdog" {
			t.Errorf("board %s: watchdogs %v must end with softdog, which always works", b.Name, b.Watchdogs)
		}
		for _, m := range []string{"ext4", "efivarfs", "e1000e", "nf_tables"} {
			if !slices.Contains(b.Modules.All(), m) {
				t.Errorf("board %s lacks the module %s", b.Name, m)
			}
		}
	}
	if others != 1 {
		t.Errorf("%d boards without identities, want exactly one to fall back to", others)
	}
}

func TestPlatformsLetVirtualMachinesAndThe1000ExchangeBackups(t *testing.T) {
	vm, _ := ByName("vm")
	small, _ := ByName("cms1000")
	large, _ := ByName("cms2000")
	if vm.Platform != small.Platform {
		t.Errorf("platforms %q and %q differ, want one", vm.Platform, small.Platform)
	}
	if vm.Platform == large.Platform {
		t.Errorf("vm and cms2000 share the platform %q, want two", vm.Platform)
	}
	if large.MediaModules != 7 || !slices.Equal(large.Interfaces, []string{"a"}) {
		t.Errorf("cms2000: %d media modules and interfaces %v, want 7 and [a]", large.MediaModules, large.Interfaces)
	}
	if got, want := Platforms(), []string{"cms2000", "vm"}; !slices.Equal(got, want) {
		t.Errorf("Platforms = %v, want %v", got, want)
	}
}

func TestConsoleAsKernelArgument(t *testing.T) {
	for _, c := range []struct {
		console Console
		want    string
	}{
		{Console{Device: "ttyS0", Baud: 115200}, "ttyS0,115200n8"},
		{Console{Device: "tty1"}, "tty0"},
	} {
		if got := c.console.Kernel(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.console, got, c.want)
		}
	}
}
