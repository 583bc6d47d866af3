package schema_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rotunda/services/callbridge/schema"
)

var update = flag.Bool("update", false, "write the reference page")

const page = "../../../docs/reference/api.md"

const opening = `# API objects

Made from the declarations in services/callbridge/schema; ` + "`go generate ./services/callbridge/schema`" + ` writes it anew.

Every path is below ` + "`/api/v1`" + `, at the address of the Web Admin. Path and parameter names are compared without regard to case.

| to | send | and get |
|---|---|---|
| make one | POST to the collection, parameters as a form | 200 and its path in ` + "`Location`" + ` |
| read one | GET with its ID | 200 and XML |
| read many | GET of the collection, with ` + "`offset`, `limit`, `filter`" + ` and the parameters below | one page, and how many there are in ` + "`total`" + ` |
| change one | PUT with its ID, and the parameters that change; an empty one unsets | 200 |
| delete one | DELETE with its ID | 200 |

Where something is wrong, the answer is 400, or 404 for a path that names what does not exist, with the failure in
` + "`failureDetails`" + `; a parameter that is wrong is a ` + "`parameterError`" + ` with its name, what is wrong, and a sentence about it.

In the tables: **required** must be sent with POST. *List* is shown in collections too. A *default* is what a new object gets;
*else* is what counts where a field is set nowhere, which matters for profiles: a field that is not set inherits.
*POST* is set when the object is made and never again, *PUT* is understood when it is changed. *Shown* is set by the system. *Never
shown* is kept and not given out. *Order* is acted upon and not kept. *Since* is the version that brought it.
`

func TestReferencePageIsWhatTheDeclarationsSay(t *testing.T) {
	want := reference(t)
	if *update {
		if err := os.MkdirAll(filepath.Dir(page), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the declarations say (%v): run go generate ./services/callbridge/schema", page, err)
	}
}

// reference makes the page from the tables.
func reference(t *testing.T) string {
	var b strings.Builder
	b.WriteString(opening)
	objects := slices.SortedFunc(slices.Values(schema.All()), func(a, b *schema.Object) int {
		return strings.Compare(strings.ToLower(schema.FullPath(a)), strings.ToLower(schema.FullPath(b)))
	})
	section := func(title, about string, which func(*schema.Object) bool) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", title, about)
		for _, o := range objects {
			if which(o) {
				describe(&b, o)
			}
		}
	}
	section("Objects", "What is configured, and kept.", func(o *schema.Object) bool { return !o.Live && !o.Page })
	section("What is going on", "Kept while it lasts, and never stored. A change is an order to the meeting.", func(o *schema.Object) bool { return o.Live })
	b.WriteString("\n## Orders\n\nRequests to what is going on.\n")
	for _, o := range schema.Orders() {
		describe(&b, o)
	}
	section("Pages", "What pages of the Web Admin keep. No path of the API reaches it.", func(o *schema.Object) bool { return o.Page })
	failureTable(t, &b, objects)
	return b.String()
}

