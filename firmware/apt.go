package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// apt asks the building machine's apt. It starts with the machine's own package lists and falls back to lists in the
// cache folder, which need no root to fetch.
type apt struct {
	cache   string
	private bool
}

func newApt(cache string) *apt { return &apt{cache: cache} }

// options come before every command.
func (a *apt) options() []string {
	var o []string
	if os.Geteuid() == 0 {
		// Else apt downloads as the user _apt, who may not be able to write into the cache folder, and warns.
		o = append(o, "-o", "APT::Sandbox::User=root")
	}
	if a.private {
		o = append(o,
			"-o", "Dir::State::Lists="+filepath.Join(a.cache, "apt/lists"),
			"-o", "Dir::Cache="+filepath.Join(a.cache, "apt/cache"),
		)
	}
	return o
}

// update fetches package lists into the cache folder and uses them from now on.
func (a *apt) update(ctx context.Context) error {
	for _, d := range []string{"apt/lists/partial", "apt/cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.cache, d), 0o755); err != nil {
			return fmt.Errorf("make folder for package lists: %w", err)
		}
	}
	a.private = true
	return run(ctx, "", "apt-get", append(a.options(), "--quiet", "update")...)
}

// show returns the records of the candidate versions of packages, by name. All at once, since apt-cache reads every
// package list anew each time: 0.9 s a call here.
func (a *apt) show(ctx context.Context, names ...string) (map[string]record, error) {
	out, err := output(ctx, "apt-cache", append(append(a.options(), "show", "--no-all-versions"), names...)...)
	if err != nil {
		return nil, err
	}
	records := map[string]record{}
	for paragraph := range strings.SplitSeq(out, "\n\n") {
		r := parseRecord(paragraph)
		records[r["Package"]] = r
	}
	for _, name := range names {
		if records[name] == nil {
			return nil, fmt.Errorf("apt knows no package %s", name)
		}
	}
	return records, nil
}

// download puts one package file into dir and returns its path.
func (a *apt) download(ctx context.Context, dir, spec string) (string, error) {
	if err := run(ctx, dir, "apt-get", append(a.options(), "--quiet", "download", spec)...); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("download of %s left %d files, want one", spec, len(debs))
	}
	return debs[0], nil
}

// run executes a program and puts what it complained about into the error.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := command(ctx, name, args...)
	cmd.Dir = dir
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil {
		return commandError(cmd, err, text.String())
	}
	return nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := command(ctx, name, args...)
	var out, text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &text
	if err := cmd.Run(); err != nil {
		return "", commandError(cmd, err, text.String())
	}
	return out.String(), nil
}

func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	// The records and messages are parsed or shown; a translation would break the one and mix languages in the other.
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	return cmd
}

func commandError(cmd *exec.Cmd, err error, text string) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w (image/install-packages installs what building needs)", err)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lines[len(lines)-1])
}
