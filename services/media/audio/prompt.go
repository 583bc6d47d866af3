package audio

import (
	"container/list"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Play is a prompt: sound files one after the other, or a tone. Prompts of different IDs sound together.
type Play struct {
	// ID names it for Stop; playing an ID that is running changes nothing.
	ID string
	// Files are WAV files.
	Files []string
	// Tone is a name (join, leave, ringback, busy) or a cadence such as "440+480/2000,0/4000".
	Tone string
	// Loop repeats until stopped.
	Loop bool
	// Instead silences the conference meanwhile; otherwise it goes on 12 dB quieter. It means nothing on a bus.
	Instead bool
	// Done is called once, when the prompt is through or stopped. It may be nil.
	Done func()
}

const (
	// maxPlays is how many prompts may sound at once.
	maxPlays = 8
	maxFiles = 64
	// duck is how loud the conference is under a prompt: −12 dB.
	duck = 0.25
)

var errManyPlays = errors.New("too many prompts at once")

// player is a running prompt at one rate. The sounds are shared, the place is its own.
type player struct {
	play   Play
	rate   int
	sounds []*sound
	pcm    [][]int16
	index  int
	offset int
	// stopping fades within this tick.
	stopping bool
}

// newPlayer loads what is to be played, at a rate.
func newPlayer(p Play, prompts *Prompts, sampleRate int) (*player, error) {
	if (len(p.Files) == 0) == (p.Tone == "") || len(p.Files) > maxFiles {
		return nil, fmt.Errorf("prompt %q: want a tone or 1 to %d files", p.ID, maxFiles)
	}
	r := &player{play: p, rate: sampleRate}
	names := p.Files
	if p.Tone != "" {
		names = []string{p.Tone}
	}
	length := 0
	for _, name := range names {
		load := prompts.file
		if p.Tone != "" {
			load = prompts.tone
		}
		s, err := load(name)
		if err != nil {
			return nil, fmt.Errorf("prompt %q: %w", p.ID, err)
		}
		r.sounds = append(r.sounds, s)
		pcm := s.at(sampleRate)
		length += len(pcm)
		r.pcm = append(r.pcm, pcm)
	}
	if length == 0 {
		return nil, fmt.Errorf("prompt %q: no sound", p.ID)
	}
	return r, nil
}

// retune goes on at another rate at the same place.
func (r *player) retune(sampleRate int) {
	for i, s := range r.sounds {
		r.pcm[i] = s.at(sampleRate)
	}
	r.offset = min(int(int64(r.offset)*int64(sampleRate)/int64(r.rate)), len(r.pcm[r.index]))
	r.rate = sampleRate
}

// add adds the next len(dst) samples to dst and says whether there is more.
func (r *player) add(dst []float32) bool {
	if r.stopping {
		pcm := r.pcm[r.index][r.offset:]
		n := min(len(dst), len(pcm))
		for i, v := range pcm[:n] {
			dst[i] += float32(v) * (1 - float32(i)/float32(n))
		}
		return false
	}
	for len(dst) > 0 {
		pcm := r.pcm[r.index][r.offset:]
		n := min(len(dst), len(pcm))
		for i, v := range pcm[:n] {
			dst[i] += float32(v)
		}
		dst = dst[n:]
		if r.offset += n; r.offset < len(r.pcm[r.index]) {
			continue
		}
		r.offset = 0
		if r.index++; r.index == len(r.pcm) {
			if r.index = 0; !r.play.Loop {
				return false
			}
		}
	}
	return true
}

// players are the running prompts of a bus or a listener.
type players struct{ list []*player }

// start adds a prompt; one whose ID is running already is the same.
func (ps *players) start(r *player) error {
	for _, p := range ps.list {
		if p.play.ID == r.play.ID && !p.stopping {
			return nil
		}
	}
	if len(ps.list) >= maxPlays {
		return errManyPlays
	}
	ps.list = append(ps.list, r)
	return nil
}

// drain ends all prompts at once and appends what is to be told to done.
func (ps *players) drain(done []func()) []func() {
	for _, p := range ps.list {
		if p.play.Done != nil {
			done = append(done, p.play.Done)
		}
	}
	ps.list = nil
	return done
}

// stop lets a prompt, or all of them, end with the next tick.
func (ps *players) stop(id string) {
	for _, p := range ps.list {
		if id == "" || p.play.ID == id {
			p.stopping = true
		}
	}
}

// instead says whether a prompt replaces the conference.
func (ps *players) instead() bool {
	for _, p := range ps.list {
		if p.play.Instead && !p.stopping {
			return true
		}
	}
	return false
}

// add adds all prompts to dst; the Done functions of those that are through are appended to done.
func (ps *players) add(dst []float32, done []func()) []func() {
	keep := ps.list[:0]
	for _, p := range ps.list {
		if p.add(dst) {
			keep = append(keep, p)
		} else if p.play.Done != nil {
			done = append(done, p.play.Done)
		}
	}
	clear(ps.list[len(keep):])
	ps.list = keep
	return done
}

// Prompts caches sounds: files by path, size and time of change, and tones. A worker has one.
type Prompts struct {
	mu     sync.Mutex
	sounds map[string]*list.Element
	recent *list.List // of *sound, the last used first
	bytes  int
	most   int
}

// NewPrompts makes a cache that keeps at most so many bytes of PCM; 0 means 64 MB. What is being played is kept anyway.
func NewPrompts(maxBytes int) *Prompts {
	if maxBytes == 0 {
		maxBytes = 64 << 20
	}
	return &Prompts{sounds: map[string]*list.Element{}, recent: list.New(), most: maxBytes}
}

// sound is PCM at its own rate and at those that somebody needed.
type sound struct {
	key     string
	size    int64
	changed time.Time
	held    int // bytes, as the cache counts them

	mu    sync.Mutex
	own   int
	rates map[int][]int16
	bytes func(n int) // tells the cache of more memory
}

// at returns the sound at a rate.
func (s *sound) at(sampleRate int) []int16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	pcm, ok := s.rates[sampleRate]
	if !ok {
		pcm = convertRate(s.rates[s.own], s.own, sampleRate)
		s.rates[sampleRate] = pcm
		s.bytes(2 * len(pcm))
	}
	return pcm
}