func describe(b *strings.Builder, o *schema.Object) {
	path := "`" + schema.FullPath(o) + "`"
	if o.Page {
		path = "The page `" + o.Name + "`"
	}
	title := o.Plural
	if o.Methods&schema.Read == 0 {
		title = strings.ReplaceAll(o.Path, "*", `\*`)
		title = strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(title)
	}
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n%s: %s.", title, o.Help, path, strings.Join(methods(o), ", "))
	if o.Since != "" {
		fmt.Fprintf(b, " Since %s.", o.Since)
	}
	for _, p := range o.Below {
		fmt.Fprintf(b, " Also at `%s/<id>/%s`: GET", schema.FullPath(p), o.Plural)
		if p == o.CreateBelow {
			b.WriteString(", POST")
		}
		b.WriteString(".")
	}
	if o.Local {
		b.WriteString(" Each Call Bridge has its own.")
	}
	if o.Methods&schema.Read != 0 && !o.Singleton && !o.Page {
		fmt.Fprintf(b, " Pages of %d.", o.Cap)
	}
	if o.Most > 0 {
		fmt.Fprintf(b, " At most %d.", o.Most)
	}
	b.WriteString("\n")
	if params := parameters(o); len(params) > 0 {
		fmt.Fprintf(b, "\n%s\n", strings.Join(params, " "))
	}
	for _, u := range o.Unique {
		fmt.Fprintf(b, "\n%s must differ %s.\n", list(u.Fields), within(u))
	}
	if len(o.Fields) == 0 {
		return
	}
	b.WriteString("\n| field | value | default | | since |\n|---|---|---|---|---|\n")
	for _, f := range o.Fields {
		if f.Access == schema.Internal {
			continue
		}
		name := "`" + f.Name + "`"
		if f.Group != "" {
			name = "`" + f.Group + "/` " + name
		}
		for _, a := range f.Aliases {
			name += ", `" + a + "`"
		}
		fallback := ""
		switch {
		case f.Default != "":
			fallback = "`" + f.Default + "`"
		case f.Fallback != "":
			fallback = "else `" + f.Fallback + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", name, value(&f), fallback, remarks(&f), f.Since)
	}
}

func methods(o *schema.Object) []string {
	var s []string
	for _, m := range []struct {
		bit  schema.Methods
		name string
	}{{schema.Read, "GET"}, {schema.Create, "POST"}, {schema.Update, "PUT"}, {schema.Delete, "DELETE"}} {
		if o.Methods&m.bit != 0 {
			s = append(s, m.name)
		}
	}
	return s
}

func parameters(o *schema.Object) []string {
	if o.Singleton || o.Methods&schema.Read == 0 {
		return nil
	}
	var s []string
	if len(o.Search) > 0 {
		s = append(s, "`filter` looks into "+list(o.Search)+".")
	}
	for _, f := range o.Filters {
		s = append(s, fmt.Sprintf("`%s` compares `%s`.", f.Name, f.Field))
	}
	if o.UsageFilter {
		s = append(s, "`usageFilter` is `referenced` or `unreferenced`.")
	}
	return s
}

func within(u schema.Unique) string {
	where := map[schema.Scope]string{
		schema.Everywhere: "everywhere", schema.TenantGroup: "within a tenant group", schema.Tenant: "within a tenant", schema.Siblings: "below one parent",
	}[u.Within]
	if u.Fold {
		where += ", whatever the case"
	}
	return where
}

func value(f *schema.Field) string {
	least, most := f.Min, f.Max
	switch f.Kind {
	case schema.Number:
		if most == 0 {
			most = schema.MaxNumber
		}
		return fmt.Sprintf("%d to %d", least, most)
	case schema.Bool:
		return "`true`, `false`"
	case schema.Reference:
		return fmt.Sprintf("ID of [%s](#%s)", f.To, strings.ToLower(f.To))
	case schema.GUID:
		return "ID"
	case schema.Choice:
		return list(f.Values)
	case schema.URL:
		return "`" + strings.Join(f.Values, "://`, `") + "://`"
	}
	if most == 0 {
		most = schema.MaxText
	}
	s := fmt.Sprintf("text, up to %d bytes", most)
	if f.Check.Name != "" {
		s = strings.ReplaceAll(f.Check.Name, "*", `\*`) + fmt.Sprintf(", up to %d bytes", most)
	}
	return s
}

func remarks(f *schema.Field) string {
	var s []string
	if f.Required {
		s = append(s, "**required**")
	}
	if word := map[schema.Access]string{schema.OnCreate: "POST", schema.Shown: "shown", schema.Hidden: "never shown", schema.Order: "order",
		schema.OrderOnUpdate: "order, PUT"}[f.Access]; word != "" {
		s = append(s, "*"+word+"*")
	}
	if f.List {
		s = append(s, "*list*")
	}
	about := strings.ReplaceAll(f.Help, "*", `\*`)
	if len(s) == 0 {
		return about
	}
	return about + " " + strings.Join(s, ", ")
}

func list(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

func failureTable(t *testing.T, b *strings.Builder, objects []*schema.Object) {
	about := map[string]string{"parameterError": "a parameter is wrong; it says which, and what"}
	for _, c := range failureCodes(t) {
		about[c.code] = c.about
	}
	for _, o := range objects {
		if o.Missing != "" {
			about[o.Missing] = "no such object of [" + o.Plural + "](#" + strings.ToLower(o.Plural) + ")"
		}
		if o.TooMany != "" {
			about[o.TooMany] = fmt.Sprintf("there are %d of [%s](#%s) already", o.Most, o.Plural, strings.ToLower(o.Plural))
		}
	}
	for code := range uniqueCodes() {
		var fields []string
		for _, o := range objects {
			for _, u := range o.Unique {
				if u.Code == code {
					fields = append(fields, o.Name+"."+strings.Join(u.Fields, ", "+o.Name+"."))
				}
			}
		}
		about[code] = "the value is taken: " + list(fields)
	}
	b.WriteString("\n## Failures\n\n| code | when |\n|---|---|\n")
	for _, code := range slices.SortedFunc(maps.Keys(about), func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }) {
		fmt.Fprintf(b, "| `%s` | %s |\n", code, about[code])
	}
}
