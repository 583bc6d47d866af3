package licence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"rotunda/init/durable"
	"rotunda/init/licence"
)

// MaxAhead is the furthest that the cluster's document may reach, in days from today (guide chapter 17.1.1). It is the length of a trial too.
const MaxAhead = 90

// Shelf keeps the cluster's document.
type Shelf interface {
	// Load returns nil when there is none.
	Load() ([]byte, error)
	Save([]byte) error
}

// document is what a management system has set.
type document struct {
	// Features are the last days by the API's names, as 2026-Dec-31; a feature that is not there has no licence. Nil binds nothing.
	Features map[string]string `json:"features"`
	// Applied is set for ever once there was a document: there is no second trial.
	Applied bool `json:"applied,omitempty"`
	// Trial is the day on which a trial began, empty when the features are no trial's.
	Trial string `json:"trial,omitempty"`
}

func (d document) binds() bool { return d.Features != nil }

// maxDocument bounds what is read.
const maxDocument = 64 << 10

func clusterFeatures() []*licence.Feature {
	var all []*licence.Feature
	for i := range licence.Features {
		if licence.Features[i].Cluster {
			all = append(all, &licence.Features[i])
		}
	}
	return all
}

// strict decodes one JSON object with no other members than those of to.
func strict(raw []byte, to any) error {
	if len(raw) > maxDocument {
		return fmt.Errorf("the document has %d bytes, at most %d are taken", len(raw), maxDocument)
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.DisallowUnknownFields()
	if err := in.Decode(to); err != nil {
		return fmt.Errorf("the document is no JSON object with features: %w", err)
	}
	if _, err := in.Token(); err != io.EOF {
		return errors.New("something follows the document")
	}
	return nil
}

// parse reads a document that was kept. It does not look at how far ahead it reaches.
func parse(raw []byte) (document, error) {
	var d document
	if err := strict(raw, &d); err != nil {
		return document{}, err
	}
	return d, d.check()
}

// check looks at names and days.
func (d document) check() error {
	for name, expiry := range d.Features {
		if !slices.ContainsFunc(clusterFeatures(), func(f *licence.Feature) bool { return f.API == name }) {
			var names []string
			for _, f := range clusterFeatures() {
				names = append(names, f.API)
			}
			return fmt.Errorf("there is no feature %q of clusters: use %s", name, strings.Join(names, ", "))
		}
		if _, err := time.Parse(licence.DateLayout, expiry); err != nil {
			return fmt.Errorf("the expiry of %s is %q: write it as 2026-Dec-31", name, expiry)
		}
	}
	return nil
}

func load(s Shelf) (document, error) {
	raw, err := s.Load()
	if err != nil || raw == nil {
		return document{}, err
	}
	return parse(raw)
}

func today(now time.Time) time.Time {
	y, m, d := now.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// states are those of the cluster's features. A document that reaches too far, since the clock was set back, counts for as long as one may.
func (d document) states(now time.Time) []licence.State {
	var l *licence.Licence
	if d.binds() {
		l = &licence.Licence{}
		furthest := today(now).AddDate(0, 0, MaxAhead)
		for name, text := range d.Features {
			expiry, err := time.Parse(licence.DateLayout, text)
			if err != nil {
				continue // parse has refused it
			}
			if expiry.After(furthest) {
				expiry = furthest
			}
			l.Features = append(l.Features, licence.Grant{Feature: name, Expiry: expiry})
		}
	}
	return slices.DeleteFunc(l.States(now), func(s licence.State) bool { return !s.Cluster })
}

// SetCluster takes another document of the cluster: {"features": {"callBridge": "2026-Dec-31", …}}. {"features": null} takes it away; what
// is not bound then is open again. {"trial": true} is [Licensing.StartTrial].
func (l *Licensing) SetCluster(raw []byte) error {
	var asked struct {
		Features *map[string]string `json:"features"`
		Trial    bool               `json:"trial"`
	}
	if err := strict(raw, &asked); err != nil {
		return err
	}
	// A null and none are different things here.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	_, some := members["features"]
	switch {
	case asked.Trial && some:
		return errors.New("a trial has every feature: give features or trial, not both")
	case asked.Trial:
		return l.StartTrial()
	case !some:
		return errors.New(`the document has no features: use {"features": {"callBridge": "2026-Dec-31"}}`)
	}
	d := document{Applied: true}
	if asked.Features != nil {
		d.Features = *asked.Features
	}
	if err := d.check(); err != nil {
		return err
	}
	furthest := today(l.o.Now()).AddDate(0, 0, MaxAhead)
	for name, text := range d.Features {
		if expiry, err := time.Parse(licence.DateLayout, text); err != nil || expiry.After(furthest) {
			return fmt.Errorf("the expiry of %s is %s: at most %d days ahead, %s, are taken", name, text, MaxAhead, furthest.Format(licence.DateLayout))
		}
	}
	return l.save(func(document) (document, error) { return d, nil })
}

// ErrApplied means that there was a document before: there is one trial.
var ErrApplied = errors.New("a licence was applied to this cluster before, so there is no trial")

// StartTrial sets every feature that does not have to be asked for to end in 90 days. It is done once, when a cluster first meets a management
// system (guide chapter 17.1.1, step 3).
func (l *Licensing) StartTrial() error {
	now := today(l.o.Now())
	trial := document{Features: map[string]string{}, Applied: true, Trial: now.Format(licence.DateLayout)}
	for _, f := range clusterFeatures() {
		if !f.Explicit {
			trial.Features[f.API] = now.AddDate(0, 0, MaxAhead).Format(licence.DateLayout)
		}
	}
	return l.save(func(before document) (document, error) {
		if before.Applied {
			return before, ErrApplied
		}
		return trial, nil
	})
}

// Trial says whether a trial runs or has run out, and when it began.
func (l *Licensing) Trial() (began time.Time, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	began, err := time.Parse(licence.DateLayout, l.cluster.Trial)
	return began, err == nil
}

func (l *Licensing) save(change func(document) (document, error)) error {
	if l.o.Shelf == nil {
		return errors.New("there is no place to keep the cluster's licence document")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d, err := change(l.cluster)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := l.o.Shelf.Save(raw); err != nil {
		return fmt.Errorf("keep the cluster's licence document: %w", err)
	}
	l.o.Log.Info("the cluster's licence document is another one", "document", string(raw))
	l.cluster, l.shelfWhy = d, nil
	return nil
}

// FileShelf is a [Shelf] in a folder.
type FileShelf struct{ FS durable.FS }

const shelfName = "cluster-licence.json"

// Load implements [Shelf].
func (s FileShelf) Load() ([]byte, error) {
	f, err := s.FS.Open(shelfName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDocument+1))
}

// Save implements [Shelf].
func (s FileShelf) Save(raw []byte) error { return durable.WriteFile(s.FS, shelfName, raw, 0o600, nil) }
