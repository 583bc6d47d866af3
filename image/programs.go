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
)

// program is a Go program in the image.
type program struct {
	// Package is its import path, Path where it goes.
	Package string
	Path    string
}

// programs of the image.
var programs = []program{
	{"rotunda/init", "init"},
	{"rotunda/mmp", "bin/mmp"},
	{"rotunda/services", "bin/services"},
}

// built is a program with what is linked into it.
type built struct {
	program
	Data []byte
	Info *debug.BuildInfo
}

// buildPrograms compiles the programs: static, without paths, build ids or symbol tables, so that the bytes depend on
// the sources and the toolchain only.
func buildPrograms(ctx context.Context, root string, list []program) ([]built, error) {
	dir, err := os.MkdirTemp("", "rotunda-programs-")
	if err != nil {
		return nil, fmt.Errorf("build programs: %w", err)
	}
	defer os.RemoveAll(dir)
	var all []built
	for i, p := range list {
		file := filepath.Join(dir, fmt.Sprint(i))
		if _, err := goCommand(ctx, root, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", file, p.Package); err != nil {
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
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	// Flags from the environment could change the bytes. GOAMD64=v1 runs on every 64-bit processor.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GOFLAGS=")
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
