package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"time"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// NotFound is the failure of a path that names what is not there: status 404. The same code for a parameter is 400 and
// comes as [failure.Code].
type NotFound struct{ Code failure.Code }

func (n NotFound) Error() string { return string(n.Code) }

// Busy is a failure that passes by itself: status 503, and Retry-After.
type Busy struct {
	Code  failure.Code
	After time.Duration
}

func (b Busy) Error() string { return string(b.Code) }

// faults are several failures of one request, in the order in which they were found.
type faults []error

func (f *faults) add(err error) {
	for _, have := range *f {
		if have.Error() == err.Error() {
			return
		}
	}
	*f = append(*f, err)
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return errors.Join(f...)
}

// flatten takes failures that were joined apart again. Any other error stays whole: what it wraps says what kind it is, and the
// rest of it is for the log.
func flatten(err error) []error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all faults
	for _, e := range several.Unwrap() {
		for _, one := range flatten(e) {
			switch one.(type) {
			case failure.Code, *failure.Parameter, NotFound:
				all.add(one)
			default:
				return []error{err}
			}
		}
	}
	return all
}

// fail answers with an error. What is no failure of the client's is logged under an event number, which is all that the
// client sees.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		// The client went away: nobody reads the answer, and nothing is wrong here.
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	status := http.StatusBadRequest
	var elements []Element
	for _, one := range flatten(err) {
		e, code := s.failureOf(w, r, one)
		elements = append(elements, e)
		// Wrong parameters beside each other are 400; anything else is more important than they are.
		if code != http.StatusBadRequest {
			status = code
		}
	}
	send(w, r, status, "text/xml", failures(elements...))
}

// failures is the document of an answer that is none of 200.
func failures(elements ...Element) []byte {
	var b bytes.Buffer
	b.WriteString(declaration)
	Element{Name: "failureDetails", Elements: elements}.write(&b, " />")
	return b.Bytes()
}

func (s *Server) failureOf(w http.ResponseWriter, r *http.Request, err error) (Element, int) {
	var (
		code      failure.Code
		parameter *failure.Parameter
		missing   NotFound
		busy      Busy
		conflict  *store.Conflict
		gone      *store.Gone
		inUse     *store.InUse
		tooMany   *store.TooMany
		tooLarge  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &parameter):
		return parameterError(parameter), http.StatusBadRequest
	case errors.As(err, &missing):
		return Element{Name: string(missing.Code)}, http.StatusNotFound
	case errors.As(err, &busy):
		after := max(1, int((busy.After+time.Second-1)/time.Second))
		w.Header().Set("Retry-After", strconv.Itoa(after))
		return Element{Name: string(busy.Code)}, http.StatusServiceUnavailable
	case errors.As(err, &conflict):
		if conflict.Unique.Code != "" {
			return Element{Name: conflict.Unique.Code}, http.StatusBadRequest
		}
		return parameterError(&failure.Parameter{Name: conflict.Field, Fault: failure.Duplicate, Why: conflict.Field + " is taken: use another"}),
			http.StatusBadRequest
	case errors.As(err, &gone):
		status := http.StatusBadRequest
		if gone.Field == "" {
			status = http.StatusNotFound
		}
		return Element{Name: missingCode(gone.Object)}, status
	case errors.As(err, &inUse):
		return Element{Name: string(failure.InvalidOperation), Attributes: []Attribute{
			{"detail", "the " + inUse.By.Object().Name + " " + inUse.By.ID().String() + " needs it: delete or change that first"},
		}}, http.StatusBadRequest
	case errors.As(err, &tooMany):
		if tooMany.Object.TooMany == "" {
			return Element{Name: string(failure.InvalidOperation), Attributes: []Attribute{{"detail", tooMany.Error()}}}, http.StatusBadRequest
		}
		return Element{Name: tooMany.Object.TooMany}, http.StatusBadRequest
	case errors.As(err, &tooLarge):
		// net/http closes the connection: the rest of the body is not worth reading.
		return Element{Name: "requestTooLarge"}, http.StatusRequestEntityTooLarge
	case errors.As(err, &code):
		return Element{Name: string(code)}, http.StatusBadRequest
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		s.log.Warn("API: a request waits for the database in vain", "error", err)
		w.Header().Set("Retry-After", "5")
		return Element{Name: string(failure.DatabaseNotReady)}, http.StatusServiceUnavailable
	case errors.Is(err, errBody):
		return Element{Name: "requestIncomplete"}, http.StatusBadRequest
	}
	event := rand.Text()[:8]
	s.log.Error("API: "+err.Error(), "event", event, "method", r.Method)
	return Element{Name: "internalError", Attributes: []Attribute{{"event", event}}}, http.StatusInternalServerError
}

// errBody is that of a body that ended early or came too slowly.
var errBody = errors.New("the body of the request did not come")

// parameterError has the attributes that clients know first; "detail" is for people.
func parameterError(p *failure.Parameter) Element {
	e := Element{Name: "parameterError", Attributes: []Attribute{{"parameter", p.Name}, {"error", p.Fault}}}
	if p.Why != "" {
		e.Attributes = append(e.Attributes, Attribute{"detail", p.Why})
	}
	return e
}

// missingCode is the failure of an object that does not exist.
func missingCode(o *schema.Object) string {
	if o.Missing != "" {
		return o.Missing
	}
	return o.Name + "DoesNotExist"
}
