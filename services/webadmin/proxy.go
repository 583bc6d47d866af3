package webadmin

import (
	"log"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"
)

// maxAPIBody bounds a request of a client: a layout template is the largest that there is.
const maxAPIBody = 4 << 20

// newProxy carries the API to the Call Bridge's socket as clients wrote it: odd paths, cases and content types are the Call Bridge's to
// understand. The far end's address goes along; what a client claims about itself does not.
func newProxy(transport http.RoundTripper, logger *slog.Logger) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", "callbridge"
			p.Out.Host = p.In.Host
			for name := range p.Out.Header {
				if strings.HasPrefix(name, "Rotunda-") || strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" {
					p.Out.Header.Del(name)
				}
			}
			// A session is for pages alone.
			p.Out.Header.Del("Cookie")
			p.Out.Header.Set("Rotunda-Source", peer(p.In))
			if _, ok := p.Out.Header["User-Agent"]; !ok {
				p.Out.Header.Set("User-Agent", "")
			}
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("X-Content-Type-Options", "nosniff")
			r.Header.Set("Cache-Control", "no-store")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			logger.Warn("the Call Bridge does not answer", "error", err)
			w.Header().Set("Content-Type", "text/xml")
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("<?xml version=\"1.0\"?>\n<failureDetails><databaseNotReady/></failureDetails>\n"))
		},
		ErrorLog: log.New(discard{}, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxAPIBody)
		proxy.ServeHTTP(&speller{w}, r)
	})
}

// tokenHeader has the token of event clients. net/http spells it X-Cisco-Cms-Auth-Token when it is passed on, and there are clients in the
// field that compare case.
const tokenHeader = "X-Cisco-CMS-Auth-Token"

// speller gives the header back its spelling.
type speller struct{ http.ResponseWriter }

func (s *speller) WriteHeader(status int) {
	h := s.Header()
	if token := h.Values(tokenHeader); len(token) > 0 {
		h.Del(tokenHeader)
		h[tokenHeader] = token
	}
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController], which hands over connections that are upgraded.
func (s *speller) Unwrap() http.ResponseWriter { return s.ResponseWriter }

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
