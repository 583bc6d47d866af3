package prompts

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"slices"

	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// Failure is a file that cannot be used.
type Failure struct {
	Kind prompt.Kind
	// Location is the resourceLocation; "" for the files of this machine.
	Location, File string
	Err            error
}

// Failures are those of now, in a fixed order. Err and File are for people; Location may have a password in it.
func (l *Library) Failures() []Failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Failure
	add := func(p *place) {
		for file, err := range p.failures {
			list = append(list, Failure{kindOf(file, p.kind), p.location, file, err})
		}
	}
	add(l.local)
	for _, p := range l.places {
		add(p)
	}
	slices.SortFunc(list, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Location, b.Location), cmp.Compare(a.File, b.File))
	})
	return list
}

// Profiles are the branding profiles that a failure concerns: those with its location.
func (f Failure) Profiles(v store.View) (ids []store.ID) {
	if f.Location == "" {
		return nil
	}
	o := schema.CallBrandingProfile
	if f.Kind == prompt.IVR {
		o = schema.IVRBrandingProfile
	}
	v.Each(o, func(r *store.Record) bool {
		if r.Text("resourceLocation") == f.Location {
			ids = append(ids, r.ID())
		}
		return true
	})
	return ids
}

// Reason is the failureReason of its alarm (reference section 2.11).
func (f Failure) Reason() string {
	var unreachable *unreachableError
	var name *net.DNSError
	var status statusError
	var large *sizeError
	switch {
	case errors.Is(f.Err, fs.ErrNotExist), errors.As(f.Err, &status) && (status == http.StatusNotFound || status == http.StatusGone):
		return "fileNotFound"
	case errors.As(f.Err, &name):
		return "dnsFailure"
	case errors.As(f.Err, &unreachable):
		return "connectFailure"
	case errors.As(f.Err, &large), errors.Is(f.Err, errShelfFull):
		return "fileSizeLimitExceeded"
	case errors.As(f.Err, &status):
		switch status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
			return "authenticationFailure"
		case http.StatusServiceUnavailable, http.StatusTooManyRequests:
			return "serviceUnavailable"
		}
		if status >= 500 {
			return "internalServerError"
		}
		return "error"
	case errors.Is(f.Err, errRedirections):
		return "error"
	}
	return "dataFormatInvalid"
}

// sizeError is that of what is beyond a bound.
type sizeError struct{ text string }

func (e *sizeError) Error() string { return e.text }

func tooLarge(format string, a ...any) error { return &sizeError{fmt.Sprintf(format, a...)} }

func kindOf(file string, otherwise prompt.Kind) prompt.Kind {
	if file == prompt.IVR.Background() {
		return prompt.IVR
	}
	for _, p := range prompt.All() {
		if p.Name.File() == file {
			return p.Kind
		}
	}
	return otherwise
}
