package boards

import (
	"fmt"
	"testing"
)

func TestCoresOfEveryMachine(t *testing.T) {
	for _, c := range []struct {
		processors, modules int
		want                string
	}{
		{0, 1, "[] []"},
		{1, 1, "[0] [[0]]"},
		{2, 1, "[0] [[1]]"},
		{4, 1, "[0] [[1 2 3]]"},
		{8, 1, "[0] [[1 2 3 4 5 6 7]]"},
		{9, 1, "[0 1] [[2 3 4 5 6 7 8]]"},
		{2, 7, "[0] [[1]]"},
		{4, 7, "[0] [[1] [2] [3]]"},
		{8, 7, "[0] [[1] [2] [3] [4] [5] [6] [7]]"},
		{8, 3, "[0] [[1 2] [3 4] [5 6 7]]"},
		{16, 7, "[0 1] [[2 3] [4 5] [6 7] [8 9] [10 11] [12 13] [14 15]]"},
	} {
		processors := make([]int, c.processors)
		for i := range processors {
			processors[i] = i
		}
		cores := Board{MediaModules: c.modules}.Cores(processors)
		if got := fmt.Sprint(cores.System, cores.Modules); got != c.want {
			t.Errorf("%d processors in %d modules: want %s, got %s", c.processors, c.modules, c.want, got)
		}
		if got, want := cores.Shared(), c.processors == 1; got != want {
			t.Errorf("%d processors: shared is %v, want %v", c.processors, got, want)
		}
	}
}

func TestProcessorsThatAreOffLeaveNoHole(t *testing.T) {
	got := Board{MediaModules: 1}.Cores([]int{0, 2, 5})
	if want := "{[0] [[2 5]]}"; fmt.Sprint(got) != want {
		t.Errorf("want %s, got %v", want, got)
	}
}
