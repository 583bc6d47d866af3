package firmware

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// archiveFolders are where apt reads which archives the machine uses.
var archiveFolders = []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d"}

// sources asks apt for source packages. Few machines have them in their lists, so the machine's archives are asked
// for them through lists in the cache folder.
type sources struct {
	cache    string
	archives []string
}

func newSources(cache string) sources { return sources{cache: cache, archives: archiveFolders} }

func (s sources) folder(name string) string { return filepath.Join(s.cache, "apt-source", name) }

func (s sources) options() []string {
	var o []string
	if os.Geteuid() == 0 {
		o = append(o, "-o", "APT::Sandbox::User=root")
	}
	return append(o,
		"-o", "Dir::Etc::SourceList=/dev/null",
		"-o", "Dir::Etc::SourceParts="+s.folder("archives"),
		"-o", "Dir::State::Lists="+s.folder("lists"),
		"-o", "Dir::Cache="+s.folder("cache"),
	)
}

// update fetches the lists of source packages.
func (s sources) update(ctx context.Context) error {
	for _, d := range []string{"archives", "lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(s.folder(d), 0o755); err != nil {
			return fmt.Errorf("make folder for source lists: %w", err)
		}
	}
	entries, err := readArchives(s.archives)
	if err != nil {
		return err
	}
	for name, text := range entries {
		if err := os.WriteFile(filepath.Join(s.folder("archives"), name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write source lists: %w", err)
		}
	}
	return run(ctx, "", "apt-get", append(s.options(), "--quiet", "update")...)
}

// readArchives returns the machine's archives as entries for source packages, by file name.
func readArchives(from []string) (map[string]string, error) {
	entries := map[string]string{}
	for _, top := range from {
		err := filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || e.IsDir() {
				return err
			}
			convert := map[string]func(string) string{".list": sourceLines, ".sources": sourceStanzas}[filepath.Ext(name)]
			if convert == nil {
				return nil
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			entries[filepath.Base(name)] = convert(string(text))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the machine's archives: %w", err)
		}
	}
	return entries, nil
}

// sourceLines turns one-line entries for packages into ones for source packages (sources.list(5)).
func sourceLines(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "deb "); ok {
			line = "deb-src " + rest
		}
		if strings.HasPrefix(line, "deb-src ") && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

var typesField = regexp.MustCompile(`(?mi)^Types:.*$`)

// sourceStanzas does the same to entries in the newer form.
func sourceStanzas(text string) string { return typesField.ReplaceAllString(text, "Types: deb-src") }

// sourceFile is one file of a source package.
type sourceFile struct {
	Name   string
	SHA256 string
}

var uriLine = regexp.MustCompile(`(?m)^'[^']*' (\S+) \d+ SHA256:([0-9a-f]{64})$`)

// parseURIs reads what apt-get says about the files of a source package: "'uri' name size SHA256:hash" each.
func parseURIs(text string) []sourceFile {
	var files []sourceFile
	for _, m := range uriLine.FindAllStringSubmatch(text, -1) {
		files = append(files, sourceFile{m[1], m[2]})
	}
	return files
}

// files returns the files of one version of a source package, by apt's signed lists.
func (s sources) files(ctx context.Context, name, version string) ([]sourceFile, error) {
	out, err := output(ctx, "apt-get", append(s.options(), "--quiet", "--quiet", "--print-uris", "--only-source", "source", name+"="+version)...)
	if err != nil {
		return nil, err
	}
	files := parseURIs(out)
	if len(files) == 0 {
		return nil, fmt.Errorf("apt names no file of the source package %s %s", name, version)
	}
	return files, nil
}

// unpack downloads one version of a source package into dir, verifies it, unpacks it with Debian's patches applied and
// returns the folder of the sources and the description (.dsc), which has the hashes of all other files in it.
func (s sources) unpack(ctx context.Context, dir, name, version string) (tree, dsc string, err error) {
	files, err := s.files(ctx, name, version)
	if err != nil {
		// There are no lists yet, or they are older than the version that is wanted. One archive of several that does
		// not answer is no harm while another has the package.
		uerr := s.update(ctx)
		if files, err = s.files(ctx, name, version); err != nil {
			return "", "", errors.Join(err, uerr)
		}
	}
	if err := run(ctx, dir, "apt-get", append(s.options(), "--quiet", "--download-only", "--only-source", "source", name+"="+version)...); err != nil {
		return "", "", err
	}
	for _, f := range files {
		sum, err := fileSHA256(filepath.Join(dir, f.Name))
		if err != nil {
			return "", "", err
		}
		if sum != f.SHA256 {
			return "", "", fmt.Errorf("%s has the SHA-256 %s, apt's list says %s", f.Name, sum, f.SHA256)
		}
		if strings.HasSuffix(f.Name, ".dsc") {
			dsc = filepath.Join(dir, f.Name)
		}
	}
	if dsc == "" {
		return "", "", fmt.Errorf("source package %s %s has no description", name, version)
	}
	tree = filepath.Join(dir, "tree")
	return tree, dsc, run(ctx, dir, "dpkg-source", "--extract", dsc, tree)
}
