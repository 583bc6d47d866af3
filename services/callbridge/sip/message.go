package sip

import (
	"net/netip"
	"strconv"
)

// message is a request (method is set) or a response. Its strings share the memory of the bytes that came in.
type message struct {
	method      string
	uri         string // request URI as written
	code        int
	reason      string
	headers     []Header // names in their canonical form
	body        []byte
	callID      string
	from, to    address
	via         via // topmost
	cseq        uint32
	cseqMethod  string
	maxForwards int  // -1: none
	strict      bool // the URI is that of a strict router, which is where it goes

	path path
}

// path is where a message came from, or where it is to go.
type path struct {
	transport Transport
	local     netip.AddrPort
	remote    netip.AddrPort
	conn      *conn      // of a stream
	sock      *udpSocket // of a datagram
}

func (m *message) request() bool { return m.method != "" }

// get is the first value of a header, by canonical name.
func (m *message) get(name string) string {
	for i := range m.headers {
		if m.headers[i].Name == name {
			return m.headers[i].Value
		}
	}
	return ""
}

func (m *message) has(name string) bool {
	for i := range m.headers {
		if m.headers[i].Name == name {
			return true
		}
	}
	return false
}

// values are all values of a header, one a field.
func (m *message) values(name string) []string {
	var v []string
	for i := range m.headers {
		if m.headers[i].Name == name {
			v = append(v, m.headers[i].Value)
		}
	}
	return v
}

// list are the elements of a header that is a comma-separated list, over all its fields.
func (m *message) list(name string) []string {
	var l []string
	for i := range m.headers {
		if m.headers[i].Name == name {
			l = appendList(l, m.headers[i].Value)
		}
	}
	return l
}

// lists says whether a header that is a list of tokens has one of them.
func (m *message) lists(name, token string) bool {
	for i := range m.headers {
		if m.headers[i].Name != name {
			continue
		}
		for rest := m.headers[i].Value; rest != ""; {
			var e string
			e, rest = cutElement(rest)
			if equalFold(e, token) {
				return true
			}
		}
	}
	return false
}

func (m *message) add(name, value string) { m.headers = append(m.headers, Header{name, value}) }

// write appends the message as it goes over the wire. Content-Length is written by it alone.
func (m *message) write(b []byte) []byte {
	if m.request() {
		b = append(b, m.method...)
		b = append(b, ' ')
		b = append(b, m.uri...)
		b = append(b, " SIP/2.0\r\n"...)
	} else {
		b = append(b, "SIP/2.0 "...)
		b = strconv.AppendInt(b, int64(m.code), 10)
		b = append(b, ' ')
		b = append(b, m.reason...)
		b = append(b, '\r', '\n')
	}
	for i := range m.headers {
		b = append(b, m.headers[i].Name...)
		b = append(b, ':', ' ')
		b = append(b, m.headers[i].Value...)
		b = append(b, '\r', '\n')
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(m.body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, m.body...)
}

// phrase is the reason phrase of a status.
func phrase(code int) string {
	if p, ok := phrases[code]; ok {
		return p
	}
	switch code / 100 {
	case 1:
		return "Session Progress"
	case 2:
		return "OK"
	case 3:
		return "Moved"
	case 4:
		return "Request Failure"
	case 5:
		return "Server Failure"
	}
	return "Global Failure"
}

var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress", 200: "OK", 202: "Accepted",
	300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
	404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
	410: "Gone", 413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media Type",
	416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required", 422: "Session Interval Too Small",
	423: "Interval Too Brief", 433: "Anonymity Disallowed", 469: "Bad Info Package", 480: "Temporarily Unavailable",
	481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 484: "Address Incomplete", 485: "Ambiguous",
	486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending",
	493: "Undecipherable", 500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
	504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large", 580: "Precondition Failure", 600: "Busy Everywhere",
	603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}
