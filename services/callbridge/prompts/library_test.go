package prompts

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rotunda/services/callbridge/prompts/prompt"
)

// web is a web server with files that tests change.
type web struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte // by path
	etags bool
	asked []string // "GET /brand/welcome.wav", and " again" when it was asked for conditionally
	code  int      // answers everything, when it is not 0
}

func serve(t *testing.T, start func(http.Handler) *httptest.Server) *web {
	w := &web{files: map[string][]byte{}}
	w.Server = start(w)
	t.Cleanup(w.Close)
	return w
}

func (w *web) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := r.Method + " " + r.URL.Path
	b, ok := w.files[r.URL.Path]
	etag := fmt.Sprintf(`"%x"`, len(b))
	since := w.changed(b).UTC().Format(http.TimeFormat)
	same := w.etags && r.Header.Get("If-None-Match") == etag || !w.etags && r.Header.Get("If-Modified-Since") == since
	if r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since") != "" {
		line += " again"
	}
	w.asked = append(w.asked, line)
	switch {
	case w.code != 0:
		out.WriteHeader(w.code)
	case !ok:
		http.NotFound(out, r)
	case same:
		out.WriteHeader(http.StatusNotModified)
	default:
		if w.etags {
			out.Header().Set("ETag", etag)
		} else {
			out.Header().Set("Last-Modified", since)
		}
		_, _ = out.Write(b)
	}
}

// changed is another second for another length.
func (w *web) changed(b []byte) time.Time { return time.Unix(1_700_000_000+int64(len(b)), 0) }

func (w *web) put(path string, b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b == nil {
		delete(w.files, path)
	} else {
		w.files[path] = b
	}
}

// requests returns and forgets what was asked for.
func (w *web) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.asked
	w.asked = nil
	slices.Sort(l)
	return l
}

// recording is a WAV file whose first sample tells it from others, and whose length does too.
func recording(first byte) []byte {
	return wav(1, 1, 16000, 16, append([]byte{first, 0}, make([]byte, 2*int(first))...), false)
}

// clock is a time that tests move.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time      { return time.Unix(1_800_000_000, c.ns.Load()) }
func (c *clock) add(d time.Duration) { c.ns.Add(int64(d)) }

// builtIn makes a folder of built-in prompts.
func builtIn(t *testing.T, names ...prompt.Name) string {
	t.Helper()
	folder := t.TempDir()
	for _, n := range names {
		write0(t, filepath.Join(folder, n.File()), recording(99))
	}
	return folder
}

