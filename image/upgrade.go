package main

import (
	"bytes"
	"context"
	"os"

	"rotunda/init/release"
)

func writeUpgrade(_ context.Context, o options, v *image) error {
	manifest := release.Manifest{
		Version: v.release.Version, Build: v.release.Build, Platforms: v.release.Platforms, Date: v.release.Date,
		Image: release.Image{Name: "rotunda.efi"},
	}
	err := product(o, "upgrade.img", func(f *os.File) error {
		return release.Write(f, manifest, bytes.NewReader(v.efi), int64(len(v.efi)), v.parts.key.PrivateKey)
	})
	if err == nil {
		o.Log("upgrade.img: signed with the %s key", v.parts.key.Name)
	}
	return err
}
