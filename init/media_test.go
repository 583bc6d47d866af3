package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rotunda/boards"
	"rotunda/init/control"
)

// coresOf are the cores of a machine with so many processors.
func coresOf(processors, modules int) boards.Cores {
	list := make([]int, processors)
	for i := range list {
		list[i] = i
	}
	return boards.Board{MediaModules: modules}.Cores(list)
}

func TestWorkersShareOutTheMediaPorts(t *testing.T) {
	for processors, want := range map[int]string{
		1: "[{0.0 0 0 32768 64511}]",
		2: "[{0.0 0 1 32768 64511}]",
		4: "[{0.0 0 1 32768 43347} {0.1 0 2 43348 53927} {0.2 0 3 53928 64507}]",
	} {
		if got := fmt.Sprint(mediaWorkers(coresOf(processors, 1))); got != want {
			t.Errorf("%d processors: want %s, got %s", processors, want, got)
		}
	}
	for processors := 1; processors <= 256; processors++ {
		next := firstMediaPort
		for _, w := range mediaWorkers(coresOf(processors, 7)) {
			if w.First != next || w.First%2 != 0 || w.Last%2 != 1 || w.Last <= w.First || w.Last > lastMediaPort {
				t.Errorf("%d processors: worker %s has ports %d–%d; want an even first one at %d and an odd last one", processors, w.Name, w.First, w.Last, next)
			}
			next = w.Last + 1
		}
	}
}

func TestTheKernelsOwnPortsAreBelowThoseOfMedia(t *testing.T) {
	i := slices.IndexFunc(sysctls, func(s struct{ key, value string }) bool { return s.key == "net/ipv4/ip_local_port_range" })
	if i < 0 {
		t.Fatal("the range of the kernel's ports is not set")
	}
	var first, last int
	if _, err := fmt.Sscan(sysctls[i].value, &first, &last); err != nil || last >= firstMediaPort || first >= last {
		t.Errorf("the kernel's ports are %q, want them below %d", sysctls[i].value, firstMediaPort)
	}
}

func TestWorkersShareTheMemoryThatTheSystemLeaves(t *testing.T) {
	for _, c := range []struct {
		total uint64
		n     int
		want  int64
	}{
		{1 << 30, 1, workerMemoryLeast},
		{4 << 30, 3, 1 << 30},
		{64 << 30, 7, workerMemoryMost},
		{0, 0, workerMemoryLeast},
	} {
		if got := workerMemory(c.total, c.n); got != c.want {
			t.Errorf("memory of %d bytes for %d workers: want %d each, got %d", c.total, c.n, c.want, got)
		}
	}
}

func TestEachWorkerIsPinnedConfinedAndWithoutPrivileges(t *testing.T) {
	specs := mediaSpecs(coresOf(8, 3), 16<<30)
	if len(specs) != 8 {
		t.Fatalf("want the manager and 7 workers, got %d services", len(specs))
	}
	manager := specs[0]
	if manager.Name != "media" || !slices.Equal(manager.CPUs, []int{0}) || manager.User != mediaUser || !slices.Equal(manager.Args, []string{"media", "-modules", "2,2,3"}) {
		t.Errorf("want the manager for modules of 2, 2 and 3 workers on processor 0, got %+v", manager)
	}
	for i, s := range specs[1:] {
		if !slices.Equal(s.CPUs, []int{i + 1}) {
			t.Errorf("%s: want processor %d alone, got %v", s.Name, i+1, s.CPUs)
		}
		if s.User != workerUser || len(s.Capabilities) > 0 || s.Confine.ReadOnly == nil || s.MemoryMax == 0 || s.Watchdog == 0 {
			t.Errorf("%s: want an unprivileged, confined and watched service with bounded memory, got %+v", s.Name, s)
		}
	}
	if got, want := strings.Join(specs[7].Args, " "), "-worker 2.2 -cpu 7 -ports 59972-64505 -manager 127.0.0.1:2829"; got != want {
		t.Errorf("last worker: want %q, got %q", want, got)
	}
}

func TestHealthCountsTheWorkersThatServe(t *testing.T) {
	services := []control.Service{
		{Name: "mmp", State: "ready"}, {Name: "media", State: "ready"},
		{Name: "mediaworker-0.0", State: "ready"}, {Name: "mediaworker-1.0", State: "backoff"}, {Name: "mediaworker-2.0", State: "ready"},
	}
	want := []control.MediaModule{{Number: 0, Workers: 1, Ready: 1}, {Number: 1, Workers: 1}, {Number: 2, Workers: 1, Ready: 1}}
	if got := mediaHealth(coresOf(4, 3), services); !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
	if got := mediaHealth(boards.Cores{}, nil); got != nil {
		t.Errorf("without media cores: want no modules, got %v", got)
	}
}
