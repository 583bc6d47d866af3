// Package roomsystem is an endpoint for tests that presents: a process of its own with a camera, a second video stream and floor control.
//
//	s := roomsystem.Start(t, roomsystem.Options{Name: "room", Tone: 700, Colour: "green", Screen: "magenta"})
//	s.Call("sip:meeting@127.0.0.1:5060;transport=tcp")
//	s.Present()
//	other.AwaitScreen("magenta")
//
// No real endpoint with BFCP was to be had: baresip 1.0.0 has neither that nor a second stream, nor has any other program of Debian; makers' room
// systems are not sold as software. So this one is put together from our own packages: sip for its call, floor for BFCP as the client, codec and
// stream for H.264. What it says is not ours, for both ends would share our mistakes: its offer is written in the manner of a Cisco CE endpoint
// (bandwidth, labels, content and roles in its order), and what is answered is read by pion/sdp.
//
// It is the test's own program, started again: whoever imports this package has it. It is told what to do by lines of JSON, and ends when they do,
// or with the test. It calls and does not take calls; sound is G.711 by 20 ms, video H.264 without encryption.
//
// Source: RFC 4574, 4583 and 8856 (description of the floor), 4796 (content), 8855 (BFCP), 6184 (H.264).
package roomsystem

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"rotunda/services/callbridge/leg/baresip"
)

// Options are what tests choose.
type Options struct {
	// Name is the user part of its address, DisplayName what others read.
	Name, DisplayName string
	// Address is where it listens, and where its media come from and go to; 127.0.0.1 when not set.
	Address netip.Addr
	// Tone in Hz that it talks in; 0 is silence.
	Tone int
	// Colour that its camera films, Screen that it presents, as [baresip.ParseColour] reads them.
	Colour, Screen string
	// Width, Height and Rate of both; 640 × 360 and 15 when not set. What it is sent is no larger than its own, as far as levels of H.264 tell.
	Width, Height, Rate int
	// FloorTCP has BFCP go over TCP.
	FloorTCP bool
}

// System is an endpoint that runs.
type System struct {
	t       testing.TB
	name    string
	command *exec.Cmd
	in      *json.Encoder
	out     *json.Decoder
	said    *lines
	mu      sync.Mutex // one request at a time
}

// The order and the answer, a line each.
type order struct {
	Do string
	// To is who is called, Stream which picture is wanted: "main" or "slides".
	To, Stream string
}

type answer struct {
	Error string
	// Call: calling, up or ended. Floor: none, asked, granted. Other: somebody else presents, as the floor's server tells.
	Call, Floor string
	Other       bool
	// Picture is a PNG of the newest one, Sound the last quarter of a second in samples of 8 kHz.
	Picture []byte
	Sound   []int16
	// Frames that came in the stream so far.
	Frames int
}

// variable has a test's program be an endpoint; its value is the Options in JSON.
const variable = "ROTUNDA_TEST_ROOM_SYSTEM"

