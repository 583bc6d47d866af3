package control

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Limits of the wanted state. They bound what one request can make a worker hold.
const (
	maxID         = 64
	maxName       = 256
	maxTransports = 4
	maxFormats    = 16
	maxCandidates = 64
	maxServers    = 8
	maxPanes      = 25
	maxSlots      = 25
	maxSinks      = 4
	maxFiles      = 16
	maxText       = 4096
	// A machine has at most 256 processors; a guest takes about 200 bytes of a line, which has [MaxLine].
	maxOthers = 255
	maxGuests = 4000
)

// Validate says what is wrong with the wanted state, naming the field and what would be right.
func (l *Leg) Validate() error {
	if err := validID("id", l.ID); err != nil {
		return err
	}
	if l.Conference != "" {
		if err := validID("conference", l.Conference); err != nil {
			return err
		}
	}
	if len(l.Name) > maxName {
		return fmt.Errorf("name of %d bytes: want at most %d", len(l.Name), maxName)
	}
	if len(l.Transports) > maxTransports {
		return fmt.Errorf("%d transports: want at most %d", len(l.Transports), maxTransports)
	}
	for i := range l.Transports {
		if err := l.Transports[i].validate(); err != nil {
			return fmt.Errorf("transports[%d]: %w", i, err)
		}
	}
	if a := l.Audio; a != nil {
		if err := a.validate(len(l.Transports)); err != nil {
			return fmt.Errorf("audio: %w", err)
		}
	}
	for name, v := range map[string]*Video{"video": l.Video, "presentation": l.Presentation} {
		if v == nil {
			continue
		}
		if err := v.validate(len(l.Transports)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if p := l.Presentation; p != nil && p.Slots > 0 {
		return errors.New("presentation: slots are for the main picture only")
	}
	if err := l.View.validate(); err != nil {
		return fmt.Errorf("view: %w", err)
	}
	if len(l.Sinks) > maxSinks {
		return fmt.Errorf("%d sinks: want at most %d", len(l.Sinks), maxSinks)
	}
	for i, s := range l.Sinks {
		if err := s.validate(); err != nil {
			return fmt.Errorf("sinks[%d]: %w", i, err)
		}
		if slices.ContainsFunc(l.Sinks[:i], func(o Sink) bool { return o.ID == s.ID }) {
			return fmt.Errorf("sinks[%d]: id %q is there twice", i, s.ID)
		}
	}
	return nil
}

// Validate says what is wrong with the wanted state.
func (c *Conference) Validate() error {
	if err := validID("id", c.ID); err != nil {
		return err
	}
	if c.Presenter != "" {
		if err := validID("presenter", c.Presenter); err != nil {
			return err
		}
	}
	if len(c.Others) > maxOthers || len(c.Guests) > maxGuests {
		return fmt.Errorf("%d other workers and %d guests: want at most %d and %d", len(c.Others), len(c.Guests), maxOthers, maxGuests)
	}
	for i, o := range c.Others {
		if o.Mix == 0 || !o.Exchange.Addr().IsLoopback() || o.Exchange.Port() == 0 {
			return fmt.Errorf("others[%d]: want a mix, and an exchange on a loopback address: what goes there is not protected", i)
		}
	}
	for i, g := range c.Guests {
		if g.Source == 0 || g.Screen == 0 {
			return fmt.Errorf("guests[%d]: want a source and a screen", i)
		}
	}
	return c.Message.validate()
}

// Validate says what is wrong with the request.
func (p *Play) Validate() error {
	if err := validID("id", p.ID); err != nil {
		return err
	}
	if (p.Leg == "") == (p.Conference == "") {
		return errors.New("want exactly one of leg and conference")
	}
	if (len(p.Files) == 0) == (p.Tone == "") {
		return errors.New("want exactly one of files and tone")
	}
	if len(p.Files) > maxFiles {
		return fmt.Errorf("%d files: want at most %d", len(p.Files), maxFiles)
	}
	for _, f := range p.Files {
		if !filepath.IsAbs(f) {
			return fmt.Errorf("file %q: want an absolute path", f)
		}
	}
	return nil
}

func validID(field, id string) error {
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%s %q: want 1 to %d printable ASCII characters without spaces", field, id, maxID)
	}
	return nil
}

func (t *Transport) validate() error {
	if len(t.Local) == 0 || len(t.Local) > 8 {
		return fmt.Errorf("%d local addresses: want 1 to 8", len(t.Local))
	}
	if t.MTU != 0 && (t.MTU < 512 || t.MTU > 9000) {
		return fmt.Errorf("mtu %d: want 512 to 9000", t.MTU)
	}
	if d := t.DSCP; max(d.Audio, d.Video, d.Presentation, d.Six.Audio, d.Six.Video, d.Six.Presentation) > 63 {
		return fmt.Errorf("dscp %d, %d, %d, and of IPv6 %d, %d, %d: want 0 to 63", d.Audio, d.Video, d.Presentation, d.Six.Audio, d.Six.Video, d.Six.Presentation)
	}
	switch t.Security {
	case Plain:
	case SDES:
		if t.Keys == nil {
			return errors.New("security sdes without keys")
		}
		if _, ok := suites[t.Keys.Suite]; !ok {
			return fmt.Errorf("suite %q: want one of %s", t.Keys.Suite, strings.Join(suiteNames, ", "))
		}
		for name, key := range map[string][]byte{"local": t.Keys.Local, "remote": t.Keys.Remote} {
			// The key that is wrong is not in the message: errors are logged.
			if len(key) != suites[t.Keys.Suite] && !(name == "remote" && len(key) == 0) {
				return fmt.Errorf("%s key of %d bytes: %s wants %d", name, len(key), t.Keys.Suite, suites[t.Keys.Suite])
			}
		}
	case DTLS:
		if h := t.Handover; h != nil && len(h.Fingerprints) > 8 {
			return fmt.Errorf("%d fingerprints: want at most 8", len(h.Fingerprints))
		}
	default:
		return fmt.Errorf("security %q: want sdes, dtls or nothing", t.Security)
	}
	if i := t.ICE; i != nil {
		switch {
		case len(i.Candidates) > maxCandidates:
			return fmt.Errorf("%d candidates: want at most %d", len(i.Candidates), maxCandidates)
		case len(i.Servers) > maxServers:
			return fmt.Errorf("%d servers: want at most %d", len(i.Servers), maxServers)
		case len(i.Ufrag) > 256 || len(i.Password) > 256:
			return errors.New("ufrag or password is longer than 256 characters (RFC 8839)")
		case i.Lite && i.RelayOnly:
			return errors.New("lite and relayOnly exclude each other")
		}
	}
	return nil
}

// suites with the length of key and salt together (RFC 4568 section 6.2, RFC 7714 section 12).
var (
	suites     = map[string]int{SuiteAESCM80: 30, SuiteAESCM32: 30, SuiteAEAD128: 28, SuiteAEAD256: 44}
	suiteNames = []string{SuiteAEAD256, SuiteAEAD128, SuiteAESCM80, SuiteAESCM32}
)

func (a *Audio) validate(transports int) error {
	if err := validStream(a.Transport, transports, a.Direction, a.Receive); err != nil {
		return err
	}
	if err := validExtensions(a.LevelExtension, a.MIDExtension, a.TransportSequence); err != nil {
		return err
	}
	switch a.PacketTime {
	case 0, 10, 20, 40:
	default:
		return fmt.Errorf("packetTime %d: want 10, 20 or 40", a.PacketTime)
	}
	for _, f := range append([]Format{a.Send}, a.Receive...) {
		switch f.Codec {
		case PCMU, PCMA, G722, Opus:
		case "":
			if a.Direction == SendReceive || a.Direction == SendOnly {
				return errors.New("send: no codec")
			}
		default:
			return fmt.Errorf("codec %q: want %s, %s, %s or %s", f.Codec, PCMU, PCMA, G722, Opus)
		}
	}
	return nil
}

func (v *Video) validate(transports int) error {
	if err := validStream(v.Transport, transports, v.Direction, v.Receive); err != nil {
		return err
	}
	if err := validExtensions(v.MIDExtension, v.TransportSequence, v.RIDExtension); err != nil {
		return err
	}
	if len(v.MID) > 16 {
		return fmt.Errorf("mid %q: want at most 16 bytes", v.MID)
	}
	switch v.Send.Codec {
	case H264, VP8:
	case "":
		if v.Direction == SendReceive || v.Direction == SendOnly {
			return errors.New("send: no codec")
		}
	default:
		return fmt.Errorf("send: codec %q: want %s or %s", v.Send.Codec, H264, VP8)
	}
	for _, f := range v.Receive {
		switch f.Codec {
		case H264, VP8, VP9:
		default:
			return fmt.Errorf("receive: codec %q: want %s, %s or %s", f.Codec, H264, VP8, VP9)
		}
	}
	switch {
	case v.MaxWidth < 0 || v.MaxWidth > 1920 || v.MaxHeight < 0 || v.MaxHeight > 1088:
		return fmt.Errorf("maxWidth × maxHeight %d × %d: want at most 1920 × 1088", v.MaxWidth, v.MaxHeight)
	case v.MaxRate < 0 || v.MaxRate > 60:
		return fmt.Errorf("maxRate %d: want 1 to 60", v.MaxRate)
	case v.SendBitrate < 0 || v.ReceiveBitrate < 0:
		return errors.New("a bit rate is negative")
	case v.Slots < 0 || v.Slots > maxSlots:
		return fmt.Errorf("slots %d: want 0 to %d", v.Slots, maxSlots)
	case len(v.RIDs) > 3:
		return fmt.Errorf("%d rids: want at most 3", len(v.RIDs))
	}
	return nil
}

func validStream(transport, transports int, d Direction, receive []Format) error {
	if transport < 0 || transport >= transports {
		return fmt.Errorf("transport %d: there are %d", transport, transports)
	}
	switch d {
	case SendReceive, SendOnly, ReceiveOnly, Inactive:
	default:
		return fmt.Errorf("direction %q: want sendonly, recvonly, inactive or nothing", d)
	}
	if len(receive) > maxFormats {
		return fmt.Errorf("%d formats: want at most %d", len(receive), maxFormats)
	}
	seen := map[uint8]bool{}
	for _, f := range receive {
		if f.PayloadType > 127 || seen[f.PayloadType] {
			return fmt.Errorf("payload type %d: want 0 to 127, each once", f.PayloadType)
		}
		seen[f.PayloadType] = true
	}
	return nil
}

// validExtensions checks numbers of header extensions; 0 is none.
func validExtensions(ids ...uint8) error {
	for _, id := range ids {
		if id > 14 {
			return fmt.Errorf("header extension %d: want 1 to 14 (RFC 8285, one byte)", id)
		}
	}
	return nil
}

// Layouts are the names of [View.Layout].
var Layouts = []string{"speakerOnly", "telepresence", "stacked", "allEqual", "allEqualQuarters", "allEqualNinths",
	"allEqualSixteenths", "allEqualTwentyFifths", "onePlusFive", "onePlusSeven", "onePlusNine", "automatic", "onePlusN"}

func (v *View) validate() error {
	if v.Layout != "" && !slices.Contains(Layouts, v.Layout) {
		return fmt.Errorf("layout %q: want one of %s", v.Layout, strings.Join(Layouts, ", "))
	}
	if len(v.Template) > maxPanes {
		return fmt.Errorf("template of %d panes: want at most %d", len(v.Template), maxPanes)
	}
	for i, p := range v.Template {
		if p.X < 0 || p.Y < 0 || p.W <= 0 || p.H <= 0 || p.X+p.W > 10000 || p.Y+p.H > 10000 {
			return fmt.Errorf("template[%d]: the pane leaves the canvas of 10000 × 10000", i)
		}
	}
	if err := oneOf("selfPane", v.SelfPane, "skip", "self", "blank"); err != nil {
		return err
	}
	if err := oneOf("counter", v.Counter, "never", "auto", "always"); err != nil {
		return err
	}
	if err := oneOf("screen", v.Screen, "welcome", "lobby"); err != nil {
		return err
	}
	if err := oneOf("titlePosition", v.TitlePosition, "disabled", "top", "middle", "bottom"); err != nil {
		return err
	}
	if v.Background != "" && !filepath.IsAbs(v.Background) {
		return fmt.Errorf("background %q: want an absolute path", v.Background)
	}
	if len(v.Title) > maxText {
		return fmt.Errorf("title of %d bytes: want at most %d", len(v.Title), maxText)
	}
	return v.Message.validate()
}

func (m *Message) validate() error {
	if len(m.Text) > maxText {
		return fmt.Errorf("message of %d bytes: want at most %d", len(m.Text), maxText)
	}
	return oneOf("position", m.Position, "top", "middle", "bottom")
}

func (s *Sink) validate() error {
	if err := validID("id", s.ID); err != nil {
		return err
	}
	if (s.File == "") == (s.URL == "") {
		return errors.New("want exactly one of file and url")
	}
	if s.File != "" && !filepath.IsAbs(s.File) {
		return fmt.Errorf("file %q: want an absolute path", s.File)
	}
	if s.Width < 0 || s.Width > 1920 || s.Height < 0 || s.Height > 1088 {
		return fmt.Errorf("width × height %d × %d: want at most 1920 × 1088", s.Width, s.Height)
	}
	return nil
}

func oneOf(field, value string, wanted ...string) error {
	if value == "" || slices.Contains(wanted, value) {
		return nil
	}
	return fmt.Errorf("%s %q: want %s", field, value, strings.Join(wanted, ", "))
}
