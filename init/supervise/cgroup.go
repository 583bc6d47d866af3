package supervise

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func (v *service) cgroup() string { return filepath.Join(v.s.cgroupDir, v.spec.Name) }

// makeCgroup makes the service's cgroup (cgroup v2) with its limits and opens it for clone3. The error may be about a
// limit that this kernel does not have; the cgroup is returned all the same.
func (v *service) makeCgroup() (*os.File, error) {
	if v.s.cgroupDir == "" {
		return nil, nil
	}
	dir := v.cgroup()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	limits := map[string]string{"cpuset.cpus": list(v.spec.CPUs), "pids.max": strconv.Itoa(maxTasks)}
	if v.spec.MemoryMax > 0 {
		limits["memory.max"] = strconv.FormatInt(v.spec.MemoryMax, 10)
	}
	var errs []error
	for file, value := range limits {
		if value == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0); err != nil {
			errs = append(errs, fmt.Errorf("limit cgroup: %w", err))
		}
	}
	f, err := os.Open(dir)
	if err != nil {
		errs = append(errs, fmt.Errorf("open cgroup: %w", err))
	}
	return f, errors.Join(errs...)
}

// killCgroup ends every process that the service left behind.
func (v *service) killCgroup() {
	if v.s.cgroupDir != "" {
		_ = os.WriteFile(filepath.Join(v.cgroup(), "cgroup.kill"), []byte("1"), 0)
	}
}

// list writes processors as cpuset(7) reads them.
func list(processors []int) string {
	text := make([]string, len(processors))
	for i, n := range processors {
		text[i] = strconv.Itoa(n)
	}
	return strings.Join(text, ",")
}
