package leg

import (
	"bytes"
	"encoding/xml"
	"io"
	"mime"
	"strings"

	"rotunda/services/media/control"
)

// The bodies of INFO that count here: key tones of far ends that send none by RTP, and requests for a whole picture (RFC 5168) of those
// that have no feedback by RTCP.
const (
	relayType   = "application/dtmf-relay"
	digitType   = "application/dtmf"
	controlType = "application/media_control+xml"
)

// maxInfo bounds what is read of an INFO.
const maxInfo = 4096

// fastUpdate asks the far end for a whole picture.
var fastUpdate = []byte(`<?xml version="1.0" encoding="utf-8"?>` + "\r\n" +
	`<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>` + "\r\n")

// parseKey reads the key of an INFO: "Signal=5" in lines of name=value, or the key alone.
func parseKey(contentType string, body []byte) (key rune, ok bool) {
	if len(body) > maxInfo {
		return 0, false
	}
	value := ""
	switch contentType {
	case relayType:
		for line := range strings.Lines(string(body)) {
			name, v, _ := strings.Cut(line, "=")
			if strings.EqualFold(strings.TrimSpace(name), "signal") {
				value = strings.TrimSpace(v)
				break
			}
		}
	case digitType:
		value = strings.TrimSpace(string(body))
	default:
		return 0, false
	}
	switch value {
	case "10", "11":
		// Some number the keys as RFC 4733 does.
		return rune("*#"[value[1]-'0']), true
	}
	if len(value) == 1 && strings.Contains("0123456789*#ABCDabcd", value) {
		return rune(strings.ToUpper(value)[0]), true
	}
	return 0, false
}

// mediaType is a Content-Type without its parameters.
func mediaType(s string) string {
	t, _, err := mime.ParseMediaType(s)
	if err != nil && t == "" {
		t, _, _ = strings.Cut(s, ";")
		t = strings.ToLower(strings.TrimSpace(t))
	}
	return t
}

// wantsPicture says whether a media control document asks for a whole picture.
func wantsPicture(body []byte) bool {
	if len(body) > maxInfo {
		return false
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // names are ASCII in all of them
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch e := token.(type) {
		case xml.StartElement:
			if depth++; depth > 16 {
				return false
			}
			if e.Name.Local == "picture_fast_update" {
				return true
			}
		case xml.EndElement:
			depth--
		}
	}
}

// info takes an INFO of the far end. The answer has to be there at once.
func (l *Line) info(contentType string, body []byte) (code int) {
	switch t := mediaType(contentType); t {
	case relayType, digitType:
		key, ok := parseKey(t, body)
		switch {
		case !ok:
			return 400
		case !l.q.offer(func() { l.tell(func() { l.caller.Key(key) }) }):
			return 503
		}
		return 200
	case controlType:
		if wantsPicture(body) && !l.q.offer(l.pictureWanted) {
			return 503
		}
		return 200
	case "":
		return 200 // without a body it is a sign of life
	}
	return 415
}

// pictureWanted: the far end lost part of the picture. It does not say which one.
func (l *Line) pictureWanted() {
	if l.stage == over {
		return
	}
	l.media.KeyFrame("main")
	if l.agreed.Presentation {
		l.media.KeyFrame("presentation")
	}
}

// blind says whether a picture of the far end can be asked for by signalling alone.
func blind(v *control.Video) bool {
	return v != nil && !v.PLI && !v.FIR && (v.Direction == control.SendReceive || v.Direction == control.ReceiveOnly)
}

// SendKeys sends key tones to the far end: by RTP, or by INFO to those that know no other way. 0-9*#A-D, a comma is a pause.
func (l *Line) SendKeys(keys string) {
	l.q.add(func() {
		switch {
		case l.stage != up:
		case l.agreed.DTMF:
			l.media.SendKeys(keys)
		default:
			for _, k := range keys {
				if strings.ContainsRune("0123456789*#ABCD", k) {
					l.call.Info(relayType, []byte("Signal="+string(k)+"\r\nDuration=160\r\n"))
				}
			}
		}
	})
}
