// Package sbom writes the list of everything that an image is made of, in CycloneDX 1.5 JSON.
//
// The list is a function of its input: no random serial number and no time but the given one. Licences are stated as
// found: a Debian package's from its machine-readable copyright file, a Go module's by recognising the text of its
// licence file. Where neither gives an SPDX identifier, the name as found is written and not a guess.
package sbom

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Product is what the list describes.
type Product struct {
	Name     string
	Version  string
	Build    string
	Licence  string
	Modified time.Time
}

// Component is one part of the product.
type Component struct {
	// Kind is a CycloneDX component type: operating-system, firmware, application, library, file.
	Kind    string
	Name    string
	Version string
	// PURL identifies the package, see [DebianPURL] and [GoPURL].
	PURL string
	// SHA256 in hexadecimal.
	SHA256 string
	// Licences are SPDX identifiers or the names found.
	Licences []string
	// Properties are further facts, for example the source package.
	Properties map[string]string
}

// DebianPURL identifies a Debian package (package-url, type deb).
func DebianPURL(name, version, architecture string) string {
	return "pkg:deb/debian/" + url.PathEscape(name) + "@" + url.QueryEscape(version) + "?arch=" + url.QueryEscape(architecture)
}

// GoPURL identifies a Go module (package-url, type golang).
func GoPURL(path, version string) string {
	return "pkg:golang/" + path + "@" + url.QueryEscape(version)
}

// ModuleSHA256 returns the hash inside a Go module's h1 sum in hexadecimal. It is over the list of the files' hashes
// (golang.org/x/mod/sumdb/dirhash).
func ModuleSHA256(sum string) (string, error) {
	text, ok := strings.CutPrefix(sum, "h1:")
	raw, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(raw) != 32 {
		return "", fmt.Errorf("%q is no h1 sum", sum)
	}
	return hex.EncodeToString(raw), nil
}

// The types below are the parts of CycloneDX that are used, in the order in which they are written.
type bom struct {
	Format       string      `json:"bomFormat"`
	SpecVersion  string      `json:"specVersion"`
	Version      int         `json:"version"`
	Metadata     metadata    `json:"metadata"`
	Components   []component `json:"components"`
	Dependencies []relation  `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Licenses   []licence  `json:"licenses,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type licence struct {
	License licenceName `json:"license"`
}

type licenceName struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type relation struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// Write writes the list.
func Write(w io.Writer, p Product, parts []Component) error {
	b := bom{Format: "CycloneDX", SpecVersion: "1.5", Version: 1}
	b.Metadata.Timestamp = p.Modified.UTC().Format(time.RFC3339)
	root, err := entry(Component{
		Kind: "operating-system", Name: p.Name, Version: p.Version, Licences: []string{p.Licence},
		Properties: map[string]string{"rotunda:build": p.Build},
	})
	if err != nil {
		return fmt.Errorf("write list of components: %w", err)
	}
	b.Metadata.Component = root
	relations := relation{Ref: root.Ref, DependsOn: []string{}}
	for _, part := range parts {
		c, err := entry(part)
		if err != nil {
			return fmt.Errorf("write list of components: %w", err)
		}
		b.Components = append(b.Components, c)
		relations.DependsOn = append(relations.DependsOn, c.Ref)
	}
	slices.SortFunc(b.Components, func(x, y component) int { return strings.Compare(x.Ref, y.Ref) })
	for i := range b.Components[1:] {
		if b.Components[i].Ref == b.Components[i+1].Ref {
			return fmt.Errorf("write list of components: %s is there twice", b.Components[i].Ref)
		}
	}
	slices.Sort(relations.DependsOn)
	b.Dependencies = []relation{relations}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(b); err != nil {
		return fmt.Errorf("write list of components: %w", err)
	}
	return nil
}

func entry(c Component) (component, error) {
	out := component{Type: c.Kind, Ref: c.PURL, Name: c.Name, Version: c.Version, PURL: c.PURL}
	if out.Ref == "" {
		out.Ref = c.Kind + ":" + c.Name
	}
	if c.SHA256 != "" {
		if raw, err := hex.DecodeString(c.SHA256); err != nil || len(raw) != 32 {
			return out, fmt.Errorf("%s: %q is no SHA-256", c.Name, c.SHA256)
		}
		out.Hashes = []hash{{"SHA-256", c.SHA256}}
	}
	for _, l := range c.Licences {
		if IsSPDX(l) {
			out.Licenses = append(out.Licenses, licence{licenceName{ID: l}})
		} else {
			out.Licenses = append(out.Licenses, licence{licenceName{Name: l}})
		}
	}
	for name, value := range c.Properties {
		out.Properties = append(out.Properties, property{name, value})
	}
	slices.SortFunc(out.Properties, func(x, y property) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}
