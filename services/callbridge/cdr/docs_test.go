package cdr

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"rotunda/services/callbridge/meeting"
)

const page = "../../../docs/reference/cdr.md"

const opening = `# Call detail records

Made from the table in services/callbridge/cdr; ` + "`go generate ./services/callbridge/cdr`" + ` writes it anew. How to receive them: [../cdr.md](../cdr.md).

A document is one POST and has one or more records:

    <?xml version="1.0"?><records session="…" callBridge="…"><record type="…" time="…" recordIndex="…" correlatorIndex="…">
    <call id="…">…</call></record>
    </records>

| attribute | |
|---|---|
| ` + "`session`" + ` | drawn anew when the Call Bridge starts; the same for all receivers |
| ` + "`callBridge`" + ` | the ID of the Call Bridge, in a cluster |
| ` + "`time`" + ` | UTC, in whole seconds |
| ` + "`recordIndex`" + ` | from 1, for each receiver; without a hole |
| ` + "`correlatorIndex`" + ` | from 0, the same for all receivers; with the session, it names a record |
| ` + "`numPreceedingRecordsMissing`" + ` | how many records before this one were discarded for this receiver; left out when none were |

IDs are those of the API. An element whose value is not known is left out, and so is what is marked with *true* when it is not so.
`

func TestReferencePageIsWhatTheTableSays(t *testing.T) {
	want := reference()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the table says (%v): run go generate ./services/callbridge/cdr", page, err)
	}
}

func reference() string {
	var b strings.Builder
	b.WriteString(opening)
	for _, r := range Types() {
		fmt.Fprintf(&b, "\n## %s\n\n%s Element `%s` with its `id`.", r.Name, r.Help, r.Child)
		if r.Since != "" {
			fmt.Fprintf(&b, " Since %s.", r.Since)
		}
		b.WriteString("\n")
		if len(r.Fields) > 0 {
			b.WriteString("\n| element | | since |\n|---|---|---|\n")
			rows(&b, "", r.Fields)
		}
	}
	b.WriteString("\n## Reasons\n\nWhy a leg ended:\n\n")
	for _, r := range reasons {
		fmt.Fprintf(&b, "- `%s`\n", r)
	}
	return b.String()
}

func rows(b *strings.Builder, above string, fields []Field) {
	for _, f := range fields {
		fmt.Fprintf(b, "| %s`%s` | %s | %s |\n", above, f.Name, f.From, f.Since)
		rows(b, above+"`"+f.Name+"/` ", f.Inner)
	}
}

// reasons are all those of reference section 3, in its order.
var reasons = []meeting.Reason{
	meeting.APITeardown, meeting.CallDeactivated, meeting.CallEnded, meeting.CallMoved, meeting.ClientTeardown, meeting.ConfirmationTimeOut,
	meeting.DNSFailure, meeting.EncryptionRequired, meeting.Failed, meeting.IncorrectPasscode, meeting.MenuTimeout, meeting.MenuUnknownCall,
	meeting.LocalTeardown, meeting.ParticipantLimit, meeting.RemoteBusy, meeting.RemoteRejected, meeting.RemoteTeardown, meeting.RingingTimeout,
	meeting.TenantLimit, meeting.TimedOut, meeting.UnknownDestination,
}

func TestTheTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Types() {
		if seen[r.Name] {
			t.Errorf("%s is there twice", r.Name)
		}
		seen[r.Name] = true
		if r.Child == "" || r.Help == "" || r.id == nil {
			t.Errorf("%s: want an element, a sentence and an ID", r.Name)
		}
		check(t, r.Name, r.Fields)
	}
	if len(seen) != 9 {
		t.Errorf("want nine types, got %d", len(seen))
	}
}

func check(t *testing.T, at string, fields []Field) {
	names := map[string]bool{}
	for _, f := range fields {
		sources := 0
		for _, has := range []bool{f.value != nil, f.flag != nil, f.write != nil, len(f.Inner) > 0} {
			if has {
				sources++
			}
		}
		if names[f.Name] || f.From == "" || sources != 1 {
			t.Errorf("%s/%s: want it once, with a sentence and one source", at, f.Name)
		}
		names[f.Name] = true
		check(t, at+"/"+f.Name, f.Inner)
	}
}
