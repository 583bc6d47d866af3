package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rotunda/init/licence"
)

func TestWhatIsSignedIsTaken(t *testing.T) {
	folder := t.TempDir()
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	keyFile, out := filepath.Join(folder, "key"), filepath.Join(folder, licence.FileName)
	if err := os.WriteFile(keyFile, []byte(base64.StdEncoding.EncodeToString(seed)), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	var public bytes.Buffer
	if err := run([]string{"-key", keyFile, "-public"}, &public, now); err != nil {
		t.Fatal(err)
	}
	err := run([]string{"-key", keyFile, "-to", "Example", "-host", "00:50:56:AB:CD:EF", "-feature", "recording limit: 3 expiry: 2027-Nov-22", "-feature", "turn expiry: never", "-out", out}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(public.String()))
	if err != nil {
		t.Fatal(err)
	}
	l, err := licence.Parse(file, key)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	if len(l.Features) != 2 || l.Features[0].Limit != 3 || l.IssuedTo != "Example" || l.Hosts[0] != "005056abcdef" || l.Issued.Day() != 22 {
		t.Errorf("the licence is %+v", l)
	}
	var all bytes.Buffer
	if err := run([]string{"-development", "-all", "never"}, &all, now); err != nil {
		t.Fatal(err)
	}
	if l, err = licence.Parse(all.Bytes(), licence.DevelopmentKey().Public().(ed25519.PublicKey)); err != nil || len(l.Features) != len(licence.Features)-2 {
		t.Errorf("all features: %v\n%s", err, &all)
	}
}

func TestSignSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "which key"},
		{[]string{"-development", "-key", "x"}, "which key"},
		{[]string{"-development"}, "name what the licence allows"},
		{[]string{"-development", "-feature", "flying expiry: never"}, "no feature flying"},
		{[]string{"-development", "-feature", "turn"}, "say when the feature ends"},
		{[]string{"-development", "-feature", " "}, "no feature"},
		{[]string{"-development", "-all", "2027-11-22"}, "write it as 2027-Nov-22"},
		{[]string{"-key", "/nonexistent", "-all", "never"}, "no such file"},
		{[]string{"-development", "cms.lic"}, "is no flag"},
	} {
		if err := run(c.args, &bytes.Buffer{}, time.Now()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.args, err, c.want)
		}
	}
}

// The commands and the example of the manual do what it says.
func TestExamplesOfTheManual(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/licensing.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(page), "\\\n", " ")
	folder := t.TempDir()
	keyFile := filepath.Join(folder, "licence.pem")
	der, err := x509.MarshalPKCS8PrivateKey(licence.DevelopmentKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	made := map[string]bool{}
	for line := range strings.Lines(text) {
		_, command, is := strings.Cut(line, "go run ./services/callbridge/licence/sign ")
		if !is {
			continue
		}
		command, _, _ = strings.Cut(command, " >")
		var args []string
		for i, part := range strings.Split(strings.TrimSpace(command), `"`) {
			if i%2 == 1 {
				args = append(args, part)
			} else {
				args = append(args, strings.Fields(part)...)
			}
		}
		for i, a := range args {
			switch a {
			case "licence.pem":
				args[i] = keyFile
			case "cms.lic":
				args = append(args[:i-1], args[i+1:]...)
			}
		}
		var out bytes.Buffer
		if err := run(args, &out, now); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		made[out.String()] = true
	}
	if len(made) != 3 {
		t.Errorf("the manual has %d commands, want 3", len(made))
	}
	_, example, _ := strings.Cut(text, "    Rotunda licence 1\n")
	example, _, _ = strings.Cut(example, "    Signature:")
	want := strings.ReplaceAll("Rotunda licence 1\n"+example, "    ", "")
	found := false
	for file := range made {
		found = found || strings.HasPrefix(file, want+"Signature: ")
	}
	if !found {
		t.Errorf("no command makes the example:\n%s", want)
	}
}
