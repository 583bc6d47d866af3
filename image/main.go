// Command image builds Rotunda: Go programs and Debian's kernel in, bootable files out.
//
//	go run ./image [-out build] [-version 0.1.0] [-cmdline "…"] [-only efi,disk,upgrade,ova,sbom]
//
// The products, in the order in which one is made from the other:
//
//	rotunda.efi   one version: a unified kernel image with kernel, command line and the whole root file system
//	upgrade.img   rotunda.efi behind a signed manifest, for the upgrade command
//	disk.img      a disk that boots: EFI system partition with loader and first version, empty data partition
//	rotunda.ova   the same disk as a virtual machine for VMware
//	sbom.json     what is inside: packages, modules, files, with versions, hashes and licences
//
// No root, loop device or mount is needed. One commit gives the same bytes each time, as long as the Debian packages,
// the Go toolchain and mke2fs are the same: time stamps come from SOURCE_DATE_EPOCH or else the commit, identifiers
// are fixed, archives are sorted. A product gets its name when it is complete, so that an interrupted build leaves the
// old one or the new one.
//
// Environment:
//
//	ROTUNDA_CACHE        folder for packages and compressed archives; <out>/cache otherwise
//	ROTUNDA_SIGNING_KEY  file with the Ed25519 key that signs upgrade.img; the public development key otherwise
//	SOURCE_DATE_EPOCH    time stamp of everything, in seconds since 1970
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// version is the release that is being made.
const version = "0.1.0"

// products in the order in which they are made.
var products = []string{"efi", "sbom", "upgrade", "disk", "ova"}

// options say what to build.
type options struct {
	Out         string
	Cache       string
	Version     string
	CommandLine string
	Only        []string
	// KeyFile is empty for the development key.
	KeyFile string
	// Epoch is empty for the time of the commit.
	Epoch    string
	Programs []program
	Log      func(format string, args ...any)
}

func (o options) wants(product string) bool { return slices.Contains(o.Only, product) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parseOptions(os.Args[1:], os.Getenv)
	if err == nil {
		err = build(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func parseOptions(args []string, getenv func(string) string) (options, error) {
	o := options{KeyFile: getenv("ROTUNDA_SIGNING_KEY"), Epoch: getenv("SOURCE_DATE_EPOCH"), Programs: programs}
	start := time.Now()
	o.Log = func(format string, args ...any) {
		fmt.Printf("%6.1fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.Out, "out", "build", "folder for the products")
	flags.StringVar(&o.Version, "version", version, "version of the release")
	flags.StringVar(&o.CommandLine, "cmdline", "", "further arguments for the kernel command line")
	only := flags.String("only", "all", "products to make, separated by commas: "+strings.Join(products, ", "))
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if !validVersion(o.Version) {
		return o, fmt.Errorf("version %q: want letters, digits, dots and dashes, such as 0.1.0", o.Version)
	}
	if strings.ContainsFunc(o.CommandLine, func(r rune) bool { return r < ' ' || r > '~' }) {
		return o, fmt.Errorf("command line %q: want printable ASCII", o.CommandLine)
	}
	if o.Only = strings.Split(*only, ","); *only == "all" {
		o.Only = products
	}
	for _, p := range o.Only {
		if !slices.Contains(products, p) {
			return o, fmt.Errorf("product %q: want %s or all", p, strings.Join(products, ", "))
		}
	}
	if o.Cache = getenv("ROTUNDA_CACHE"); o.Cache == "" {
		o.Cache = filepath.Join(o.Out, "cache")
	}
	return o, nil
}

// validVersion keeps versions to what needs no quoting in os-release, JSON, XML and on a terminal.
func validVersion(v string) bool {
	return v != "" && len(v) <= 32 && !strings.ContainsFunc(v, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == '-')
	})
}