func write0(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func library(t *testing.T, o Options) (*Library, *clock) {
	t.Helper()
	c := &clock{}
	o.Now = c.now
	if o.BuiltIn == "" {
		o.BuiltIn = builtIn(t, prompt.Welcome, prompt.PasscodeEntry, prompt.IVRWelcome, prompt.NotCompliant)
	}
	if o.Folder == "" {
		o.Folder = t.TempDir()
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, c
}

// ask prepares and waits until the web server was asked.
func ask(l *Library, c *clock, kind prompt.Kind, location string) {
	c.add(freshFor)
	l.Prepare(kind, location)
	l.wait.Wait()
}

// origin says where a prompt comes from: "built-in", the first sample of an own recording, or "".
func origin(t *testing.T, l *Library, kind prompt.Kind, location string, name prompt.Name) string {
	t.Helper()
	files := l.Files(kind, location, name)
	if len(files) == 0 {
		return ""
	}
	if strings.HasPrefix(files[0], l.o.BuiltIn) {
		return "built-in"
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(files[0])
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%s: mode %v (%v), want one that media workers can read", files[0], info.Mode(), err)
	}
	pcm, _ := samples(t, b)
	return fmt.Sprint(pcm[0])
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: want %q, got %q", what, want, got)
	}
}

func TestOwnPromptsComeBeforeLocalOnesAndTheseBeforeBuiltInOnes(t *testing.T) {
	w := serve(t, httptest.NewServer)
	w.put("/brand/welcome.wav", recording(1))
	w.put("/brand/background.jpg", asJPEG(t, 64, 64))
	w.put("/ivr/ivr_welcome.wav", recording(3))
	local := t.TempDir()
	write0(t, filepath.Join(local, "welcome.wav"), recording(10))
	write0(t, filepath.Join(local, "passcode_entry.wav"), recording(20))
	write0(t, filepath.Join(local, "ivr_background.jpg"), asPNG(t, 64, 64))
	l, c := library(t, Options{Local: local})
	at, ivr := w.URL+"/brand/", w.URL+"/ivr"

	want(t, "before the server has answered", origin(t, l, prompt.Call, at, prompt.Welcome), "10")
	ask(l, c, prompt.Call, at)
	ask(l, c, prompt.IVR, ivr)
	for _, x := range []struct {
		kind     prompt.Kind
		location string
		name     prompt.Name
		from     string
	}{
		{prompt.Call, at, prompt.Welcome, "1"},
		{prompt.Call, at, prompt.PasscodeEntry, "20"},
		{prompt.Call, at, prompt.IVRWelcome, "built-in"},
		{prompt.Call, "", prompt.Welcome, "10"},
		{prompt.IVR, ivr, prompt.IVRWelcome, "3"},
		{prompt.IVR, ivr, prompt.Welcome, "10"},
		{prompt.IVR, at, prompt.Welcome, "10"},
		{prompt.Call, at, prompt.MeetingEnded, ""},
		{prompt.Call, at, "no_such_prompt", ""},
	} {
		want(t, fmt.Sprintf("%v %s", x.kind, x.name), origin(t, l, x.kind, x.location, x.name), x.from)
	}
	if got := l.Background(prompt.Call, at); filepath.Ext(got) != ".jpg" {
		t.Errorf("want the picture of the web server, got %q", got)
	}
	if got := l.Background(prompt.IVR, ivr); filepath.Ext(got) != ".png" {
		t.Errorf("want the picture of this machine, got %q", got)
	}
	want(t, "no picture", l.Background(prompt.Call, ""), "")
	if files := l.Files(prompt.Call, at, prompt.MeetingEnded, prompt.Welcome, prompt.PasscodeEntry); len(files) != 2 {
		t.Errorf("want two files and the one left out that is not there, got %q", files)
	}
	s := l.For(prompt.Call, at)
	if path, ok := s.File(prompt.Welcome); !ok || path != l.Files(prompt.Call, at, prompt.Welcome)[0] || s.Background() != l.Background(prompt.Call, at) {
		t.Errorf("a set gives %q, %v", path, ok)
	}
	if f := l.Failures(); len(f) != 0 {
		t.Errorf("want no failures, got %v", f)
	}
}

func TestAWebServerIsAskedForWhatChanged(t *testing.T) {
	for _, etags := range []bool{true, false} {
		w := serve(t, httptest.NewServer)
		w.etags = etags
		w.put("/welcome.wav", recording(1))
		l, c := library(t, Options{})
		ask(l, c, prompt.Call, w.URL)
		first, later := wanted(prompt.Call)
		if got := w.requests(); len(got) != len(first) || slices.Contains(got, "GET /number_1.wav") {
			t.Errorf("want %d requests and none for numbers, got %d: %q", len(first), len(got), got)
		}
		before := l.Files(prompt.Call, w.URL, prompt.Welcome)

		l.Prepare(prompt.Call, w.URL)
		l.wait.Wait()
		if got := w.requests(); len(got) != 0 {
			t.Errorf("a call right after the first: want no request, got %q", got)
		}
		ask(l, c, prompt.Call, w.URL)
		if got := w.requests(); !slices.Contains(got, "GET /welcome.wav again") || len(got) != len(first) {
			t.Errorf("want the known file to be asked for conditionally, got %q", got)
		}
		if got := l.Files(prompt.Call, w.URL, prompt.Welcome); !slices.Equal(got, before) {
			t.Errorf("the file has not changed, and its name did: %q, %q", before, got)
		}

		w.put("/welcome.wav", recording(2))
		w.put("/participants_before.wav", recording(5))
		w.put("/number_1.wav", recording(6))
		ask(l, c, prompt.Call, w.URL)
		if got := w.requests(); len(got) != len(first)+len(later) {
			t.Errorf("with a count: want %d requests, got %d", len(first)+len(later), len(got))
		}
		want(t, "changed", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "2")
		want(t, "a number", origin(t, l, prompt.Call, w.URL, "number_1"), "6")
		if _, err := os.Stat(before[0]); err != nil {
			t.Errorf("the file that is being played is gone: %v", err)
		}

		w.put("/welcome.wav", nil)
		ask(l, c, prompt.Call, w.URL)
		want(t, "gone", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "built-in")
		c.add(retireAfter)
		ask(l, c, prompt.Call, w.URL)
		if _, err := os.Stat(before[0]); !os.IsNotExist(err) {
			t.Errorf("the file that nobody has played for long is still there: %v", err)
		}
	}
}

func TestWhatCannotBeUsedIsAFailureAndNothingElse(t *testing.T) {
	w := serve(t, httptest.NewServer)
	w.put("/welcome.wav", []byte("RIFF, but not really"))
	w.put("/background.jpg", []byte("no picture"))
	w.put("/passcode_entry.wav", recording(4))
	l, c := library(t, Options{})
	ask(l, c, prompt.Call, w.URL)
	want(t, "broken", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "built-in")
	want(t, "beside it", origin(t, l, prompt.Call, w.URL, prompt.PasscodeEntry), "4")
	f := l.Failures()
	if len(f) != 2 || f[0].File != "background.jpg" || f[1].File != "welcome.wav" || f[0].Location != w.URL || f[0].Kind != prompt.Call {
		t.Fatalf("want the failures of background.jpg and welcome.wav, got %v", f)
	}
	if !strings.Contains(f[1].Err.Error(), "no WAV file") {
		t.Errorf("want an error that says what it is, got %v", f[1].Err)
	}
	w.put("/welcome.wav", recording(1))
	ask(l, c, prompt.Call, w.URL)
	if f := l.Failures(); len(f) != 1 || f[0].File != "background.jpg" {
		t.Errorf("want one failure after one was put right, got %v", f)
	}
	// A good file that becomes a bad one: the good one goes on.
	w.put("/welcome.wav", []byte("broken again"))
	ask(l, c, prompt.Call, w.URL)
	want(t, "broken again", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "1")
	// A server with a fault, too.
	w.mu.Lock()
	w.code = http.StatusInternalServerError
	w.mu.Unlock()
	ask(l, c, prompt.Call, w.URL)
	want(t, "answer 500", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "1")
}

func TestAServerThatIsAwayChangesNothing(t *testing.T) {
	w := serve(t, httptest.NewServer)
	w.put("/welcome.wav", recording(1))
	l, c := library(t, Options{})
	ask(l, c, prompt.Call, w.URL)
	w.requests()
	w.Close()
	ask(l, c, prompt.Call, w.URL)
	want(t, "away", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "1")
	f := l.Failures()
	if len(f) == 0 || len(f) > askedAtOnce {
		t.Fatalf("want one failure, or as many as were asked for at once, got %v", f)
	}
	if strings.Contains(f[0].Err.Error(), "http://") {
		t.Errorf("the error has the address in it: %v", f[0].Err)
	}
	for _, location := range []string{"ftp://example.com/x", "http://", "://", "http://\x7f/"} {
		ask(l, c, prompt.IVR, location)
		if f := l.Failures(); !slices.ContainsFunc(f, func(f Failure) bool { return f.Location == location }) {
			t.Errorf("%q: want a failure, got %v", location, f)
		}
	}
}

func TestBoundsOfWhatComes(t *testing.T) {
	var sent atomic.Int64
	w := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/welcome.wav": // without end
			b := make([]byte, 1<<20)
			for {
				n, err := out.Write(b)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		case "/timeout.wav": // in circles
			http.Redirect(out, r, "/timeout.wav", http.StatusFound)
		case "/muted.wav": // elsewhere
			http.Redirect(out, r, "/there.wav", http.StatusFound)
		case "/there.wav":
			_, _ = out.Write(recording(8))
		default:
			http.NotFound(out, r)
		}
	}))
	t.Cleanup(w.Close)
	l, c := library(t, Options{})
	ask(l, c, prompt.Call, w.URL)
	var failed []string
	for _, f := range l.Failures() {
		failed = append(failed, f.File)
	}
	if want := []string{"timeout.wav", "welcome.wav"}; !slices.Equal(failed, want) {
		t.Errorf("want failures of %q, got %v", want, l.Failures())
	}
	want(t, "one redirection", origin(t, l, prompt.Call, w.URL, prompt.Muted), "8")
	if sent.Load() > maxWAV+64<<20 {
		t.Errorf("%d bytes were taken of a file without end", sent.Load())
	}
}

