package journal

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestLinesWaitForTheDiskAndAuditHasItsOwnFile(t *testing.T) {
	j := New()
	j.SetHostname("cms01")
	j.Log(DaemonInfo, "init", "early")
	dir := t.TempDir()
	if err := j.Open(dir, os.Getgid()); err != nil {
		t.Fatal(err)
	}
	j.Line("mmp", []string{"cli", "login"}, "<134>cli: User admin from 10.1.1.1:63290 issued command < version>: permission granted")
	j.Line("mmp", []string{"cli", "login"}, "plain\x1b[31m text\nand more")
	// Somebody else, or under another's name, tells nothing that counts.
	forged := "<134>cli: User admin from 10.1.1.1:63290 issued command <user del bob>: permission granted"
	j.Line("turn", nil, forged)
	j.Line("callbridge", []string{"callbridge"}, forged)
	j.Line("callbridge", []string{"callbridge"}, "<130>callbridge: changed")
	j.Close()
	want := map[string][]string{
		"messages": {
			`^\w{3} [ \d]\d \d\d:\d\d:\d\d\.\d{3} daemon\.info cms01 init: early$`,
			`user\.info cms01 mmp: plain \[31m text and more$`,
			`daemon\.warning cms01 turn: this service may not write into the audit log as cli: User admin .*$`,
			`daemon\.warning cms01 callbridge: this service may not write into the audit log as cli: User admin .*$`,
		},
		"audit": {`local0\.info cms01 cli: User admin from 10\.1\.1\.1:63290 issued command < version>: permission granted$`, `local0\.crit cms01 callbridge: changed$`},
	}
	for name, patterns := range want {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		if len(lines) != len(patterns) {
			t.Fatalf("%s: want %d lines, got %q", name, len(patterns), lines)
		}
		for i, p := range patterns {
			if !regexp.MustCompile(p).MatchString(lines[i]) {
				t.Errorf("%s line %d: want %s, got %q", name, i, p, lines[i])
			}
		}
	}
}

func TestAFullFileMakesWay(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "messages"), make([]byte, fileSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	j := New()
	if err := j.Open(dir, os.Getgid()); err != nil {
		t.Fatal(err)
	}
	j.Log(UserInfo, "a", "last of the old file")
	j.Close()
	old, err := os.Stat(filepath.Join(dir, "messages.1"))
	if err != nil || old.Size() <= fileSize {
		t.Fatalf("want the full file kept as messages.1, got %v %v", old, err)
	}
}

func TestTheOldestLinesInMemoryStay(t *testing.T) {
	j := New()
	for range pending + 10 {
		j.Log(UserInfo, "a", "x")
	}
	if most := pending / 4 * 3; len(j.lines) != most || j.dropped != pending/4+10 {
		t.Errorf("want %d lines and the others dropped, got %d and %d", most, len(j.lines), j.dropped)
	}
	// What others say does not push out the audit log.
	dropped := j.dropped
	for range pending / 4 {
		j.Log(Audit, "cli", "x")
	}
	if len(j.lines) != pending || j.dropped != dropped {
		t.Errorf("want room for the audit log, got %d lines and %d of them dropped", len(j.lines), j.dropped-dropped)
	}
	if j.Log(Audit, "cli", "x"); len(j.lines) != pending || j.dropped != dropped+1 {
		t.Errorf("want %d lines, got %d and %d dropped", pending, len(j.lines), j.dropped-dropped)
	}
}

func TestLongLinesInMemoryHaveABoundToo(t *testing.T) {
	j := New()
	long := strings.Repeat("x", maxLine)
	for range pending {
		j.Log(UserInfo, "a", long)
	}
	if j.waiting > pendingBytes+2*maxLine || j.dropped == 0 {
		t.Errorf("want about %d bytes and the rest dropped, got %d bytes and %d dropped", pendingBytes, j.waiting, j.dropped)
	}
}

func TestLinesThatTheDiskRefusesWaitForIt(t *testing.T) {
	dir := t.TempDir()
	// A folder where the file belongs is a disk that refuses.
	if err := os.Mkdir(filepath.Join(dir, "messages"), 0o700); err != nil {
		t.Fatal(err)
	}
	j := New()
	j.dir, j.gid = dir, os.Getgid()
	j.Log(UserInfo, "a", "first")
	j.Log(UserInfo, "a", "second")
	dirty := map[*os.File]bool{}
	if j.flush(dirty) {
		t.Fatal("want the refusal told, got all written")
	}
	j.Log(UserInfo, "a", "third")
	if err := os.Remove(filepath.Join(dir, "messages")); err != nil {
		t.Fatal(err)
	}
	if !j.flush(dirty) || j.waiting != 0 || len(j.lines) != 0 {
		t.Fatalf("want all written, %d lines wait with %d bytes", len(j.lines), j.waiting)
	}
	b, err := os.ReadFile(filepath.Join(dir, "messages"))
	if err != nil {
		t.Fatal(err)
	}
	if got := regexp.MustCompile(`a: (\w+)`).FindAllString(string(b), -1); strings.Join(got, " ") != "a: first a: second a: third" {
		t.Errorf("want the three lines in order, got %q", got)
	}
}

func FuzzParseLine(f *testing.F) {
	for _, s := range []string{"<134>cli: User", "<6>x", "<>", "<999>a: b", "<13", "plain", "<0>: "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, tag, text := ParseLine("svc", s)
		if p < 0 || int(p) >= len(facilities)*8 || !isTag(tag) {
			t.Errorf("%q: got priority %d tag %q", s, p, tag)
		}
		if c := clean(text); strings.ContainsAny(c, "\n\r\x00") {
			t.Errorf("%q: line end in %q", s, c)
		}
	})
}
