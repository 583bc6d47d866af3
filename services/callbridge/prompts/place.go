package prompts

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// place is where files come from: a web server's folder, or this machine. The library's lock guards it.
type place struct {
	key
	files    map[string]*held // by name
	failures map[string]error
	bytes    int
	// used is when a call last wanted it, checked when it was last asked.
	used, checked time.Time
	asking        bool
	// known is closed when it was asked for the first time.
	known chan struct{}
}

// held is a file that can be used, and what its server said to know it by.
type held struct {
	path           string
	size           int
	etag, modified string
}

// maxPlace is how much one place may have, which is three times what recordings of all prompts take.
const maxPlace = 48 << 20

var errPlaceFull = tooLarge("all files of the folder take more than %d bytes together", maxPlace)

func newPlace(k key) *place {
	return &place{key: k, files: map[string]*held{}, failures: map[string]error{}, known: make(chan struct{})}
}

// Prepare asks the web server of a location for what has changed, if nobody has within the last seconds. It does not wait.
func (l *Library) Prepare(kind prompt.Kind, location string) {
	if location == "" || l.o.Folder == "" || !l.o.Allowed() {
		return
	}
	l.mu.Lock()
	var dropped []string
	k, now := key{kind, location}, l.o.Now()
	defer func() {
		l.mu.Unlock()
		if dropped != nil {
			l.shelf.release(now, dropped...)
		}
	}()
	p := l.places[k]
	if p == nil {
		if len(l.places) >= maxPlaces {
			var ok bool
			if dropped, ok = l.forget(now); !ok {
				return
			}
		}
		p = newPlace(k)
		l.places[k] = p
	}
	p.used = now
	if p.asking || !p.checked.IsZero() && now.Sub(p.checked) < freshFor || l.ctx.Err() != nil {
		return
	}
	p.asking = true
	l.wait.Go(func() { l.ask(p) })
}

// Warm asks the web servers of all branding profiles, so that the first call has what they have: when the objects can be read, and
// when a profile has changed.
func (l *Library) Warm(v store.View) {
	for kind, o := range map[prompt.Kind]*schema.Object{prompt.Call: schema.CallBrandingProfile, prompt.IVR: schema.IVRBrandingProfile} {
		v.Each(o, func(r *store.Record) bool {
			l.Prepare(kind, r.Text("resourceLocation"))
			return true
		})
	}
}

// Ready is closed when the web server of the set has answered once, or could not be reached: until then the set has what this machine
// has. Who waits for it should not do so for long.
func (s *Set) Ready() <-chan struct{} {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	if p := s.l.places[s.k]; p != nil {
		return p.known
	}
	return always
}

var always = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// forget makes room for a place, and returns the files that it used; false where all are in use. The caller holds mu.
func (l *Library) forget(now time.Time) (paths []string, ok bool) {
	var oldest *place
	for _, p := range l.places {
		if !p.asking && now.Sub(p.used) >= idleAfter && (oldest == nil || p.used.Before(oldest.used)) {
			oldest = p
		}
	}
	if oldest == nil {
		return nil, false
	}
	for _, h := range oldest.files {
		paths = append(paths, h.path)
	}
	delete(l.places, oldest.key)
	return paths, true
}

// askWithin bounds the asking of one web server, askedAtOnce how many requests it has to serve at a time.
const (
	askWithin   = 30 * time.Second
	askedAtOnce = 4
)

// ask brings a place up to date.
func (l *Library) ask(p *place) {
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-l.ctx.Done():
	}
	ctx, cancel := context.WithTimeout(l.ctx, askWithin)
	defer cancel()
	first, later := wanted(p.kind)
	ok := l.askFor(ctx, p, first)
	l.mu.Lock()
	counts := p.files[prompt.CountBefore.File()] != nil
	l.mu.Unlock()
	if ok && p.kind == prompt.Call && counts {
		l.askFor(ctx, p, later)
	}
	l.shelf.sweep(l.o.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.asking = false; p.checked.IsZero() {
		close(p.known)
	}
	p.checked = l.o.Now()
}

