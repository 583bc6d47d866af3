package camera

import (
	"errors"
	"fmt"
	"time"
)

// Kind is what an H.281 message asks for.
type Kind byte

// The kinds, with their numbers in H.281.
const (
	Start Kind = iota + 1
	Continue
	Stop
	SelectSource
	SourceSwitched
	StorePreset
	ActivatePreset
)

// Directions are those of one movement: -1 left, down, wide (out) and near (out); 1 right, up, tele (in) and far (in); 0 none.
type Directions struct{ Pan, Tilt, Zoom, Focus int8 }

// Request is one H.281 message.
type Request struct {
	Kind Kind
	// Move is that of Start, Continue and Stop; Timeout that of Start: when the movement ends by itself, 50 to 800 ms in steps of 50.
	Move    Directions
	Timeout time.Duration
	// Source and Mode are those of SelectSource and SourceSwitched: 0 the current one, 1 main camera, 2 auxiliary camera, 3 document camera, 4 its
	// auxiliary, 5 video player, 6 to 15 others; mode 0 motion video, 1 and 2 still pictures.
	Source, Mode byte
	// Preset is 0 to 15.
	Preset byte
}

const timeoutStep = 50 * time.Millisecond

// parseDirections reads an action octet: for each axis one bit that says that it is meant and one that says where to.
func parseDirections(b byte) Directions {
	axis := func(shift uint) int8 {
		switch b >> shift & 3 {
		case 2:
			return -1
		case 3:
			return 1
		}
		return 0
	}
	return Directions{Pan: axis(6), Tilt: axis(4), Zoom: axis(2), Focus: axis(0)}
}

func (d Directions) octet() byte {
	axis := func(n int8, shift uint) byte {
		switch {
		case n < 0:
			return 2 << shift
		case n > 0:
			return 3 << shift
		}
		return 0
	}
	return axis(d.Pan, 6) | axis(d.Tilt, 4) | axis(d.Zoom, 2) | axis(d.Focus, 0)
}

// ParseDirections reads the words of the API: left, right; up, down; in, out; in, out. An empty one is no movement.
func ParseDirections(pan, tilt, zoom, focus string) (d Directions, err error) {
	for _, a := range []struct {
		name, word, back, forth string
		n                       *int8
	}{{"pan", pan, "left", "right", &d.Pan}, {"tilt", tilt, "down", "up", &d.Tilt}, {"zoom", zoom, "out", "in", &d.Zoom}, {"focus", focus, "out", "in", &d.Focus}} {
		switch a.word {
		case "":
		case a.back:
			*a.n = -1
		case a.forth:
			*a.n = 1
		default:
			return Directions{}, fmt.Errorf("%s %.20q: want %s or %s", a.name, a.word, a.back, a.forth)
		}
	}
	return d, nil
}

// parseRequest reads an H.281 message.
func parseRequest(b []byte) (r Request, err error) {
	if len(b) < 2 {
		return r, errors.New("a camera message without contents")
	}
	r.Kind = Kind(b[0])
	switch r.Kind {
	case Start:
		if len(b) < 3 {
			return r, errors.New("a start of a movement without its end")
		}
		r.Move = parseDirections(b[1])
		if r.Timeout = time.Duration(b[2]&0x0f) * timeoutStep; r.Timeout == 0 {
			r.Timeout = 16 * timeoutStep
		}
	case Continue, Stop:
		r.Move = parseDirections(b[1])
	case SelectSource, SourceSwitched:
		r.Source, r.Mode = b[1]>>4, b[1]&3
	case StorePreset, ActivatePreset:
		r.Preset = b[1] >> 4
	default:
		return r, fmt.Errorf("camera message %d is not known", b[0])
	}
	return r, nil
}

func (r Request) append(b []byte) []byte {
	b = append(b, byte(r.Kind))
	switch r.Kind {
	case Start:
		n := min(max((r.Timeout+timeoutStep-1)/timeoutStep, 1), 16)
		return append(b, r.Move.octet(), byte(n)&0x0f) // 16 is written as 0
	case Continue, Stop:
		return append(b, r.Move.octet())
	case SelectSource, SourceSwitched:
		return append(b, r.Source<<4|r.Mode&3)
	}
	return append(b, r.Preset<<4)
}

// check says what is wrong with a request that somebody here made.
func (r Request) check() error {
	switch {
	case r.Kind < Start || r.Kind > ActivatePreset:
		return fmt.Errorf("camera message %d: want 1 to 7", r.Kind)
	case r.Kind <= Stop && r.Move == Directions{}:
		return errors.New("a movement without a direction")
	case r.Source > 15 || r.Preset > 15:
		return errors.New("sources and presets have numbers from 0 to 15")
	}
	return nil
}

// Source is a video source with what can be moved of it.
type Source struct {
	Number                 byte
	Name                   string // of sources 6 to 15
	Motion                 bool
	Pan, Tilt, Zoom, Focus bool
}

// Capabilities are what a far end says that it can.
type Capabilities struct {
	// Camera says that there is a client of camera control at all.
	Camera  bool
	Presets int
	Sources []Source
}

// CME messages: a code, and whether it is told or asked for (H.224, section 9).
const (
	clientList        = 0x01
	extraCapabilities = 0x02
	told              = 0x00
	asked             = 0xff
	hasExtra          = 0x80
	maxSources        = 15
)

// announcement is our client list and what the camera client can: one main camera of everything, since nobody knows yet whose camera it will be, and all
// presets.
func announcement() [][]byte {
	return [][]byte{
		build(managementClient, clientList, told, 1, hasExtra|cameraClient),
		build(managementClient, extraCapabilities, told, hasExtra|cameraClient, 15, 1<<4|4, 0xf0),
	}
}

// parseClients says whether a client list has camera control.
func parseClients(b []byte) (bool, error) {
	if len(b) < 1 {
		return false, errors.New("a client list without a length")
	}
	n, b := int(b[0]), b[1:]
	found := false
	for range n {
		if len(b) == 0 {
			return found, errors.New("a client list shorter than it says")
		}
		size := 1
		switch b[0] & 0x7f {
		case cameraClient:
			found = true
		case extendedClient:
			size = 2
		case privateClient:
			size = 6
		}
		b = b[min(size, len(b)):]
	}
	return found, nil
}

// parseCapabilities reads the extra capabilities of the camera client (H.281, 3.3), after its number.
func parseCapabilities(b []byte) (c Capabilities, err error) {
	c.Camera = true
	if len(b) < 1 {
		return c, errors.New("capabilities without contents")
	}
	c.Presets = int(b[0] & 0x0f)
	b = b[1:]
	for len(b) >= 2 && len(c.Sources) < maxSources {
		s := Source{Number: b[0] >> 4, Motion: b[0]&4 != 0}
		b = b[1:]
		if s.Number > 5 { // a name that ends with a zero
			n := 0
			for n < len(b) && b[n] != 0 {
				n++
			}
			if n > 16 || n+1 >= len(b) {
				return c, fmt.Errorf("source %d: want a name of at most 16 characters and a zero", s.Number)
			}
			s.Name, b = string(b[:n]), b[n+1:]
		}
		s.Pan, s.Tilt, s.Zoom, s.Focus = b[0]&0x80 != 0, b[0]&0x40 != 0, b[0]&0x20 != 0, b[0]&0x10 != 0
		c.Sources = append(c.Sources, s)
		b = b[1:]
	}
	return c, nil
}
