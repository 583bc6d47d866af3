package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/durable"
)

// undoRetry is when a change that could not be taken back is tried again.
const undoRetry = 30 * time.Second

// unconfirmed is the alarm while a change waits, for those who did not make it.
const unconfirmed = "unconfirmed"

// undoFile is what an unconfirmed change is taken back to. It is about this machine, and no backup holds it.
func (m *machine) undoFile() string {
	if m.undoAt != "" {
		return m.undoAt
	}
	return m.machineFile("undo.json")
}

// undoSet names the data that an undo belongs to.
func (m *machine) undoSet() string {
	if m.sets == nil {
		return ""
	}
	return m.sets.Path("config")
}

// TryConfig is part of [control.Machine]. The note of what to go back to is on the disk before the change is: a power cut between the two
// leaves a note that changes nothing.
func (m *machine) TryConfig(ctx context.Context, generation int, doc *config.Document, from string) (control.Applied, error) {
	m.changing.Lock()
	defer m.changing.Unlock()
	before := m.undo
	m.mu.Lock()
	undo := config.NewUndo(m.config.Document, m.undoSet(), from, time.Now())
	m.mu.Unlock()
	if before != nil {
		// Nobody has shown yet that the machine can be reached since the change before.
		undo.DefaultInterface, undo.Interfaces, undo.Firewall = before.DefaultInterface, before.Interfaces, before.Firewall
	}
	if err := m.storeUndo(undo); err != nil {
		return control.Applied{}, fmt.Errorf("store what to go back to: %w", err)
	}
	a, err := m.setConfig(ctx, generation, doc)
	if err != nil {
		return a, errors.Join(err, m.storeUndo(before))
	}
	m.undo, m.triedAt = undo, time.Now()
	m.undoIn(undo.Left(time.Now()))
	return a, nil
}

// ConfirmConfig is part of [control.Machine].
func (m *machine) ConfirmConfig(_ context.Context, by control.Confirmation) error {
	now := time.Now() // before the wait for other changes, in which its age stands still
	m.changing.Lock()
	defer m.changing.Unlock()
	switch {
	case m.undo == nil:
		return control.Refuse(http.StatusNotFound, "there is no change that waits to be confirmed; after two minutes it is taken back")
	case by.Age > 0 && !m.triedAt.IsZero() && by.Age >= now.Sub(m.triedAt):
		// Who was in already goes on by what the kernel knows of the connection, whatever the firewall says to a new one.
		return control.Refuse(http.StatusConflict, "this session is older than the change, and is no proof that a new one can be made: log in anew and confirm there")
	}
	if err := m.storeUndo(nil); err != nil {
		return fmt.Errorf("remove what to go back to: %w", err)
	}
	m.undoing.Stop()
	m.info("the change by %s is confirmed by %s", m.undo.From, by.From)
	m.alarm(unconfirmed, "")
	m.undo = nil
	return nil
}

// resumeUndo goes on with what an earlier start has left.
func (m *machine) resumeUndo() {
	m.changing.Lock()
	defer m.changing.Unlock()
	text, err := os.ReadFile(m.undoFile())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var undo *config.Undo
	if err == nil {
		undo, err = config.DecodeUndo(text)
	}
	if err != nil {
		// What cannot be read can never be done.
		m.warn("what an unconfirmed change is to be taken back to cannot be read: %v", err)
		_ = os.Remove(m.undoFile())
		return
	}
	m.mu.Lock()
	failSafe := m.config.FailSafe
	m.mu.Unlock()
	if failSafe != "" {
		// What runs is not what was changed, and must not be stored in its place.
		return
	}
	if undo.Set != m.undoSet() {
		_ = m.storeUndo(nil)
		return
	}
	m.undo = undo
	if left := undo.Left(time.Now()); left > 0 {
		m.undoIn(left)
		return
	}
	m.takeBack()
}

// undoIn sets the timer. The caller holds changing.
func (m *machine) undoIn(d time.Duration) {
	if m.undoing != nil {
		m.undoing.Stop()
	}
	due := m.undo
	m.alarm(unconfirmed, fmt.Sprintf("the change of network or firewall by %s is taken back at %s unless somebody who logs in anew runs firewall confirm",
		due.From, time.Now().Add(d).UTC().Format(time.TimeOnly+" MST")))
	m.undoing = time.AfterFunc(d, func() {
		m.changing.Lock()
		defer m.changing.Unlock()
		// It may have been confirmed, or followed by another, while this waited for the lock.
		if m.undo == due {
			m.takeBack()
		}
	})
}

// takeBack undoes the change that nobody has confirmed. The caller holds changing.
func (m *machine) takeBack() {
	m.mu.Lock()
	current := m.config
	m.mu.Unlock()
	doc, err := m.undo.Applied(current.Document)
	if err == nil {
		_, err = m.setConfig(context.Background(), current.Generation, doc)
	}
	if err == nil {
		err = m.storeUndo(nil)
	}
	if err != nil {
		m.alarm("undo", fmt.Sprintf("the change by %s that nobody has confirmed cannot be taken back: %v. At the console: use firewall <interface> disable", m.undo.From, err))
		m.undoIn(undoRetry)
		return
	}
	m.warn("the change of network or firewall by %s is taken back, since nobody has confirmed it", m.undo.From)
	m.alarm("undo", "")
	m.alarm(unconfirmed, "")
	m.undo = nil
}

// storeUndo replaces the note, or removes it for nil.
func (m *machine) storeUndo(undo *config.Undo) error {
	folder, name := filepath.Split(m.undoFile())
	disk, err := durable.OpenDisk(folder)
	if err != nil {
		return err
	}
	defer disk.Close()
	if undo == nil {
		if err := disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return disk.SyncDir(".")
	}
	text, err := json.Marshal(undo)
	if err != nil {
		return err
	}
	return durable.WriteFile(disk, name, text, 0o600, nil)
}
