package api

import (
	"fmt"
	"strconv"
	"strings"

	"rotunda/services/callbridge/failure"
)

const (
	// maxBody bounds a form and a layout template. Clients send less than 4 kB; forms in which every byte of the longest texts is
	// written as %xx stay below it.
	maxBody = 256 << 10
	// maxParams bounds the parameters of a request; the largest type has less than 80.
	maxParams = 300
)

// Params are the parameters of a request: of the query, and with POST and PUT those of the body, which go before them.
type Params struct{ list []param }

type param struct{ name, key, value string }

// parseParams reads a form of the kind application/x-www-form-urlencoded. Nothing is a syntax error there: as in browsers (WHATWG
// URL, section 5.1) a percent sign that is not followed by two hexadecimal digits stands for itself.
func parseParams(forms ...string) (Params, error) {
	var p Params
	for _, form := range forms {
		for pair := range strings.SplitSeq(form, "&") {
			if pair == "" {
				continue
			}
			name, value, _ := strings.Cut(pair, "=")
			name = unescape(name)
			// A form behind a byte order mark or a line end comes from scripts that read it from a file.
			name = strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))
			p.list = append(p.list, param{name, fold(name), unescape(value)})
			if len(p.list) > maxParams {
				return Params{}, &failure.Parameter{Name: "*", Fault: failure.Invalid, Why: fmt.Sprintf("more than %d parameters", maxParams)}
			}
		}
	}
	return p, nil
}

func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 < len(s) {
				if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
					b = append(b, byte(n))
					i += 2
					continue
				}
			}
			b = append(b, '%')
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

// Lookup returns the value of a parameter by one of its names, in any case, and whether it was sent. Of one that was sent twice
// the last counts.
func (p Params) Lookup(names ...string) (string, bool) {
	for i := len(p.list) - 1; i >= 0; i-- {
		for _, name := range names {
			if p.list[i].key == fold(name) {
				return p.list[i].value, true
			}
		}
	}
	return "", false
}

// Get returns the value of a parameter, "" where it was not sent.
func (p Params) Get(names ...string) string {
	v, _ := p.Lookup(names...)
	return v
}

// page reads offset and limit; most is the type's largest page.
func (p Params) page(most int) (offset, limit int, err error) {
	var faults faults
	read := func(name string, otherwise int) int {
		s := strings.TrimSpace(p.Get(name))
		if s == "" {
			return otherwise
		}
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil || n < 0 {
			faults.add(&failure.Parameter{Name: name, Fault: failure.Invalid, Why: name + " is a number from 0 on"})
		}
		return int(n)
	}
	offset, limit = read("offset", 0), read("limit", most)
	return offset, min(limit, most), faults.err()
}