// file returns the sound of a file, which is read when it is not known or has changed.
func (p *Prompts) file(path string) (*sound, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("prompt: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("prompt %s: want a file of at most %d bytes", path, maxFile)
	}
	key := "file " + path
	if s := p.known(key); s != nil && s.size == info.Size() && s.changed.Equal(info.ModTime()) {
		return s, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("prompt: %w", err)
	}
	pcm, own, err := parseWAV(b)
	if err != nil {
		return nil, fmt.Errorf("prompt %s: %w", path, err)
	}
	return p.keep(&sound{key: key, size: info.Size(), changed: info.ModTime(), own: own, rates: map[int][]int16{own: pcm}}), nil
}

// tone returns the sound of a tone.
func (p *Prompts) tone(name string) (*sound, error) {
	key := "tone " + name
	if s := p.known(key); s != nil {
		return s, nil
	}
	segments, err := parseTone(name)
	if err != nil {
		return nil, err
	}
	return p.keep(&sound{key: key, own: rate, rates: map[int][]int16{rate: makeTone(segments, rate)}}), nil
}

func (p *Prompts) known(key string) *sound {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.sounds[key]
	if !ok {
		return nil
	}
	p.recent.MoveToFront(e)
	return e.Value.(*sound)
}

func (p *Prompts) keep(s *sound) *sound {
	s.bytes = func(n int) { p.grow(s, n) }
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.sounds[s.key]; ok {
		p.forget(e)
	}
	p.sounds[s.key] = p.recent.PushFront(s)
	p.count(s, 2*len(s.rates[s.own]))
	return s
}

// grow counts memory that a cached sound took.
func (p *Prompts) grow(s *sound, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.sounds[s.key]; ok && e.Value == s {
		p.count(s, n)
	}
}

// count adds n bytes and forgets what was not used for the longest time. The newest stays.
func (p *Prompts) count(s *sound, n int) {
	s.held += n
	p.bytes += n
	for p.bytes > p.most && p.recent.Len() > 1 {
		p.forget(p.recent.Back())
	}
}

func (p *Prompts) forget(e *list.Element) {
	s := p.recent.Remove(e).(*sound)
	p.bytes -= s.held
	delete(p.sounds, s.key)
}
