package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"rotunda/init/control"
	"rotunda/init/supervise"
)

// A version on trial commits itself once every gate has held for steadyFor; if they do not within trialTime the
// machine restarts, and the loader has counted one more try. Nothing else commits a version.
const (
	trialTime = 60 * time.Second
	steadyFor = 2 * time.Second
	gateEvery = 250 * time.Millisecond

	// versionTries reads of the list of versions, versionPause apart, before it counts as unreadable.
	versionTries = 5
	versionPause = 5 * time.Second
)

// trialFile says why the last trial failed, for the version that takes over.
const trialFile = crashDir + "/trial.json"

type trialNote struct {
	Number int    `json:"number"`
	Reason string `json:"reason"`
}

// gates returns the first gate that does not hold, nil when all do.
func (m *machine) gates(ctx context.Context) error {
	m.mu.Lock()
	applied, failSafe, doc := m.applied, m.config.FailSafe, m.config.Document
	m.mu.Unlock()
	if failSafe != "" {
		return fmt.Errorf("configuration: %s", failSafe)
	}
	if !applied {
		return errors.New("configuration is not applied")
	}
	observed, err := m.Interfaces(ctx)
	if err == nil {
		err = interfacesReady(doc, observed)
	}
	if err != nil {
		return err
	}
	_, services := m.parts()
	if services == nil {
		return errors.New("the services did not start")
	}
	if err := services.Settled(); err != nil {
		return err
	}
	if err := shellAnswers(ctx, "127.0.0.1:22"); err != nil {
		return fmt.Errorf("management shell: %w", err)
	}
	return nil
}

// shellAnswers asks for the SSH greeting (RFC 4253 section 4.2): a process that lives and listens may still be dead.
func shellAnswers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	b := make([]byte, 8)
	if _, err := c.Read(b); err != nil {
		return fmt.Errorf("no greeting: %w", err)
	}
	if !strings.HasPrefix(string(b), "SSH-2.0-") {
		return fmt.Errorf("greeted with %q", b)
	}
	return nil
}

// settleVersions finds out what the loader started, commits a version on trial when its gates hold, and says so when
// the machine runs on an older version because a newer one failed.
func (m *machine) settleVersions(ctx context.Context) {
	list, err := m.Versions(ctx)
	for n := 1; err != nil; n++ {
		m.alarm("versions", fmt.Sprintf("the EFI system partition cannot be read: %v", err))
		// A version that cannot find out that it is on trial would never be committed, and be left after three good
		// starts; so a passing trouble of the disk must not decide.
		if n == versionTries {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(versionPause):
		}
		list, err = m.Versions(ctx)
	}
	m.alarm("versions", "")
	var running control.Version
	for _, v := range list {
		if v.State == "running" {
			running = v
		}
	}
	m.reportFailed(list)
	if !running.Trial {
		return
	}
	m.mu.Lock()
	m.release.Trial = true
	m.mu.Unlock()
	m.info("version %s is on trial, %d tries left", running.Version, running.TriesLeft)
	reason := m.tryOut(ctx)
	if ctx.Err() != nil {
		return
	}
	if reason == nil {
		if _, err := onVersions[struct{}](ctx, m, "commit", "", running.Number); err != nil {
			reason = fmt.Errorf("commit: %w", err)
		}
	}
	if reason == nil {
		m.mu.Lock()
		m.release.Trial = false
		m.mu.Unlock()
		m.info("version %s committed after %v", running.Version, uptime().Round(time.Millisecond))
		return
	}
	m.warn("version %s fails its trial: %v", running.Version, reason)
	if !another(list) {
		// The loader would start this one again and again, and nobody could look what is wrong with it.
		m.alarm("no-fallback", fmt.Sprintf("version %s fails its trial, and there is no other one to go back to: %v. Repair the cause and restart, or install another version with: upgrade", running.Version, reason))
		return
	}
	if b, err := json.Marshal(trialNote{running.Number, reason.Error()}); err == nil {
		_ = os.WriteFile(trialFile, b, 0o600)
	}
	m.endSoon(actionReboot)
}

// tryOut waits until the gates hold, and returns the last gate that did not when the time is up.
func (m *machine) tryOut(ctx context.Context) error {
	deadline := time.Now().Add(trialTime)
	var held time.Time
	var last error
	tick := time.NewTicker(gateEvery)
	defer tick.Stop()
	for {
		err := m.gates(ctx)
		switch {
		case errors.Is(err, supervise.ErrLoop):
			// It will not get better.
			return err
		case err != nil:
			held, last = time.Time{}, err
			// A gate that closes just before the deadline is as good as one that never opened.
			if time.Now().After(deadline) {
				return last
			}
		case held.IsZero():
			held = time.Now()
		case time.Since(held) >= steadyFor:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// another tells whether the loader has a version to go back to from the running one.
func another(list []control.Version) bool {
	return slices.ContainsFunc(list, func(v control.Version) bool { return v.State == "committed" || v.State == "trial" })
}

func failedAlarm(number int) string { return fmt.Sprintf("version-failed:%d", number) }

// reportFailed raises the alarm about a newer version that failed.
func (m *machine) reportFailed(list []control.Version) {
	var note trialNote
	if b, err := os.ReadFile(trialFile); err == nil {
		_ = json.Unmarshal(b, &note)
	}
	for _, v := range list {
		if v.State != "failed" {
			continue
		}
		text := fmt.Sprintf("version %s (install %d) did not hold in three tries; the version before runs again", v.Version, v.Number)
		if note.Number == v.Number && note.Reason != "" {
			text += ": " + note.Reason
		}
		m.alarm(failedAlarm(v.Number), fmt.Sprintf("%s. Remove it with: upgrade delete %d", text, v.Number))
		return
	}
}
