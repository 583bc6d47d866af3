package sftpd

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A client is told of 1 KB, asks for many pieces at a time, and gets megabytes.
func TestOpenSSHClientFetchesABundleThatGrows(t *testing.T) {
	folder, local := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(noise)
	for name, content := range map[string][]byte{"messages": []byte("the newest\n"), "messages.1": noise, "messages.2": []byte("the oldest\n")} {
		if err := os.WriteFile(filepath.Join(folder, "log", name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(local, "bundle.tar.gz")
	out, err := openSSH(t, folder, "ls -l logbundle.tar.gz\nget logbundle.tar.gz "+file+"\nls\n")
	if err != nil || !strings.Contains(out, " 1024 ") {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	for archive := tar.NewReader(zipped); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if got[h.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
	if string(got["logbundle/log"]) != "the newest\n" || !bytes.Equal(got["logbundle/log.1"], noise) || string(got["logbundle/log.2"]) != "the oldest\n" {
		t.Errorf("the bundle has logs of %d, %d and %d bytes", len(got["logbundle/log"]), len(got["logbundle/log.1"]), len(got["logbundle/log.2"]))
	}
	if left, err := os.ReadDir(filepath.Join(folder, "transfer")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
