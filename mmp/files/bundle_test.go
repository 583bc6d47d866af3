package files

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

// secretsOfTheMachine are all over the machine that bundles are made of.
const secretsOfTheMachine = "s3cret"

// fullMachine answers everything.
type fullMachine struct{ kernel string }

func (fullMachine) Config(context.Context) (control.Config, error) {
	d := config.Factory()
	d.TURN = config.TURN{Username: "turnuser", Password: secretsOfTheMachine + "-turn", SharedSecret: secretsOfTheMachine + "-shared", Realm: "example.com"}
	d.SNMP.Communities = []config.SNMPCommunity{{Name: secretsOfTheMachine + "-community"}}
	d.SNMP.Users = []config.SNMPUser{{Name: "monitor", Key: []byte(secretsOfTheMachine + "-key")}}
	d.SNMP.Traps = []config.SNMPTrap{{Host: "192.0.2.9", Community: secretsOfTheMachine + "-trap"}}
	return control.Config{Generation: 7, Document: d}, nil
}

func (fullMachine) Interfaces(context.Context) ([]control.Interface, error) {
	return []control.Interface{{Name: "a", MAC: "00:50:56:BC:FC:7D"}}, nil
}

func (fullMachine) Release(context.Context) (control.Release, error) {
	return control.Release{Version: "1.2.3"}, nil
}

func (fullMachine) Versions(context.Context) ([]control.Version, error) {
	return []control.Version{{Number: 3, Version: "1.2.3"}}, nil
}

func (fullMachine) Health(context.Context) (control.Health, error) {
	return control.Health{Alarms: []control.Alarm{{ID: "disk", Text: "nearly full"}}, Services: []control.Service{{Name: "turn", State: "ready"}},
		Media: []control.MediaModule{{Workers: 2, Ready: 1}}}, nil
}

func (fullMachine) Filesystems(context.Context) ([]control.Filesystem, error) {
	return nil, errors.New("the disk does not say")
}

func (m fullMachine) Traces(context.Context) (control.Traces, error) {
	return control.Traces{Kernel: m.kernel, Crash: "goroutine 1 [running]"}, nil
}

type apiFunc func(*http.Request) (*http.Response, error)

func (f apiFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// unpack reads a bundle through the reads of a client.
func unpack(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	zipped, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(zipped)
	got := map[string]string{}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = string(data)
	}
}

// inOrder reads a [File] to its end in the pieces that SFTP clients ask for.
type inOrder struct {
	f   File
	off int64
}

func (r *inOrder) Read(p []byte) (int, error) {
	n, err := r.f.ReadAt(p[:min(len(p), 32<<10)], r.off)
	r.off += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func bundleWorld(t *testing.T) *world {
	w := newWorld(t)
	w.Store.cfg.Machine = fullMachine{kernel: "[    0.000000] Linux version 6.1\n"}
	w.Store.cfg.API = apiFunc(func(r *http.Request) (*http.Response, error) {
		status := http.StatusOK
		if strings.HasSuffix(r.URL.Path, "/system/alarms") {
			status = http.StatusServiceUnavailable
		}
		return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Body: io.NopCloser(strings.NewReader("<" + r.URL.Path + "/>"))}, nil
	})
	w.write("log/messages.1", "the older log\n")
	w.write("log/messages.11", "the oldest log\n")
	w.write("log/audit.2", "an older audit log\n")
	w.write("files/web.key", secretsOfTheMachine)
	w.write("files/dictionary", secretsOfTheMachine)
	return w
}