func TestHTTPSNeedsATrustedCertificate(t *testing.T) {
	w := serve(t, httptest.NewTLSServer)
	w.put("/welcome.wav", recording(1))
	var trusted atomic.Pointer[tls.Config]
	trusted.Store(&tls.Config{})
	l, c := library(t, Options{TLS: trusted.Load})
	ask(l, c, prompt.Call, w.URL)
	want(t, "not trusted", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "built-in")
	if f := l.Failures(); len(f) == 0 || !strings.Contains(f[0].Err.Error(), "certificate") {
		t.Errorf("want a failure that speaks of the certificate, got %v", f)
	}
	pool := x509.NewCertPool()
	pool.AddCert(w.Certificate())
	trusted.Store(&tls.Config{RootCAs: pool})
	ask(l, c, prompt.Call, w.URL)
	want(t, "trusted", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "1")
	if f := l.Failures(); len(f) != 0 {
		t.Errorf("want no failures any more, got %v", f)
	}
}

func TestWithoutALicenceThereAreBuiltInPromptsAlone(t *testing.T) {
	w := serve(t, httptest.NewServer)
	w.put("/welcome.wav", recording(1))
	w.put("/licence_expired.wav", recording(2))
	local := t.TempDir()
	write0(t, filepath.Join(local, "welcome.wav"), recording(10))
	write0(t, filepath.Join(local, "licence_expired.wav"), recording(10))
	var allowed atomic.Bool
	l, c := library(t, Options{Local: local, Allowed: allowed.Load})
	ask(l, c, prompt.Call, w.URL)
	if got := w.requests(); len(got) != 0 {
		t.Errorf("want no requests, got %q", got)
	}
	want(t, "not licensed", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "built-in")
	allowed.Store(true)
	ask(l, c, prompt.Call, w.URL)
	want(t, "licensed", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "1")
	want(t, "the notice of a missing licence", origin(t, l, prompt.Call, w.URL, prompt.NotCompliant), "built-in")
	allowed.Store(false)
	want(t, "not any more", origin(t, l, prompt.Call, w.URL, prompt.Welcome), "built-in")
}

