package cache

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestCacheKeepsWhatIsUsed(t *testing.T) {
	c := Cache{Dir: filepath.Join(t.TempDir(), "made")}
	get := func(settings, input string) string {
		b, err := c.Get(settings, []byte(input), func() ([]byte, error) { return []byte(settings + " of " + input), nil })
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	get("1", "first")
	names, _ := filepath.Glob(filepath.Join(c.Dir, "*"))
	if len(names) != 1 {
		t.Fatalf("cache holds %v, want one file", names)
	}
	// What the cache says is what comes back: a marker shows that it was read.
	if err := os.WriteFile(names[0], []byte("marker"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := get("1", "first"); got != "marker" {
		t.Errorf("second time gives %q, want what the cache holds", got)
	}
	if got := get("2", "first"); got != "2 of first" {
		t.Errorf("other settings give %q, want it made", got)
	}
	for i := range 2 * keep {
		get("1", string(rune('a'+i)))
	}
	if names, _ = filepath.Glob(filepath.Join(c.Dir, "*")); len(names) != keep {
		t.Errorf("cache holds %d files, want %d", len(names), keep)
	}
}

func TestWhatCannotBeMadeIsNotKept(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	broken := errors.New("broken")
	if _, err := c.Get("1", nil, func() ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("want %v, got %v", broken, err)
	}
	if names, _ := filepath.Glob(filepath.Join(c.Dir, "*")); len(names) != 0 {
		t.Errorf("cache holds %v, want nothing", names)
	}
}
