package spaces

import (
	"math/rand/v2"
	"strings"
	"testing"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// plain is a space or an access method as a map; family is the place of the space that it belongs to.
type plain struct {
	family int
	record *store.Record
	fields fields
}

// allowed says whether objects may be together: the package comment's invariants and the schema's, written down anew.
func allowed(all []plain) bool {
	type claim struct{ kind, value string }
	owner := map[claim]int{}
	type pair struct {
		claim
		passcode string
		family   int
	}
	holder := map[pair]int{}
	for at, p := range all {
		uri, second := strings.ToLower(p.fields["uri"]), strings.ToLower(p.fields["secondaryUri"])
		if uri != "" && uri == second {
			return false
		}
		for _, c := range []claim{{"uri", uri}, {"uri", second}, {"id", p.fields["callId"]}} {
			if c.value == "" {
				continue
			}
			if of, taken := owner[c]; taken && of != p.family {
				return false
			}
			owner[c] = p.family
			with := pair{c, p.fields["passcode"], p.family}
			if by, taken := holder[with]; taken && by != at {
				return false
			}
			holder[with] = at
		}
	}
	return true
}

// TestWritersAgreeWithAPlainList makes, changes and deletes spaces and access methods at random, with so few values that most clash, and
// compares what is refused with a plain list.
func TestWritersAgreeWithAPlainList(t *testing.T) {
	s := open(t)
	random := rand.New(rand.NewPCG(4, 2))
	pick := func(values ...string) string { return values[random.IntN(len(values))] }
	some := func(o *schema.Object) fields {
		f := fields{}
		for name, values := range map[string][]string{"uri": {"", "a", "B", "b", "c", "d"}, "secondaryUri": {"", "", "a", "e"}, "callId": {"", "1", "2", "3", "4"}, "passcode": {"", "x", "y"}} {
			if random.IntN(2) == 0 && o.Field(name) != nil {
				f[name] = pick(values...)
			}
		}
		return f
	}
	var all []plain
	families, refused := 0, 0
	for round := range 1500 {
		next := append([]plain(nil), all...)
		var err error
		var at int
		switch kind := random.IntN(10); {
		case kind == 0 && len(all) > 0: // delete, a space with its methods
			p := all[random.IntN(len(all))]
			if err = remove(s, p.record); err != nil {
				t.Fatalf("round %d: delete: %v", round, err)
			}
			all = nil
			for _, q := range next {
				if q.record.ID() != p.record.ID() && (p.record.Object() == schema.AccessMethod || q.family != p.family) {
					all = append(all, q)
				}
			}
			continue
		case kind < 3 || len(all) == 0:
			f := some(schema.CoSpace)
			families++
			next, at = append(next, plain{families, nil, f}), len(next)
			next[at].record, err = post(s, schema.CoSpace, none, f)
		case kind < 6:
			of := all[random.IntN(len(all))]
			space := of.record.ID()
			if of.record.Object() == schema.AccessMethod {
				space = of.record.Parent()
			}
			f := some(schema.AccessMethod)
			next, at = append(next, plain{of.family, nil, f}), len(next)
			next[at].record, err = post(s, schema.AccessMethod, space, f)
		default:
			at = random.IntN(len(all))
			f := some(all[at].record.Object())
			merged := fields{}
			for k, v := range all[at].fields {
				merged[k] = v
			}
			for k, v := range f {
				merged[k] = v
			}
			next[at].fields = merged
			_, err = change(s, all[at].record, f)
		}
		if want := allowed(next); want != (err == nil) {
			t.Fatalf("round %d: %v with %v: the list allows it: %v", round, err, next[at].fields, want)
		}
		if err != nil {
			refused++
			continue
		}
		all = next
		r := s.Get(all[at].record.Object(), all[at].record.ID())
		if r.Has("callId") && !secretForm.MatchString(r.Text("secret")) {
			t.Fatalf("round %d: %s has a call ID and the secret %q", round, r, r.Text("secret"))
		}
	}
	if refused < 100 || refused > 1400 {
		t.Errorf("%d of 1500 were refused; the values are ill chosen", refused)
	}
}
