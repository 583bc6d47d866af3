package sip

import (
	"bytes"
	"strings"
)

// fault is what is wrong with a message: the answer that it gets, when it is a request, and can get one.
type fault struct {
	code int
	why  string
}

func (f *fault) Error() string { return f.why }

func bad(why string) *fault { return &fault{400, why} }

// canonical is the name by which this package knows a header, from its long or compact form.
var canonical = func() map[string]string {
	m := map[string]string{"a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition", "e": "Content-Encoding",
		"f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported", "l": "Content-Length", "m": "Contact", "o": "Event",
		"r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via", "x": "Session-Expires", "y": "Identity"}
	for _, n := range []string{"Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Allow-Events", "Authentication-Info",
		"Authorization", "Call-ID", "Call-Info", "Contact", "Content-Disposition", "Content-Encoding", "Content-Length", "Content-Type",
		"CSeq", "Date", "Diversion", "Event", "Expires", "From", "History-Info", "Info-Package", "Max-Forwards", "MIME-Version", "Min-SE",
		"P-Asserted-Identity", "Privacy", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "RAck", "Reason", "Record-Route",
		"Recv-Info", "Refer-Sub", "Refer-To", "Referred-By", "Remote-Party-ID", "Replaces", "Require", "Resource-Priority", "Retry-After",
		"Route", "RSeq", "Server", "Session-Expires", "Subject", "Subscription-State", "Supported", "Timestamp", "To", "Unsupported",
		"User-Agent", "Via", "Warning", "WWW-Authenticate"} {
		m[strings.ToLower(n)] = n
	}
	return m
}()

func canonicalName(name string) string {
	var low [32]byte
	if len(name) > len(low) {
		return name
	}
	for i := 0; i < len(name); i++ {
		low[i] = lower(name[i])
	}
	if c, ok := canonical[string(low[:len(name)])]; ok {
		return c
	}
	return name
}

// once are the headers of which a message has exactly one value (RFC 3261 table 2). Via is a list, and Max-Forwards may be missing (RFC 2543).
var once = [...]string{"Call-ID", "CSeq", "From", "To", "Max-Forwards", "Content-Length", "Content-Type"}

// headEnd is where the head of a message ends, after its empty line; 0: not yet. Lines may end in LF alone.
func headEnd(b []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return 0
		}
		i += n + 1
		if i < len(b) && b[i] == '\n' {
			return i + 1
		}
		if i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n' {
			return i + 2
		}
	}
}

// contentLength is what the head of a message says of its body: -1 nothing, -2 nonsense. It is for streams, before the message is read as a whole.
func contentLength(head []byte) int {
	found := -1
	for len(head) > 0 {
		line := head
		if n := bytes.IndexByte(head, '\n'); n >= 0 {
			line, head = head[:n], head[n+1:]
		} else {
			head = nil
		}
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			continue // the rest of the line before, which can look like anything
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			continue
		}
		name := bytes.TrimSpace(line[:colon])
		if !(len(name) == 1 && lower(name[0]) == 'l') && !(len(name) == 14 && equalFold(string(name), "Content-Length")) {
			continue
		}
		value := bytes.TrimSpace(line[colon+1:])
		for len(head) > 0 && (head[0] == ' ' || head[0] == '\t') {
			more := head
			if n := bytes.IndexByte(head, '\n'); n >= 0 {
				more, head = head[:n], head[n+1:]
			} else {
				head = nil
			}
			if more = bytes.TrimSpace(more); len(more) > 0 && len(value) > 0 {
				return -2
			}
			value = append(value[:len(value):len(value)], more...)
		}
		v, ok := number(string(value), 1<<31-1)
		if !ok || found >= 0 && found != int(v) {
			return -2
		}
		found = int(v)
	}
	return found
}

