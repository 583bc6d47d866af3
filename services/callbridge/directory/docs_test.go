package directory

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// tables returns the tables of the administrator's page, by the first cell of their heading.
func tables(t *testing.T) map[string][][]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/ldap.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][][]string{}
	heading := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			heading = ""
			continue
		}
		var cells []string
		for _, c := range strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, "\x00"), "|"), "|") {
			cells = append(cells, strings.TrimSpace(strings.ReplaceAll(c, "\x00", "|")))
		}
		switch {
		case heading == "":
			heading = cells[0]
		case !strings.HasPrefix(cells[0], "--"):
			all[heading] = append(all[heading], cells)
		}
	}
	return all
}

var code = regexp.MustCompile("`([^`]+)`")

// codes are what a cell has between backquotes.
func codes(cell string) (all []string) {
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestTheExamplesOfThePageGiveWhatItSays(t *testing.T) {
	rows := tables(t)["expression"]
	if len(rows) < 8 {
		t.Fatalf("the page has %d examples of mappings", len(rows))
	}
	for _, row := range rows {
		e := entry{values: map[string]string{}}
		for _, v := range codes(row[1]) {
			name, value, _ := strings.Cut(v, ": ")
			e.values[strings.ToLower(name)] = value
		}
		m, err := ParseMapping(codes(row[0])[0])
		if err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		if got, complete := m.Expand(e.text); got != codes(row[2])[0] || !complete {
			t.Errorf("%s: the page says %s, it gives %q", row[0], row[2], got)
		}
	}
}

func TestTheFiltersOfThePageAreFilters(t *testing.T) {
	filters := 0
	for _, row := range tables(t)["you want"] {
		for _, f := range codes(row[1]) {
			if !strings.ContainsAny(f, "=") || strings.Contains(f, " ") {
				continue
			}
			filters++
			if _, err := normalFilter(f); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
	if filters < 5 {
		t.Errorf("the page has %d filters", filters)
	}
}
