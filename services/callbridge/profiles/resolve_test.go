package profiles

import (
	"math/rand/v2"
	"testing"

	"rotunda/services/callbridge/schema"
)

var chain7 = []Scope{Global, Tenant, CoSpace, AccessMethod, CoSpaceUser, CallOut, CallLeg}

// TestTheLowestLevelThatSetsAFieldWins compares Resolve with the sentence that it implements, on 2,000 random chains of every type.
func TestTheLowestLevelThatSetsAFieldWins(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	types := []*schema.Object{schema.CallLegProfile, schema.CallProfile, schema.CallBrandingProfile, schema.DialInSecurityProfile, schema.DTMFProfile,
		schema.IVRBrandingProfile, schema.UserProfile, schema.WebBridgeProfile, schema.CompatibilityProfile}
	for round := range 2000 {
		o := types[round%len(types)]
		var levels []Level
		for _, s := range chain7 {
			if random.IntN(2) == 0 {
				continue
			}
			l := Level{Scope: s, Fields: map[string]string{}}
			for i := range o.Fields {
				switch random.IntN(4) {
				case 0:
					l.Fields[o.Fields[i].Name] = s.String() + o.Fields[i].Name
				case 1:
					l.Fields[o.Fields[i].Name] = "" // open
				}
			}
			levels = append(levels, l)
		}
		e := Resolve(o, levels...)
		shown := map[string]string{}
		e.Values(func(f *schema.Field, v string, from Scope) bool {
			if from != e.From(f.Name) {
				t.Fatalf("Values says that %s is from %q, From says %q", f.Name, from, e.From(f.Name))
			}
			shown[f.Name] = v
			return true
		})
		for _, f := range o.Fields {
			want, from := f.Fallback, Nowhere
			for i := len(levels) - 1; i >= 0 && f.Name != "name"; i-- {
				if v := levels[i].Fields[f.Name]; v != "" {
					want, from = v, levels[i].Scope
					break
				}
			}
			if e.Text(f.Name) != want || e.From(f.Name) != from || shown[f.Name] != want {
				t.Fatalf("%s.%s is %q from %q, shown as %q; want %q from %q", o.Name, f.Name, e.Text(f.Name), e.From(f.Name), shown[f.Name], want, from)
			}
		}
	}
}

// TestALevelThatSaysNothingChangesNothing: leaving it out, or doing it twice, gives the same values.
func TestALevelThatSaysNothingChangesNothing(t *testing.T) {
	one := Level{Scope: Global, Fields: map[string]string{"muteSelfAllowed": "false"}}
	a := Resolve(schema.CallLegProfile, one)
	b := Resolve(schema.CallLegProfile, one, Level{Scope: Tenant}, Level{Scope: CoSpace, Fields: map[string]string{"muteSelfAllowed": ""}})
	for _, f := range schema.CallLegProfile.Fields {
		if a.Text(f.Name) != b.Text(f.Name) || a.From(f.Name) != b.From(f.Name) {
			t.Errorf("%s is %q and %q", f.Name, a.Text(f.Name), b.Text(f.Name))
		}
	}
	if a.Bool("muteSelfAllowed") || !a.Bool("videoMuteSelfAllowed") {
		t.Error("muteSelfAllowed is true, or the fallback of videoMuteSelfAllowed is false")
	}
}

func TestFieldsOfOtherTypesAreLeftOut(t *testing.T) {
	// A participant is made with the fields of a callLegProfile among others of its own.
	e := Resolve(schema.CallLegProfile, Level{Scope: CallOut, Fields: map[string]string{"remoteParty": "x@example.com", "MUTESELFALLOWED": "false"}})
	if e.Bool("muteSelfAllowed") {
		t.Error("a field in another case does not count")
	}
	if n, ok := Resolve(schema.CallProfile).Number("participantLimit"); ok {
		t.Errorf("a limit that nobody sets is %d", n)
	}
	if n, ok := Resolve(schema.CallProfile).Number("passcodeTimeout"); !ok || n == 0 {
		t.Errorf("passcodeTimeout falls back to %d, %v", n, ok)
	}
}

func TestScopesHaveTheNamesOfTheTrace(t *testing.T) {
	want := []string{"global", "tenant", "coSpace", "accessMethod", "coSpaceUser", "callOut", "callLeg"}
	for i, s := range chain7 {
		if s.String() != want[i] {
			t.Errorf("scope %d is %s; want %s", i, s, want[i])
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	b.ReportAllocs()
	var levels []Level
	for _, s := range chain7 {
		levels = append(levels, Level{Scope: s, Fields: map[string]string{"muteSelfAllowed": "true", "defaultLayout": "allEqual", "needsActivation": "false"}})
	}
	for b.Loop() {
		Resolve(schema.CallLegProfile, levels...)
	}
}
