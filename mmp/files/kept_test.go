package files

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"rotunda/mmp/grammar"
)

func TestKeptLogsHaveAnyNameAndTheirOwnRights(t *testing.T) {
	w := newWorld(t)
	auditor, crypto := as(grammar.Audit), as(grammar.Crypto)
	keep := func(kind LogKind, name, text string) error {
		n, err := w.Keep(t.Context(), admin, kind, name, strings.NewReader(text))
		if err == nil && n != int64(len(text)) {
			t.Errorf("%s: want %d bytes, got %d", name, len(text), n)
		}
		return err
	}
	if err := keep(SystemLog, "before_upgrade", "one\ntwo\n"); err != nil {
		t.Fatal(err)
	}
	if err := keep(AuditLog, "audit-may.txt", "who\n"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		kind error
	}{{"before_upgrade", fs.ErrExist}, {"audit-may.txt", fs.ErrExist}, {"x.bak", ErrRefused}, {"log", ErrRefused}, {"../x", ErrRefused}, {".x", ErrRefused}, {"", ErrRefused}, {"a.filepart", ErrRefused}} {
		if err := keep(SystemLog, c.name, "x"); !errors.Is(err, c.kind) {
			t.Errorf("%q: want %v, got %v", c.name, c.kind, err)
		}
	}
	if got, err := w.get(admin, "before_upgrade"); got != "one\ntwo\n" || err != nil {
		t.Errorf("want the log back, got %q, %v", got, err)
	}
	for _, name := range []string{"before_upgrade", "audit-may.txt"} {
		if !slices.Contains(w.names(admin), name) {
			t.Errorf("want %s listed, got %q", name, w.names(admin))
		}
		if _, err := w.get(crypto, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: want it hidden from other roles, got %v", name, err)
		}
	}
	if got := w.names(auditor); !slices.Contains(got, "audit-may.txt") || slices.Contains(got, "before_upgrade") {
		t.Errorf("want the audit role to see audit logs only, got %q", got)
	}
	if err := w.Remove(admin, "audit-may.txt"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("want the audit log kept from administrators, got %v", err)
	}
	if err := w.put(admin, "before_upgrade", "x"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("want it not written over, got %v", err)
	}
	if err := w.Rename(admin, "before_upgrade", "x.crt", false); err == nil {
		t.Error("want it not renamed")
	}
	w.open()
	if err := w.Remove(auditor, "audit-may.txt"); err != nil {
		t.Error(err)
	}
	if err := w.Remove(admin, "before_upgrade"); err != nil {
		t.Error(err)
	}
	if got := w.names(admin); slices.Contains(got, "before_upgrade") || slices.Contains(got, "audit-may.txt") {
		t.Errorf("want both gone, got %q", got)
	}
	if !w.logged("stored kept log before_upgrade, 8 bytes") {
		t.Errorf("want a line in the audit log, got %q", w.lines)
	}
}

func TestAKeptLogNeedsRoom(t *testing.T) {
	w := newWorld(t)
	w.free = 1 << 20
	if _, err := w.Keep(t.Context(), admin, SystemLog, "x", strings.NewReader("x")); !errors.Is(err, ErrFull) {
		t.Errorf("want no room, got %v", err)
	}
	if got := w.names(admin); slices.Contains(got, "x") {
		t.Errorf("want nothing stored, got %q", got)
	}
}