func TestLocalFilesArePlainFiles(t *testing.T) {
	local := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "secret.wav")
	write0(t, elsewhere, recording(7))
	if err := os.Symlink(elsewhere, filepath.Join(local, "welcome.wav")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(local, "passcode_entry.wav"), 0o755); err != nil {
		t.Fatal(err)
	}
	write0(t, filepath.Join(local, "ivr_welcome.wav"), []byte("nonsense"))
	write0(t, filepath.Join(local, "timeout.WAV"), recording(6))
	write0(t, filepath.Join(local, "nobody.wav"), recording(6))
	l, _ := library(t, Options{Local: local})
	want(t, "an extension in upper case", origin(t, l, prompt.Call, "", prompt.Timeout), "6")
	want(t, "a link", origin(t, l, prompt.Call, "", prompt.Welcome), "built-in")
	var failed []string
	for _, f := range l.Failures() {
		failed = append(failed, fmt.Sprint(f.Kind, " ", f.File))
		if f.Profiles(nil) != nil {
			t.Errorf("%s concerns a profile", f.File)
		}
	}
	if want := []string{"0 passcode_entry.wav", "0 welcome.wav", "1 ivr_welcome.wav"}; !slices.Equal(failed, want) {
		t.Errorf("want the failures %q, got %q", want, failed)
	}
}

func TestTheFolderIsEmptiedOfWhatAnEarlierProcessLeft(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{strings.Repeat("a", 32) + ".wav", ".new-123", "README"} {
		write0(t, filepath.Join(folder, name), nil)
	}
	library(t, Options{Folder: folder})
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 || left[0].Name() != "README" {
		t.Errorf("want README alone, got %v (%v)", left, err)
	}
}

func TestAFolderThatCannotBeUsedLeavesTheBuiltInPrompts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write0(t, file, nil)
	local := t.TempDir()
	write0(t, filepath.Join(local, "welcome.wav"), recording(1))
	l, c := library(t, Options{Folder: filepath.Join(file, "below"), Local: local})
	ask(l, c, prompt.Call, "http://127.0.0.1:1/")
	want(t, "without a folder", origin(t, l, prompt.Call, "http://127.0.0.1:1/", prompt.Welcome), "built-in")
}

