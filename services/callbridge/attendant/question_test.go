package attendant

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/store"
)

// run drives a dialogue by a script: keys, "p" for the end of the prompts, "t" for a time-out. It returns what every Step says, in short.
func run(t *testing.T, d Dialogue, script string) (steps []string, last Step) {
	t.Helper()
	last = d.Begin()
	steps = append(steps, short(last))
	for _, c := range script {
		ended := last.Over()
		switch c {
		case 'p':
			last = d.Played()
		case 't':
			last = d.Timeout()
		default:
			last = d.Key(c)
		}
		if ended && (last.Over() || last.Say != nil || last.Wait != 0) {
			t.Errorf("%q: the dialogue was over, and went on: %+v", script, last)
		}
		steps = append(steps, short(last))
	}
	return steps, last
}

// short is a Step as "say+say loop hush wait=1s [digits] =outcome".
func short(s Step) string {
	var l []string
	if s.Say != nil {
		var names []string
		for _, n := range s.Say {
			names = append(names, string(n))
		}
		l = append(l, strings.Join(names, "+"))
	}
	if s.Loop {
		l = append(l, "loop")
	}
	if s.Hush {
		l = append(l, "hush")
	}
	if s.Wait != 0 && s.Wait != longestPrompt {
		l = append(l, s.Wait.String())
	}
	if s.Digits != "" {
		l = append(l, "["+s.Digits+"]")
	}
	switch {
	case s.Done != nil:
		l = append(l, "=done "+nameOf(*s.Done))
	case s.Found != nil:
		l = append(l, "=found "+s.Number)
	case s.Joined:
		l = append(l, "=joined")
	case s.End != "":
		l = append(l, "="+string(s.End))
	}
	return strings.Join(l, " ")
}

func nameOf(e Entry) string { return e.by().Text("name") }

func wantSteps(t *testing.T, script string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%q: want\n\t%s\ngot\n\t%s", script, strings.Join(want, "\n\t"), strings.Join(got, "\n\t"))
	}
}

// meetings finds the ID 4711.
func meetings(asked *[]string) MenuOptions {
	return MenuOptions{Find: func(number string) []Entry {
		if asked != nil {
			*asked = append(*asked, number)
		}
		if number == "4711" {
			return []Entry{{Space: &store.Record{}}}
		}
		return nil
	}}
}

func TestAMenuFindsTheMeeting(t *testing.T) {
	var asked []string
	script := "p4711#"
	steps, last := run(t, NewMenu(meetings(&asked)), script)
	wantSteps(t, script, steps, "ivr_welcome+ivr_id_entry", "10s", "hush 6s [4]", "hush 6s [47]", "hush 6s [471]", "hush 6s [4711]", "hush =found 4711")
	if len(last.Found) != 1 || !slices.Equal(asked, []string{"4711"}) {
		t.Errorf("want one entry for one question, got %d for %v", len(last.Found), asked)
	}
}

func TestAMenuLetsPeopleInterruptIt(t *testing.T) {
	for script, want := range map[string]string{
		"4711#":        "hush =found 4711", // while the welcome is played
		"p47*4711#":    "hush =found 4711", // * begins anew
		"p4711t":       "hush =found 4711", // without #
		"p99#4711#":    "hush =found 4711", // while the second question is played
		"p99#p98#4711": "hush 6s [4711]",
		"ptp4711#":     "hush =found 4711",
		"t4711#":       "hush =found 4711", // nobody told that the welcome is through
		"p4*t4711#":    "hush =found 4711",
	} {
		steps, _ := run(t, NewMenu(meetings(nil)), script)
		if got := steps[len(steps)-1]; got != want {
			t.Errorf("%q: want %q at the end, got %q", script, want, got)
		}
	}
}

func TestLettersAreNoPartOfAnID(t *testing.T) {
	steps, _ := run(t, NewMenu(meetings(nil)), "p4A7x1\u06601#")
	if got := steps[len(steps)-1]; got != "hush =found 4711" {
		t.Errorf("want the meeting, got %q", got)
	}
}

func TestTheThirdWrongIDEndsTheCall(t *testing.T) {
	script := "p1#p2#p3#p"
	steps, last := run(t, NewMenu(meetings(nil)), script)
	wantSteps(t, script, steps, "ivr_welcome+ivr_id_entry", "10s", "hush 6s [1]", "ivr_id_incorrect_try_again", "10s", "hush 6s [2]", "ivr_id_incorrect_final_attempt",
		"10s", "hush 6s [3]", "ivr_id_incorrect_goodbye", "=ivrUnknownCall")
	if last.End != UnknownCall {
		t.Errorf("want the end, got %+v", last)
	}
}

func TestSilenceIsAskedThreeTimes(t *testing.T) {
	script := "ptptptp"
	steps, _ := run(t, NewMenu(meetings(nil)), script)
	wantSteps(t, script, steps, "ivr_welcome+ivr_id_entry", "10s", "ivr_id_entry", "10s", "ivr_id_entry", "10s", "ivr_timeout", "=ivrTimeout")
	// # alone is no answer either.
	script = "p#p#p#p"
	steps, _ = run(t, NewMenu(meetings(nil)), script)
	wantSteps(t, script, steps, "ivr_welcome+ivr_id_entry", "10s", "ivr_id_entry", "10s", "ivr_id_entry", "10s", "ivr_timeout", "=ivrTimeout")
}

func TestGoodbyeIsNotInterrupted(t *testing.T) {
	steps, _ := run(t, NewMenu(meetings(nil)), "1#2#3#4711#t")
	if got := steps[len(steps)-1]; got != "=ivrUnknownCall" {
		t.Errorf("want the end, got %q", got)
	}
}

