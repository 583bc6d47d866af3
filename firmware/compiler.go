package firmware

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// compilerArchives are the libraries that a static link takes from the building machine. Their copyright files are not
// machine-readable, so that what they say is written here.
var compilerArchives = []struct{ file, licence string }{
	{"libc.a", "LGPL-2.1+"},
	{"libstdc++.a", "GPL-3.0-or-later WITH GCC-exception-3.1"},
	{"libgcc_eh.a", "GPL-3.0-or-later WITH GCC-exception-3.1"},
}

// compilerLibraries returns the installed packages that gcc finds those libraries in.
func compilerLibraries(ctx context.Context) ([]Package, error) {
	var list []Package
	for _, a := range compilerArchives {
		file, err := output(ctx, "gcc", "-print-file-name="+a.file)
		if err != nil {
			return nil, err
		}
		if file = filepath.Clean(strings.TrimSpace(file)); !filepath.IsAbs(file) {
			return nil, fmt.Errorf("gcc finds no %s (image/install-packages installs what building needs)", a.file)
		}
		// "libc6-dev:amd64: /usr/lib/x86_64-linux-gnu/libc.a"
		owner, err := output(ctx, "dpkg-query", "--search", file)
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(owner, ": ")
		says, err := output(ctx, "dpkg-query", "--show", "--showformat=${Package}\\t${Version}\\t${Architecture}\\t${source:Package}", name)
		if err != nil {
			return nil, err
		}
		fields := strings.Split(says, "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("dpkg-query describes %s as %q", name, says)
		}
		sum, err := fileSHA256(file)
		if err != nil {
			return nil, err
		}
		list = append(list, Package{
			Name: fields[0], Version: fields[1], Architecture: fields[2], Source: fields[3],
			SHA256: sum, HashOf: file, Dir: "/", Licences: []string{a.licence},
		})
	}
	return list, nil
}
