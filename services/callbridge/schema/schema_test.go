package schema_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"rotunda/services/callbridge/schema"
)

// element is what XML and a path can carry without a thought.
var element = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9]*$`)

func TestNamesAreUniqueWithoutRegardToCase(t *testing.T) {
	paths := map[string]string{}
	for _, o := range schema.All() {
		if !element.MatchString(o.Name) || !element.MatchString(o.Plural) {
			t.Errorf("%s, %s: not the names of elements", o.Name, o.Plural)
		}
		path := strings.ToLower(schema.FullPath(o))
		if other := paths[path]; other != "" {
			t.Errorf("%s and %s have one path, %s", o.Name, other, path)
		}
		paths[path] = o.Name
		if schema.Of(o.Plural) != o {
			t.Errorf("%s is not found by %s", o.Name, o.Plural)
		}
		for i, f := range o.Fields {
			if !element.MatchString(f.Name) {
				t.Errorf("%s.%s: not the name of an element", o.Name, f.Name)
			}
			for _, name := range append([]string{f.Key()}, f.Aliases...) {
				for _, spelt := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
					if o.Field(spelt) != &o.Fields[i] {
						t.Errorf("%s.%s is not found as %s", o.Name, f.Name, spelt)
					}
				}
			}
			if o.Index(f.Key()) != i {
				t.Errorf("%s.%s: wanted position %d, got %d", o.Name, f.Name, i, o.Index(f.Key()))
			}
		}
	}
}

// A record packs the position of a field into one byte.
func TestNoTypeHasMoreThan255Fields(t *testing.T) {
	for _, o := range schema.All() {
		if len(o.Fields) > 255 {
			t.Errorf("%s has %d fields", o.Name, len(o.Fields))
		}
	}
}

func TestParentsComeFirst(t *testing.T) {
	all := schema.All()
	for i, o := range all {
		for _, p := range append([]*schema.Object{o.Parent}, o.Below...) {
			if p != nil && !slices.Contains(all[:i], p) {
				t.Errorf("%s comes before %s, which it is below", o.Name, p.Name)
			}
		}
		if o.CreateBelow != nil && (!slices.Contains(o.Below, o.CreateBelow) || o.Methods&schema.Create != 0) {
			t.Errorf("%s is made below %s, but not found there, or made elsewhere too", o.Name, o.CreateBelow.Name)
		}
		if o.Live != (len(o.Below) > 0) && len(o.Below) > 0 {
			t.Errorf("%s is below others and not live", o.Name)
		}
	}
}

func TestReferencesPointToDeclaredTypes(t *testing.T) {
	each(func(o *schema.Object, f *schema.Field) {
		if (f.Kind == schema.Reference) != (f.To != "") {
			t.Errorf("%s.%s: To is %q", o.Name, f.Name, f.To)
		}
		if f.To != "" && schema.Of(f.To) == nil {
			t.Errorf("%s.%s points to %s, which nobody has declared", o.Name, f.Name, f.To)
		}
		if f.To != "" && !o.Live && schema.Of(f.To).Live {
			t.Errorf("%s.%s is stored and points to %s, which are not", o.Name, f.Name, f.To)
		}
	})
}

func TestDefaultsAndFallbacksAreValuesOfTheirFields(t *testing.T) {
	each(func(o *schema.Object, f *schema.Field) {
		for _, v := range []string{f.Default, f.Fallback} {
			if got, err := f.Parse(v); err != nil || got != v {
				t.Errorf("%s.%s: %q became %q, %v", o.Name, f.Name, v, got, err)
			}
		}
		switch {
		case f.Default != "" && f.Fallback != "":
			t.Errorf("%s.%s has a default, so its fallback never counts", o.Name, f.Name)
		case f.Default != "" && f.Required:
			t.Errorf("%s.%s is always sent, so its default never counts", o.Name, f.Name)
		case f.Default != "" && o.Singleton:
			t.Errorf("%s.%s has a default, but nobody creates a singleton", o.Name, f.Name)
		case f.Default != "" && !f.Access.Stored():
			t.Errorf("%s.%s has a default and is not stored", o.Name, f.Name)
		case f.Default != "" && o.UsageFilter:
			t.Errorf("%s.%s has a default, so it would never inherit", o.Name, f.Name)
		}
	})
}

func TestValuesAndBoundsSuitTheirKind(t *testing.T) {
	each(func(o *schema.Object, f *schema.Field) {
		choice := f.Kind == schema.Choice || f.Kind == schema.URL
		if choice != (len(f.Values) > 0) {
			t.Errorf("%s.%s: values %q", o.Name, f.Name, f.Values)
		}
		for i, v := range f.Values {
			if got, err := f.Parse(v); f.Kind == schema.Choice && (err != nil || got != v) {
				t.Errorf("%s.%s: %q became %q, %v", o.Name, f.Name, v, got, err)
			}
			if slices.ContainsFunc(f.Values[:i], func(w string) bool { return strings.EqualFold(v, w) }) {
				t.Errorf("%s.%s has the value %s twice", o.Name, f.Name, v)
			}
		}
		sized := f.Kind == schema.Text || f.Kind == schema.Number || f.Kind == schema.URL
		if !sized && (f.Min != 0 || f.Max != 0) || f.Max != 0 && f.Min > f.Max || f.Min < 0 {
			t.Errorf("%s.%s: bounds %d to %d", o.Name, f.Name, f.Min, f.Max)
		}
		if f.Check.Look != nil && (f.Kind != schema.Text || f.Check.Name == "") {
			t.Errorf("%s.%s has a check that is never made, or has no name", o.Name, f.Name)
		}
	})
}

func TestTablesNameTheirOwnFields(t *testing.T) {
	for _, o := range schema.All() {
		stored := func(what, name string) {
			f := o.Field(name)
			if f == nil || f.Key() != name {
				t.Errorf("%s of %s names %q, which is no field", what, o.Name, name)
			} else if !f.Access.Stored() || f.Access == schema.Hidden {
				t.Errorf("%s of %s names %s, which is not stored, or must not be seen", what, o.Name, name)
			}
		}
		if len(o.Fields) > 0 {
			stored("order", o.Order)
		}
		for _, name := range o.Search {
			stored("search", name)
		}
		for _, name := range o.Lookup {
			stored("lookup", name)
		}
		params := []string{"offset", "limit", "filter", "usageFilter"}
		for _, f := range o.Filters {
			stored("filter "+f.Name, f.Field)
			if slices.Contains(params, f.Name) {
				t.Errorf("%s has the parameter %s twice", o.Name, f.Name)
			}
			params = append(params, f.Name)
		}
		for _, u := range o.Unique {
			for _, name := range u.Fields {
				stored("unique "+u.Name, name)
			}
		}
	}
}

// What shares an index must agree on what it compares, or the second type would not see the first.
func TestUniqueIndexesOfOneNameAgree(t *testing.T) {
	seen := map[string]schema.Unique{}
	for _, o := range schema.All() {
		for _, u := range o.Unique {
			if other, ok := seen[u.Name]; ok && (other.Fold != u.Fold || other.Within != u.Within || other.Code != u.Code) {
				t.Errorf("%s has another index %s than the types before it", o.Name, u.Name)
			}
			seen[u.Name] = u
			if u.Within == schema.Siblings && o.Parent == nil {
				t.Errorf("%s has no siblings for its index %s", o.Name, u.Name)
			}
		}
	}
}

func TestHelpIsOneSentence(t *testing.T) {
	sentence := func(where, s string) {
		first := []rune(s + " ")[0]
		if !unicode.IsUpper(first) || !strings.HasSuffix(s, ".") || strings.Count(s, ". ") > 0 || strings.ContainsAny(s, "\n\t|") {
			t.Errorf("%s: %q is not one sentence", where, s)
		}
		if len(s) > 200 {
			t.Errorf("%s: %d bytes of help are too many for a form", where, len(s))
		}
	}
	for _, o := range schema.All() {
		sentence(o.Name, o.Help)
	}
	each(func(o *schema.Object, f *schema.Field) { sentence(o.Name+"."+f.Name, f.Help) })
}

func TestVersionsAreVersions(t *testing.T) {
	version := regexp.MustCompile(`^([23]\.[0-9])?$`)
	for _, o := range schema.All() {
		if !version.MatchString(o.Since) {
			t.Errorf("%s came with %q", o.Name, o.Since)
		}
	}
	each(func(o *schema.Object, f *schema.Field) {
		if !version.MatchString(f.Since) || f.Since != "" && f.Since < o.Since {
			t.Errorf("%s.%s came with %q, the type with %q", o.Name, f.Name, f.Since, o.Since)
		}
	})
}

// Passcodes are shown by the API; what opens other systems is not. Messages about texts do not repeat them.
func TestPasswordsAreNeverShown(t *testing.T) {
	each(func(o *schema.Object, f *schema.Field) {
		name := strings.ToLower(f.Name)
		secret := strings.Contains(name, "password") || strings.Contains(name, "sharedsecret")
		if secret != (f.Access == schema.Hidden) {
			t.Errorf("%s.%s: hidden is %v", o.Name, f.Name, f.Access == schema.Hidden)
		}
		if f.Access == schema.Hidden && (f.Kind != schema.Text || f.Check.Look != nil || f.List || f.Empty) {
			t.Errorf("%s.%s would be seen in lists, or in messages", o.Name, f.Name)
		}
	})
}

func TestMethodsAndAccessAgree(t *testing.T) {
	for _, o := range schema.All() {
		if o.Singleton && (o.Missing != "" || o.Most != 0 || o.Parent != nil || o.Methods&schema.Delete != 0) {
			t.Errorf("%s is a singleton and has what only collections have", o.Name)
		}
		if !o.Singleton && o.Missing == "" {
			t.Errorf("%s has no failure for one that does not exist", o.Name)
		}
		if (o.Most == 0) != (o.TooMany == "") {
			t.Errorf("%s: at most %d, failure %q", o.Name, o.Most, o.TooMany)
		}
		if o.Methods&schema.Read == 0 {
			t.Errorf("%s cannot be read", o.Name)
		}
		for _, f := range o.Fields {
			writes := o.Methods&(schema.Create|schema.Update) != 0
			if settable := f.Access.Settable(true) || f.Access.Settable(false); settable && !writes {
				t.Errorf("%s.%s is set by clients, who cannot write", o.Name, f.Name)
			}
			if f.Required && !f.Access.Settable(true) {
				t.Errorf("%s.%s is required, and clients cannot send it", o.Name, f.Name)
			}
			if f.Group != "" && !o.Live {
				t.Errorf("%s.%s has a group, and only live objects are shown in groups", o.Name, f.Name)
			}
			if (f.List || f.Empty) && (f.Access == schema.Internal || f.Access == schema.OrderOnUpdate) {
				t.Errorf("%s.%s is shown, and nobody may see it", o.Name, f.Name)
			}
		}
	}
}

func TestOrdersAreActedUponAndNotKept(t *testing.T) {
	paths := map[string]bool{}
	for _, o := range schema.Orders() {
		if paths[o.Path] || o.Path == "" || o.Methods != schema.Create && o.Methods != schema.Update || o.Help == "" {
			t.Errorf("%s: path %q, methods %b, help %q", o.Name, o.Path, o.Methods, o.Help)
		}
		paths[o.Path] = true
		for i, f := range o.Fields {
			if f.Access != schema.Order || o.Field(strings.ToUpper(f.Name)) != &o.Fields[i] || f.Required || f.Default != "" {
				t.Errorf("%s.%s is no order", o.Name, f.Name)
			}
		}
	}
	for _, name := range []string{"rxAudioMute", "layout", "deactivated"} {
		of, one := schema.AllParticipants.Field(name), schema.Participant.Field(name)
		if of.Kind != one.Kind || !slices.Equal(of.Values, one.Values) {
			t.Errorf("%s: of all participants it is another one than of one", name)
		}
	}
}

func TestACallLegHasEveryFieldOfItsProfile(t *testing.T) {
	for _, live := range []*schema.Object{schema.CallLeg, schema.Participant} {
		for _, f := range schema.CallLegProfile.Fields {
			if f.Name == "name" {
				continue
			}
			got := live.Field(f.Name)
			switch {
			case got == nil || got.Group != "configuration" || !got.Access.Settable(false):
				t.Errorf("%s.%s: wanted it in the configuration, got %+v", live.Name, f.Name, got)
			case got.Kind != f.Kind || got.To != f.To || !slices.Equal(got.Values, f.Values) || got.Min != f.Min || got.Max != f.Max:
				t.Errorf("%s.%s: is of another kind than in the profile", live.Name, f.Name)
			case got.Fallback != "":
				t.Errorf("%s.%s: has the fallback %s, and would not take its profile's value", live.Name, f.Name, got.Fallback)
			}
		}
	}
}

func TestFieldsOfOneNameInTwoGroupsAreToldApart(t *testing.T) {
	o := schema.CallLeg
	if f := o.Field("direction"); f == nil || f.Group != "" {
		t.Errorf("direction: got %+v", f)
	}
	if f := o.Field("status/direction"); f == nil || f.Group != "status" {
		t.Errorf("status/direction: got %+v", f)
	}
	if f := o.Field("layoutTemplate"); f == nil || f.Access != schema.Plain {
		t.Errorf("layoutTemplate: wanted the one that clients send, got %+v", f)
	}
	main, presentation := o.Field("status/rxVideo role=main/codec"), o.Field("status/rxVideo role=presentation/codec")
	if main == nil || presentation == nil || main == presentation {
		t.Errorf("the codecs of two videos: got %p and %p", main, presentation)
	}
}

// failures are those that clients know (reference section 1). parameterError has attributes, and so is no Code.
var failures = strings.Fields(`
	accessMethodDoesNotExist callBrandingProfileDoesNotExist callBridgeDoesNotExist callBridgeGroupDoesNotExist callBridgeGroupUnavailable
	callBridgeUnavailable callDoesNotExist callRecordingCannotBeModified callStreamingCannotBeModified callLegCannotBeDeleted
	callLegDoesNotExist callLegProfileDoesNotExist callProfileDoesNotExist cdrReceiverDoesNotExist compatibilityProfileDoesNotExist
	coSpaceAccessMethodTemplateDoesNotExist coSpaceDoesNotExist coSpaceTemplateDoesNotExist coSpaceUserDoesNotExist databaseNotReady
	dialInSecurityProfileDoesNotExist directorySearchLocationDoesNotExist dtmfProfileDoesNotExist duplicateCallBridgeName
	duplicateCoSpaceId duplicateCoSpaceUri duplicateCoSpaceIdPasscode duplicateCoSpaceUriPasscode duplicateUserCoSpaceTemplate
	duplicateSipEndpointUri forwardingDialPlanRuleDoesNotExist inboundDialPlanRuleDoesNotExist inboundDialPlanRuleUriConflict
	invalidOperation invalidVersion ivrBrandingProfileDoesNotExist ivrDoesNotExist ivrUriConflict layoutTemplateDoesNotExist
	layoutTemplateDescriptionTooLong ldapMappingDoesNotExist ldapServerDoesNotExist ldapSourceDoesNotExist ldapSyncCannotBeCancelled
	ldapSyncDoesNotExist ldapUserCoSpaceTemplateSourceDoesNotExist loadBalancingDisabled messageDoesNotExist
	outboundDialPlanRuleDoesNotExist participantCannotBeDeleted participantCannotBeModified participantLimitReached
	passcodeTooShort recorderDoesNotExist recordingNotAllowedByLicensing streamerDoesNotExist streamingNotAllowedByLicensing
	sipEndpointDoesNotExist tenantDoesNotExist tenantGroupCoSpaceIdConflict tenantGroupDoesNotExist tenantParticipantLimitReached
	tooManyCdrReceivers tooManyLdapSyncs unrecognizedObject userCoSpaceTemplateDeletionProhibited userCoSpaceTemplateDoesNotExist
	userDoesNotExist userProfileDoesNotExist`)

func TestEveryFailureThatClientsKnowIsInOnePlace(t *testing.T) {
	places := failureConstants(t)
	missing := map[string]bool{}
	for _, o := range schema.All() {
		if o.Missing != "" {
			if missing[o.Missing] {
				t.Errorf("%s has the failure of another type, %s", o.Name, o.Missing)
			}
			missing[o.Missing] = true
			places[o.Missing]++
		}
		if o.TooMany != "" {
			places[o.TooMany]++
		}
	}
	// Types that share an index share its failure.
	for code := range uniqueCodes() {
		places[code]++
	}
	for _, code := range failures {
		if places[code] != 1 {
			t.Errorf("%s: wanted it in one place, got %d", code, places[code])
		}
	}
	for code, n := range places {
		if n > 1 {
			t.Errorf("%s is in %d places", code, n)
		}
	}
}

func uniqueCodes() map[string]bool {
	codes := map[string]bool{}
	for _, o := range schema.All() {
		for _, u := range o.Unique {
			if u.Code != "" {
				codes[u.Code] = true
			}
		}
	}
	return codes
}

// failureConstants counts the constants of type Code in package failure.
func failureConstants(t *testing.T) map[string]int {
	found := map[string]int{}
	for _, c := range failureCodes(t) {
		found[c.code]++
	}
	return found
}

type failureCode struct{ code, about string }

// failureCodes are those of package failure, each with the comment behind it.
func failureCodes(t *testing.T) (codes []failureCode) {
	file, err := parser.ParseFile(token.NewFileSet(), "../failure/failure.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		about := strings.TrimSpace(v.Comment.Text())
		if err != nil || about == "" {
			t.Errorf("%s: nothing says when it comes (%v)", v.Names[0], err)
		}
		codes = append(codes, failureCode{code, about})
		return true
	})
	return codes
}

func each(f func(*schema.Object, *schema.Field)) {
	for _, o := range slices.Concat(schema.All(), schema.Orders()) {
		for i := range o.Fields {
			f(o, &o.Fields[i])
		}
	}
}
