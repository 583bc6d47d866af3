package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// raised finds the names of all alarms that PID 1 can raise, as they stand in the calls: a constant, or the beginning of a name, for which
// "<…>" stands in the page.
func raised(t *testing.T) []string {
	t.Helper()
	var files []*ast.File
	set := token.NewFileSet()
	for _, folder := range []string{".", "supervise"} {
		names, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(set, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
	}
	constants := map[string]string{}
	found := map[string]bool{}
	var name func(e ast.Expr) string
	name = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(e.Value)
			if err != nil {
				t.Fatal(err)
			}
			return text
		case *ast.Ident:
			return constants[e.Name]
		case *ast.BinaryExpr:
			return name(e.X)
		case *ast.CallExpr:
			// failedAlarm(number)
			if f, ok := e.Fun.(*ast.Ident); ok {
				return constants[f.Name]
			}
		}
		return ""
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if len(n.Names) == 1 && len(n.Values) == 1 {
					if l, ok := n.Values[0].(*ast.BasicLit); ok && l.Kind == token.STRING {
						constants[n.Names[0].Name] = name(l)
					}
				}
			case *ast.FuncDecl:
				// A function that makes a name begins with its beginning.
				if strings.HasSuffix(n.Name.Name, "Alarm") && n.Body != nil && len(n.Body.List) == 1 {
					if r, ok := n.Body.List[0].(*ast.ReturnStmt); ok {
						if c, ok := r.Results[0].(*ast.CallExpr); ok {
							beginning, _, _ := strings.Cut(name(c.Args[0]), "%")
							constants[n.Name.Name] = beginning
						}
					}
				}
			}
			return true
		})
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok || len(c.Args) != 2 {
				return true
			}
			s, ok := c.Fun.(*ast.SelectorExpr)
			if !ok || s.Sel.Name != "alarm" && s.Sel.Name != "Alarm" {
				return true
			}
			text, cleared := c.Args[1].(*ast.BasicLit)
			switch id := name(c.Args[0]); {
			case id != "":
				found[id] = true
			case !cleared || text.Value != `""`:
				t.Errorf("%s: the name of this alarm cannot be read from the code", set.Position(c.Pos()))
			}
			return true
		})
	}
	return slices.Sorted(maps.Keys(found))
}

// Whoever sees an alarm looks it up in docs/failures.md.
func TestEachAlarmIsInTheFailuresPage(t *testing.T) {
	page, err := os.ReadFile("../docs/failures.md")
	if err != nil {
		t.Fatal(err)
	}
	ids := raised(t)
	if len(ids) < 10 {
		t.Fatalf("found only %q", ids)
	}
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+(?::[^`]*)?)` \\|").FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, m[1])
	}
	has := func(id string) bool {
		return slices.ContainsFunc(rows, func(row string) bool {
			return row == id || strings.HasSuffix(id, ":") && strings.HasPrefix(row, id)
		})
	}
	for _, id := range ids {
		if !has(id) {
			t.Errorf("docs/failures.md has no row for the alarm %s", id)
		}
	}
	// The file of accounts is the shell's, which shows its alarm beside those of PID 1.
	ids = append(ids, "accounts")
	for _, row := range rows {
		if !slices.ContainsFunc(ids, func(id string) bool {
			return row == id || strings.HasSuffix(id, ":") && strings.HasPrefix(row, id)
		}) {
			t.Errorf("docs/failures.md has a row for %s, which nothing raises", row)
		}
	}
	for _, row := range rows {
		name, isStep := strings.CutPrefix(row, "start:")
		if isStep && !strings.HasPrefix(name, "<") && !slices.ContainsFunc(steps, func(s step) bool { return s.name == name }) {
			t.Errorf("docs/failures.md: there is no step %s of the start", name)
		}
	}
}