// parse reads one message. What it returns with a fault is as much as was understood, which is enough for an answer when answerable says so; nil is no
// SIP at all. Bytes after the body of a datagram are ignored (RFC 3261 18.3).
func parse(b []byte) (*message, *fault) {
	end := headEnd(b)
	head := string(b)
	if end > 0 {
		head = string(b[:end])
	}
	m := &message{maxForwards: -1, headers: make([]Header, 0, 24)}
	line, rest := cutLine(head)
	f := m.startLine(line)
	if m.method == "" && m.code == 0 {
		if f == nil {
			f = bad("no SIP")
		}
		return nil, f
	}
	if g := m.readHeaders(rest); f == nil {
		f = g
	}
	if end == 0 && f == nil {
		f = bad("the empty line after the headers is missing")
	}
	if g := m.essentials(); f == nil {
		f = g
	}
	if f != nil {
		return m, f
	}
	body := b[end:]
	if v := m.get("Content-Length"); v != "" {
		n, ok := number(v, 1<<31-1)
		switch {
		case !ok:
			return m, bad("Content-Length is not a number")
		case int(n) > len(body):
			return m, bad("the body is shorter than its Content-Length")
		}
		body = body[:n]
	}
	if len(body) > 0 {
		m.body = append([]byte(nil), body...)
	}
	return m, nil
}

// answerable says whether a message with a fault can be answered: it is a request, and has what an answer repeats.
func (m *message) answerable() bool {
	return m != nil && m.request() && m.method != "ACK" && m.via.host != ""
}

func (m *message) startLine(line string) *fault {
	if strings.HasPrefix(line, "SIP/") {
		version, rest, _ := strings.Cut(line, " ")
		code, reason, _ := strings.Cut(rest, " ")
		n, ok := number(code, 699)
		if !ok || n < 100 || len(code) != 3 {
			return bad("the status code is not one of 100 to 699")
		}
		m.code, m.reason = int(n), reason
		if version != "SIP/2.0" {
			return &fault{505, "the version is not SIP/2.0"}
		}
		return nil
	}
	method, rest, ok := strings.Cut(line, " ")
	at := strings.LastIndex(line, " SIP/")
	if at < 0 {
		at = strings.LastIndex(strings.ToUpper(line), " SIP/")
	}
	if !ok || !isToken(method) || at < 0 {
		return bad("the first line is not that of a SIP message")
	}
	m.method = method
	if at -= len(method) + 1; at < 0 {
		// "INVITE SIP/2.0": the URI is missing.
		return bad("the request line has no URI")
	}
	m.uri = rest[:at]
	version := rest[at+1:]
	switch {
	case m.uri == "" || m.uri[0] == ' ' || m.uri[len(m.uri)-1] == ' ':
		return bad("the parts of the request line are not parted by single spaces")
	case m.uri[0] == '<':
		return bad("the request URI is in angle brackets")
	case strings.ContainsAny(m.uri, " \t"):
		return bad("the request URI has spaces in it")
	case strings.TrimRight(version, " \t") != version:
		return bad("there are spaces after the request line")
	case !equalFold(version, "SIP/2.0"):
		if number, ok := strings.CutPrefix(strings.ToUpper(version), "SIP/"); ok && isVersion(number) {
			return &fault{505, "the version is not SIP/2.0"}
		}
		return bad("the version of the request line is malformed")
	}
	return nil
}

// readHeaders reads the header fields; folded ones become one line (RFC 3261 7.3.1).
func (m *message) readHeaders(rest string) *fault {
	var f *fault
	for rest != "" {
		var line string
		line, rest = cutLine(rest)
		if line == "" {
			break
		}
		for rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
			var more string
			more, rest = cutLine(rest)
			line = strings.TrimRight(line, " \t") + " " + strings.Trim(more, " \t")
		}
		colon := strings.IndexByte(line, ':')
		if colon < 0 {
			if f == nil {
				f = bad("a header line has no colon")
			}
			continue
		}
		name := strings.TrimRight(line[:colon], " \t")
		if !isToken(name) {
			if f == nil {
				f = bad("a header name is not a token")
			}
			continue
		}
		value := strings.Trim(line[colon+1:], " \t")
		if strayControl(value) {
			if f == nil {
				f = bad("control characters in header " + canonicalName(name))
			}
			continue
		}
		if len(m.headers) == maxHeaders {
			return &fault{513, "more than 200 header fields"}
		}
		m.headers = append(m.headers, Header{canonicalName(name), value})
	}
	return f
}

const maxHeaders = 200

