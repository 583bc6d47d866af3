package keys

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/schema"
)

func TestActionsAreTheFieldsOfTheSchema(t *testing.T) {
	var fields, actions []string
	for _, f := range schema.DTMFProfile.Fields {
		if f.Name != "name" {
			fields = append(fields, f.Name)
		}
	}
	for _, a := range Actions {
		actions = append(actions, string(a))
	}
	slices.Sort(fields)
	slices.Sort(actions)
	if !slices.Equal(fields, actions) {
		t.Errorf("want the actions %v, got %v", fields, actions)
	}
}

// compile makes a map of lines such as "lockCall *5".
func compile(lines ...string) *Map {
	of := map[string]string{}
	for _, l := range lines {
		field, sequence, _ := strings.Cut(l, " ")
		of[field] = sequence
	}
	return Compile(func(field string) string { return of[field] })
}

// press feeds keys half a second apart, a comma being a Pause and "!" the time-out, and returns what came, a "|" after each key that
// brought something.
func press(m *Matcher, keys string) string {
	now := time.Unix(1_000_000, 0)
	var out []string
	for _, k := range keys {
		var done []Action
		switch k {
		case ',':
			now = now.Add(Pause)
			continue
		case '!':
			due, waits := m.Due()
			if !waits {
				out = append(out, "idle")
				continue
			}
			done = m.Timeout(due)
		default:
			now = now.Add(Pause / 4)
			done = m.Key(k, now)
		}
		for _, a := range done {
			out = append(out, string(a))
		}
		if len(done) > 0 {
			out = append(out, string(k))
		}
	}
	return strings.Join(out, " ")
}

func TestKeysMeanWhatTheProfileSays(t *testing.T) {
	plain := []string{"muteSelfAudio *6", "unmuteSelfAudio *7", "lockCall **5", "endCall **99#", "nextLayout 2", "getTotalParticipantCount #"}
	nested := []string{"muteSelfAudio *", "unmuteSelfAudio **", "lockCall *1", "endCall *123", "nextLayout 23"}
	for _, c := range []struct {
		profile    []string
		keys, want string
	}{
		{plain, "*6", "muteSelfAudio 6"},
		{plain, "*6*7", "muteSelfAudio 6 unmuteSelfAudio 7"},
		{plain, "2", "nextLayout 2"},
		{plain, "222", "nextLayout 2 nextLayout 2 nextLayout 2"},
		{plain, "13*6", "muteSelfAudio 6"},
		{plain, "**5", "lockCall 5"},
		{plain, "***5", "lockCall 5"},
		{plain, "**6", "muteSelfAudio 6"},
		{plain, "*2", "nextLayout 2"},
		{plain, "**99*6", "muteSelfAudio 6"},
		{plain, "**992", "nextLayout 2"},
		{plain, "**99#", "endCall #"},
		{plain, "#", "getTotalParticipantCount #"},
		{plain, "*,6", ""},
		{plain, "*!6", ""},
		{plain, "x\u066D*é6", "muteSelfAudio 6"},
		{plain, "!", "idle"},
		{nested, "*!", "muteSelfAudio !"},
		{nested, "*,*!", "muteSelfAudio * muteSelfAudio !"},
		{nested, "**", "unmuteSelfAudio *"},
		{nested, "*1!", "lockCall !"},
		{nested, "*123", "endCall 3"},
		{nested, "*124", "lockCall 4"},
		{nested, "*12!", "lockCall !"},
		{nested, "*12*!", "lockCall * muteSelfAudio !"},
		{nested, "*122!", "lockCall 2"},
		{nested, "*1223", "lockCall 2 nextLayout 3"},
		{nested, "*9", "muteSelfAudio 9"},
		{nested, "***!", "unmuteSelfAudio * muteSelfAudio !"},
		{nil, "*123#!", "idle"},
		{[]string{"muteSelfAudio A", "endCall xyz", "lockCall " + strings.Repeat("1", 33)}, "a11", "muteSelfAudio a"},
	} {
		if got := press(compile(c.profile...).Matcher(), c.keys); got != c.want {
			t.Errorf("%v, keys %q: want %q, got %q", c.profile, c.keys, c.want, got)
		}
	}
}

func TestASequenceOfTwoActionsIsTheFirstOnes(t *testing.T) {
	m := compile("unlockCall *5", "lockCall *5", "endCall *6")
	if want := []Clash{{"*5", Lock, Unlock}}; !slices.Equal(m.Clashes(), want) {
		t.Errorf("want the clash %v, got %v", want, m.Clashes())
	}
	if got := press(m.Matcher(), "*5"); got != "lockCall 5" {
		t.Errorf("want lockCall, got %q", got)
	}
}

func TestMatchersOfOneMapDoNotMeet(t *testing.T) {
	m := compile("muteSelfAudio *6")
	a, b := m.Matcher(), m.Matcher()
	now := time.Unix(1, 0)
	a.Key('*', now)
	if got := b.Key('6', now); got != nil {
		t.Errorf("want nothing, got %v", got)
	}
	if got := a.Key('6', now); !slices.Equal(got, []Action{MuteSelf}) {
		t.Errorf("want muteSelfAudio, got %v", got)
	}
}

// FuzzKeys checks every feed against the rule written plainly: cut the feed into groups by time, and in each group take the longest
// sequence from the left, or drop a key.
func FuzzKeys(f *testing.F) {
	f.Add("*6", "**", "*66", "**66*6*,6")
	f.Add("1", "12", "123", "1212312")
	f.Fuzz(func(t *testing.T, a, b, c, feed string) {
		if len(feed) > 500 {
			return
		}
		profile := []struct {
			Action
			keys string
		}{{MuteSelf, a}, {Lock, b}, {EndCall, c}}
		m := Compile(func(field string) string {
			for _, p := range profile {
				if string(p.Action) == field {
					return p.keys
				}
			}
			return ""
		})
		k := m.Matcher()
		now := time.Unix(1, 0)
		var got, want []Action
		var group strings.Builder
		flush := func() {
			for rest := group.String(); rest != ""; {
				longest := 0
				var action Action
				for _, p := range profile {
					if len(p.keys) > longest && len(p.keys) <= maxKeys && strings.Trim(p.keys, tones) == "" && strings.HasPrefix(rest, p.keys) {
						longest, action = len(p.keys), p.Action
					}
				}
				if longest > 0 {
					want = append(want, action)
				}
				rest = rest[max(longest, 1):]
			}
			group.Reset()
		}
		for _, r := range feed {
			if r == ',' {
				now = now.Add(Pause)
				flush()
				continue
			}
			got = append(got, k.Key(r, now)...)
			if r >= 'a' && r <= 'd' {
				r += 'A' - 'a'
			}
			if strings.ContainsRune(tones, r) {
				group.WriteRune(r)
			}
			if len(k.pending) > maxKeys {
				t.Fatalf("%d keys wait", len(k.pending))
			}
		}
		got = append(got, k.Timeout(now.Add(Pause))...)
		flush()
		if !slices.Equal(got, want) {
			t.Errorf("sequences %q %q %q, keys %q: want %v, got %v", a, b, c, feed, want, got)
		}
	})
}
