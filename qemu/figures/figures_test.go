package figures

import "testing"

func TestANewFigureReplacesTheOldOneOfItsName(t *testing.T) {
	old := `{"name":"a","value":1,"unit":"s","peer":"none","peer_value":null,"ratio":null,"goal":"<= 2"}
{"name":"b","value":1,"unit":"s","peer":"none","peer_value":null,"ratio":null,"goal":"<= 2"}
`
	got, err := merge([]byte(old+"not a figure\n"), []Figure{Figure{Name: "a", Value: 3, Unit: "s", Goal: "<= 2"}.Against("other", 2)})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"b","value":1,"unit":"s","peer":"none","peer_value":null,"ratio":null,"goal":"<= 2"}
{"name":"a","value":3,"unit":"s","peer":"other","peer_value":2,"ratio":1.5,"goal":"<= 2"}
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMedianIsTheMiddle(t *testing.T) {
	if got := Median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("got %v, want 5", got)
	}
}

func TestRoundingKeepsThreeDigitsOfWhatIsSmall(t *testing.T) {
	for v, want := range map[float64]float64{12.3456: 12.35, 0.98765: 0.988, 0.0123456: 0.0123, 0: 0, 400.001: 400} {
		if got := round(v); got != want {
			t.Errorf("%v became %v, want %v", v, got, want)
		}
	}
}