// essentials reads the headers that every message has.
func (m *message) essentials() *fault {
	var f *fault
	say := func(why string) {
		if f == nil {
			f = bad(why)
		}
	}
	var seen [len(once)]string
	vias := 0
	for _, h := range m.headers {
		if h.Name == "Via" {
			vias++
			if vias == 1 {
				first, _ := cutElement(h.Value)
				v, err := parseVia(first)
				if err != nil {
					say("Via: " + err.why)
				}
				m.via = v
			}
			continue
		}
		for i, name := range once {
			if h.Name != name {
				continue
			}
			switch {
			case seen[i] == "":
				seen[i] = h.Value
				if h.Value == "" {
					if name != "Content-Type" {
						say(name + " is empty")
					}
					seen[i] = " "
				}
			case name == "Content-Length" && seen[i] == h.Value:
			default:
				say("more than one " + name)
			}
		}
	}
	if vias == 0 {
		say("Via is missing")
	}
	m.callID = seen[0]
	switch {
	case m.callID == "":
		say("Call-ID is missing")
	case strings.ContainsAny(m.callID, " \t,") || len(m.callID) > 512:
		say("Call-ID is not one word of up to 512 characters")
	}
	if seen[1] == "" {
		say("CSeq is missing")
	} else {
		n, method, _ := strings.Cut(seen[1], " ")
		method = strings.TrimLeft(method, " \t")
		v, ok := number(n, 1<<31-1)
		switch {
		case !ok:
			say("CSeq is not a number below 2^31 and a method")
		case !isToken(method):
			say("the method of CSeq is malformed")
		case m.request() && method != m.method:
			say("the method of CSeq is not that of the request")
		}
		m.cseq, m.cseqMethod = uint32(v), method
	}
	for i, name := range [...]string{2: "From", 3: "To"} {
		if name == "" {
			continue
		}
		if seen[i] == "" {
			say(name + " is missing")
			continue
		}
		a, err := parseAddress(seen[i])
		if err != nil {
			say(name + ": " + err.why)
			continue
		}
		if i == 2 {
			m.from = a
		} else {
			m.to = a
		}
	}
	if seen[4] != "" {
		n, ok := number(seen[4], 255)
		if !ok {
			say("Max-Forwards is not a number up to 255")
		} else {
			m.maxForwards = int(n)
		}
	}
	if v := seen[5]; v != "" {
		if _, ok := number(v, 1<<31-1); !ok {
			say("Content-Length is not a number")
		}
	}
	return f
}

// cutLine cuts at the first line end, which may be LF alone.
func cutLine(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	if i < 0 {
		return strings.TrimSuffix(s, "\r"), ""
	}
	return strings.TrimSuffix(s[:i], "\r"), s[i+1:]
}

// number reads decimal digits, no greater than most.
func number(s string, most uint64) (uint64, bool) {
	if s == "" || len(s) > 20 {
		return 0, false
	}
	var n uint64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + uint64(s[i]-'0')
		if n > most {
			return 0, false
		}
	}
	return n, true
}

func isVersion(s string) bool {
	major, minor, ok := strings.Cut(s, ".")
	_, a := number(major, 999)
	_, b := number(minor, 999)
	return ok && a && b
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func tokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-.!%*_+`'~", c) >= 0
}

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// hasControl finds control characters, with which a header could not be written again without danger.
func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// strayControl is hasControl, but for those with a backslash before them, which quoted strings may have (RFC 3261 25.1).
func strayControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if (s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f) && (i == 0 || s[i-1] != '\\' || s[i] == '\r') {
			return true
		}
	}
	return false
}

// cutElement cuts the first element off a comma-separated list. Commas in quotes and angle brackets part nothing.
func cutElement(s string) (element, rest string) {
	quoted, angle := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ',' && !angle:
			return strings.Trim(s[:i], " \t"), strings.TrimLeft(s[i+1:], " \t")
		}
	}
	return strings.Trim(s, " \t"), ""
}

func appendList(l []string, s string) []string {
	for s != "" {
		var e string
		if e, s = cutElement(s); e != "" {
			l = append(l, e)
		}
	}
	return l
}
