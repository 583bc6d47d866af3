package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/store"
)

const (
	// maxMessage bounds what a client sends: all calls of a full machine, with all elements, fit in.
	maxMessage = 1 << 20
	// maxSubscriptions of one client.
	maxSubscriptions = 4096
	// maxUpdates and maxStates are in one message; a thousand participants come in twenty messages of some 15 KB. Many clients take no
	// more than 32 KiB or 64 KiB at a time.
	maxUpdates = 50
	maxStates  = 250
)

// request is what a client sends.
type request struct {
	Type    string `json:"type"`
	Message *struct {
		ID            *int64   `json:"messageId"`
		Type          string   `json:"type"`
		Subscriptions *[]asked `json:"subscriptions"`
	} `json:"message"`
	Ack *struct {
		ID     *int64 `json:"messageId"`
		Status string `json:"status"`
	} `json:"messageAck"`
}

// asked is one subscription of a request.
type asked struct {
	Index    *int64   `json:"index"`
	Type     string   `json:"type"`
	Call     string   `json:"call"`
	Elements []string `json:"elements"`
}

// wanted is a subscription that was read.
type wanted struct {
	index    int64
	kind     *kind
	call     meeting.ID
	elements []*element
}

// heard is a message that was read: an acknowledgement, or a request for a set of subscriptions.
type heard struct {
	// ack is the number of a message of ours, when isAck is set.
	isAck bool
	ack   int64
	// id is the client's number, nil when it has none that can be read.
	id   *int64
	want []wanted
}

// readMessage reads what a client sent. With an error, id is still set where it can be read.
func readMessage(b []byte) (m heard, err error) {
	var q request
	err = json.Unmarshal(b, &q)
	if q.Message != nil {
		m.id = q.Message.ID
	}
	if err != nil {
		// What is wrong with JSON says encoding/json, in words that name the place.
		return m, fmt.Errorf("the message is not JSON as it should be: %s", clip(strings.TrimPrefix(err.Error(), "json: ")))
	}
	switch q.Type {
	case "messageAck":
		if q.Ack == nil || q.Ack.ID == nil {
			return m, errors.New("a messageAck needs messageAck.messageId")
		}
		m.isAck, m.ack = true, *q.Ack.ID
		return m, nil
	case "message":
	default:
		return m, fmt.Errorf("type is %s: use message or messageAck", clip(strconv.Quote(q.Type)))
	}
	switch {
	case q.Message == nil:
		return m, errors.New("message is missing")
	case q.Message.ID == nil:
		return m, errors.New("message.messageId is missing: use a number that grows with each message")
	case q.Message.Type != "subscribeRequest":
		return m, fmt.Errorf("message.type is %s: use subscribeRequest", clip(strconv.Quote(q.Message.Type)))
	case q.Message.Subscriptions == nil:
		return m, errors.New("subscriptions is missing: an empty list ends all")
	case len(*q.Message.Subscriptions) > maxSubscriptions:
		return m, fmt.Errorf("%d subscriptions are more than %d", len(*q.Message.Subscriptions), maxSubscriptions)
	}
	for i, a := range *q.Message.Subscriptions {
		w, err := a.read()
		if err != nil {
			return m, fmt.Errorf("subscription %d: %w", i+1, err)
		}
		m.want = append(m.want, w)
	}
	return m, nil
}

func (a asked) read() (w wanted, err error) {
	if a.Index == nil {
		return w, errors.New("index is missing")
	}
	// Deployed clients give several subscriptions the same index.
	w.index = *a.Index
	at := slices.IndexFunc(kinds, func(k *kind) bool { return k.name == a.Type })
	if at < 0 {
		return w, fmt.Errorf("type is %s: use calls, callInfo or callRoster", clip(strconv.Quote(a.Type)))
	}
	w.kind = kinds[at]
	if w.kind.one {
		var ok bool
		if w.call, ok = store.ParseID(a.Call); !ok || w.call == (meeting.ID{}) {
			return w, fmt.Errorf("call is %s: use the ID of a call", clip(strconv.Quote(a.Call)))
		}
	}
	for _, name := range a.Elements {
		e := w.kind.element(name)
		if e == nil {
			var all []string
			for _, e := range w.kind.elements {
				all = append(all, e.name)
			}
			return w, fmt.Errorf("element %s is unknown in %s: use %s", clip(strconv.Quote(name)), w.kind.name, strings.Join(all, ", "))
		}
		if !slices.Contains(w.elements, e) {
			w.elements = append(w.elements, e)
		}
	}
	return w, nil
}

// clip shortens what a client sent.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// acknowledge makes a messageAck; with an error it says why not.
func acknowledge(id *int64, err error) []byte {
	b := []byte(`{"type":"messageAck","messageAck":{"messageId":`)
	if id == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, *id, 10)
	}
	if err == nil {
		return append(b, `,"status":"success"}}`...)
	}
	b = append(b, `,"status":"failure","reason":`...)
	return append(text(b, err.Error()), "}}"...)
}

// head begins a message.
func head(id int64, kind string) []byte {
	b := make([]byte, 0, 4096)
	b = append(b, `{"type":"message","message":{"messageId":`...)
	b = strconv.AppendInt(b, id, 10)
	b = append(b, `,"type":"`...)
	b = append(b, kind...)
	return append(b, '"')
}

// stateOf is a subscription's state that is to be told.
type stateOf struct {
	index int64
	state string
}

// subscriptionUpdate tells states.
func subscriptionUpdate(id int64, states []stateOf) []byte {
	b := append(head(id, "subscriptionUpdate"), `,"subscriptions":[`...)
	for i, s := range states {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, s.index, 10)
		b = append(b, `,"state":"`...)
		b = append(b, s.state...)
		b = append(b, `"}`...)
	}
	return append(b, "]}}"...)
}

// difference is an object as a client knows it and as it is.
type difference struct {
	id          meeting.ID
	before, now view
	known, is   bool
}

// scratch is what writer compares values in.
type scratch struct{ a, b []byte }

// update makes a message of differences, or nil when there is nothing to tell in the elements that were asked for.
func (x *scratch) update(id, index int64, k *kind, elements []*element, all []difference) []byte {
	b := append(head(id, k.message), `,"subscriptionIndex":`...)
	b = strconv.AppendInt(b, index, 10)
	if k.object != "" {
		b = append(b, `,"`+k.object+`":`...)
	} else {
		b = append(b, `,"updates":[`...)
	}
	said := 0
	for _, d := range all {
		start := len(b)
		if said > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		if k.key != "" {
			b = append(b, `"`+k.key+`":`...)
			b = text(b, d.id.String())
			b = append(b, `,"updateType":"`+d.change()+`"`...)
		}
		told := !d.known && d.is || d.known && !d.is
		for _, e := range elements {
			if !d.is {
				break
			}
			x.a = e.put(x.a[:0], d.now)
			if d.known {
				if x.b = e.put(x.b[:0], d.before); bytes.Equal(x.a, x.b) {
					continue
				}
			}
			told = true
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = append(b, '"')
			b = append(b, e.name...)
			b = append(b, `":`...)
			b = append(b, x.a...)
		}
		if !told || k.key == "" && !d.is {
			b = b[:start]
			continue
		}
		b = append(b, '}')
		said++
	}
	if said == 0 {
		return nil
	}
	if k.object == "" {
		b = append(b, ']')
	}
	return append(b, "}}"...)
}

func (d *difference) change() string {
	switch {
	case !d.known:
		return "add"
	case !d.is:
		return "remove"
	}
	return "update"
}
