package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
)

// undoMachine is a machine whose configuration and undo are in a folder, as it starts.
func undoMachine(t *testing.T, folder string) *machine {
	t.Helper()
	m := newMachine()
	m.undoAt = filepath.Join(folder, "undo.json")
	var err error
	if m.store, err = config.OpenStore(folder); err != nil {
		t.Fatal(err)
	}
	doc, generation, _, err := m.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	m.config = control.Config{Generation: generation, Document: doc}
	m.resumeUndo()
	t.Cleanup(func() {
		if m.undoing != nil {
			m.undoing.Stop()
		}
	})
	return m
}

// try enables the firewall of interface a.
func (m *machine) tryFirewall(t *testing.T, from string) {
	t.Helper()
	doc := config.Factory()
	doc.Hostname = m.config.Document.Hostname
	doc.Firewall = config.Firewalls{"a": {Enabled: true, Default: config.Deny}}
	if _, err := m.TryConfig(context.Background(), m.config.Generation, doc, from); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) guardedNow() bool { return m.config.Document.Firewall["a"].Enabled }

func noted(m *machine) bool {
	_, err := os.Stat(m.undoAt)
	return !errors.Is(err, fs.ErrNotExist)
}

const maker = "192.0.2.7:50022"

// newcomer has come in since the last change.
func newcomer(m *machine) control.Confirmation {
	return control.Confirmation{From: "192.0.2.7:50023", Age: max(time.Since(m.triedAt)-time.Nanosecond, 1)}
}

func TestTheConsoleAndWhoComesAfterARestartKeepAChange(t *testing.T) {
	folder := t.TempDir()
	m := undoMachine(t, folder)
	m.tryFirewall(t, maker)
	if err := m.ConfirmConfig(context.Background(), control.Confirmation{From: "serial console"}); err != nil || m.undo != nil {
		t.Errorf("at the console: got %v", err)
	}
	m.changing.Lock()
	m.config.Document = config.Factory()
	m.changing.Unlock()
	m.tryFirewall(t, maker)
	m.undoing.Stop()
	again := undoMachine(t, folder)
	if err := again.ConfirmConfig(context.Background(), control.Confirmation{From: maker, Age: time.Minute}); err != nil || noted(again) {
		t.Errorf("after a restart: got %v", err)
	}
}

func TestANewcomerKeepsAChange(t *testing.T) {
	m := undoMachine(t, t.TempDir())
	var refused *control.Error
	if err := m.ConfirmConfig(context.Background(), newcomer(m)); !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("wanted nothing to confirm, got %v", err)
	}
	m.tryFirewall(t, maker)
	for from, age := range map[string]time.Duration{maker: time.Hour, "192.0.2.8:50022": time.Since(m.triedAt) + time.Millisecond} {
		if err := m.ConfirmConfig(context.Background(), control.Confirmation{From: from, Age: age}); !errors.As(err, &refused) || refused.Status != 409 {
			t.Errorf("wanted a session that was there before the change refused, got %v", err)
		}
	}
	if !noted(m) || !strings.Contains(m.alarms[unconfirmed].Text, "by "+maker) {
		t.Errorf("wanted the undo on the disk and an alarm, got %+v", m.alarms)
	}
	if err := m.ConfirmConfig(context.Background(), newcomer(m)); err != nil {
		t.Error(err)
	}
	if noted(m) || m.undo != nil || !m.guardedNow() || len(m.alarms) != 0 {
		t.Error("wanted the change kept and the undo gone")
	}
}

func TestWhatNobodyConfirmsIsTakenBack(t *testing.T) {
	m := undoMachine(t, t.TempDir())
	m.tryFirewall(t, maker)
	// A second one before anybody has come in goes back to before the first.
	m.tryFirewall(t, maker)
	doc := *m.config.Document
	doc.Hostname = "meanwhile"
	if _, err := m.SetConfig(context.Background(), m.config.Generation, &doc); err != nil {
		t.Fatal(err)
	}
	m.changing.Lock()
	m.takeBack()
	m.changing.Unlock()
	if m.guardedNow() || m.config.Document.Hostname != "meanwhile" || noted(m) || m.undo != nil {
		t.Errorf("wanted the firewall off and the rest kept, got %+v", m.config.Document)
	}
}

