package prompt

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheTableKeepsItsRules(t *testing.T) {
	plain := regexp.MustCompile(`^[a-z]+(_[a-z0-9]+)*$`)
	seen := map[Name]bool{}
	for _, p := range All() {
		if !plain.MatchString(string(p.Name)) || seen[p.Name] {
			t.Errorf("%q: want a name of small letters, once", p.Name)
		}
		seen[p.Name] = true
		if got := strings.HasPrefix(string(p.Name), "ivr_"); got != (p.Kind == IVR) {
			t.Errorf("%s: kind %d does not fit the name", p.Name, p.Kind)
		}
		if p.When == "" || p.Text == "" && p.Name != CountAfter {
			t.Errorf("%s: has no words, or nobody knows when it is played", p.Name)
		}
		if p.Repeats && p.Pause == 0 {
			t.Errorf("%s: is repeated without a pause", p.Name)
		}
		if got, ok := Of(p.Name); !ok || got != p {
			t.Errorf("Of(%s) gives %+v, %v", p.Name, got, ok)
		}
	}
	if _, ok := Of("no_such_prompt"); ok {
		t.Error("a name that is not in the table has a row")
	}
	// People have recordings under these names (reference section 5.9).
	for _, n := range []Name{"call_join", "call_join_confirmation", "call_outgoing_welcome", "cospace_join", "cospace_join_confirmation",
		"cospace_outgoing_welcome", "disconnected", "meeting_ended", "meeting_recorded", "meeting_recording_ended", "meeting_streamed",
		"meeting_streaming_ended", "only_participant", "passcode_entry", "passcode_or_blank_required_entry", "passcode_or_blank_timeout_entry",
		"passcode_incorrect_try_again", "passcode_incorrect_final_attempt", "passcode_incorrect_goodbye", "timeout", "waiting_for_host", "welcome",
		"ivr_welcome", "ivr_id_entry", "ivr_id_incorrect_try_again", "ivr_id_incorrect_final_attempt", "ivr_id_incorrect_goodbye", "ivr_timeout"} {
		if !seen[n] {
			t.Errorf("%s is missing", n)
		}
	}
}

func TestNumbersAreSaidInParts(t *testing.T) {
	for n, want := range map[int]string{
		-1: "0", 0: "0", 1: "1", 20: "20", 21: "20 1", 30: "30", 99: "90 9", 100: "1 100", 101: "1 100 1", 312: "3 100 12", 999: "9 100 90 9",
		1000: "1 1000", 1001: "1 1000 1", 20_345: "20 1000 3 100 40 5", 999_999: "9 100 90 9 1000 9 100 90 9", 1 << 30: "9 100 90 9 1000 9 100 90 9",
	} {
		var got []string
		for _, p := range Number(n) {
			if _, ok := Of(p); !ok {
				t.Errorf("%d: %s is not in the table", n, p)
			}
			got = append(got, strings.TrimPrefix(string(p), "number_"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%d: want %s, got %s", n, want, strings.Join(got, " "))
		}
	}
	for n := range 2500 {
		for _, p := range Number(n) {
			if _, ok := Of(p); !ok {
				t.Fatalf("%d: %s is not in the table", n, p)
			}
		}
	}
	if want, got := []Name{CountBefore, "number_7", CountAfter}, Count(7); !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}
