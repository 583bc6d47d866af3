package accounts

import (
	"strings"
	"testing"
)

func TestHashRoundTrip(t *testing.T) {
	h := newHasher(cheap)
	a, err := h.hash(t.Context(), "pässword")
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.hash(t.Context(), "pässword")
	if err != nil {
		t.Fatal(err)
	}
	if a == b {
		t.Error("two hashes of one password are equal, want different salts")
	}
	for password, want := range map[string]bool{"pässword": true, "password": false, "": false} {
		if got, err := h.verify(t.Context(), a, password, false); err != nil || got != want {
			t.Errorf("%q matches: %t, %v, want %t", password, got, err, want)
		}
	}
	if got, _ := h.verify(t.Context(), h.decoy, "", true); got {
		t.Error("the decoy matched")
	}
}

func TestHashParametersAreBounded(t *testing.T) {
	good := string(newHasher(cheap).mustHash("x"))
	if _, err := parseHash(good); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"m=8,", "m=4194304,"}, {"t=1,", "t=4000000000,"}, {"p=1$", "p=255$"}, {"p=1$", "p=257$"}, {"t=1,", "t=0,"}, {"m=8,", "m=-8,"},
		{"argon2id", "argon2i"}, {"v=19", "v=18"}, {"$m=8", "$$m=8"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%q is not in %s", change[0], good)
		}
		if _, err := parseHash(bad); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(string(newHasher(cheap).mustHash("x")))
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$a2V5")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			return
		}
		if err := h.cost.check(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		again, err := parseHash(h.String())
		if err != nil || again.String() != h.String() {
			t.Errorf("%q reads back as %q, %v", h, again, err)
		}
	})
}

// BenchmarkHash is one login's worth of argon2id with the parameters that the product uses.
func BenchmarkHash(b *testing.B) {
	h := newHasher(DefaultCost)
	for b.Loop() {
		h.mustHash("correct horse 7")
	}
}
