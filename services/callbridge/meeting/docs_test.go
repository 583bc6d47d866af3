package meeting

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"rotunda/services/callbridge/schema"
)

// TestThePageNamesFieldsThatThereAre takes what looks like a field on the page by its word.
func TestThePageNamesFieldsThatThereAre(t *testing.T) {
	page, err := os.ReadFile("../../../docs/meetings.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, o := range []*schema.Object{schema.Call, schema.Participant, schema.CallLeg, schema.CallProfile, schema.CallLegProfile, schema.DTMFProfile, schema.CoSpace,
		schema.Tenants, schema.Profiles, schema.AccessMethod} {
		for _, f := range o.Fields {
			known[f.Name] = true
			for _, v := range f.Values {
				known[v] = true
			}
		}
	}
	for _, word := range []string{"participantLimitReached", "tenantParticipantLimitReached", "callRecordingCannotBeModified", "callMoved", "retrying", "connecting", "active"} {
		known[word] = true
	}
	field := regexp.MustCompile("`([a-z]+[A-Z][A-Za-z]+|[a-z]+)(=[a-z]+)?`")
	found := 0
	for _, m := range field.FindAllStringSubmatch(string(page), -1) {
		if name := m[1]; !known[name] && strings.ToLower(name) != name {
			t.Errorf("the page speaks of %s, which no object has", name)
		}
		found++
	}
	if found < 80 {
		t.Errorf("only %d fields were found", found)
	}
	for _, o := range []*schema.Object{schema.DTMFProfile} {
		for _, f := range o.Fields {
			if strings.Contains(f.Name, "ute") && !strings.Contains(string(page), "`"+f.Name+"`") {
				t.Errorf("the page does not speak of %s", f.Name)
			}
		}
	}
}
