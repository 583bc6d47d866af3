package control

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the reference page")

const page = "../../../docs/reference/media-control.md"

// opening is what the declarations do not say.
const opening = `# Media control

Made from the declarations in services/media/control; ` + "`go generate ./services/media/control`" + ` writes it anew.

How media is asked for: by the Call Bridge, the recorder and the streamer of the media manager (TCP 2830 on the loopback
interface), and by the manager of the media workers (they dial TCP 2829 and then serve). A worker started with
` + "`-listen`" + ` serves a client directly, by the same words. Between machines it is TLS 1.3, and both sides show a certificate.

## Lines

A connection carries lines of JSON in UTF-8, each at most 1 MiB with its end, a single line feed. Fields that are not known
are left alone.

The side that dialled says hello first, the other one answers with its own. A peer of another version, or one in the wrong
place, gets ` + "`{\"error\": …}`" + ` with the reason in words, and the connection ends.

` + "```" + `
> {"hello":{"version":1,"role":"client","name":"callbridge"}}
< {"hello":{"version":1,"role":"manager"}}
> {"id":1,"ask":"putConference","body":{"id":"weekly"}}
< {"id":1,"body":{}}
> {"id":2,"ask":"deleteLeg","body":{"id":""}}
< {"id":2,"error":{"code":"invalid","text":"leg id of 0 bytes: want 1 to 64"}}
< {"owner":"callbridge","event":{"event":"speaker","conference":"weekly","leg":"alice"}}
` + "```" + `

Requests may be sent without waiting for answers; those about one object are served in their order, others at the same
time. 256 of one connection are worked on at once and further ones wait. A request is given up after ten seconds.

Objects belong to an owner: the name in a client's hello. Owners do not see each other's objects, and ids are per owner. A
second connection of a name ends the first. When an owner's connection ends its objects stay for the grace that its
hello asked for, ten seconds if it did not, so that it can come back and go on; events are kept for it meanwhile, 256 at most.
It then says ` + "`sync`" + ` with what it believes to have: the rest is deleted, and what is missing comes back as ` + "`lost`" + `, just as
when a worker dies. What is lost can be put again. Events of the moment in which a connection breaks may be lost; what they
would have said is in the figures (` + "`stats`" + `). A client that leaves 8 MiB or 4096 lines unread is cut off.

A worker's hello names its module, its processor and its capacity. It is followed by lines with what it holds (` + "`holding`" + `) and
its first heartbeat (` + "`beat`" + `), which then comes twice a second; after two seconds of silence the manager gives the worker up.
The manager names the owner in every request, and so does the worker in every event.
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
		t.Errorf("%s is not what the declarations say (%v): run go generate ./services/media/control", page, err)
	}
}

// reference makes the page from the table of requests and from the comments of what they carry.
func reference(t *testing.T) string {
	p := parsePackage(t)
	var b strings.Builder
	b.WriteString(opening)
	b.WriteString("\n## Requests\n\n| ask | body | answer | |\n|---|---|---|---|\n")
	for _, r := range requestList {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.name, link(r.question), link(r.answer), r.about)
	}
	p.constants(&b, "Refusals", "The code of an error. The text says more, in words for a log.", "Code")
	p.constants(&b, "Events", "What an event is about is in its fields; see [Event](#event).", "Event")
	b.WriteString("\n## Bodies\n")
	seen := map[reflect.Type]bool{}
	var queue []reflect.Type
	add := func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[Leg]().PkgPath() && !seen[t] && t.NumField() > 0 {
			seen[t] = true
			queue = append(queue, t)
		}
	}
	add(reflect.TypeFor[Line]())
	for _, r := range requestList {
		add(r.question)
		add(r.answer)
	}
	add(reflect.TypeFor[Event]())
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| field | type | |\n|---|---|---|\n", s.Name(), p.types[s.Name()])
		for i := range s.NumField() {
			f := s.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, link(f.Type), p.fields[s.Name()+"."+f.Name])
			add(f.Type)
		}
	}
	return b.String()
}

// link is how a type is written in the page.
func link(t reflect.Type) string {
	switch t.String() {
	case "netip.Addr":
		return "address"
	case "netip.AddrPort":
		return "address:port"
	case "json.RawMessage":
		return "any"
	case "[]uint8":
		return "base64"
	case "control.Milliseconds":
		return "milliseconds"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return link(t.Elem())
	case reflect.Slice:
		return "list of " + link(t.Elem())
	case reflect.Map:
		return "map to " + link(t.Elem())
	case reflect.Struct:
		if t.NumField() == 0 {
			return "–"
		}
		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "true, false"
	case reflect.Float64:
		return "number"
	default:
		return "integer"
	}
}

// declared are the package's comments: of types, of fields as "Type.Field", and the constants in their order.
type declared struct {
	types, fields map[string]string
	list          []constant
}

type constant struct{ name, value, about string }

func parsePackage(t *testing.T) declared {
	set := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p := declared{types: map[string]string{}, fields: map[string]string{}}
	for _, f := range files {
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				for _, s := range g.Specs {
					p.spec(g, s)
				}
			}
		}
	}
	return p
}

func (p *declared) spec(g *ast.GenDecl, s ast.Spec) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		p.types[s.Name.Name] = text(cmp.Or(s.Doc, g.Doc))
		if st, ok := s.Type.(*ast.StructType); ok {
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					p.fields[s.Name.Name+"."+n.Name] = text(cmp.Or(f.Doc, f.Comment))
				}
			}
		}
	case *ast.ValueSpec:
		if v, ok := s.Values, len(s.Values) == 1; ok && g.Tok == token.CONST {
			if lit, ok := v[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				value, _ := strconv.Unquote(lit.Value)
				p.list = append(p.list, constant{s.Names[0].Name, value, text(s.Doc)})
			}
		}
	}
}

// constants writes the string constants whose names begin with prefix.
func (p declared) constants(b *strings.Builder, title, about, prefix string) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| | |\n|---|---|\n", title, about)
	last := ""
	for _, c := range p.list {
		if !strings.HasPrefix(c.name, prefix) {
			continue
		}
		// "CodeLost: the connection …" loses its name.
		fmt.Fprintf(b, "| `%s` | %s |\n", c.value, strings.TrimPrefix(c.about, c.name+": "))
		last = c.name
	}
	if last == "" {
		panic("no constant begins with " + prefix)
	}
}

var brackets = regexp.MustCompile(`\[([A-Za-z.*]+)\]`)

// text makes one line of a comment, without Go's links and without the bar that ends a cell.
func text(g *ast.CommentGroup) string {
	s := strings.Join(strings.Fields(g.Text()), " ")
	return strings.ReplaceAll(brackets.ReplaceAllString(s, "$1"), "|", "\\|")
}

func TestEveryFieldHasItsOwnNameOnTheWire(t *testing.T) {
	for _, r := range requestList {
		for _, s := range []reflect.Type{r.question, r.answer} {
			if s.Kind() != reflect.Struct {
				continue
			}
			var names []string
			for i := range s.NumField() {
				name, _, _ := strings.Cut(s.Field(i).Tag.Get("json"), ",")
				if name == "" || slices.Contains(names, name) {
					t.Errorf("%s.%s is called %q on the wire; want a name of its own", s.Name(), s.Field(i).Name, name)
				}
				names = append(names, name)
			}
		}
	}
}
