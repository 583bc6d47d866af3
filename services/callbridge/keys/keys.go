// Package keys turns the keys that a participant presses in a meeting into what they mean by a DTMF profile (reference section 2.6).
//
// A profile is compiled once, by [Compile]; each leg has a [Matcher] of it. Both are pure: no clock, no lock, no I/O. Invariants: an action
// comes as soon as no key that could follow changes which it is, and at the latest [Pause] after the last key; keys that mean nothing are
// dropped and spoil nothing that follows; the longest sequence wins, and what is left over is read anew. A matcher never holds more
// keys than the longest sequence has.
//
// There is nothing to lose in a crash: half a sequence is pressed anew.
package keys

import (
	"slices"
	"strings"
	"time"
)

// Action is what keys ask for: the name of a field of dtmfProfiles.
type Action string

// The actions, in the order of the table.
const (
	MuteSelf                   Action = "muteSelfAudio"
	UnmuteSelf                 Action = "unmuteSelfAudio"
	ToggleMuteSelf             Action = "toggleMuteSelfAudio"
	Lock                       Action = "lockCall"
	Unlock                     Action = "unlockCall"
	MuteOthers                 Action = "muteAllExceptSelfAudio"
	UnmuteOthers               Action = "unmuteAllExceptSelfAudio"
	EndCall                    Action = "endCall"
	NextLayout                 Action = "nextLayout"
	PreviousLayout             Action = "previousLayout"
	StartRecording             Action = "startRecording"
	StopRecording              Action = "stopRecording"
	StartStreaming             Action = "startStreaming"
	StopStreaming              Action = "stopStreaming"
	AllowAllMuteSelf           Action = "allowAllMuteSelf"
	CancelAllowAllMuteSelf     Action = "cancelAllowAllMuteSelf"
	AllowAllPresentation       Action = "allowAllPresentationContribution"
	CancelAllowAllPresentation Action = "cancelAllowAllPresentationContribution"
	MuteNew                    Action = "muteAllNewAudio"
	UnmuteNew                  Action = "unmuteAllNewAudio"
	DefaultMuteNew             Action = "defaultMuteAllNewAudio"
	MuteNewAndOthers           Action = "muteAllNewAndAllExceptSelfAudio"
	UnmuteNewAndOthers         Action = "unmuteAllNewAndAllExceptSelfAudio"
	ParticipantCount           Action = "getTotalParticipantCount"
)

// Actions are all of them. It must not be changed.
var Actions = []Action{MuteSelf, UnmuteSelf, ToggleMuteSelf, Lock, Unlock, MuteOthers, UnmuteOthers, EndCall, NextLayout, PreviousLayout,
	StartRecording, StopRecording, StartStreaming, StopStreaming, AllowAllMuteSelf, CancelAllowAllMuteSelf, AllowAllPresentation,
	CancelAllowAllPresentation, MuteNew, UnmuteNew, DefaultMuteNew, MuteNewAndOthers, UnmuteNewAndOthers, ParticipantCount}

// Pause is how long after a key a longer sequence may go on; then what is there counts. People take about half a second from key to key.
const Pause = 3 * time.Second

// tones that keys can be.
const tones = "0123456789*#ABCD"

// maxKeys of a sequence, as the schema has it.
const maxKeys = 32

// Map is a compiled DTMF profile. It is never changed.
type Map struct {
	root    *node
	clashes []Clash
}

// Clash is a sequence that two actions have: the first in the order of [Actions] counts.
type Clash struct {
	Keys           string
	Counts, Silent Action
}

type node struct {
	next   [len(tones)]*node
	action Action
	leaf   bool // nothing is longer
}

// Compile makes a map of the sequences that keys gives for each action, "" for none: Text of profiles.Effective, or of a record. What is no
// sequence of tones is left out.
func Compile(keys func(field string) string) *Map {
	m := &Map{root: &node{leaf: true}}
	for _, a := range Actions {
		sequence := keys(string(a))
		if sequence == "" || len(sequence) > maxKeys || strings.Trim(sequence, tones) != "" {
			continue
		}
		n := m.root
		for _, k := range sequence {
			n.leaf = false
			next := &n.next[strings.IndexRune(tones, k)]
			if *next == nil {
				*next = &node{leaf: true}
			}
			n = *next
		}
		if n.action != "" {
			m.clashes = append(m.clashes, Clash{sequence, n.action, a})
			continue
		}
		n.action = a
	}
	return m
}

// Clashes are what the administrator should hear of.
func (m *Map) Clashes() []Clash { return slices.Clone(m.clashes) }

// Matcher reads the keys of one leg.
type Matcher struct {
	m       *Map
	pending []byte
	last    time.Time
}

// Matcher makes one.
func (m *Map) Matcher() *Matcher { return &Matcher{m: m} }

// Key takes a key that was pressed at a time, and returns what it completes. Times do not go back; one that does counts as now. What is no
// key is ignored.
func (k *Matcher) Key(key rune, at time.Time) (done []Action) {
	if key >= 'a' && key <= 'd' {
		key += 'A' - 'a'
	}
	if key >= 0x80 || !strings.ContainsRune(tones, key) {
		return nil
	}
	done = k.Timeout(at)
	k.last = at
	k.pending = append(k.pending, byte(key))
	return k.settle(done, false)
}

// Due is when [Matcher.Timeout] has something to do; false when no key waits.
func (k *Matcher) Due() (time.Time, bool) { return k.last.Add(Pause), len(k.pending) > 0 }

// Timeout returns what the keys so far mean, if nothing has followed for [Pause].
func (k *Matcher) Timeout(now time.Time) []Action {
	if due, waits := k.Due(); !waits || now.Before(due) {
		return nil
	}
	return k.settle(nil, true)
}

// settle takes out of pending what is decided; all of it when no key follows.
func (k *Matcher) settle(done []Action, final bool) []Action {
	for len(k.pending) > 0 {
		n, length, action := k.m.root, 0, Action("")
		for i, key := range k.pending {
			if n = n.next[strings.IndexByte(tones, key)]; n == nil {
				break
			}
			if n.action != "" {
				length, action = i+1, n.action
			}
		}
		if n != nil && !n.leaf && !final {
			return done // a longer one may come
		}
		if action != "" {
			done = append(done, action)
		}
		k.pending = slices.Delete(k.pending, 0, max(length, 1))
	}
	return done
}