func TestTheFolderIsBounded(t *testing.T) {
	s, err := openShelf(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	big := make([]byte, 32<<20)
	var paths []string
	for i := range 4 {
		big[0] = byte(i)
		p, err := s.put(big, ".wav", now)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	if _, err := s.put([]byte("one more"), ".wav", now); err != errShelfFull {
		t.Errorf("want that it is full, got %v", err)
	}
	if p, err := s.put(big, ".wav", now); err != nil || p != paths[3] {
		t.Errorf("what is there already: want %s, got %s, %v", paths[3], p, err)
	}
	s.release(now, paths[0], paths[3])
	if _, err := s.put([]byte("one more"), ".wav", now.Add(retireAfter-1)); err != errShelfFull {
		t.Errorf("what was released may still be played: want that it is full, got %v", err)
	}
	if _, err := s.put([]byte("one more"), ".wav", now.Add(retireAfter)); err != nil {
		t.Errorf("want room for one more, got %v", err)
	}
	for i, gone := range []bool{true, false, false, false} {
		if _, err := os.Stat(paths[i]); os.IsNotExist(err) != gone {
			t.Errorf("file %d: gone: want %v, got %v", i, gone, err)
		}
	}
}

func TestOnlySoManyLocationsAreKnown(t *testing.T) {
	l, c := library(t, Options{})
	l.Close() // nobody is asked
	for i := range maxPlaces + 10 {
		l.Prepare(prompt.Call, fmt.Sprintf("http://%d.invalid/", i))
	}
	if len(l.places) != maxPlaces {
		t.Errorf("want %d locations, got %d", maxPlaces, len(l.places))
	}
	c.add(idleAfter)
	l.Prepare(prompt.Call, "http://new.invalid/")
	if len(l.places) != maxPlaces || l.places[key{prompt.Call, "http://new.invalid/"}] == nil {
		t.Errorf("want the newest among %d, got %d", maxPlaces, len(l.places))
	}
}

func TestManyCallsAtOnceAskOnce(t *testing.T) {
	w := serve(t, httptest.NewServer)
	w.put("/welcome.wav", recording(1))
	l, _ := library(t, Options{})
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			l.For(prompt.Call, w.URL).File(prompt.Welcome)
			l.Failures()
		})
	}
	wait.Wait()
	l.wait.Wait()
	first, _ := wanted(prompt.Call)
	if got := w.requests(); len(got) != len(first) {
		t.Errorf("want %d requests, got %d", len(first), len(got))
	}
}

func TestFailuresHaveTheReasonsOfAlarms(t *testing.T) {
	w := serve(t, httptest.NewServer)
	l, c := library(t, Options{})
	for code, reason := range map[int]string{401: "authenticationFailure", 403: "authenticationFailure", 500: "internalServerError", 502: "internalServerError",
		503: "serviceUnavailable", 418: "error"} {
		w.mu.Lock()
		w.code = code
		w.mu.Unlock()
		ask(l, c, prompt.IVR, w.URL)
		f := l.Failures()
		first, _ := wanted(prompt.IVR)
		if len(f) != len(first) || f[0].Reason() != reason {
			t.Errorf("answer %d: want %d failures with %s, got %v", code, len(first), reason, f)
		}
	}
	w.mu.Lock()
	w.code = 0
	w.mu.Unlock()
	w.put("/ivr_welcome.wav", []byte("nonsense"))
	w.put("/ivr_timeout.wav", make([]byte, maxWAV+1))
	ask(l, c, prompt.IVR, w.URL)
	if f := l.Failures(); len(f) != 2 || f[0].Reason() != "fileSizeLimitExceeded" || f[1].Reason() != "dataFormatInvalid" {
		t.Errorf("want one too large and one of a wrong format, got %v", f)
	}
	w.Close()
	ask(l, c, prompt.IVR, w.URL)
	if f := l.Failures(); !slices.ContainsFunc(f, func(f Failure) bool { return f.Reason() == "connectFailure" }) {
		t.Errorf("want a failure to connect, got %v", f)
	}
}

func TestASetIsReadyWhenItsServerHasAnswered(t *testing.T) {
	asked, answer := make(chan bool, 100), make(chan bool)
	w := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		asked <- true
		<-answer
		http.NotFound(out, r)
	}))
	t.Cleanup(w.Close)
	l, _ := library(t, Options{})
	s := l.For(prompt.IVR, w.URL)
	<-asked
	select {
	case <-s.Ready():
		t.Error("it is ready before the server has answered")
	default:
	}
	close(answer)
	<-s.Ready()
	<-l.For(prompt.IVR, "").Ready()
	<-l.For(prompt.Call, "http://127.0.0.1:1/").Ready()
}

func TestMissingPromptsAreOneLine(t *testing.T) {
	var b bytes.Buffer
	folder := t.TempDir()
	open := func() []string {
		b.Reset()
		l, err := Open(Options{BuiltIn: folder, Log: slog.New(slog.NewTextHandler(&b, nil))})
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		return strings.Split(strings.TrimSpace(b.String()), "\n")
	}
	if lines := open(); len(lines) != 1 || !strings.Contains(lines[0], "there are no built-in prompts") || !strings.Contains(lines[0], folder) {
		t.Errorf("want one line that names the folder, got %q", lines)
	}
	if err := os.WriteFile(filepath.Join(folder, prompt.Welcome.File()), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if lines := open(); len(lines) != 1 || !strings.Contains(lines[0], string(prompt.MeetingLocked)) || strings.Contains(lines[0], " "+string(prompt.Welcome)+" ") {
		t.Errorf("want one line with those that are missing, got %q", lines)
	}
}
