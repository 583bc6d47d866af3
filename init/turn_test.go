package main

import (
	"slices"
	"testing"

	"rotunda/boards"
)

func TestTheTURNServerMayUseEveryProcessor(t *testing.T) {
	got := turnSpec(boards.Cores{System: []int{0, 1}, Modules: [][]int{{2, 3}, {4}}}).CPUs
	if want := []int{0, 1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("wanted %v, got %v", want, got)
	}
	if got := turnSpec(boards.Cores{System: []int{0}, Modules: [][]int{{0}}}).CPUs; !slices.Equal(got, []int{0}) {
		t.Errorf("one processor for all: wanted it once, got %v", got)
	}
}
