package api

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Figures count the requests since the start, by class of the answer: 1xx to 5xx.
type Figures struct {
	classes     [5]atomic.Uint64
	nanoseconds atomic.Int64
}

// Classes of answers, in the order of [Figures.Requests].
var Classes = [5]string{"1xx", "2xx", "3xx", "4xx", "5xx"}

// Requests is how many there were, and how long they took together.
func (f *Figures) Requests() (classes [5]uint64, took time.Duration) {
	for i := range classes {
		classes[i] = f.classes[i].Load()
	}
	return classes, time.Duration(f.nanoseconds.Load())
}

// Figures of this server.
func (s *Server) Figures() *Figures { return &s.figures }

// counting remembers the class of an answer.
type counting struct {
	http.ResponseWriter
	status int
}

func (c *counting) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// count wraps the answer of a request; what it returns is called at the end.
func (f *Figures) count(w http.ResponseWriter) (http.ResponseWriter, func()) {
	c, begin := &counting{w, http.StatusOK}, time.Now()
	return c, func() {
		f.nanoseconds.Add(int64(time.Since(begin)))
		if i := c.status/100 - 1; i >= 0 && i < len(f.classes) {
			f.classes[i].Add(1)
		}
	}
}
