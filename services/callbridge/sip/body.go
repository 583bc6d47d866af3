package sip

import (
	"bytes"
	"strings"
)

// sdpOf is the session description of a message: its body, or a part of it (RFC 5621). nil: none.
func sdpOf(m *message) []byte {
	if len(m.body) == 0 {
		return nil
	}
	kind, params := mediaType(m.get("Content-Type"))
	if kind == "multipart/mixed" || kind == "multipart/alternative" || kind == "multipart/related" {
		boundary, _ := param(params, "boundary")
		return partOf(m.body, boundary, "application/sdp")
	}
	if kind == "application/sdp" || kind == "" {
		return m.body
	}
	return nil
}

func mediaType(s string) (kind, params string) {
	kind, params, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(kind)), params
}

// partOf finds the first part of a multipart body with a type (RFC 2046 5.1).
func partOf(body []byte, boundary, want string) []byte {
	if boundary == "" || len(boundary) > 70 {
		return nil
	}
	mark := []byte("--" + boundary)
	at := 0
	if !bytes.HasPrefix(body, mark) {
		if at = bytes.Index(body, append([]byte("\n"), mark...)); at < 0 {
			return nil
		}
		at++
	}
	for range 16 {
		rest := body[at+len(mark):]
		if bytes.HasPrefix(rest, []byte("--")) {
			return nil
		}
		line := bytes.IndexByte(rest, '\n')
		if line < 0 {
			return nil
		}
		rest = rest[line+1:]
		end := bytes.Index(rest, append([]byte("\n"), mark...))
		if end < 0 {
			return nil
		}
		part := bytes.TrimSuffix(rest[:end], []byte("\r"))
		kind := "text/plain"
		for {
			line := part
			if n := bytes.IndexByte(part, '\n'); n >= 0 {
				line, part = part[:n], part[n+1:]
			} else {
				part = nil
			}
			line = bytes.TrimSuffix(line, []byte("\r"))
			if len(line) == 0 {
				break
			}
			if name, v, ok := strings.Cut(string(line), ":"); ok && equalFold(strings.TrimSpace(name), "Content-Type") {
				kind, _ = mediaType(v)
			}
		}
		if kind == want {
			return part
		}
		at = len(body) - len(rest) + end + 1
	}
	return nil
}

// takes says whether an Accept header has a type; none takes session descriptions.
func takes(m *message, kind string) bool {
	if !m.has("Accept") {
		return true
	}
	major, _, _ := strings.Cut(kind, "/")
	for _, e := range m.list("Accept") {
		switch k, _ := mediaType(e); k {
		case kind, "*/*", major + "/*":
			return true
		}
	}
	return false
}
