package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// source is the tree that is built.
type source struct {
	// Root is the folder of go.mod.
	Root string
	// Commit is empty when the tree does not come from git, and ends in "-dirty" if files differ from it.
	Commit string
	// Modified is the time stamp of everything that is made.
	Modified time.Time
}

// fallbackDate dates a build from a tree without git and without SOURCE_DATE_EPOCH: 1 January 2026.
var fallbackDate = time.Unix(1767225600, 0)

func findSource(ctx context.Context, epoch string) (source, error) {
	mod, err := goCommand(ctx, "", "env", "GOMOD")
	if err != nil {
		return source{}, fmt.Errorf("find sources: %w", err)
	}
	if mod == "" || mod == os.DevNull {
		return source{}, errors.New("find sources: not inside the module rotunda")
	}
	s := source{Root: filepath.Dir(mod), Modified: fallbackDate}
	if commit, err := git(ctx, s.Root, "rev-parse", "--short=12", "HEAD"); err == nil {
		s.Commit = commit
		if changed, err := git(ctx, s.Root, "status", "--porcelain"); err != nil || changed != "" {
			s.Commit += "-dirty"
		}
		if epoch == "" {
			if epoch, err = git(ctx, s.Root, "log", "-1", "--format=%ct"); err != nil {
				return source{}, fmt.Errorf("date the sources: %w", err)
			}
		}
	}
	if epoch != "" {
		if s.Modified, err = parseEpoch(epoch); err != nil {
			return source{}, err
		}
	}
	return s, nil
}

// parseEpoch reads SOURCE_DATE_EPOCH. FAT knows no time before 1980, and cpio none after 2106.
func parseEpoch(epoch string) (time.Time, error) {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	const first, last = 315532800, 1<<32 - 1
	if err != nil || seconds < first || seconds > last {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: want seconds since 1970 from %d to %d", epoch, first, last)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	// Whoever builds may not own the tree, for example in a container; git refuses to look then unless told.
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*", "-C", dir}, args...)...)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}
