package sbom

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func sample() (Product, []Component) {
	return Product{Name: "rotunda", Version: "0.1.0", Build: "abc", Licence: "Apache-2.0", Modified: time.Unix(1_700_000_000, 0)},
		[]Component{
			{Kind: "library", Name: "golang.org/x/sys", Version: "v0.1.0", PURL: GoPURL("golang.org/x/sys", "v0.1.0"),
				SHA256: strings.Repeat("ab", 32), Licences: []string{"BSD-3-Clause"}},
			{Kind: "operating-system", Name: "linux-image-6.1.0-1-amd64", Version: "6.1.1-1+b1",
				PURL: DebianPURL("linux-image-6.1.0-1-amd64", "6.1.1-1+b1", "amd64"), SHA256: strings.Repeat("cd", 32),
				Licences: []string{"GPL-2.0-only", "Xen-interface"}, Properties: map[string]string{"b": "2", "a": "1"}},
			{Kind: "file", Name: "init", SHA256: strings.Repeat("ef", 32)},
		}
}

func TestWriteListsEveryPartWithHashAndLicence(t *testing.T) {
	var b bytes.Buffer
	p, parts := sample()
	if err := Write(&b, p, parts); err != nil {
		t.Fatalf("Write: %v", err)
	}
	var got bom
	d := json.NewDecoder(bytes.NewReader(b.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatalf("read list: %v", err)
	}
	if got.Metadata.Timestamp != "2023-11-14T22:13:20Z" || got.Metadata.Component.Name != "rotunda" {
		t.Errorf("metadata = %+v, want the product and its time", got.Metadata)
	}
	var refs []string
	for _, c := range got.Components {
		refs = append(refs, c.Ref)
		if len(c.Hashes) != 1 || c.Hashes[0].Algorithm != "SHA-256" {
			t.Errorf("%s has the hashes %v, want one SHA-256", c.Name, c.Hashes)
		}
	}
	want := []string{
		"file:init", "pkg:deb/debian/linux-image-6.1.0-1-amd64@6.1.1-1%2Bb1?arch=amd64", "pkg:golang/golang.org/x/sys@v0.1.0",
	}
	if !slices.Equal(refs, want) {
		t.Errorf("components %q, want %q", refs, want)
	}
	if got := got.Dependencies[0].DependsOn; !slices.Equal(got, want) {
		t.Errorf("dependencies %q, want %q", got, want)
	}
	kernel := got.Components[1]
	if kernel.Licenses[0].License.ID != "GPL-2.0-only" || kernel.Licenses[1].License.Name != "Xen-interface" {
		t.Errorf("licences %+v, want the SPDX one as id and the other by name", kernel.Licenses)
	}
	slices.Reverse(parts)
	var again bytes.Buffer
	if err := Write(&again, p, parts); err != nil || !bytes.Equal(again.Bytes(), b.Bytes()) {
		t.Errorf("the same parts in another order give another list (%v)", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	p, parts := sample()
	for _, c := range []struct {
		name  string
		parts []Component
		want  string
	}{
		{"a part twice", append(parts, parts[0]), "there twice"},
		{"a short hash", []Component{{Kind: "file", Name: "x", SHA256: "ab"}}, "no SHA-256"},
	} {
		if err := Write(&bytes.Buffer{}, p, c.parts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestModuleSHA256(t *testing.T) {
	got, err := ModuleSHA256("h1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	if want := "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"; err != nil || got != want {
		t.Errorf("ModuleSHA256 = %q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{"", "h1:", "h2:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "h1:AAEC"} {
		if got, err := ModuleSHA256(bad); err == nil {
			t.Errorf("ModuleSHA256(%q) = %q, want an error", bad, got)
		}
	}
}

func TestRecogniseByWording(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"Apache", "   Apache License\n   Version 2.0, January 2004\n", []string{"Apache-2.0"}},
		{"MIT over lines", "Permission is hereby granted, free of charge, to any person obtaining a\ncopy of this software …", []string{"MIT"}},
		{"three conditions", bsdGrant + ": 1. … 3. Neither the name of X nor the names of its contributors may be\n * " + bsdThird, []string{"BSD-3-Clause"}},
		{"two conditions", bsdGrant + ": 1. … 2. …", []string{"BSD-2-Clause"}},
		{"two licences in one file", "Apache License\nVersion 2.0, January 2004\n…\n" + mitGrant, []string{"Apache-2.0", "MIT"}},
		{"a reference only", "See the Apache License, Version 2.0", nil},
		{"nothing", "", nil},
	} {
		if got := Recognise(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFromDebian(t *testing.T) {
	for name, want := range map[string]string{"GPL-2": "GPL-2.0-only", "LGPL-2.1+": "LGPL-2.1-or-later", "public-domain": "public-domain"} {
		if got := FromDebian(name); got != want {
			t.Errorf("FromDebian(%q) = %q, want %q", name, got, want)
		}
	}
}
