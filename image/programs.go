package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"rotunda/firmware"
)

// program is a Go program in the image.
type program struct {
	// Package is its import path, Path where it goes.
	Package string
	Path    string
	// Codecs is true for a program with C code in it, which is linked with the codec libraries.
	Codecs bool
}

// programs of the image.
var programs = []program{
	{Package: "rotunda/init", Path: "init"},
	{Package: "rotunda/mmp", Path: "bin/mmp"},
	{Package: "rotunda/services", Path: "bin/services"},
	{Package: "rotunda/services/media/worker", Path: "bin/mediaworker", Codecs: true},
}

// mounted says whether a program is in the file system of the programs, as all are but PID 1, which mounts it.
func (p program) mounted() bool { return strings.HasPrefix(p.Path, "bin/") }

func withCodecs(p program) bool { return p.Codecs }

// built is a program with what is linked into it.
type built struct {
	program
	Data []byte
	Info *debug.BuildInfo
}

// stripped leaves build ids and symbol tables away.
const stripped = "-s -w -buildid="

// buildArguments are those of the go command for a program, and what it needs in the environment. A program with codecs
// takes apart what anybody sends, in C: it is linked so that it is loaded at another address each time (static-pie), with
// tables that are read-only before its first instruction. Names are resolved by Go's own code, as the C library's would
// load further libraries.
func buildArguments(p program, codecs *firmware.Codecs) (args, env []string) {
	args = []string{"build", "-trimpath", "-buildvcs=false"}
	if !p.Codecs {
		return append(args, "-ldflags="+stripped), nil
	}
	args = append(args, "-buildmode=pie", "-tags=netgo,osusergo",
		"-ldflags="+stripped+` -linkmode=external -extldflags "-static-pie -Wl,-z,relro,-z,now,--build-id=none"`)
	// The folders come before build/codecs, and their names change with their content, which the go command does not look at.
	return args, []string{"CGO_ENABLED=1", "CGO_CFLAGS=-O2 -I" + codecs.Include, "CGO_LDFLAGS=-O2 -L" + codecs.Lib, "CC=gcc", "CXX=g++"}
}

// buildPrograms compiles the programs: static, without paths, build ids or symbol tables, so that the bytes depend on
// the sources, the toolchains and the libraries only.
func buildPrograms(ctx context.Context, root string, list []program, codecs *firmware.Codecs) ([]built, error) {
	dir, err := os.MkdirTemp("", "rotunda-programs-")
	if err != nil {
		return nil, fmt.Errorf("build programs: %w", err)
	}
	defer os.RemoveAll(dir)
	var all []built
	for i, p := range list {
		file := filepath.Join(dir, fmt.Sprint(i))
		args, env := buildArguments(p, codecs)
		if _, err := goCommandWith(ctx, root, env, append(args, "-o", file, p.Package)...); err != nil {
			return nil, fmt.Errorf("build %s: %w", p.Package, err)
		}
		b := built{program: p}
		if b.Data, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("build %s: %w", p.Package, err)
		}
		if b.Info, err = buildinfo.ReadFile(file); err != nil {
			return nil, fmt.Errorf("build %s: %w", p.Package, err)
		}
		all = append(all, b)
	}
	return all, nil
}

// goCommand runs the go command for the target and returns its output.
func goCommand(ctx context.Context, root string, args ...string) (string, error) {
	return goCommandWith(ctx, root, nil, args...)
}

// goCommandWith does so with more in the environment.
func goCommandWith(ctx context.Context, root string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	// Flags from the environment could change the bytes. GOAMD64=v1 runs on every 64-bit processor.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GOFLAGS=")
	cmd.Env = append(cmd.Env, env...)
	var text strings.Builder
	cmd.Stderr = &text
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(text.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// module is a Go module with its folder in the module cache.
type module struct {
	Path    string
	Version string
	Dir     string
	Sum     string `json:"-"`
}

// linkedModules returns the modules that are linked into the programs, sorted by path.
func linkedModules(ctx context.Context, root string, all []built) ([]module, error) {
	sums := map[string]string{}
	args := []string{"list", "-m", "-json"}
	for _, b := range all {
		for _, d := range b.Info.Deps {
			if d.Replace != nil {
				return nil, fmt.Errorf("list modules: %s is replaced; what is shipped could not be named", d.Path)
			}
			if _, ok := sums[d.Path]; !ok {
				args = append(args, d.Path)
			}
			sums[d.Path] = d.Sum
		}
	}
	if len(sums) == 0 {
		return nil, nil
	}
	out, err := goCommand(ctx, root, args...)
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	var modules []module
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var m module
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("list modules: %w", err)
		}
		m.Sum = sums[m.Path]
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}