func init() {
	if text, is := os.LookupEnv(variable); is {
		if err := serve(text, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// Start starts an endpoint and waits until it is ready.
func Start(t testing.TB, o Options) *System {
	t.Helper()
	if !o.Address.IsValid() {
		o.Address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if o.Name == "" {
		o.Name = "room"
	}
	if o.Width == 0 {
		o.Width, o.Height = 640, 360
	}
	if o.Rate == 0 {
		o.Rate = 15
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &System{t: t, name: o.Name, command: exec.Command(program), said: &lines{}}
	s.command.Env = append(os.Environ(), variable+"="+string(text))
	s.command.Stderr = s.said
	// It ends with its input. A signal at the parent's death would come with that of this thread, which is gone as soon as a step of a test in
	// a network namespace is over.
	in, err := s.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	s.in, s.out = json.NewEncoder(in), json.NewDecoder(out)
	t.Cleanup(func() {
		_ = in.Close()
		killed := time.AfterFunc(5*time.Second, func() { _ = s.command.Process.Kill() })
		if err := s.command.Wait(); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		killed.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", s.name, s.said)
		}
	})
	s.ask(order{Do: "state"})
	return s
}

// try gives an order.
func (s *System) try(o order) answer {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var a answer
	if err := s.in.Encode(o); err != nil {
		s.t.Fatalf("%s: %s: %v\n%s", s.name, o.Do, err, s.said)
	}
	if err := s.out.Decode(&a); err != nil {
		s.t.Fatalf("%s: %s: %v\n%s", s.name, o.Do, err, s.said)
	}
	return a
}

// ask gives an order that must succeed.
func (s *System) ask(o order) answer {
	s.t.Helper()
	a := s.try(o)
	if a.Error != "" {
		s.t.Fatalf("%s: %s: %s", s.name, o.Do, a.Error)
	}
	return a
}

// patience is how long something may take that a test waits for.
const patience = 20 * time.Second

func (s *System) until(complaint func() string) {
	s.t.Helper()
	for limit := time.Now().Add(patience); ; <-time.After(50 * time.Millisecond) {
		why := complaint()
		if why == "" {
			return
		}
		if time.Now().After(limit) {
			s.t.Fatalf("%s: %s", s.name, why)
		}
	}
}

// Call calls an address and waits until it is answered.
func (s *System) Call(uri string) {
	s.t.Helper()
	s.ask(order{Do: "call", To: uri})
	s.until(func() string {
		if a := s.ask(order{Do: "state"}); a.Call != "up" {
			return "want the call up, it is " + a.Call
		}
		return ""
	})
}

// Hangup ends its call.
func (s *System) Hangup() { s.t.Helper(); s.ask(order{Do: "hangup"}) }

// AwaitEnd waits until the far end has ended the call.
func (s *System) AwaitEnd() {
	s.t.Helper()
	s.until(func() string {
		if a := s.ask(order{Do: "state"}); a.Call != "ended" {
			return "want the call ended, it is " + a.Call
		}
		return ""
	})
}

// Present asks for the floor, waits until it is given, and sends the screen.
func (s *System) Present() {
	s.t.Helper()
	s.ask(order{Do: "present"})
	s.until(func() string {
		if a := s.ask(order{Do: "state"}); a.Floor != "granted" {
			return "want the floor granted, it is " + a.Floor
		}
		return ""
	})
}

// Leave gives the floor back.
func (s *System) Leave() { s.t.Helper(); s.ask(order{Do: "leave"}) }

// AwaitRevoked waits until the floor was taken from it.
func (s *System) AwaitRevoked() {
	s.t.Helper()
	s.until(func() string {
		if a := s.ask(order{Do: "state"}); a.Floor == "granted" {
			return "it still has the floor"
		}
		return ""
	})
}

// AwaitOther waits until the floor's server says that somebody else presents, or that nobody does.
func (s *System) AwaitOther(presents bool) {
	s.t.Helper()
	s.until(func() string {
		if a := s.ask(order{Do: "state"}); a.Other != presents {
			return fmt.Sprintf("somebody else presents: %v, want %v", a.Other, presents)
		}
		return ""
	})
}

// AwaitTone waits until all of these tones are heard together.
func (s *System) AwaitTone(frequencies ...int) {
	s.t.Helper()
	s.until(func() string {
		sound := s.ask(order{Do: "hear"}).Sound
		for _, f := range frequencies {
			if level := baresip.Tone(sound, f, rate); level < baresip.Loud {
				return fmt.Sprintf("%d Hz is not heard; the level is %.4f", f, level)
			}
		}
		return ""
	})
}

// AwaitNoTone waits until none of these tones is heard, while sound comes. Right after others have come or gone their tone of welcome is.
func (s *System) AwaitNoTone(frequencies ...int) {
	s.t.Helper()
	s.until(func() string {
		sound := s.ask(order{Do: "hear"}).Sound
		for _, f := range frequencies {
			if level := baresip.Tone(sound, f, rate); len(sound) < rate/4 || level > baresip.Quiet {
				return fmt.Sprintf("%d Hz is still heard, or nothing at all; the level is %.4f", f, level)
			}
		}
		return ""
	})
}

// AwaitPicture waits until the main picture is as it should be; is says what is wrong, or nothing.
func (s *System) AwaitPicture(is func(image.Image) (wrong string)) {
	s.t.Helper()
	s.awaitPicture("main", is)
}

// AwaitScreen waits until the middle of the second stream's picture has a colour.
func (s *System) AwaitScreen(colour string) {
	s.t.Helper()
	want, err := baresip.ParseColour(colour)
	if err != nil {
		s.t.Fatal(err)
	}
	s.awaitPicture("slides", func(m image.Image) string {
		if c := baresip.At(m, 0.5, 0.5); !baresip.Alike(c, want) {
			return fmt.Sprintf("the screen is %v in the middle, want %s", c, colour)
		}
		return ""
	})
}

// awaitPicture looks at pictures that came since it was called.
func (s *System) awaitPicture(stream string, is func(image.Image) string) {
	s.t.Helper()
	first := -1
	s.until(func() string {
		a := s.ask(order{Do: "see", Stream: stream})
		if first < 0 {
			first = a.Frames
		}
		if a.Frames == first {
			return "nothing is seen in the " + stream + " stream"
		}
		m, err := png.Decode(bytes.NewReader(a.Picture))
		if err != nil {
			return "nothing is seen in the " + stream + " stream: " + err.Error()
		}
		return is(m)
	})
}

// Said is what the program wrote, with all SIP messages.
func (s *System) Said() string { return s.said.String() }

// lines keeps what is written to it.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
