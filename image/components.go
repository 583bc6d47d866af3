package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"rotunda/firmware"
	"rotunda/image/sbom"
)

func writeSBOM(ctx context.Context, o options, v *image) error {
	parts, err := components(ctx, v)
	if err != nil {
		return err
	}
	o.Log("sbom.json: %d components", len(parts))
	return product(o, "sbom.json", func(f *os.File) error {
		return sbom.Write(f, sbom.Product{
			Name: "rotunda", Version: v.release.Version, Build: v.release.Build, Licence: "Apache-2.0", Modified: v.parts.source.Modified,
		}, parts)
	})
}

// components lists packages, what spoke the prompts, modules, the Go distribution, our programs and every file that is shipped.
func components(ctx context.Context, v *image) ([]sbom.Component, error) {
	var list []sbom.Component
	for _, p := range v.parts.firmware.Packages {
		list = append(list, debian("firmware", p))
	}
	if v.parts.codecs != nil {
		for _, p := range v.parts.codecs.Packages {
			list = append(list, debian("library", p))
		}
	}
	for _, p := range v.parts.prompts.Packages {
		// Of these the voice is shipped, and nothing else.
		c := debian("application", p)
		c.Properties["rotunda:role"] = "builds the prompts"
		list = append(list, c)
	}
	for _, m := range v.parts.modules {
		sum, err := sbom.ModuleSHA256(m.Sum)
		if err != nil {
			return nil, fmt.Errorf("list module %s: %w", m.Path, err)
		}
		list = append(list, sbom.Component{
			Kind: "library", Name: m.Path, Version: m.Version, PURL: sbom.GoPURL(m.Path, m.Version), SHA256: sum,
			Licences: v.parts.licences[m.Path], Properties: map[string]string{"rotunda:go-sum": m.Sum},
		})
	}
	toolchain, err := goToolchain(ctx, v)
	if err != nil {
		return nil, err
	}
	list = append(list, toolchain)
	for _, b := range v.parts.programs {
		licence := "Apache-2.0"
		if b.Codecs {
			licence = workerLicence
		}
		list = append(list, sbom.Component{
			Kind: "application", Name: b.Package, Version: v.release.Version, SHA256: digest(b.Data), Licences: []string{licence},
			Properties: map[string]string{"rotunda:path": "/" + b.Path},
		})
	}
	for _, f := range v.files {
		if f.Mode.IsRegular() {
			list = append(list, sbom.Component{Kind: "file", Name: "/" + f.Path, SHA256: digest(f.Data)})
		}
	}
	// The EFI system partition's folders begin in capitals, so these never meet a path of the root file system.
	return append(list,
		sbom.Component{Kind: "file", Name: "/" + loaderPath, SHA256: digest(v.parts.loader)},
		sbom.Component{Kind: "file", Name: "rotunda.efi", SHA256: digest(v.efi)},
	), nil
}

// debian describes a package of Debian's.
func debian(kind string, p firmware.Package) sbom.Component {
	c := sbom.Component{
		Kind: kind, Name: p.Name, Version: p.Version, PURL: sbom.DebianPURL(p.Name, p.Version, p.Architecture), SHA256: p.SHA256,
		Properties: map[string]string{},
	}
	for _, l := range p.Licences {
		c.Licences = append(c.Licences, sbom.FromDebian(l))
	}
	if p.Source != "" {
		c.Properties["rotunda:source-package"] = p.Source
	}
	if p.HashOf != "" {
		c.Properties["rotunda:hash-of"] = p.HashOf
	}
	return c
}

// goToolchain describes the Go distribution, whose runtime and standard library are part of every program. Its hash is
// that of the go command, which every toolchain of that version shares.
func goToolchain(ctx context.Context, v *image) (sbom.Component, error) {
	goroot, err := goCommand(ctx, v.parts.source.Root, "env", "GOROOT")
	if err != nil {
		return sbom.Component{}, fmt.Errorf("list the Go distribution: %w", err)
	}
	command, err := os.ReadFile(filepath.Join(goroot, "bin/go"))
	if err != nil {
		return sbom.Component{}, fmt.Errorf("list the Go distribution: %w", err)
	}
	version := runtime.Version()
	if len(v.parts.programs) > 0 {
		version = v.parts.programs[0].Info.GoVersion
	}
	return sbom.Component{
		Kind: "library", Name: "go", Version: version, PURL: sbom.GoPURL("std", version), SHA256: digest(command),
		Licences: v.parts.licences["go"], Properties: map[string]string{"rotunda:hash-of": "bin/go"},
	}, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
