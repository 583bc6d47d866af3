package api

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

const (
	// maxDiagnostics are kept in memory, and the oldest one goes when another comes. A restart forgets them: they are taken to be
	// looked at.
	maxDiagnostics = 20
	// maxDiagnosticsSize bounds the text of one.
	maxDiagnosticsSize = 1 << 20
)

// Diagnostics is what was known of a meeting when somebody asked.
type Diagnostics struct {
	Label string
	// CallCorrelator is that of the call, "" when there was none.
	CallCorrelator string
	Contents       []byte

	id      store.ID
	coSpace store.ID
	at      time.Time
}

// kept are the last ones, the newest first.
type kept struct {
	mu   sync.Mutex
	list []Diagnostics
}

func newKept() *kept { return &kept{} }

func (k *kept) add(d Diagnostics) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append([]Diagnostics{d}, k.list[:min(len(k.list), maxDiagnostics-1)]...)
}

// those returns the ones that a condition holds for.
func (k *kept) those(match func(Diagnostics) bool) []Diagnostics {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Diagnostics
	for _, d := range k.list {
		if match(d) {
			list = append(list, d)
		}
	}
	return list
}

func (s *Server) diagnosticsRoutes() {
	s.Handle(http.MethodPost, "coSpaces/{id}/diagnostics", func(c *Call) (Answer, error) {
		return s.diagnose(c, c.View().Get(schema.CoSpace, c.last()), store.ID{})
	})
	s.Handle(http.MethodPost, "calls/{id}/diagnostics", func(c *Call) (Answer, error) {
		call, ok := s.live.Get(c.ctx, schema.Call, c.last())
		if !ok {
			return Answer{}, gone(schema.Call)
		}
		space, _ := store.ParseID(call.Values["coSpace"])
		return s.diagnose(c, c.View().Get(schema.CoSpace, space), call.ID)
	})
	s.handleAlone(http.MethodGet, "system/diagnostics", s.listDiagnostics)
	s.handleAlone(http.MethodGet, "system/diagnostics/{id}", func(c *Call) (Answer, error) {
		d, err := s.diagnostics(c)
		if err != nil {
			return Answer{}, err
		}
		e := d.element()
		e.add(Text("timestamp", d.at.UTC().Format(time.RFC3339)))
		e.add(number("contentsSize", len(d.Contents)))
		return answer(e)
	})
	s.handleAlone(http.MethodGet, "system/diagnostics/{id}/contents", func(c *Call) (Answer, error) {
		d, err := s.diagnostics(c)
		return Answer{Type: "text/plain", Content: d.Contents}, err
	})
}

func (s *Server) diagnose(c *Call, space *store.Record, call store.ID) (Answer, error) {
	if s.system.Diagnose == nil {
		return Answer{}, Busy{Code: failure.CallBridgeUnavailable}
	}
	d, err := s.system.Diagnose(c, space, call)
	if err != nil {
		return Answer{}, err
	}
	d.id, d.at = uuid.New(), time.Now()
	d.Contents = d.Contents[:min(len(d.Contents), maxDiagnosticsSize)]
	if space != nil {
		d.coSpace = space.ID()
	}
	s.kept.add(d)
	c.Audit("created diagnostics " + d.id.String())
	return Answer{Location: "system/diagnostics/" + d.id.String()}, nil
}

func (d Diagnostics) element() Element {
	e := Element{Name: "diagnostics", Attributes: idAttribute(d.id), Elements: []Element{Text("label", d.Label)}}
	if d.coSpace != (store.ID{}) {
		e.add(Text("coSpace", d.coSpace.String()))
	}
	if d.CallCorrelator != "" {
		e.add(Text("callCorrelator", d.CallCorrelator))
	}
	return e
}

func (s *Server) listDiagnostics(c *Call) (Answer, error) {
	space, correlator := strings.TrimSpace(c.Params.Get("coSpaceFilter")), strings.TrimSpace(c.Params.Get("callCorrelatorFilter"))
	list := s.kept.those(func(d Diagnostics) bool {
		return (space == "" || strings.EqualFold(d.coSpace.String(), space)) && (correlator == "" || strings.EqualFold(d.CallCorrelator, correlator))
	})
	return page(c, Element{Name: "diagnostics"}, len(list), func(i int) Element {
		return Element{Name: "diagnostics", Attributes: idAttribute(list[i].id), Elements: []Element{Text("label", list[i].Label)}}
	})
}

func (s *Server) diagnostics(c *Call) (Diagnostics, error) {
	for _, d := range s.kept.those(func(d Diagnostics) bool { return d.id == c.last() }) {
		return d, nil
	}
	return Diagnostics{}, NotFound{failure.UnrecognizedObject}
}