func TestAMachineThatPressesKeysIsEnded(t *testing.T) {
	m := NewMenu(meetings(nil))
	m.Begin()
	for i := range 10 * maxKeys {
		if s := m.Key('*'); s.Say != nil {
			if i != maxKeys || s.Say[0] != prompt.IVRTimeout {
				t.Fatalf("key %d: want goodbye after %d keys, got %+v", i, maxKeys, s)
			}
			return
		}
	}
	t.Fatal("it goes on for ever")
}

func TestScreensShowWhatToDo(t *testing.T) {
	m := NewMenu(meetings(nil))
	for i, want := range []string{"Enter the meeting ID, then #", "No such meeting. Try again, then #", "No such meeting. Last attempt, then #"} {
		if i == 0 {
			if s := m.Begin(); s.Screen != want {
				t.Errorf("want %q, got %q", want, s.Screen)
			}
			continue
		}
		m.Key('1')
		if s := m.Key('#'); s.Screen != want || s.Digits != "" {
			t.Errorf("want %q, got %q with %q", want, s.Screen, s.Digits)
		}
	}
}

func TestTelephonesAreAskedToConfirm(t *testing.T) {
	for _, c := range []struct {
		confirmation string
		video, want  bool
	}{{"true", true, true}, {"true", false, true}, {"false", false, false}, {"false", true, false}, {"", true, false}, {"", false, true}} {
		if got := Asks(c.confirmation, c.video); got != c.want {
			t.Errorf("confirmation %q, video %v: want %v, got %v", c.confirmation, c.video, c.want, got)
		}
	}
	for _, c := range []struct {
		space  bool
		script string
		want   []string
	}{
		{true, "p1", []string{"cospace_outgoing_welcome", "cospace_join_confirmation loop 1m0s", "hush =joined"}},
		{false, "p1", []string{"call_outgoing_welcome", "call_join_confirmation loop 1m0s", "hush =joined"}},
		{false, "1p", []string{"call_outgoing_welcome", "hush =joined", ""}},
		{true, "2#px*1", []string{"cospace_outgoing_welcome", "", "", "cospace_join_confirmation loop 1m0s", "", "", "hush =joined"}},
		{true, "pptp", []string{"cospace_outgoing_welcome", "cospace_join_confirmation loop 1m0s", "", "timeout", "=confirmationTimeOut"}},
		{true, "tt1t", []string{"cospace_outgoing_welcome", "cospace_join_confirmation loop 1m0s", "timeout", "", "=confirmationTimeOut"}},
	} {
		steps, _ := run(t, NewConfirm(c.space), c.script)
		wantSteps(t, c.script, steps, c.want...)
	}
}

// failing is a Limiter of a fixed answer that counts.
type failing struct {
	allow        bool
	asked, wrong int
	sources      map[string]bool
}

func (f *failing) Allow(source string) bool { f.asked++; f.see(source); return f.allow }
func (f *failing) Wrong(source string)      { f.wrong++; f.see(source) }
func (f *failing) see(source string) {
	if f.sources == nil {
		f.sources = map[string]bool{}
	}
	f.sources[source] = true
}

func TestWhoGuessesTooOftenHearsTheSameAsWhoIsWrong(t *testing.T) {
	limiter := &failing{}
	o := meetings(nil)
	o.Limiter, o.Source = limiter, "192.0.2.1"
	script := "p4711#p4711#p4711#p"
	steps, _ := run(t, NewMenu(o), script)
	if got := steps[len(steps)-1]; got != "=ivrUnknownCall" || limiter.asked != 3 || limiter.wrong != 3 || len(limiter.sources) != 1 || !limiter.sources["192.0.2.1"] {
		t.Errorf("want the end and three guesses of 192.0.2.1, got %q, %+v", got, limiter)
	}
	limiter.allow = true
	limiter.wrong = 0
	if steps, _ := run(t, NewMenu(o), "p4711#"); steps[len(steps)-1] != "hush =found 4711" || limiter.wrong != 0 {
		t.Errorf("want the meeting and no wrong guess, got %q, %+v", steps[len(steps)-1], limiter)
	}
}

func TestGuessesComeBackWithTime(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	g := NewGuesses(GuessOptions{Burst: 3, Every: time.Minute, Most: 3, Now: func() time.Time { return now }})
	count := func(source string) (n int) {
		for g.Allow(source) && n < 100 {
			g.Wrong(source)
			n++
		}
		return n
	}
	if got := count("a"); got != 3 {
		t.Errorf("want 3 wrong guesses at once, got %d", got)
	}
	if !g.Allow("b") {
		t.Error("what a did is counted against b")
	}
	now = now.Add(59 * time.Second)
	if g.Allow("a") {
		t.Error("one guess came back too early")
	}
	now = now.Add(time.Second)
	if got := count("a"); got != 1 {
		t.Errorf("after a minute: want 1 guess, got %d", got)
	}
	for range 50 {
		g.Wrong("a")
	}
	now = now.Add(3 * time.Minute)
	if got := count("a"); got != 3 {
		t.Errorf("after three minutes: want 3 guesses, got %d", got)
	}
	// A clock that goes back gives nothing back.
	now = now.Add(-time.Hour)
	if g.Allow("a") {
		t.Error("a clock that went back gave a guess")
	}
}

func TestOnlySoManySourcesAreRemembered(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	g := NewGuesses(GuessOptions{Burst: 3, Most: 100, Now: func() time.Time { return now }})
	for range 3 {
		g.Wrong("hostile")
	}
	for i := range 1000 {
		g.Wrong(fmt.Sprint(i))
	}
	if len(g.by) > 100 {
		t.Errorf("%d sources are remembered, want at most 100", len(g.by))
	}
	if g.Allow("hostile") {
		t.Error("whoever guesses most was forgotten")
	}
}
