package prompts

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"rotunda/services/callbridge/prompts/prompt"
)

// BuiltIn is where the image has its prompts.
const BuiltIn = "/usr/share/rotunda/prompts"

// Options are what a [Library] is made with.
type Options struct {
	// BuiltIn is the folder of the built-in prompts; "" means [BuiltIn].
	BuiltIn string
	// Folder is for what comes from outside: this process writes it, media workers read it, and nothing else is in it. With "" there are
	// built-in prompts alone.
	Folder string
	// Local is the folder of what administrators have put on this machine, which is read once; "" for none.
	Local string
	// TLS is asked for each connection to a web server; nil means the system's trusted certificates.
	TLS func() *tls.Config
	// Allowed says whether own prompts are licensed (customizations); nil means yes.
	Allowed func() bool
	// Log and Now may be nil.
	Log *slog.Logger
	Now func() time.Time
}

// Library is all prompts and pictures. It is safe for any goroutine.
type Library struct {
	o       Options
	fetcher *fetcher
	ctx     context.Context
	stop    context.CancelFunc
	wait    sync.WaitGroup
	turns   chan struct{} // a token for each web server that is being asked
	builtIn map[prompt.Name]string

	shelf *shelf

	mu     sync.Mutex // no file and no network is waited for while it is held
	places map[key]*place
	local  *place
}

// key is a kind of branding at a web server.
type key struct {
	kind     prompt.Kind
	location string
}

// Bounds of what is fetched.
const (
	// freshFor is how long an answer counts: calls that begin one after the other ask once.
	freshFor = 30 * time.Second
	// maxPlaces are known at once; one that no call has wanted for idleAfter makes room.
	maxPlaces = 256
	idleAfter = 10 * time.Minute
	// maxTurns web servers are asked at once.
	maxTurns = 4
)

// Open makes a library: it empties Folder and reads Local. If Folder cannot be used there are built-in prompts alone, and the log says so.
func Open(o Options) (*Library, error) {
	if o.BuiltIn == "" {
		o.BuiltIn = BuiltIn
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Allowed == nil {
		o.Allowed = func() bool { return true }
	}
	s, err := openShelf(o.Folder)
	if err != nil {
		// Calls are more important than how they sound.
		o.Log.Error("there are built-in prompts alone: the folder of own ones cannot be used", "error", err)
		o.Folder, s = "", &shelf{files: map[string]*shelved{}}
	}
	l := &Library{o: o, fetcher: newFetcher(o.TLS), turns: make(chan struct{}, maxTurns), shelf: s, places: map[key]*place{}, builtIn: map[prompt.Name]string{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	var missing []string
	for _, p := range prompt.All() {
		path := filepath.Join(o.BuiltIn, p.Name.File())
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			l.builtIn[p.Name] = path
		} else if p.Text != "" {
			missing = append(missing, string(p.Name))
		}
	}
	switch {
	case len(missing) > 0 && len(l.builtIn) == 0:
		o.Log.Warn("there are no built-in prompts: nothing will be heard in their place", "folder", o.BuiltIn)
	case len(missing) > 0:
		o.Log.Warn("some built-in prompts are not there: nothing will be heard in their place", "folder", o.BuiltIn, "prompts", strings.Join(missing, " "))
	}
	l.readLocal()
	return l, nil
}

// Close ends what is being fetched. Files stay.
func (l *Library) Close() {
	l.stop()
	l.wait.Wait()
	l.fetcher.close()
}

// Set is what a call hears and shows. It always is the newest that there is.
type Set struct {
	l *Library
	k key
}

// For returns the set of a resourceLocation, "" for what this machine has, and asks its web server for what has changed.
func (l *Library) For(kind prompt.Kind, location string) *Set {
	l.Prepare(kind, location)
	return &Set{l, key{kind, location}}
}

// File is the WAV file of a prompt; false where there is none.
func (s *Set) File(name prompt.Name) (path string, ok bool) {
	allowed := s.l.o.Allowed()
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	return s.l.file(s.k, name, allowed)
}

// Background is the picture; "" for none.
func (s *Set) Background() string { return s.l.Background(s.k.kind, s.k.location) }

// Files returns the WAV files of prompts, one after the other; those without a file are left out.
func (l *Library) Files(kind prompt.Kind, location string, names ...prompt.Name) []string {
	allowed := l.o.Allowed()
	l.mu.Lock()
	defer l.mu.Unlock()
	var files []string
	for _, n := range names {
		if f, ok := l.file(key{kind, location}, n, allowed); ok {
			files = append(files, f)
		}
	}
	return files
}

// Background returns the picture of a kind, "" for none.
func (l *Library) Background(kind prompt.Kind, location string) string {
	allowed := l.o.Allowed()
	l.mu.Lock()
	defer l.mu.Unlock()
	path, _ := l.own(key{kind, location}, kind.Background(), allowed)
	return path
}

// file looks for a prompt. The caller holds mu.
func (l *Library) file(k key, name prompt.Name, allowed bool) (string, bool) {
	// What is said of missing licences is not up to who has none.
	if row, ok := prompt.Of(name); ok && name != prompt.NotCompliant {
		if row.Kind != k.kind {
			k = key{kind: row.Kind} // a profile is of one kind; this machine has both
		}
		if path, ok := l.own(k, name.File(), allowed); ok {
			return path, true
		}
	}
	path, ok := l.builtIn[name]
	return path, ok
}

// own looks for what is not built in. The caller holds mu.
func (l *Library) own(k key, file string, allowed bool) (string, bool) {
	if !allowed {
		return "", false
	}
	if p := l.places[k]; p != nil {
		p.used = l.o.Now()
		if h := p.files[file]; h != nil {
			return h.path, true
		}
	}
	if h := l.local.files[file]; h != nil {
		return h.path, true
	}
	return "", false
}