func TestTheLogBundleHoldsAllThatIsNeededAndNoSecret(t *testing.T) {
	w := bundleWorld(t)
	info, err := w.Stat(t.Context(), admin, "logbundle.tar.gz")
	if err != nil || info.Size != 1024 {
		t.Errorf("wanted it listed with 1 KB, got %d, %v", info.Size, err)
	}
	f, err := w.Open(t.Context(), admin, "logbundle.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w.transferHolds()
	got := unpack(t, &inOrder{f: f})
	for name, want := range map[string]string{
		"log": "the log\n", "log.1": "the older log\n", "log.2": "the oldest log\n", "audit": "the audit log\n", "audit.1": "an older audit log\n",
		"live.json": `"eth4"`, "configuration.json": `"turnuser"`, "version.json": `"1.2.3"`, "versions.json": `"number": 3`, "health.json": "nearly full",
		"alarms.json": "nearly full", "services.json": `"turn"`, "media.json": `"ready": 1`, "interfaces.json": "00:50:56:BC:FC:7D",
		"dmesg.txt": "Linux version", "crash.txt": "goroutine 1", "files.txt": "web.key", "calls.xml": "</api/v1/calls/>", "database.xml": "</api/v1/system/database/>",
		"callbridge.xml": "</api/v1/system/status/>", "calllegs.xml": "</api/v1/callLegs/>", "missing.txt": "filesystems.json: the disk does not say\n",
	} {
		if !strings.Contains(got["logbundle/"+name], want) {
			t.Errorf("%s: wanted %q in it, got %q", name, want, got["logbundle/"+name])
		}
		delete(got, "logbundle/"+name)
	}
	if len(got) != 0 {
		t.Errorf("there is more: %q", slices.Collect(maps.Keys(got)))
	}
}

func TestNothingOfABundleIsSecret(t *testing.T) {
	w := bundleWorld(t)
	name, size, err := w.GenerateBundle(t.Context(), admin)
	if err != nil || name != "generatedlogbundle.tar.gz" || size == 0 {
		t.Fatalf("got %s of %d bytes, %v", name, size, err)
	}
	f, err := w.Open(t.Context(), admin, name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for file, text := range unpack(t, &inOrder{f: f}) {
		// czNjcmV0 is the same in base64, as JSON has bytes.
		if strings.Contains(text, secretsOfTheMachine) || strings.Contains(text, "czNjcmV0") {
			t.Errorf("%s holds a secret: %s", file, text)
		}
	}
	// The one before makes way, and nothing else is left.
	w.write("log/messages", "a newer log\n")
	if _, _, err := w.GenerateBundle(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	again, err := w.Open(t.Context(), admin, name)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := unpack(t, &inOrder{f: again})["logbundle/log"]; got != "a newer log\n" {
		t.Errorf("wanted the newer one, got %q", got)
	}
	w.transferHolds("generatedlogbundle.tar.gz")
	for _, role := range []grammar.Role{grammar.Crypto, grammar.Audit, grammar.AppAdmin, grammar.API} {
		for _, name := range []string{"logbundle.tar.gz", "generatedlogbundle.tar.gz"} {
			if _, err := w.Open(t.Context(), as(role), name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s as %s: got %v", name, role, err)
			}
		}
		if _, _, err := w.GenerateBundle(t.Context(), as(role)); err == nil {
			t.Errorf("%s made a bundle", role)
		}
	}
}

// noise does not get smaller.
func noise(bytes int) string {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, bytes)
	_, _ = r.Read(b)
	return string(b)
}

func TestABundleGrowsAsFarAsAClientReads(t *testing.T) {
	w := bundleWorld(t)
	w.Store.cfg.Machine = fullMachine{kernel: noise(12 << 20)}
	f, err := w.Open(t.Context(), admin, "logbundle.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	g := f.(*growing)
	b := make([]byte, 32<<10)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	// Whoever writes is bound to wait: nothing is told to go on but by reads.
	size := func() int64 { g.mu.Lock(); defer g.mu.Unlock(); return g.size }
	g.mu.Lock()
	for g.size < ahead {
		g.change.Wait()
	}
	g.mu.Unlock()
	if got := size(); got > 4<<20 {
		t.Errorf("a client read 32 KiB, and %d bytes were made", got)
	}
	// A later piece before an earlier one, as workers finish them.
	late := make(chan error, 1)
	go func() {
		_, err := f.ReadAt(make([]byte, 32<<10), 6<<20)
		late <- err
	}()
	if _, err := f.ReadAt(b, 5<<20); err != nil {
		t.Error(err)
	}
	if err := <-late; err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.ReadAt(b, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if n := w.bundles.Load(); n != 0 {
		t.Errorf("%d bundles are still being made", n)
	}
	w.transferHolds()
}

func TestBundlesAreFewAndLeaveRoom(t *testing.T) {
	w := bundleWorld(t)
	w.Store.cfg.Machine = fullMachine{kernel: noise(6 << 20)}
	var open []File
	for range maxBundles {
		f, err := w.Open(t.Context(), admin, "logbundle.tar.gz")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, f)
	}
	if _, err := w.Open(t.Context(), admin, "logbundle.tar.gz"); err == nil || !strings.Contains(err.Error(), "wait until one is complete") {
		t.Errorf("one too many: %v", err)
	}
	for _, f := range open {
		f.Close()
	}
	w.free = 1 << 20
	f, err := w.Open(t.Context(), admin, "logbundle.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadAll(&inOrder{f: f}); !errors.Is(err, ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	if _, _, err := w.GenerateBundle(t.Context(), admin); !errors.Is(err, ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	w.transferHolds()
}

func TestACrashOfOnePartIsItsOwn(t *testing.T) {
	w := bundleWorld(t)
	var asked atomic.Int32
	w.Store.cfg.API = apiFunc(func(*http.Request) (*http.Response, error) {
		asked.Add(1)
		panic("the API")
	})
	f, err := w.Open(t.Context(), admin, "logbundle.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := unpack(t, &inOrder{f: f})
	if !strings.Contains(got["logbundle/missing.txt"], "calls.xml: it crashed") || got["logbundle/log"] != "the log\n" || asked.Load() != 5 {
		t.Errorf("after %d questions: %q", asked.Load(), got["logbundle/missing.txt"])
	}
}

func TestCapturesHaveRoomAndBounds(t *testing.T) {
	w := newWorld(t)
	limit, spare, err := w.CaptureRoom("cms-a-20260504T030201Z.pcap")
	if err != nil || limit != 512<<20 || spare < 64<<20 {
		t.Errorf("got %d and %d, %v", limit, spare, err)
	}
	for _, bad := range []string{"../x.pcap", "x.key", ".pcap", "x.pcap.filepart", "log"} {
		if _, _, err := w.CaptureRoom(bad); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	w.write("transfer/x.pcap", "")
	if _, _, err := w.CaptureRoom("x.pcap"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("one that is there: %v", err)
	}
	if err := os.Truncate(filepath.Join(w.dir, "transfer", "x.pcap"), 2<<30-100<<20); err != nil {
		t.Fatal(err)
	}
	if limit, _, err := w.CaptureRoom("y.pcap"); err != nil || limit != 100<<20 {
		t.Errorf("the last of the quota: got %d, %v", limit, err)
	}
	w.free = 90 << 20
	if _, _, err := w.CaptureRoom("y.pcap"); !errors.Is(err, ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	w.free = 1 << 40
	for n := range 31 {
		w.write(fmt.Sprintf("transfer/n%d.pcap", n), "")
	}
	if _, _, err := w.CaptureRoom("y.pcap"); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
}
