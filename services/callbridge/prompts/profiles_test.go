package prompts

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

func TestAFailureConcernsTheProfilesWithItsLocation(t *testing.T) {
	s, err := store.Open(context.Background(), store.Options{Client: databasetest.Start(t), Machine: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	profile := func(o *schema.Object, location string) (id store.ID) {
		t.Helper()
		if err := s.Write(context.Background(), func(tx *store.Tx) error {
			d := tx.New(o, store.ID{})
			id = d.ID()
			d.Set("resourceLocation", location)
			return tx.Put(d)
		}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	const here, there = "http://brand.example.com/a", "http://brand.example.com/b"
	first, second := profile(schema.CallBrandingProfile, here), profile(schema.CallBrandingProfile, here)
	profile(schema.CallBrandingProfile, there)
	ivr := profile(schema.IVRBrandingProfile, here)
	for _, c := range []struct {
		kind     prompt.Kind
		location string
		want     []store.ID
	}{{prompt.Call, here, []store.ID{first, second}}, {prompt.IVR, here, []store.ID{ivr}}, {prompt.IVR, there, nil}, {prompt.Call, "", nil}} {
		got := Failure{Kind: c.kind, Location: c.location, File: "welcome.wav", Err: errors.New("broken")}.Profiles(s)
		sort := func(a, b store.ID) int { return slices.Compare(a[:], b[:]) }
		slices.SortFunc(got, sort)
		slices.SortFunc(c.want, sort)
		if !slices.Equal(got, c.want) {
			t.Errorf("%v %s: want %v, got %v", c.kind, c.location, c.want, got)
		}
	}

	// All of them are asked before the first call.
	l, _ := library(t, Options{})
	l.Close()
	l.Warm(s)
	if want := []key{{prompt.Call, here}, {prompt.Call, there}, {prompt.IVR, here}}; len(l.places) != len(want) || slices.ContainsFunc(want, func(k key) bool { return l.places[k] == nil }) {
		t.Errorf("want the locations %v to be asked, got %v", want, l.places)
	}
}
