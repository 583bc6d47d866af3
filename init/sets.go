package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"

	"rotunda/init/control"
	"rotunda/init/database"
	"rotunda/init/durable"
	"rotunda/init/state"
)

var errNoStorage = control.Refuse(http.StatusServiceUnavailable, "the data partition is not there")

// setOptions are what a backup says of where it comes from, and who owns what a rollback writes.
func setOptions(r control.Release) state.Options {
	return state.Options{
		Version: r.Version, Build: r.Build, Platform: r.Platform,
		Owners: &state.Owners{
			Shell: durable.Owner{UID: int(mmpUser.UID), GID: int(mmpUser.GID)},
			Services: map[string]durable.Owner{
				databaseUser.Name:   {UID: int(databaseUser.UID), GID: int(databaseUser.GID)},
				callbridgeUser.Name: {UID: int(callbridgeUser.UID), GID: int(callbridgeUser.GID)},
			},
		},
		Contributors: []state.Contributor{database.Copy{Socket: databaseClients, Patience: databasePatience}},
	}
}

// openState opens the current set, and makes the first one. A set that cannot be put in order, because nothing can be
// written, can still be read.
func (m *machine) openState() error {
	sets, warning, err := state.Open(dataDir, setOptions(m.running()))
	if warning != "" {
		m.warn("%s", warning)
	}
	if err != nil {
		if attached, aerr := state.Attach(dataDir, setOptions(m.running())); aerr == nil {
			sets = attached
		}
	}
	m.sets = sets
	return err
}

// shellDir is where the shell keeps accounts and host keys; without a data partition a folder that lives as long as
// this start.
func (m *machine) shellDir(part string) string {
	if m.sets != nil {
		if part == "transfer" {
			return m.sets.Transfer()
		}
		return m.sets.Path(part)
	}
	dir := "/run/rotunda/shell/" + part
	if err := os.MkdirAll(dir, 0o700); err == nil {
		_ = os.Chown(dir, int(mmpUser.UID), int(mmpUser.GID))
	}
	return dir
}

// machineFile is a file about the hardware, which no backup holds.
func (m *machine) machineFile(name string) string {
	dir := dataDir + "/machine"
	if m.sets == nil {
		dir = "/run/rotunda/machine"
	}
	_ = os.MkdirAll(dir, 0o700)
	return filepath.Join(dir, name)
}

// setErrand is the argument of what works on the sets.
type setErrand struct {
	Release control.Release `json:"release"`
	Name    string          `json:"name"`
}

// withSets runs an errand in a child on the current set.
func withSets[R any](run func(ctx context.Context, s *state.Sets, name string) (R, error)) errand {
	return carried(func(a setErrand) (any, error) {
		s, err := state.Attach(dataDir, setOptions(a.Release))
		if err != nil {
			return nil, err
		}
		return run(context.Background(), s, a.Name)
	})
}

// on and act turn a method of [state.Sets] into what [withSets] takes.
func on[R any](method func(*state.Sets, context.Context, string) (R, error)) func(context.Context, *state.Sets, string) (R, error) {
	return func(ctx context.Context, s *state.Sets, name string) (R, error) { return method(s, ctx, name) }
}

func act(method func(*state.Sets, context.Context, string) error) func(context.Context, *state.Sets, string) (struct{}, error) {
	return func(ctx context.Context, s *state.Sets, name string) (struct{}, error) {
		return struct{}{}, method(s, ctx, name)
	}
}

func onSets[R any](ctx context.Context, m *machine, errand, name string) (result R, err error) {
	if m.sets == nil {
		return result, errNoStorage
	}
	return send[R](ctx, m, errand, setErrand{m.running(), name})
}

func (m *machine) Snapshot(ctx context.Context, name string) (string, error) {
	return onSets[string](ctx, m, "snapshot", name)
}

func (m *machine) CheckBackup(ctx context.Context, file string) (control.Backup, error) {
	return onSets[control.Backup](ctx, m, "check-backup", file)
}

// Rollback replaces everything in one step. A caller that goes away does not stop it half-way.
func (m *machine) Rollback(ctx context.Context, file string) error {
	if _, err := onSets[struct{}](context.WithoutCancel(ctx), m, "rollback", file); err != nil {
		return err
	}
	m.info("rolled back to %s", file)
	m.endSoon(actionReboot)
	return nil
}

func (m *machine) FactoryReset(ctx context.Context, scope string) error {
	if _, err := onSets[struct{}](context.WithoutCancel(ctx), m, "reset", scope); err != nil {
		return err
	}
	m.info("factory reset: %s", scope)
	m.endSoon(actionReboot)
	return nil
}