func TestTheTimerRuns(t *testing.T) {
	m := undoMachine(t, t.TempDir())
	m.tryFirewall(t, maker)
	m.changing.Lock()
	m.undoIn(0)
	m.changing.Unlock()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		m.changing.Lock()
		done := m.undo == nil
		m.changing.Unlock()
		if done {
			if m.guardedNow() {
				t.Error("wanted the firewall off")
			}
			return
		}
	}
	t.Error("wanted the change taken back by the timer")
}

func TestAnUndoOutlivesAReboot(t *testing.T) {
	folder := t.TempDir()
	m := undoMachine(t, folder)
	m.tryFirewall(t, maker)
	m.undoing.Stop()
	again := undoMachine(t, folder)
	if again.undo == nil || !again.guardedNow() || again.undoing == nil {
		t.Fatal("wanted the change in force and its timer to go on")
	}
	again.undoing.Stop()
	// The time is over while the machine is off.
	late := *again.undo
	late.Deadline = time.Now().Add(-time.Minute)
	text, err := json.Marshal(late)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.undoAt, text, 0o600); err != nil {
		t.Fatal(err)
	}
	over := undoMachine(t, folder)
	if over.guardedNow() || noted(over) || over.undo != nil {
		t.Error("wanted the change taken back before anything starts")
	}
	if doc, _, _, err := over.store.Load(); err != nil || doc.Firewall["a"].Enabled {
		t.Errorf("wanted it taken back on the disk, got %v", err)
	}
}

func TestAnUndoOfOtherDataIsForgotten(t *testing.T) {
	for name, text := range map[string]string{"another set": `{"set":"/data/sets/000009/config","deadline":"2026-01-01T00:00:00Z"}`, "half a file": `{"set":`} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "undo.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m := undoMachine(t, folder)
		if noted(m) || m.undo != nil || m.config.Generation != 1 {
			t.Errorf("%s: wanted it gone and nothing changed, got generation %d", name, m.config.Generation)
		}
	}
}

func TestTheFailSafeConfigurationIsNotTakenBack(t *testing.T) {
	folder := t.TempDir()
	m := undoMachine(t, folder)
	m.tryFirewall(t, maker)
	m.undoing.Stop()
	broken := newMachine()
	broken.undoAt, broken.store = m.undoAt, m.store
	broken.config = control.Config{Generation: m.config.Generation, Document: config.FailSafe(), FailSafe: "cannot be read"}
	broken.resumeUndo()
	if broken.undo != nil || !noted(broken) {
		t.Error("wanted the undo kept for a start that can read its configuration")
	}
	if _, err := broken.SetConfig(context.Background(), broken.config.Generation, config.Factory()); err != nil {
		t.Fatal(err)
	}
	if noted(broken) {
		t.Error("wanted the undo gone with a new configuration")
	}
}

func TestARefusedChangeLeavesNoUndo(t *testing.T) {
	m := undoMachine(t, t.TempDir())
	bad := config.Factory()
	bad.Firewall = config.Firewalls{"a": {Enabled: true}}
	if _, err := m.TryConfig(context.Background(), m.config.Generation, bad, maker); err == nil || noted(m) || m.undo != nil {
		t.Errorf("wanted it refused without a trace, got %v", err)
	}
}

func TestInterfacesThatNothingGuardsAreLeftOut(t *testing.T) {
	doc := config.Factory()
	doc.Firewall = config.Firewalls{"a": {Enabled: true, Default: config.Deny}, "b": {Default: config.Deny}}
	m := newMachine()
	less, problem := m.guard(doc)
	if less.Interfaces["a"].IPv4.Enabled || less.Interfaces["a"].IPv6.Enabled || problem == "" {
		t.Errorf("without a firewall: wanted interface a off, got %+v, %q", less.Interfaces["a"], problem)
	}
	if !doc.Interfaces["a"].IPv4.Enabled {
		t.Error("wanted the document itself left alone")
	}
	if open := config.Factory(); shut(open, nil) != open {
		t.Error("wanted an open document as it is")
	}
}
