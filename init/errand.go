package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"

	"rotunda/init/control"
	"rotunda/init/state"
	"rotunda/init/supervise"
)

// An errand is work on files from outside (an upgrade image, a backup) or on the EFI system partition. It runs in a
// child of its own: a crash of a parser is an error message there, and a kernel panic here.
type errand func(arg json.RawMessage) (any, error)

// answer is what the child prints.
type answer struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
	Status int             `json:"status,omitempty"`
}

// carried decodes an errand's argument.
func carried[A any](run func(A) (any, error)) errand {
	return func(raw json.RawMessage) (any, error) {
		var a A
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, fmt.Errorf("read argument: %w", err)
		}
		return run(a)
	}
}

// errands are all that a child can be sent for.
var errands = map[string]errand{
	"versions":       carried(listVersions),
	"commit":         carried(commitVersion),
	"delete-version": carried(deleteVersion),
	"plan-upgrade":   carried(planUpgrade),
	"install":        carried(installUpgrade),
	"snapshot":       withSets(on((*state.Sets).Snapshot)),
	"check-backup":   withSets(on((*state.Sets).Check)),
	"rollback":       withSets(act((*state.Sets).Rollback)),
	"reset":          withSets(act((*state.Sets).Reset)),
}

// runErrand is the verb "errand": a name and an argument as JSON.
func runErrand(args []string) error {
	if len(args) != 2 || errands[args[0]] == nil {
		return fmt.Errorf("unknown errand %q", args)
	}
	result, err := errands[args[0]](json.RawMessage(args[1]))
	var a answer
	if err == nil {
		a.Result, err = json.Marshal(result)
	}
	if err != nil {
		a = answer{Error: err.Error(), Status: http.StatusInternalServerError}
		var refused *control.Error
		if errors.As(err, &refused) {
			a.Status = refused.Status
		}
	}
	return json.NewEncoder(os.Stdout).Encode(a)
}

const (
	// maxAnswer and maxTrace bound what PID 1 keeps of what a child prints; the longest answer is a list of versions.
	maxAnswer = 1 << 20
	maxTrace  = 64 << 10
)

// clipped keeps the first bytes and drops the rest. The buffer is not embedded, or its ReadFrom would go past the bound.
type clipped struct {
	kept bytes.Buffer
	left int
}

func (c *clipped) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	c.kept.Write(p[:n])
	return len(p), nil
}

// errandReach is what an errand, which is root, may open: the shell owns some of the folders that it works in, and what it
// parses comes from outside.
func (m *machine) errandReach() supervise.Confine {
	c := supervise.Confine{ReadOnly: []string{keysDir}, ReadWrite: []string{dataDir, "/dev/null"}}
	if m.storage.esp != "" {
		c.ReadWrite = append(c.ReadWrite, m.storage.esp)
	}
	return c
}

// send runs an errand in a child and decodes its result. Only one runs at a time: they share the partition and the
// folder of the sets.
func send[R any](ctx context.Context, m *machine, name string, arg any) (result R, err error) {
	m.errands.Lock()
	defer m.errands.Unlock()
	b, err := json.Marshal(arg)
	if err != nil {
		return result, fmt.Errorf("encode argument: %w", err)
	}
	reach, err := json.Marshal(m.errandReach())
	if err != nil {
		return result, fmt.Errorf("encode argument: %w", err)
	}
	out, trace := clipped{left: maxAnswer}, clipped{left: maxTrace}
	cmd := exec.CommandContext(ctx, "/init", "exec", string(reach), "/init", "errand", name, string(b))
	cmd.Stdout, cmd.Stderr = &out, &trace
	cmd.Env = []string{"PATH=/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := m.reaper.Start(cmd); err != nil {
		return result, fmt.Errorf("%s: %w", name, err)
	}
	if err := m.reaper.Wait(cmd); err != nil {
		if ctx.Err() != nil {
			return result, ctx.Err()
		}
		m.warn("errand %s ended: %v: %.4000s", name, err, trace.kept.String())
		return result, fmt.Errorf("%s: %w", name, err)
	}
	var a answer
	if err := json.Unmarshal(out.kept.Bytes(), &a); err != nil {
		return result, fmt.Errorf("%s: read answer: %w", name, err)
	}
	if a.Error != "" {
		return result, &control.Error{Status: a.Status, Text: a.Error}
	}
	if err := json.Unmarshal(a.Result, &result); err != nil {
		return result, fmt.Errorf("%s: read answer: %w", name, err)
	}
	return result, nil
}
