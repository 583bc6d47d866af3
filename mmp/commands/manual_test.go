package commands

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

// What stands in a block of a page as a command is one, so that it can be typed as it is. Lines with something of the reader's own (<…>, …) and
// those for a shell elsewhere (ssh admin@…) are left out.
func TestCommandsInTheManualAreCommands(t *testing.T) {
	d := newFullDesk(t)
	kinds, list := All(d.deps)
	tree, err := grammar.NewTree(kinds, append(shell.Builtins(), list...))
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]bool{}
	for _, c := range list {
		word, _, _ := strings.Cut(c.Syntax, " ")
		first[word] = true
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) < 20 {
		t.Fatalf("got the pages %q, %v", pages, err)
	}
	block := regexp.MustCompile(`^    (?:[a-z0-9]+> )?(.*)$`)
	comment := regexp.MustCompile(`\s{2,}.*$`)
	found := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for n, line := range lines {
			m := block.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			said := comment.ReplaceAllString(m[1], "")
			words := strings.Fields(said)
			if len(words) == 0 || !first[words[0]] || strings.ContainsAny(said, "<…@") || slices.Contains(words, ":") {
				continue
			}
			found++
			if _, err := tree.Parse(grammar.Admin, said); err != nil && !strings.Contains(err.Error(), "permission denied") {
				t.Errorf("%s:%d: %v", page, n+1, err)
			}
		}
	}
	if found < 80 {
		t.Errorf("only %d commands were found in the pages", found)
	}
}

func TestLinksInTheManualLeadSomewhere(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../../docs/reference/*.md"} {
		some, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, some...)
	}
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	odd := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	// anchors are those that readers of Markdown make of headings.
	anchors := func(text []byte) (list []string) {
		for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
			list = append(list, strings.ReplaceAll(odd.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
		}
		return list
	}
	link := regexp.MustCompile(`\]\(([^)\s#]*)(?:#([^)\s]*))?\)`)
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			found++
			target, there := page, text
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(page), m[1])
				if there, err = os.ReadFile(target); err != nil {
					t.Errorf("%s: %s leads nowhere", page, m[0])
					continue
				}
			}
			if m[2] != "" && !slices.Contains(anchors(there), m[2]) {
				t.Errorf("%s: %s: %s has no such heading", page, m[0], target)
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d links were found", found)
	}
}
