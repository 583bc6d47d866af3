package manager

import (
	"testing"

	"rotunda/services/media/control"
)

func TestWhereALegGoes(t *testing.T) {
	two := []Load{{"0.0", "", 0, 9000, 3000}, {"0.1", "", 0, 9000, 1000}}
	for _, c := range []struct {
		name  string
		loads []Load
		ask   Ask
		want  string
	}{
		{"without workers nowhere", nil, Ask{Units: 55}, ""},
		{"to the one with the least in use", two, Ask{Units: 1000}, "0.1"},
		{"by parts of the capacity, not by units", []Load{{"0.0", "", 0, 1000, 900}, {"0.1", "", 0, 9000, 2000}}, Ask{Units: 55}, "0.1"},
		{"to the first of two that are equal", []Load{{"0.0", "", 0, 9000, 0}, {"0.1", "", 0, 9000, 0}}, Ask{Units: 55}, "0.0"},
		{"to the emptier module", []Load{{"0.0", "", 0, 9000, 0}, {"0.1", "", 0, 9000, 5000}, {"1.0", "", 1, 9000, 0}}, Ask{Units: 55}, "1.0"},
		{"to its conference's worker, full as it may be", two, Ask{Units: 1000, Homes: []string{"0.0"}}, "0.0"},
		{"beyond its conference's worker to another one", two, Ask{Units: 6001, Homes: []string{"0.0"}}, "0.1"},
		{"where there is room for the guests as well", two, Ask{Units: 6001, Span: 2000, Homes: []string{"0.0"}}, ""},
		{"to the first of two homes", two, Ask{Units: 1000, Homes: []string{"0.0", "0.1"}}, "0.0"},
		{"to the second when the first is full", two, Ask{Units: 7000, Homes: []string{"0.0", "0.1"}}, "0.1"},
		{"nowhere when all homes are full", two, Ask{Units: 8001, Homes: []string{"0.0", "0.1"}}, ""},
		{"stays at a home though it is not the first", two, Ask{Units: 1000, At: "0.1", AtUnits: 1000, Homes: []string{"0.0", "0.1"}}, "0.1"},
		{"not to another machine than its conference", []Load{{"0.0", "", 0, 9000, 9000}, {"1.0", "192.0.2.1", 1, 9000, 0}}, Ask{Units: 55, Homes: []string{"0.0"}}, ""},
		{"not to where its conference was lost", two, Ask{Units: 55, Homes: []string{"0.7"}}, ""},
		{"up to the last unit", two, Ask{Units: 6000, Homes: []string{"0.0"}}, "0.0"},
		{"nowhere when nothing fits", two, Ask{Units: 8001}, ""},
		{"past a full worker", []Load{{"0.0", "", 0, 1000, 500}, {"0.1", "", 0, 9000, 8000}}, Ask{Units: 1000}, "0.1"},
		{"stays where it is", two, Ask{Units: 1000, At: "0.0", AtUnits: 1000}, "0.0"},
		{"stays when it grows into what it has and what is left", two, Ask{Units: 7000, At: "0.0", AtUnits: 1000}, "0.0"},
		{"leaves when it outgrows its worker", two, Ask{Units: 7001, At: "0.0", AtUnits: 1000}, "0.1"},
		{"leaves for its conference", two, Ask{Units: 1000, At: "0.1", AtUnits: 1000, Homes: []string{"0.0"}}, "0.0"},
		{"stays at home when it shrinks on an overfull worker", []Load{{"0.0", "", 0, 1000, 1500}}, Ask{Units: 500, At: "0.0", AtUnits: 1000, Homes: []string{"0.0"}}, "0.0"},
		{"not to a worker without capacity", []Load{{"0.0", "", 0, 0, 0}, {"0.1", "", 0, 9000, 8000}}, Ask{Units: 55}, "0.1"},
	} {
		got, ok := Place(c.loads, c.ask)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: want %q, got %q, %v", c.name, c.want, got, ok)
		}
	}
}

func TestStatusLineOfTheGuide(t *testing.T) {
	module := func(registered, wanted int) control.Module {
		return control.Module{Registered: registered, Wanted: wanted}
	}
	seven := make([]control.Module, 7)
	for i := range seven {
		seven[i] = module(3, 3)
	}
	for _, c := range []struct {
		want    string
		modules []control.Module
	}{
		{"media module status 1111111 (1111111/1111111) 7/7 (full media capacity)", seven},
		{"media module status 1 (1/1) 1/1 (full media capacity)", []control.Module{module(7, 7)}},
		{"media module status 0 (1/1) 0/1 (reduced media capacity)", []control.Module{module(6, 7)}},
		{"media module status 0 (0/1) 0/1 (no media capacity)", []control.Module{module(0, 7)}},
		{"media module status 101 (101/111) 2/3 (reduced media capacity)", []control.Module{module(2, 2), module(0, 2), module(2, 2)}},
		{"media module status 10 (11/10) 1/1 (full media capacity)", []control.Module{module(2, 2), module(1, 0)}},
	} {
		if got := StatusLine(c.modules); got != c.want {
			t.Errorf("want %q, got %q", c.want, got)
		}
	}
}

func TestTheNumberOfWorkersOfEachModule(t *testing.T) {
	for _, bad := range []string{"", "a", "-1", "1,", "9999"} {
		if got, err := parseModules(bad); err == nil {
			t.Errorf("modules %q: want a refusal, got %v", bad, got)
		}
	}
	if got, err := parseModules("7,7,6"); err != nil || len(got) != 3 || got[2] != 6 {
		t.Errorf("modules 7,7,6: got %v, %v", got, err)
	}
}
