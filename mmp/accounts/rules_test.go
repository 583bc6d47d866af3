package accounts

import (
	"strings"
	"testing"
	"time"

	"rotunda/mmp/grammar"
)

func TestPasswordRules(t *testing.T) {
	for _, c := range []struct {
		rule          string
		value         int
		password, old string
		ok            bool
	}{
		{"min_length", 8, "1234567", "", false},
		{"min_length", 8, "12345678", "", true},
		{"min_length", 4, "äöüß", "", true},
		{"min_special", 2, "ab!cd", "", false},
		{"min_special", 2, `ab"c\d`, "", true},
		{"min_special", 1, "a-b", "", false},
		{"min_uppercase", 2, "Abc", "", false},
		{"min_uppercase", 2, "AbC", "", true},
		{"min_lowercase", 2, "aBC", "", false},
		{"min_lowercase", 2, "abC", "", true},
		{"min_digits", 2, "a1b", "", false},
		{"min_digits", 2, "a1b2", "", true},
		{"longest_digits_run", 3, "a1234", "", false},
		{"longest_digits_run", 3, "123a456b", "", true},
		{"longest_digits_run", 3, "abcdef", "", true},
		{"max_repeated_char", 2, "aaab", "", false},
		{"max_repeated_char", 2, "aabbaa", "", true},
		{"min_changed_characters", 3, "abcdef12", "abcdef00", false},
		{"min_changed_characters", 3, "abcdef123", "abcdef00", true},
		{"min_changed_characters", 3, "abc", "abcdef", true},
		{"min_changed_characters", 3, "whatever", "", true},
		{"only_ascii", 1, "pässword", "", false},
		{"only_ascii", 1, "password", "", true},
		{"no_username", 1, "xxBobxx", "", false},
		{"no_username", 1, "xxBoxbx", "", true},
		{"no_palindrome", 1, "AbcdcBa", "", false},
		{"no_palindrome", 1, "abccba", "", false},
		{"no_palindrome", 1, "abcdba", "", true},
	} {
		err := Rules{c.rule: c.value}.check(candidate{user: "bob", text: c.password, current: c.old})
		if (err == nil) != c.ok {
			t.Errorf("%s %d: %q after %q gave %v, want ok %t", c.rule, c.value, c.password, c.old, err, c.ok)
		}
		if err != nil && !strings.Contains(err.Error(), c.rule) {
			t.Errorf("%s: the error does not name the rule: %v", c.rule, err)
		}
	}
}

func TestEveryPasswordRuleIsTested(t *testing.T) {
	for _, rule := range RuleTable {
		if rule.broken == nil {
			continue
		}
		// What breaks each rule at its strictest.
		broken := false
		for _, p := range []string{"a", "aa11", "ä", "bob", strings.Repeat("1", 100), strings.Repeat("x", 100)} {
			broken = broken || rule.broken(1, candidate{user: "bob", text: p, current: p}) != "" ||
				rule.broken(rule.max(), candidate{user: "bob", text: p, current: p}) != ""
		}
		if !broken {
			t.Errorf("no password breaks rule %s", rule.Name)
		}
	}
}

func TestPasswordsThatNoRuleAllows(t *testing.T) {
	for _, p := range []string{"", strings.Repeat("x", maxPassword+1), "bell\a", "\xff\xfe", "same"} {
		if err := (Rules{}).check(candidate{user: "bob", text: p, current: "same"}); err == nil {
			t.Errorf("%.20q was taken", p)
		}
	}
}

func TestMaxHistoryForbidsTheLastPasswords(t *testing.T) {
	w := newSetUp(t)
	w.must(w.SetRule("max_history", 3))
	for _, p := range []string{"second password", "third password", "fourth password"} {
		w.must(w.ResetPassword(t.Context(), "admin", p))
	}
	for _, p := range []string{"second password", "third password", "fourth password"} {
		if err := w.ResetPassword(t.Context(), "admin", p); err == nil {
			t.Errorf("one of the last three passwords, %q, was taken again", p)
		}
	}
	w.must(w.ResetPassword(t.Context(), "admin", goodPassword))
}

