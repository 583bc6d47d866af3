package release

import (
	"slices"
	"testing"
)

func TestStraysAreNamesThatLostTheirLongForm(t *testing.T) {
	for name, want := range map[string]bool{
		"ROTUND~1.EFI": true, "rotund~12.efi": false, "RO1A2B~1.EFI": true,
		"rotunda_000001.efi": false, "BOOTX64.EFI": false, "ROTUND~1.TXT": false, "memtest.efi": false,
	} {
		if got := isStray(name); got != want {
			t.Errorf("%s: want stray %v, got %v", name, want, got)
		}
	}
}

// The long name of the older version is lost; the next install removes what is left of it.
func TestAnInstallRemovesStrays(t *testing.T) {
	d := disk(t, 2)
	e, err := openStore(t, d, 0).volume.Stat(Directory)
	if err != nil {
		t.Fatal(err)
	}
	dir := clusterOffset(t, d, e.Cluster)
	sector := make([]byte, 512)
	if _, err := d.ReadAt(sector, dir); err != nil {
		t.Fatal(err)
	}
	sector[3*32] = 0xE5
	if _, err := d.WriteAt(sector, dir); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, d, 2)
	if _, strays, err := s.scan(); err != nil || !slices.Equal(strays, []string{"ROTUND~1.EFI"}) {
		t.Fatalf("want ROTUND~1.EFI, got %v, %v", strays, err)
	}
	if err := install(s, 3); err != nil {
		t.Fatal(err)
	}
	if _, strays, err := s.scan(); err != nil || len(strays) != 0 {
		t.Errorf("after an install: want no strays, got %v, %v", strays, err)
	}
	boots(t, "at the end", d, []int{2, 3}, 3)
}
