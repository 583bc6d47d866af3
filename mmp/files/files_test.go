package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

type world struct {
	*Store
	t     *testing.T
	dir   string
	free  uint64
	mu    sync.Mutex
	lines []string
}

type testMachine struct {
	Machine
	err error
}

func (m testMachine) Config(context.Context) (control.Config, error) {
	return control.Config{Generation: 7, Document: config.Factory()}, m.err
}

func (m testMachine) Interfaces(context.Context) ([]control.Interface, error) {
	return []control.Interface{{Name: "a", MAC: "00:50:56:BC:FC:7D"}}, m.err
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), free: 1 << 40}
	if err := os.MkdirAll(filepath.Join(w.dir, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("log/messages", "the log\n")
	w.write("log/audit", "the audit log\n")
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	s, err := Open(Config{
		Stored: filepath.Join(w.dir, "files"), Transfer: filepath.Join(w.dir, "transfer"), Logs: filepath.Join(w.dir, "log"),
		Machine: testMachine{}, Free: func(string) (uint64, error) { return w.free, nil },
		Log: func(p syslog.Priority, tag, text string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.lines = append(w.lines, fmt.Sprintf("<%d>%s: %s", p, tag, text))
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Store = s
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) logged(part string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(strings.Join(w.lines, "\n"), part)
}

func as(role grammar.Role) Person {
	return Person{User: string(role) + "1", Role: role, Source: "192.0.2.7:50022"}
}

var admin = as(grammar.Admin)

func (w *world) put(p Person, name, text string) error {
	u, err := w.Create(p, name, false)
	if err != nil {
		return err
	}
	if _, err := u.WriteAt([]byte(text), 0); err != nil {
		u.Abort("test")
		return err
	}
	return u.Commit()
}

func (w *world) get(p Person, name string) (string, error) {
	f, err := w.Open(w.t.Context(), p, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	return string(data), err
}

func (w *world) names(p Person) []string {
	w.t.Helper()
	list, err := w.List(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, i := range list {
		names = append(names, i.Name)
	}
	return names
}

func TestNamesHaveTheirKind(t *testing.T) {
	for name, kind := range map[string]string{
		"upgrade.img": "upgrade image", "rotunda-1.2.img": "upgrade image", "x.bak": "backup", "cms.lic": "licence",
		"license.dat": "licence", "a.key": "private key", "a.crt": "certificate", "A.CRT": "certificate", "a.cer": "certificate",
		"full-chain_1.pem": "certificate", "ca.DER": "certificate", "sent.pfx": "PKCS#12 archive", "sent.p12": "PKCS#12 archive", "a.csr": "certificate", "bob.pub": "SSH public key", "j.doe@x.pub": "SSH public key",
		"sso_corp.zip": "single sign-on archive", "dictionary": "password dictionary", "motd": "message", "login_warning": "message",
		"eth0.pcap": "packet capture", "log": "log", "audit": "audit log", "live.json": "configuration",
		"logbundle.tar.gz": "log bundle", "upgrade.img.filepart": "upgrade image",
		"": "", ".": "", "..": "", ".img": "", ".x.crt": "", "-x.crt": "", "a b.crt": "", "a/b.crt": "", "../a.crt": "", "a.crt\x00": "",
		"ä.crt": "", "sso_.zip": "", "other.zip": "", "Dictionary": "", "log.filepart": "", "live.json.filepart": "", "x.pcap.filepart": "",
		".filepart": "", "notes.txt": "", "messages": "", "LOG": "", strings.Repeat("x", maxName) + ".crt": "",
	} {
		e, ok := classify(name)
		got := ""
		if ok {
			got = e.kind
		}
		if got != kind {
			t.Errorf("%q is %q, want %q", name, got, kind)
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, name := range []string{"upgrade.img", "x.crt.filepart", "../x.crt", "sso_a.zip", ".part-x", "a\nb.key"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		e, ok := classify(name)
		if !ok {
			return
		}
		disk := e.diskName()
		if disk != filepath.Base(disk) || strings.HasPrefix(disk, ".") || strings.ContainsAny(disk, "/\\\x00\n") || len(disk) > maxName {
			t.Errorf("%q is kept as %q", name, disk)
		}
	})
}

func TestRights(t *testing.T) {
	w := newWorld(t)
	names := []string{"upgrade.img", "x.bak", "cms.lic", "a.key", "a.crt", "bob.pub", "dictionary", "motd", "sso_a.zip"}
	for _, name := range names {
		if err := w.put(admin, name, "text"); err != nil {
			t.Fatal(err)
		}
	}
	w.write("transfer/a.pcap", "capture")
	for _, c := range []struct {
		role         grammar.Role
		sees, stores []string
	}{
		{grammar.Admin, append([]string{"a.pcap", "log", "audit", "live.json", "logbundle.tar.gz"}, names...), names},
		{grammar.Crypto, []string{"a.crt", "a.key"}, []string{"a.crt", "a.key"}},
		{grammar.Audit, []string{"audit"}, nil},
		{grammar.AppAdmin, nil, nil},
		{grammar.API, nil, nil},
		{"recovery", nil, nil},
	} {
		slices.Sort(c.sees)
		if got := w.names(as(c.role)); !slices.Equal(got, c.sees) {
			t.Errorf("%s sees %v, want %v", c.role, got, c.sees)
		}
		for _, name := range append([]string{"a.pcap", "log", "audit", "live.json", "logbundle.tar.gz"}, names...) {
			_, err := w.get(as(c.role), name)
			if sees := slices.Contains(c.sees, name); (err == nil) != sees {
				t.Errorf("%s reads %s: %v, want allowed %t", c.role, name, err, sees)
			} else if !sees && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s learns that %s is there: %v", c.role, name, err)
			}
			stores := slices.Contains(c.stores, name)
			if err := w.put(as(c.role), name, "text"); (err == nil) != stores {
				t.Errorf("%s stores %s: %v, want allowed %t", c.role, name, err, stores)
			}
		}
	}
	if err := w.Remove(as(grammar.Crypto), "cms.lic"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("crypto removes the licence: %v", err)
	}
	if err := w.Rename(as(grammar.Crypto), "a.key", "a.bak", false); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("crypto makes a backup of a key: %v", err)
	}
	if err := w.Remove(admin, "log"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the log was removed: %v", err)
	}
	if err := w.Remove(admin, "a.pcap"); err != nil {
		t.Errorf("remove a capture: %v", err)
	}
}

func TestAnUploadThatIsGivenUpChangesNothing(t *testing.T) {
	w := newWorld(t)
	if err := w.put(admin, "a.crt", "old"); err != nil {
		t.Fatal(err)
	}
	u, err := w.Create(admin, "a.crt", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.WriteAt([]byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	u.Abort("the test ends")
	if err := u.Commit(); err == nil {
		t.Error("commit after abort reported no error")
	}
	if got, err := w.get(admin, "a.crt"); err != nil || got != "old" {
		t.Errorf("the file has %q, %v, want old", got, err)
	}
	if !w.logged("did not store certificate a.crt: the test ends") {
		t.Error("the log does not say why")
	}
	w.transferHolds()
}

// transferHolds compares all that is in the transfer folder.
func (w *world) transferHolds(want ...string) {
	w.t.Helper()
	list, err := os.ReadDir(filepath.Join(w.dir, "transfer"))
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, d := range list {
		names = append(names, d.Name())
	}
	if !slices.Equal(names, want) {
		w.t.Errorf("the transfer folder holds %q, want %q", names, want)
	}
}

func TestStartRemovesWhatBrokeOff(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{".part-ABC", "upgrade.img", "next.img.filepart", "a.key.filepart", "x.bak", "unknown"} {
		w.write("transfer/"+name, "x")
	}
	w.open()
	w.transferHolds("unknown", "upgrade.img", "x.bak")
}

func TestQuotas(t *testing.T) {
	w := newWorld(t)
	u, err := w.Create(admin, "a.crt", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.WriteAt([]byte("x"), mib-1); err != nil {
		t.Errorf("the last byte that fits: %v", err)
	}
	for _, off := range []int64{mib, -1, 1 << 62, 1<<63 - 1} {
		if _, err := u.WriteAt([]byte("x"), off); !errors.Is(err, ErrFull) {
			t.Errorf("a byte at %d: %v, want %v", off, err, ErrFull)
		}
	}
	if err := u.Commit(); !errors.Is(err, ErrFull) {
		t.Errorf("commit after a write that failed: %v, want %v", err, ErrFull)
	}
	for i := range 32 {
		if err := w.put(admin, fmt.Sprintf("sso_%d.zip", i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.put(admin, "sso_more.zip", "x"); !errors.Is(err, ErrFull) {
		t.Errorf("one archive more: %v, want %v", err, ErrFull)
	}
	if err := w.put(admin, "sso_3.zip", "y"); err != nil {
		t.Errorf("replacing one of as many as there may be: %v", err)
	}
	if err := w.put(admin, "sso_more.zip.filepart", "x"); err != nil {
		t.Fatal(err)
	}
	if err := w.Rename(admin, "sso_more.zip.filepart", "sso_more.zip", false); !errors.Is(err, ErrFull) {
		t.Errorf("one archive more by rename: %v, want %v", err, ErrFull)
	}
	for i := range 32 {
		// Sparse, so that the test does not write 512 MiB: what counts is the size.
		name := fmt.Sprintf("big%d.bak", i)
		w.write("transfer/"+name, "")
		if err := os.Truncate(filepath.Join(w.dir, "transfer", name), gib); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.put(admin, "more.bak", "x"); !errors.Is(err, ErrFull) {
		t.Errorf("one backup more than 8 GiB: %v, want %v", err, ErrFull)
	}
}

func TestUploadsUnderWayAreBounded(t *testing.T) {
	w := newWorld(t)
	var open []*Upload
	for {
		u, err := w.Create(admin, "a.crt", false)
		if err != nil {
			break
		}
		if open = append(open, u); len(open) > maxUploads {
			t.Fatalf("more than %d uploads are under way", maxUploads)
		}
	}
	for i, u := range open {
		if i%2 == 0 {
			u.Abort("test")
		} else if err := u.Commit(); err != nil {
			t.Error(err)
		}
	}
	if err := w.put(admin, "a.crt", "x"); err != nil {
		t.Errorf("after they ended: %v", err)
	}
}

func TestAFullDiskLeavesRoomForTheMachine(t *testing.T) {
	w := newWorld(t)
	w.free = 20 * mib
	if err := w.put(admin, "x.img", "x"); !errors.Is(err, ErrFull) {
		t.Errorf("an image with 20 MiB left: %v, want %v", err, ErrFull)
	}
	if err := w.put(admin, "a.crt", "x"); err != nil {
		t.Errorf("a certificate with 20 MiB left: %v", err)
	}
	if !w.logged("no room to store x.img: 20 MiB are free") {
		t.Errorf("the log does not say so: %q", w.lines)
	}
	w.transferHolds()
}

func TestAnErrorOfTheDiskIsSaidClearly(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		err  error
		kind error
		part string
	}{
		{unix.ENOSPC, ErrFull, "the disk is full"}, {unix.EROFS, ErrRefused, "the disk cannot be written"}, {unix.EIO, unix.EIO, "input/output"},
	} {
		err := w.broken("store", "a.crt", &fs.PathError{Op: "write", Path: "x", Err: c.err})
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.part) || !w.logged(c.err.Error()) {
			t.Errorf("%v is told as %q", c.err, err)
		}
	}
}

func TestRenameReplacesOnlyWhenAsked(t *testing.T) {
	w := newWorld(t)
	for name, text := range map[string]string{"a.crt": "a", "b.crt": "b"} {
		if err := w.put(admin, name, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Rename(admin, "a.crt", "b.crt", false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("rename onto a file: %v, want %v", err, fs.ErrExist)
	}
	if err := w.Rename(admin, "none.crt", "c.crt", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rename of nothing: %v, want %v", err, fs.ErrNotExist)
	}
	if err := w.Rename(admin, "a.crt", "a.crt", false); err != nil {
		t.Errorf("rename to itself: %v", err)
	}
	if err := w.Rename(admin, "a.crt", "b.crt", true); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.get(admin, "b.crt"); got != "a" {
		t.Errorf("the file has %q, want a", got)
	}
	if err := w.Rename(admin, "b.crt", "b.img", false); err != nil {
		t.Fatal(err)
	}
	w.transferHolds("b.img")
}

func TestLinksAreNotFollowed(t *testing.T) {
	w := newWorld(t)
	w.write("secret", "secret")
	if err := os.Symlink(filepath.Join(w.dir, "secret"), filepath.Join(w.dir, "files", "a.crt")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(w.dir, "files", "b.crt"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.crt", "b.crt"} {
		if text, err := w.get(admin, name); err == nil {
			t.Errorf("%s reads %q", name, text)
		}
		if _, err := w.OpenStored(name); err == nil {
			t.Errorf("%s opens for the machine", name)
		}
		if _, err := w.Stat(t.Context(), admin, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s has attributes: %v", name, err)
		}
	}
}

func TestOpenStored(t *testing.T) {
	w := newWorld(t)
	if err := w.put(admin, "dictionary", "dragon"); err != nil {
		t.Fatal(err)
	}
	f, err := w.OpenStored("dictionary")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if data, err := io.ReadAll(f); err != nil || string(data) != "dragon" {
		t.Errorf("reads %q, %v", data, err)
	}
	for _, name := range []string{"bob.pub", "../log/messages", "log", "live.json", "x.bak"} {
		if _, err := w.OpenStored(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want %v", name, err, fs.ErrNotExist)
		}
	}
}

func TestMessagesMustBeSafeToShow(t *testing.T) {
	w := newWorld(t)
	for text, ok := range map[string]bool{
		"Maintenance on Sunday.\n\tSee you, Zoë\r\n": true, strings.Repeat("ä", maxMessage): true,
		strings.Repeat("ä", maxMessage+1): false, "\x1b[2J": false, "\xff": false, "\x9b2J": false, "a\x00": false, "": true,
	} {
		if err := w.put(admin, "motd", text); (err == nil) != ok {
			t.Errorf("%.20q: %v, want ok %t", text, err, ok)
		}
	}
	if err := w.put(admin, "motd.filepart", "\x1b[2J"); err != nil {
		t.Fatal(err)
	}
	if err := w.Rename(admin, "motd.filepart", "motd", true); !errors.Is(err, ErrRefused) {
		t.Errorf("by rename: %v, want %v", err, ErrRefused)
	}
}

func TestLiveJSON(t *testing.T) {
	doc := config.Factory()
	a := doc.Interfaces["a"]
	a.IPv4 = config.IPv4{Enabled: true, Address: netip.MustParsePrefix("10.1.2.3/24"), Gateway: netip.MustParseAddr("10.1.2.1"),
		Routes: []netip.Prefix{netip.MustParsePrefix("8.8.8.8/32")}}
	doc.Interfaces["a"] = a
	data, err := LiveJSON(control.Config{Generation: 7, Document: doc}, []control.Interface{{Name: "a", MAC: "00:50:56:BC:FC:7D"}, {Name: "d", MAC: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
    "generation": "7",
    "hostname": "rotunda",
    "ipv4": {
        "module": {
            "interfaces": {
                "eth1": {
                    "default": "false",
                    "dhcp": "false",
                    "enabled": "false",
                    "macaddress": "x",
                    "routes": {}
                },
                "eth4": {
                    "address": "10.1.2.3",
                    "default": "true",
                    "dhcp": "false",
                    "enabled": "true",
                    "gateway": "10.1.2.1",
                    "macaddress": "00:50:56:BC:FC:7D",
                    "prefixlen": "24",
                    "routes": {
                        "8=8=8=8-32": {
                            "address": "8.8.8.8",
                            "prefixlen": "32"
                        }
                    }
                }
            }
        }
    },
`
	if !strings.HasPrefix(string(data), want) {
		t.Errorf("live.json begins\n%s\nwant\n%s", data, want)
	}
}

// What the machine makes for a person comes by the same way as an upload.
func TestPutHasTheRightsOfThePersonAndReplacesNothingUnasked(t *testing.T) {
	w := newWorld(t)
	if err := w.Put(as(grammar.Crypto), "web.key", []byte("one"), false); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(w.dir, "files", "web.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("wanted a file among those that a backup holds, readable by its owner alone, got %v, %v", info, err)
	}
	if err := w.Put(admin, "web.key", []byte("two"), false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("wanted %v, got %v", fs.ErrExist, err)
	}
	if got, err := w.get(admin, "web.key"); err != nil || got != "one" {
		t.Errorf("wanted the first to stay, got %q, %v", got, err)
	}
	if err := w.Put(admin, "web.key", []byte("two"), true); err != nil {
		t.Error(err)
	}
	if got, err := w.get(as(grammar.Crypto), "web.key"); err != nil || got != "two" {
		t.Errorf("wanted it replaced, got %q, %v", got, err)
	}
	if err := w.Put(as(grammar.Audit), "b.key", []byte("x"), false); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("audit: wanted %v, got %v", fs.ErrPermission, err)
	}
	if err := w.Put(as(grammar.Crypto), "ann.pub", []byte("x"), false); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("crypto: wanted %v, got %v", fs.ErrPermission, err)
	}
	if err := w.Put(admin, "big.key", make([]byte, mib+1), false); !errors.Is(err, ErrFull) {
		t.Errorf("a large one: wanted %v, got %v", ErrFull, err)
	}
	list, err := os.ReadDir(filepath.Join(w.dir, "transfer"))
	if err != nil || len(list) != 0 {
		t.Errorf("wanted nothing half done, got %v, %v", list, err)
	}
}

// Two that are made at once under one name: one of them has to be told.
func TestAFileThatCameMeanwhileIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	u, err := w.Create(admin, "a.key", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Put(admin, "a.key", []byte("first"), false); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("wanted %v, got %v", fs.ErrExist, err)
	}
	if got, err := w.get(admin, "a.key"); err != nil || got != "first" {
		t.Errorf("wanted the first, got %q, %v", got, err)
	}
}
