package schema_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"rotunda/services/callbridge/schema"
)

func TestParse(t *testing.T) {
	const id = "7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11"
	tests := []struct {
		object *schema.Object
		field  string
		sent   string
		want   string
		// wrong is a part of the message, when the value is refused.
		wrong string
	}{
		{schema.CoSpace, "name", "Board room", "Board room", ""},
		{schema.CoSpace, "name", "", "", ""},
		{schema.CoSpace, "name", "a\x00b", "", "not valid UTF-8"},
		{schema.CoSpace, "name", "a\xff", "", "not valid UTF-8"},
		{schema.CoSpace, "name", strings.Repeat("ä", 100), strings.Repeat("ä", 100), ""},
		{schema.CoSpace, "name", strings.Repeat("ä", 101), "", "name has 202 bytes: use 0 to 200"},
		{schema.CoSpace, "uri", "board.room", "board.room", ""},
		{schema.CoSpace, "uri", "board@example.com", "", "without @"},
		{schema.CoSpace, "uri", "board room", "", "no white space"},
		{schema.CoSpace, "callId", "88001", "88001", ""},
		{schema.CoSpace, "callId", "88-001", "", "digits 0 to 9"},
		{schema.CoSpace, "nonMemberAccess", "True", "true", ""},
		{schema.CoSpace, "nonMemberAccess", "off", "false", ""},
		{schema.CoSpace, "nonMemberAccess", "maybe", "", `nonMemberAccess is "maybe": use true or false`},
		{schema.CoSpace, "nonMemberAccess", " true\r\n", "true", ""},
		{schema.CoSpace, "nonMemberAccess", " ", "", "use true or false"},
		{schema.CoSpace, "panePlacementSelfPaneMode", "unset", "", ""},
		{schema.CallProfile, "chatAllowed", "Unset", "", ""},
		{schema.CallProfile, "participantLimit", "unset", "", "use a number"},
		{schema.CallProfile, "participantLimit", "12\r", "12", ""},
		{schema.CoSpace, "name", "unset", "unset", ""},
		{schema.CoSpace, "tenant", id + "\r", id, ""},
		{schema.CoSpace, "tenant", strings.ToUpper(id), id, ""},
		{schema.CoSpace, "tenant", "{" + id + "}", "", "use an ID such as"},
		{schema.CoSpace, "tenant", "17", "", "use an ID such as"},
		{schema.CoSpace, "defaultLayout", "ALLEQUAL", "allEqual", ""},
		{schema.CoSpace, "defaultLayout", "grid", "", "use allEqual, speakerOnly"},
		{schema.CoSpace, "streamUrl", "rtmps://live.example.com/app/key", "rtmps://live.example.com/app/key", ""},
		{schema.CoSpace, "streamUrl", "https://live.example.com", "", "begins with rtmp:// or rtmps://"},
		{schema.CoSpace, "streamUrl", "rtmp:///app", "", "begins with rtmp:// or rtmps://"},
		{schema.CoSpace, "panePlacementHighestImportance", "007", "7", ""},
		{schema.CoSpace, "panePlacementHighestImportance", "0", "", "use a number from 1 to 2147483647"},
		{schema.AccessMethod, "importance", "2147483648", "", "use a number from 0 to 2147483647"},
		{schema.OutboundDialPlanRule, "domain", "*.com", "*.com", ""},
		{schema.OutboundDialPlanRule, "domain", "sip:example.com@x", "", "the domain alone"},
		{schema.OutboundDialPlanRule, "sipProxy", "vcs.example.com:5061", "vcs.example.com:5061", ""},
		{schema.OutboundDialPlanRule, "sipProxy", "10.1.2.3", "10.1.2.3", ""},
		{schema.OutboundDialPlanRule, "sipProxy", "2001:db8::1", "2001:db8::1", ""},
		{schema.OutboundDialPlanRule, "sipProxy", "[2001:db8::1]:5060", "[2001:db8::1]:5060", ""},
		{schema.OutboundDialPlanRule, "sipProxy", "vcs:99999", "", "1 to 65535"},
		{schema.OutboundDialPlanRule, "sipProxy", ":5060", "", "give a host"},
		{schema.OutboundDialPlanRule, "sipProxy", "[vcs]:5060", "", "give a host"},
		{schema.InboundDialPlanRule, "domain", "*.com", "", "wildcard cannot stand here"},
		{schema.InboundDialPlanRule, "domain", "10.1.2.3", "10.1.2.3", ""},
		{schema.ForwardingDialPlanRule, "matchPattern", "exa*.com", "exa*.com", ""},
		{schema.ForwardingDialPlanRule, "matchPattern", "*", "", "in circles"},
		{schema.ForwardingDialPlanRule, "matchPattern", "***", "", "in circles"},
		{schema.DTMFProfile, "lockCall", "*9", "*9", ""},
		{schema.DTMFProfile, "lockCall", "lock", "", "use the tones"},
		{schema.LDAPServer, "portNumber", "636", "636", ""},
		{schema.LDAPServer, "portNumber", "0", "", "1 to 65535"},
		{schema.LDAPServer, "address", "ldap.example.com:636", "", "without a port"},
		{schema.LDAPServer, "address", "ldaps://ldap.example.com", "", "give the host alone, without user part and scheme"},
		{schema.LDAPServer, "address", "2001:db8::1", "2001:db8::1", ""},
		{schema.BulkParameterSet, "coSpaceUriMapping", "room$index$", "room$index$", ""},
		{schema.BulkParameterSet, "coSpaceUriMapping", "room$index$@x", "", "without @"},
		{schema.BulkParameterSet, "coSpaceNameMapping", `for \$5, number $index$ \\`, `for \$5, number $index$ \\`, ""},
		{schema.BulkParameterSet, "coSpaceNameMapping", "$index$ of $index$", "", "once"},
		{schema.BulkParameterSet, "coSpaceNameMapping", "$5", "", `written \$`},
		{schema.BulkParameterSet, "coSpaceNameMapping", `a\`, "", "after a backslash"},
		{schema.AccessMethodTemplate, "uriGenerator", "$.meet", "$.meet", ""},
		{schema.AccessMethodTemplate, "uriGenerator", "meet", "", "exactly one $"},
		{schema.AccessMethodTemplate, "uriGenerator", "$ meet", "", "letters a to z"},
		{schema.CallBridge, "address", "https://cms2.example.com:445", "https://cms2.example.com:445", ""},
		{schema.CallBridge, "address", "cms2.example.com", "", "begins with https://"},
		{schema.WebBridge, "url", "c2w://edge.example.com:9999", "c2w://edge.example.com:9999", ""},
		{schema.Call, "messageDuration", "permanent", "permanent", ""},
		{schema.Call, "messageDuration", "5s", "", "seconds, or permanent"},
		{schema.Call, "messageBannerText", "one\ntwo", "", "line break"},
		{schema.CallSettings, "audioPacketSizeMs", "40", "40", ""},
		{schema.CallSettings, "audioPacketSizeMs", "30", "", "use 10, 20, 40"},
		{schema.CallSettings, "resourcePriority", "q735.3", "q735.3", ""},
		{schema.CallSettings, "resourcePriority", "high", "", "a namespace, a dot and a value"},
	}
	for _, test := range tests {
		f := test.object.Field(test.field)
		if f == nil {
			t.Errorf("%s has no field %s", test.object.Name, test.field)
			continue
		}
		got, err := f.Parse(test.sent)
		switch {
		case test.wrong == "" && (err != nil || got != test.want):
			t.Errorf("%s.%s %q: wanted %q, got %q, %v", test.object.Name, f.Name, test.sent, test.want, got, err)
		case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong) || got != ""):
			t.Errorf("%s.%s %q: wanted a refusal with %q, got %q, %v", test.object.Name, f.Name, test.sent, test.wrong, got, err)
		}
	}
}

func TestAListOfIDsHasAtMostTwenty(t *testing.T) {
	const id = "7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11"
	list := strings.TrimSuffix(strings.Repeat(id+",", 20), ",")
	if err := schema.IDList.Look(list); err != nil {
		t.Errorf("20 IDs: %v", err)
	}
	for _, wrong := range []string{list + "," + id, id + ", " + id, id + ",", "me"} {
		if schema.IDList.Look(wrong) == nil {
			t.Errorf("%.60s…: wanted a refusal", wrong)
		}
	}
}

func TestAMessageDoesNotRepeatALongValue(t *testing.T) {
	_, err := schema.CoSpace.Field("nonMemberAccess").Parse(strings.Repeat("ä", 5000))
	if err == nil || len(err.Error()) > 200 || !utf8.ValidString(err.Error()) {
		t.Errorf("got a message of %d bytes: %.300v", len(err.Error()), err)
	}
}

// What Parse gives is what is stored, and what is stored is read back by Parse: it must be the same again, within its bounds.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "true", "On", "20", "-1", "+7", "9999999999999999999", "*.com", "exa*.com", "[::1]:5060", "$index$", `\$`, "a@b",
		"7D2C3A5E-4A0C-4B1F-9E54-0D4F5A9F4A11", "urn:uuid:7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11", "https://a/", "https://%zz", "rtmp://[::1", "permanent",
		"2026-01-31T12:00:00Z", "allequal", "q735.3", "\x00", "\xff", "ſip", "K"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		each(func(o *schema.Object, field *schema.Field) {
			got, err := field.Parse(s)
			if err != nil {
				if got != "" || !utf8.ValidString(err.Error()) || len(err.Error()) > 1000 {
					t.Fatalf("%s.%s %q: got %q with %q", o.Name, field.Name, s, got, err)
				}
				return
			}
			if again, err := field.Parse(got); err != nil || again != got {
				t.Fatalf("%s.%s %q became %q, which became %q, %v", o.Name, field.Name, s, got, again, err)
			}
			word := (field.Kind == schema.Bool || field.Kind == schema.Choice) && strings.EqualFold(strings.TrimSpace(s), "unset")
			if (got == "") != (s == "" || word) {
				t.Fatalf("%s.%s %q became %q", o.Name, field.Name, s, got)
			}
			if field.Max != 0 && field.Kind == schema.Text && int64(len(got)) > field.Max {
				t.Fatalf("%s.%s: %d bytes, of at most %d", o.Name, field.Name, len(got), field.Max)
			}
		})
	})
}
