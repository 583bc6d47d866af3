package main

import (
	"context"
	"slices"
	"testing"

	"rotunda/init/config"
)

func TestASettingThatGoesBackToWhatRunsNeedsNoReboot(t *testing.T) {
	m := undoMachine(t, t.TempDir())
	m.started = m.config.Document
	set := func(change func(*config.Document)) []string {
		doc := *m.config.Document
		change(&doc)
		a, err := m.SetConfig(context.Background(), m.config.Generation, &doc)
		if err != nil {
			t.Fatal(err)
		}
		return a.RebootNeeded
	}
	runs := m.started.Hostname
	if got := set(func(d *config.Document) { d.Hostname = "other" }); !slices.Equal(got, []string{"hostname"}) {
		t.Errorf("a name that does not run yet: got %q", got)
	}
	if got := set(func(d *config.Document) { d.Timezone = "Europe/London" }); !slices.Equal(got, []string{"timezone"}) {
		t.Errorf("a change beside one that waits: got %q, want its own alone", got)
	}
	if got := set(func(d *config.Document) { d.Hostname = runs }); len(got) != 0 {
		t.Errorf("the name that runs: got %q", got)
	}
}
