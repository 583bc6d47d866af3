package sftpd

import (
	"context"
	"io"
	"log/syslog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rotunda/mmp/grammar"
)

// serverFolder names the environment variable that turns this test program into the server that "sftp -D" starts.
const serverFolder = "SFTPD_TEST_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(serverFolder); folder != "" {
		os.Exit(serveStdio(folder))
	}
	os.Exit(m.Run())
}

// stdio is the pipe to the client; standard error is the terminal's, as it is by SSH.
type stdio struct {
	io.Reader
	io.WriteCloser
}

func (stdio) Stderr() io.ReadWriter { return os.Stderr }

func serveStdio(folder string) int {
	server, err := openServer(folder, func(syslog.Priority, string, string) {}, nil)
	if err != nil {
		return 2
	}
	if err := server.Serve(context.Background(), login(grammar.Admin), stdio{os.Stdin, os.Stdout}); err != nil {
		return 1
	}
	return 0
}

// openSSH runs OpenSSH's client with a batch of commands and returns what it prints.
func openSSH(t *testing.T, folder, batch string) (string, error) {
	t.Helper()
	client, err := exec.LookPath("sftp")
	if err != nil {
		t.Skip("OpenSSH's sftp client is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(client, "-b", "-", "-D", self)
	cmd.Env = append(os.Environ(), serverFolder+"="+folder)
	cmd.Dir = t.TempDir()
	cmd.Stdin = strings.NewReader(batch)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestOpenSSHClient(t *testing.T) {
	folder, local := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "log", "messages"), []byte("the log\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	image := strings.Repeat("upgrade ", 1<<18)
	for name, text := range map[string]string{"image": image, "words": "dragon\n"} {
		if err := os.WriteFile(filepath.Join(local, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := openSSH(t, folder, strings.ReplaceAll(`
put -p LOCAL/image upgrade.img
put LOCAL/words dictionary
put LOCAL/words first.crt
put LOCAL/words second.crt
rename first.crt second.crt
ls -l
df
get upgrade.img LOCAL/back
get log LOCAL/log
rm dictionary
ls
`, "LOCAL", local))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string]string{"back": image, "log": "the log\n"} {
		if got, err := os.ReadFile(filepath.Join(local, name)); err != nil || string(got) != want {
			t.Errorf("%s has %d bytes, %v, want %d", name, len(got), err, len(want))
		}
	}
	_, last, _ := strings.Cut(out, "rm dictionary")
	if strings.Contains(last, "dictionary") && strings.Contains(last, "first.crt") || !strings.Contains(last, "upgrade.img") ||
		!strings.Contains(last, "second.crt") {
		t.Errorf("the last ls prints %s", last)
	}
	if !strings.Contains(out, "-rw-------") || !strings.Contains(out, "-r--------") {
		t.Errorf("ls -l shows no modes that tell what may be written:\n%s", out)
	}
}

func TestOpenSSHClientShowsTheReason(t *testing.T) {
	for _, c := range []struct{ batch, reason string }{
		{"put LOCAL notes.txt", `"notes.txt" cannot be stored; names that can be stored: upgrade.img`},
		{"put LOCAL log", "role admin may not store log"},
		{"mkdir x", "there are no folders here"},
	} {
		folder := t.TempDir()
		local := filepath.Join(folder, "source")
		if err := os.WriteFile(local, []byte("some text"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := openSSH(t, folder, strings.ReplaceAll(c.batch, "LOCAL", local)+"\n")
		if err == nil || !strings.Contains(out, c.reason) {
			t.Errorf("%s: %v, want a failure that shows %q:\n%s", c.batch, err, c.reason, out)
		}
	}
}

// TestOpenSSHClientCannotResume continues an upload of which half is there.
func TestOpenSSHClientCannotResume(t *testing.T) {
	folder, local := t.TempDir(), t.TempDir()
	for name, size := range map[string]int{"half": 1000, "whole": 2000} {
		if err := os.WriteFile(filepath.Join(local, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := openSSH(t, folder, strings.ReplaceAll("put LOCAL/half upgrade.img\nreput LOCAL/whole upgrade.img\n", "LOCAL", local))
	if err == nil || !strings.Contains(out, "cannot be resumed") {
		t.Errorf("reput: %v, want a refusal:\n%s", err, out)
	}
	if info, err := os.Stat(filepath.Join(folder, "transfer", "upgrade.img")); err != nil || info.Size() != 1000 {
		t.Errorf("the first half is %v, %v, want it as it was", info, err)
	}
}