// wanted are the files of a kind. The parts of numbers come later: they are looked for only where there is the sentence that they
// belong to.
func wanted(kind prompt.Kind) (first, later []string) {
	first = []string{kind.Background()}
	for _, row := range prompt.All() {
		switch {
		case row.Kind != kind || row.Name == prompt.NotCompliant:
		case strings.HasPrefix(string(row.Name), "number_") || row.Name == prompt.CountAfter:
			later = append(later, row.Name.File())
		default:
			first = append(first, row.Name.File())
		}
	}
	return first, later
}

// askFor fetches files. It returns false when the server cannot be reached, and then asks for no more.
func (l *Library) askFor(ctx context.Context, p *place, names []string) bool {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work := make(chan string)
	var wait sync.WaitGroup
	var away sync.Once
	reached := true
	for range askedAtOnce {
		wait.Go(func() {
			for name := range work {
				if err := l.askForOne(ctx, p, name); err != nil {
					away.Do(func() { reached = false })
					stop()
				}
			}
		})
	}
	for _, name := range names {
		select {
		case work <- name:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	wait.Wait()
	return reached
}

// askForOne fetches one file. An error means that the server cannot be reached.
func (l *Library) askForOne(ctx context.Context, p *place, name string) error {
	l.mu.Lock()
	var known held
	if h := p.files[name]; h != nil {
		known = *h
	}
	l.mu.Unlock()
	a, err := l.fetcher.get(ctx, p.location, name, known.etag, known.modified)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return nil // another request found the server away, or we are closing
	}
	now := l.o.Now()
	var unreachable *unreachableError
	switch {
	case errors.As(err, &unreachable):
		l.fail(p, name, err)
		return err
	case err != nil:
		l.fail(p, name, err)
	case a.same:
		l.succeed(p, name)
	case a.gone:
		l.exchange(p, name, nil, now)
		l.succeed(p, name)
	default:
		content, extension, err := usable(name, a.content)
		if err == nil {
			err = l.keep(p, name, content, extension, a, now)
		}
		if err != nil {
			l.fail(p, name, err)
		} else {
			l.succeed(p, name)
		}
	}
	return nil
}

// usable is the part that looks at foreign bytes: it returns what may be put on the shelf.
func usable(name string, content []byte) (_ []byte, extension string, err error) {
	if strings.HasSuffix(name, ".wav") {
		content, err = normalize(content)
		return content, ".wav", err
	}
	extension, err = checkPicture(content)
	return content, extension, err
}

// most is how large a file may be as it comes.
func most(name string) int64 {
	if strings.HasSuffix(name, ".wav") {
		return maxWAV
	}
	return maxPicture
}

// keep takes a file into use in place of the one before.
func (l *Library) keep(p *place, name string, content []byte, extension string, a answer, now time.Time) error {
	l.mu.Lock()
	bytes := p.bytes + len(content)
	if h := p.files[name]; h != nil {
		bytes -= h.size
	}
	l.mu.Unlock()
	if bytes > maxPlace {
		return errPlaceFull
	}
	path, err := l.shelf.put(content, extension, now)
	if err != nil {
		return err
	}
	l.exchange(p, name, &held{path: path, size: len(content), etag: a.etag, modified: a.modified}, now)
	return nil
}

// exchange takes a file into use, nil for none, and the one before out of use.
func (l *Library) exchange(p *place, name string, next *held, now time.Time) {
	l.mu.Lock()
	before := p.files[name]
	if before != nil {
		p.bytes -= before.size
	}
	if next != nil {
		p.files[name] = next
		p.bytes += next.size
	} else {
		delete(p.files, name)
	}
	l.mu.Unlock()
	if before != nil {
		l.shelf.release(now, before.path)
	}
}

func (l *Library) fail(p *place, name string, err error) {
	l.mu.Lock()
	was := p.failures[name]
	p.failures[name] = err
	l.mu.Unlock()
	if was == nil || was.Error() != err.Error() {
		l.o.Log.Warn("a file of a branding profile cannot be used", "file", name, "error", err)
	}
}

// succeed takes the failure of a file back, and one of the server with it.
func (l *Library) succeed(p *place, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(p.failures, name)
	for file, err := range p.failures {
		var unreachable *unreachableError
		if errors.As(err, &unreachable) {
			delete(p.failures, file)
		}
	}
}
