package attendant

import (
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// passcodeScene has a space for each kind of passcodes: its ways by its address.
func passcodeScene(t testing.TB) map[string][]Entry {
	s := open(t)
	scene := map[string][]Entry{}
	for uri, ways := range map[string][][2]string{
		"free":   {{"space", ""}},
		"closed": {{"space", "1234"}},
		"both":   {{"space", "1111"}, {"host", "2222"}, {"guest", "333"}},
		"mixed":  {{"space", ""}, {"host", "9876"}},
		"star":   {{"space", "12*4"}},
		"long":   {{"space", strings.Repeat("7", 100)}},
	} {
		var of *store.Record
		for i, w := range ways {
			if i == 0 {
				of = space(t, s, "name", w[0], "uri", uri, "passcode", w[1])
				continue
			}
			method(t, s, of, "name", w[0], "uri", uri, "passcode", w[1])
		}
		if scene[uri] = Entries(s, uri, store.ID{}); len(scene[uri]) != len(ways) {
			t.Fatalf("%s: want %d ways, got %d", uri, len(ways), len(scene[uri]))
		}
	}
	return scene
}

func TestPasscodesChooseTheWayIn(t *testing.T) {
	scene := passcodeScene(t)
	for _, c := range []struct {
		uri    string
		waits  bool
		script string
		want   []string
	}{
		{"free", false, "", []string{"=done space"}},
		{"free", true, "1#", []string{"=done space", "", ""}},
		{"closed", false, "p1234#", []string{"passcode_entry", "10s", "hush 6s [•]", "hush 6s [••]", "hush 6s [•••]", "hush 6s [••••]", "hush =done space"}},
		{"closed", true, "p1*1234#", []string{"passcode_entry", "10s", "hush 6s [•]", "hush 6s", "hush 6s [•]", "hush 6s [••]", "hush 6s [•••]", "hush 6s [••••]", "hush =done space"}},
		{"closed", false, "p#", []string{"passcode_entry", "10s", "passcode_entry"}},
		{"closed", true, "ptp", []string{"passcode_entry", "10s", "passcode_entry", "10s"}},
		{"closed", false, "p1#p12#p12345#p", []string{"passcode_entry", "10s", "hush 6s [•]", "passcode_incorrect_try_again", "10s", "hush 6s [•]", "hush 6s [••]",
			"passcode_incorrect_final_attempt", "10s", "hush 6s [•]", "hush 6s [••]", "hush 6s [•••]", "hush 6s [••••]", "hush 6s [•••••]", "passcode_incorrect_goodbye", "=incorrectPasscode"}},
		{"closed", false, "ptptptp", []string{"passcode_entry", "10s", "passcode_entry", "10s", "passcode_entry", "10s", "timeout", "=timeout"}},
		{"both", false, "1111#", []string{"passcode_entry", "hush 6s [•]", "hush 6s [••]", "hush 6s [•••]", "hush 6s [••••]", "hush =done space"}},
		{"both", false, "2222#", []string{"passcode_entry", "hush 6s [•]", "hush 6s [••]", "hush 6s [•••]", "hush 6s [••••]", "hush =done host"}},
		{"both", false, "333t", []string{"passcode_entry", "hush 6s [•]", "hush 6s [••]", "hush 6s [•••]", "hush =done guest"}},
		{"mixed", false, "p#", []string{"passcode_or_blank_required_entry", "10s", "hush =done space"}},
		{"mixed", false, "ptp", []string{"passcode_or_blank_required_entry", "10s", "passcode_or_blank_required_entry", "10s"}},
		{"mixed", false, "p9876#", []string{"passcode_or_blank_required_entry", "10s", "hush 6s [•]", "hush 6s [••]", "hush 6s [•••]", "hush 6s [••••]", "hush =done host"}},
		{"mixed", false, "p1#p#", []string{"passcode_or_blank_required_entry", "10s", "hush 6s [•]", "passcode_incorrect_try_again", "10s", "hush =done space"}},
		{"mixed", true, "pt", []string{"passcode_or_blank_timeout_entry", "25s", "=done space"}},
		{"mixed", true, "p#", []string{"passcode_or_blank_timeout_entry", "25s", "hush =done space"}},
		{"mixed", true, "p9876#", []string{"passcode_or_blank_timeout_entry", "25s", "hush 6s [•]", "hush 6s [••]", "hush 6s [•••]", "hush 6s [••••]", "hush =done host"}},
		{"mixed", true, "p98t", []string{"passcode_or_blank_timeout_entry", "25s", "hush 6s [•]", "hush 6s [••]", "passcode_incorrect_try_again"}},
		{"star", false, "12*4#", []string{"passcode_entry", "hush 6s [•]", "hush 6s [••]", "hush 6s [•••]", "hush 6s [••••]", "hush =done space"}},
	} {
		d := NewPasscode(PasscodeOptions{Entries: scene[c.uri], Waits: c.waits, After: 25 * time.Second})
		steps, _ := run(t, d, c.script)
		wantSteps(t, c.uri+" "+c.script, steps, c.want...)
	}
}

func TestNobodyIsGreetedTwice(t *testing.T) {
	scene := passcodeScene(t)
	for greet, want := range map[bool]string{true: "welcome+passcode_entry", false: "passcode_entry"} {
		if got := short(NewPasscode(PasscodeOptions{Entries: scene["closed"], Greet: greet}).Begin()); got != want {
			t.Errorf("greet %v: want %q, got %q", greet, want, got)
		}
	}
	// A time-out of none is as short as it can be.
	d := NewPasscode(PasscodeOptions{Entries: scene["mixed"], Waits: true})
	if steps, _ := run(t, d, "pt"); steps[1] != "1ms" || steps[2] != "=done space" {
		t.Errorf("want a moment and then the space, got %q", steps)
	}
}

func TestAPasscodeThatIsCutOffIsNotTaken(t *testing.T) {
	scene := passcodeScene(t)
	d := NewPasscode(PasscodeOptions{Entries: scene["long"]})
	if steps, _ := run(t, d, strings.Repeat("7", 100)+"#"); steps[len(steps)-1] != "passcode_incorrect_try_again" {
		t.Errorf("want a wrong passcode, got %q", steps[len(steps)-1])
	}
}

func TestABlankPasscodeIsNoGuess(t *testing.T) {
	scene := passcodeScene(t)
	limiter := &failing{}
	o := PasscodeOptions{Entries: scene["mixed"], Limiter: limiter, Source: "192.0.2.1 space"}
	if steps, _ := run(t, NewPasscode(o), "p#"); steps[2] != "hush =done space" || limiter.wrong != 0 {
		t.Errorf("want the space and no guess, got %q, %+v", steps[2], limiter)
	}
	if steps, _ := run(t, NewPasscode(o), "p9876#"); steps[6] != "passcode_incorrect_try_again" || limiter.wrong != 1 {
		t.Errorf("over the limit: want the right passcode to be wrong, got %q, %+v", steps[6], limiter)
	}
}

func TestStepsHaveNoPasscode(t *testing.T) {
	scene := passcodeScene(t)
	d := NewPasscode(PasscodeOptions{Entries: scene["closed"]})
	d.Begin()
	for _, k := range "1234" {
		if s := d.Key(k); strings.ContainsAny(s.Screen+s.Digits, "1234") {
			t.Errorf("key %c: the Step shows it: %+v", k, s)
		}
	}
}

func names(l []Entry) string {
	var n []string
	for _, e := range l {
		n = append(n, nameOf(e))
	}
	return strings.Join(n, " ")
}

func TestEntriesAreTheWaysThatShareAnAddress(t *testing.T) {
	s := open(t)
	group := put(t, s, schema.TenantGroups, store.ID{}).ID()
	inGroup := put(t, s, schema.Tenants, store.ID{}, "name", "grouped", "tenantGroup", group.String()).ID()
	alone := put(t, s, schema.Tenants, store.ID{}, "name", "alone").ID()
	user := put(t, s, schema.User, store.ID{}, "userJid", "ann@example.com").ID()

	room := space(t, s, "name", "room", "uri", "Room", "secondaryUri", "88001", "callId", "100", "passcode", "1")
	method(t, s, room, "name", "host", "uri", "room", "callId", "100", "passcode", "2")
	method(t, s, room, "name", "vip", "uri", "vip", "callId", "200")
	method(t, s, room, "name", "extra", "uri", "88001", "passcode", "3")
	private := space(t, s, "name", "private", "uri", "private", "callId", "300", "nonMemberAccess", "false")
	method(t, s, private, "name", "side door", "uri", "sidedoor")
	put(t, s, schema.CoSpaceUser, private.ID(), "userId", user.String())
	space(t, s, "name", "theirs", "uri", "theirs", "callId", "100", "tenant", inGroup.String())
	space(t, s, "name", "own", "uri", "own", "callId", "400", "tenant", alone.String())

	none := store.ID{}
	for _, c := range []struct {
		user           string
		tenant, caller store.ID
		want           string
	}{
		{"room", none, none, "room host"},
		{"ROOM", none, none, "room host"},
		{"88001", none, none, "room extra"},
		{"vip", none, none, "vip"},
		{"nobody", none, none, ""},
		{"", none, none, ""},
		{"room", alone, none, ""},
		{"own", alone, none, "own"},
		{"own", none, none, "own"},
		{"own", inGroup, none, ""},
		{"private", none, none, ""},
		{"sidedoor", none, none, ""},
		{"private", none, user, "private"},
		{"sidedoor", none, user, "side door"},
		{"private", none, inGroup, ""},
	} {
		if got := names(EntriesFor(s, c.user, c.tenant, c.caller)); got != c.want {
			t.Errorf("%q, tenant %v, caller %v: want %q, got %q", c.user, c.tenant, c.caller, c.want, got)
		}
	}
	for _, c := range []struct {
		id            string
		group, caller store.ID
		want          string
	}{
		{"100", none, none, "room host"},
		{"100", group, none, "theirs"},
		{"200", none, none, "vip"},
		{"300", none, none, ""},
		{"300", none, user, "private"},
		{"400", none, none, "own"},
		{"400", group, none, ""},
		{"999", none, none, ""},
	} {
		if got := names(ByCallIDFor(s, c.id, c.group, c.caller)); got != c.want {
			t.Errorf("ID %s, group %v, caller %v: want %q, got %q", c.id, c.group, c.caller, c.want, got)
		}
	}
	for _, e := range Entries(s, "room", none) {
		if e.Space.ID() != room.ID() {
			t.Errorf("%s is a way into %s, want into the room", nameOf(e), e.Space.Text("name"))
		}
	}
	plain := put(t, s, schema.IVR, none, "uri", "7000")
	of := put(t, s, schema.IVR, none, "uri", "7001", "tenantGroup", group.String())
	lync := put(t, s, schema.IVR, none, "uri", "7002", "resolveCoSpaceCallIds", "false")
	for _, c := range []struct {
		ivr   *store.Record
		group store.ID
		takes bool
	}{{nil, none, true}, {plain, none, true}, {of, group, true}, {lync, none, false}} {
		if got, takes := Group(c.ivr); got != c.group || takes != c.takes {
			t.Errorf("%v: want %v, %v, got %v, %v", c.ivr, c.group, c.takes, got, takes)
		}
	}
}

// FuzzDialogues presses anything in any order: a dialogue ends, at most once, and by an end that the input earned.
func FuzzDialogues(f *testing.F) {
	scene := passcodeScene(f)
	f.Add(uint8(0), "p4711#")
	f.Add(uint8(1), "p1234#")
	f.Add(uint8(2), "tttttttt")
	f.Add(uint8(3), "p1*t##A")
	f.Add(uint8(4), "pt1")
	f.Fuzz(func(t *testing.T, which uint8, script string) {
		var d Dialogue
		switch which % 5 {
		case 0:
			d = NewMenu(meetings(nil))
		case 1:
			d = NewPasscode(PasscodeOptions{Entries: scene["closed"]})
		case 2:
			d = NewPasscode(PasscodeOptions{Entries: scene["mixed"], Waits: which >= 128, After: time.Second})
		case 3:
			d = NewConfirm(which >= 128)
		case 4:
			d = NewPasscode(PasscodeOptions{Entries: scene["both"]})
		}
		over, ended := d.Begin().Over(), 0
		var typed strings.Builder
		step := func(s Step) {
			if over && (s.Over() || s.Say != nil || s.Wait != 0) {
				t.Fatalf("after its end: %+v", s)
			}
			if len(s.Digits) > 3*maxTyped || len(s.Screen) > 80 {
				t.Fatalf("too much to show: %+v", s)
			}
			if s.Over() {
				over = true
				ended++
			}
			if s.Found != nil && !strings.Contains(typed.String(), "4711") {
				t.Fatalf("a meeting was found by %q", typed.String())
			}
			if s.Done != nil {
				if passcode := s.Done.passcode(); passcode != "" && !strings.Contains(typed.String(), passcode) {
					t.Fatalf("%q let somebody in by a way with the passcode %q", typed.String(), passcode)
				}
			}
		}
		for _, k := range script {
			switch k {
			case 'p':
				step(d.Played())
			case 't':
				step(d.Timeout())
			default:
				if k >= '0' && k <= '9' {
					typed.WriteRune(k)
				}
				step(d.Key(k))
			}
		}
		// Left alone, it ends.
		for range 20 {
			step(d.Timeout())
		}
		if !over || ended > 1 {
			t.Errorf("%d: %q: over %v, ended %d times", which%5, script, over, ended)
		}
	})
}
