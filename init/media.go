package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"rotunda/boards"
	"rotunda/init/control"
	"rotunda/init/supervise"
)

// The ports of media, by the deployment guide's appendix B: UDP 32768–65535. All but the last 1,024 are shared out among the workers;
// those the Call Bridge uses itself, for what goes beside the media of a call: who presents, and far ends' cameras. The TURN relay
// of an edge server takes its ports from 50000–62000 of the same numbers; where both run on one machine, whoever finds a
// port taken goes on to the next. Connections that the kernel numbers itself stay below (see sysctls).
const (
	firstMediaPort = 32768
	lastMediaPort  = 64511
)

const (
	// workerMemoryMost is beyond what a worker needs: 60 pictures of 1080p in flight, 200 decoders of 720p.
	workerMemoryMost  = 2 << 30
	workerMemoryLeast = 256 << 20
	// systemMemory is kept for everything else.
	systemMemory = 1 << 30
	// workerPause before a worker that ended starts anew: its calls stand still for so long and for its start, which
	// together should be less than 200 ms.
	workerPause = 20 * time.Millisecond
)

// mediaWorker is one media worker of this machine.
type mediaWorker struct {
	// Name is "module.index".
	Name        string
	Module, CPU int
	// First, an even number, and Last of its UDP ports.
	First, Last int
}

// mediaWorkers plans one worker for each media core.
func mediaWorkers(c boards.Cores) []mediaWorker {
	var list []mediaWorker
	for module, cores := range c.Modules {
		for i, cpu := range cores {
			list = append(list, mediaWorker{Name: fmt.Sprintf("%d.%d", module, i), Module: module, CPU: cpu})
		}
	}
	if len(list) == 0 {
		return nil
	}
	// RTP takes an even port and RTCP the odd one after it.
	slice := (lastMediaPort - firstMediaPort + 1) / len(list) &^ 1
	for i := range list {
		list[i].First = firstMediaPort + i*slice
		list[i].Last = list[i].First + slice - 1
	}
	return list
}

// workerMemory is the limit of each of n workers on a machine with so much memory.
func workerMemory(total uint64, n int) int64 {
	share := (int64(min(total, 1<<46)) - systemMemory) / int64(max(n, 1))
	return min(max(share, workerMemoryLeast), workerMemoryMost)
}

// mediaSpecs are the media manager and its workers.
func mediaSpecs(c boards.Cores, memory uint64) []supervise.Spec {
	workers := mediaWorkers(c)
	var modules []string
	for _, cores := range c.Modules {
		modules = append(modules, strconv.Itoa(len(cores)))
	}
	// The manager opens TCP sockets and no file.
	specs := []supervise.Spec{{
		Name:        "media",
		Program:     "/bin/services",
		Args:        []string{"media", "-modules", strings.Join(modules, ",")},
		User:        mediaUser,
		Confine:     supervise.Confine{ReadOnly: []string{"/etc/hosts"}},
		CPUs:        c.System,
		MemoryMax:   128 << 20,
		ReadyWithin: 30 * time.Second,
		Watchdog:    30 * time.Second,
		Pause:       workerPause,
	}}
	for _, w := range workers {
		specs = append(specs, supervise.Spec{
			Name:    workerService(w),
			Program: "/bin/mediaworker",
			Args: []string{"-worker", w.Name, "-cpu", strconv.Itoa(w.CPU), "-ports", fmt.Sprintf("%d-%d", w.First, w.Last),
				"-manager", "127.0.0.1:2829"},
			User: workerUser,
			Confine: supervise.Confine{
				// Prompts and pictures, letters, and how much memory the process itself has.
				ReadOnly:  []string{"/usr/share/rotunda", "/usr/share/fonts", "/proc/self", promptsFolder},
				ReadWrite: []string{recordings},
			},
			CPUs:        []int{w.CPU},
			MemoryMax:   workerMemory(memory, len(workers)),
			ReadyWithin: 30 * time.Second,
			// The manager gives a silent worker up after two seconds; here it is ended and started anew.
			Watchdog:   5 * time.Second,
			StopWithin: 5 * time.Second,
			Pause:      workerPause,
		})
	}
	return specs
}

// recordings is the folder below which the shares for recordings are mounted. It is root's: without a share there is nothing
// that a worker could fill.
const recordings = "/run/rotunda/recordings"

func workerService(w mediaWorker) string { return "mediaworker-" + w.Name }

// mediaHealth counts the workers that serve, by module.
func mediaHealth(c boards.Cores, services []control.Service) []control.MediaModule {
	ready := map[string]bool{}
	for _, s := range services {
		ready[s.Name] = s.State == string(supervise.Ready)
	}
	var list []control.MediaModule
	for _, w := range mediaWorkers(c) {
		if w.Module == len(list) {
			list = append(list, control.MediaModule{Number: w.Module})
		}
		module := &list[w.Module]
		module.Workers++
		if ready[workerService(w)] {
			module.Ready++
		}
	}
	return list
}
