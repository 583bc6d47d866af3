package firmware

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// record is one paragraph of a Debian control file.
type record map[string]string

// parseRecord reads the first paragraph of a Debian control file (Policy, section 5.1): fields of one or more lines,
// where a line that starts with a blank continues the field before.
func parseRecord(text string) record {
	fields := record{}
	var field string
	for line := range strings.Lines(strings.TrimLeft(text, "\n")) {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if field != "" {
				fields[field] += "\n" + strings.TrimSpace(line)
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		field = name
		fields[field] = strings.TrimSpace(value)
	}
	return fields
}

// dependency returns the name of the one dependency that starts with prefix.
func dependency(depends, prefix string) (string, error) {
	var found []string
	for d := range strings.SplitSeq(depends, ",") {
		// "linux-image-6.1.0-50-amd64 (= 6.1.170-1)"; what follows the name does not matter, as apt's own record of
		// that package is asked next.
		if fields := strings.Fields(d); len(fields) > 0 && strings.HasPrefix(fields[0], prefix) {
			found = append(found, fields[0])
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("dependencies %q name %d packages %s*, want one", depends, len(found), prefix)
	}
	return found[0], nil
}

var licenceLine = regexp.MustCompile(`(?m)^License:[ \t]*(\S.*)$`)

// licences returns the short names in a machine-readable copyright file (DEP 5) in order of appearance, so that the
// one that holds for "Files: *", which comes first by the specification, leads.
func licences(copyright string) []string {
	var names []string
	for _, m := range licenceLine.FindAllStringSubmatch(copyright, -1) {
		if name := strings.TrimSpace(m[1]); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
