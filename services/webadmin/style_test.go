package webadmin

import (
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// palette reads the named colours of a block of the style sheet.
func palette(t *testing.T, block string) map[string]float64 {
	t.Helper()
	colours := map[string]float64{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
		n, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		colours[m[1]] = luminance(n)
	}
	return colours
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(rgb uint64) float64 {
	channel := func(shift int) float64 {
		c := float64(rgb>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}

func TestTextCanBeReadInBothSchemes(t *testing.T) {
	b, err := fs.ReadFile(files, "pages/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, ok := strings.Cut(string(b), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark scheme")
	}
	dark, rules, _ := strings.Cut(rest, "\n}\n")
	// What is text on what, and 4.5:1 (WCAG 2.2, 1.4.3).
	text := map[string][]string{
		"ink":         {"ground", "surface", "raised", "tint", "bad-ground", "warn-ground"},
		"quiet":       {"ground", "surface", "raised"},
		"accent":      {"ground", "surface", "raised", "tint"},
		"accent-deep": {"ground", "surface", "raised", "tint"},
		"on-accent":   {"accent", "accent-deep"},
		"bad":         {"bad-ground", "ground", "surface"},
		"good":        {"good-ground", "ground", "surface"},
		"warn":        {"warn-ground"},
	}
	// What only marks a control or its state, and 3:1 (1.4.11).
	marks := map[string][]string{"edge": {"ground", "surface"}, "accent": {"ground", "surface"}, "bad": {"ground", "surface"}}
	for name, block := range map[string]string{"light": light, "dark": dark} {
		colours := palette(t, block)
		check := func(pairs map[string][]string, least float64) {
			for fore, backs := range pairs {
				for _, back := range backs {
					a, okA := colours[fore]
					b, okB := colours[back]
					if !okA || !okB {
						t.Fatalf("%s: no colour %s or %s", name, fore, back)
					}
					if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < least {
						t.Errorf("%s: %s on %s has %.2f:1, want %.1f:1", name, fore, back, ratio, least)
					}
				}
			}
		}
		check(text, 4.5)
		check(marks, 3)
	}
	if m := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(`).FindString(rules); m != "" {
		t.Errorf("a colour outside the palette: %s", m)
	}
	for _, m := range regexp.MustCompile(`[^-]color: var\(--([a-z-]+)\)`).FindAllStringSubmatch(rules, -1) {
		if text[m[1]] == nil {
			t.Errorf("text of the colour %s is in no pair of this test", m[1])
		}
	}
	if m := regexp.MustCompile(`url\(|@import`).FindString(rules); m != "" {
		t.Errorf("the style sheet loads something: %s", m)
	}
}