func TestPasswordAge(t *testing.T) {
	w := newSetUp(t)
	w.clock.advance(180*24*time.Hour - time.Minute)
	if login := w.admitted("admin", goodPassword, desk); login.MustChange != "" {
		t.Errorf("a minute before 180 days the login demands a new password: %q", login.MustChange)
	}
	w.clock.advance(time.Hour)
	if login := w.admitted("admin", goodPassword, desk); login.MustChange != reasonExpired {
		t.Errorf("after 180 days MustChange is %q, want %q", login.MustChange, reasonExpired)
	}
	w.must(w.SetRule("password_age", 0))
	if login := w.admitted("admin", goodPassword, desk); login.MustChange != "" {
		t.Errorf("without password_age MustChange is %q", login.MustChange)
	}
}

func TestMinPasswordAgeIsOverriddenByExpire(t *testing.T) {
	w := newSetUp(t)
	w.must(w.SetRule("min_password_age", 2))
	w.clock.advance(47 * time.Hour)
	if err := w.ChangePassword(t.Context(), "admin", goodPassword, "another good one"); err == nil {
		t.Error("the password could be changed after 47 hours")
	}
	w.must(w.Expire("admin"))
	w.must(w.ChangePassword(t.Context(), "admin", goodPassword, "another good one"))
	w.clock.advance(49 * time.Hour)
	w.must(w.ChangePassword(t.Context(), "admin", "another good one", goodPassword))
}

func TestOwnChangeNeedsThePresentPassword(t *testing.T) {
	w := newSetUp(t)
	if err := w.ChangePassword(t.Context(), "admin", "not it", "another good one"); err != ErrWrongPassword {
		t.Errorf("got %v, want %v", err, ErrWrongPassword)
	}
	w.admitted("admin", goodPassword, desk)
}

// TestForcedChangeComparesWithThePresentPassword: the rule about changed positions holds where it matters most.
func TestForcedChangeComparesWithThePresentPassword(t *testing.T) {
	w := newSetUp(t)
	w.must(w.SetRule("min_changed_characters", 4))
	w.must(w.Expire("admin"))
	w.admitted("admin", goodPassword, desk)
	if err := w.SetPassword(t.Context(), "admin", goodPassword+"1"); err == nil {
		t.Error("one more character was change enough")
	}
	w.must(w.SetPassword(t.Context(), "admin", goodPassword+"1234"))
}

func TestDictionary(t *testing.T) {
	words := "dragon\n  Correct Horse \r\n\nlast"
	for _, c := range []struct {
		password string
		found    bool
	}{
		{"dragon", true}, {"DRAGON", true}, {"Dragon123!", true}, {"12dragon", true}, {"dragonfly", false},
		{"correct horse", true}, {"correct", false}, {"last", true}, {"", false}, {"1234", false},
	} {
		found, err := inDictionary(strings.NewReader(words), c.password)
		if err != nil || found != c.found {
			t.Errorf("%q: found %t, %v, want %t", c.password, found, err, c.found)
		}
	}
	long := strings.Repeat("x", 3*maxWord) + "\nlast\n"
	if found, err := inDictionary(strings.NewReader(long), "last"); err != nil || !found {
		t.Errorf("after a very long line: found %t, %v, want true", found, err)
	}
	w := newSetUp(t)
	w.files["dictionary"] = words
	if err := w.Add(t.Context(), "bob", grammar.Audit, "Dragon!1234"); err == nil || !strings.Contains(err.Error(), "dictionary") {
		t.Errorf("add with a word of the dictionary gave %v", err)
	}
}

func TestSetRuleBounds(t *testing.T) {
	w := newSetUp(t)
	for _, c := range []struct {
		name  string
		value int
		ok    bool
	}{
		{"min_length", 64, true}, {"min_length", 65, false}, {"min_length", -1, false}, {"only_ascii", 1, true},
		{"only_ascii", 2, false}, {"nonsense", 1, false}, {"max_idle", 1, true}, {"max_idle", 0, true},
	} {
		if err := w.SetRule(c.name, c.value); (err == nil) != c.ok {
			t.Errorf("user rule %s %d gave %v, want ok %t", c.name, c.value, err, c.ok)
		}
	}
}
