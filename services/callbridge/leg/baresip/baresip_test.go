package baresip

import (
	"bufio"
	"bytes"
	"image"
	"strings"
	"testing"
)

func TestTwoTelephonesHearAndSeeEachOther(t *testing.T) {
	t.Parallel()
	alice := Start(t, Options{Name: "alice", DisplayName: "Alice", Tone: 400, Colour: "red", Codecs: []string{"opus/48000/2"}})
	bob := Start(t, Options{Name: "bob", Tone: 700, Colour: "blue", Manual: true})
	alice.Dial(bob.URI("udp"))
	if e := bob.Await(Incoming); e.Name != "Alice" || !strings.Contains(e.Peer, "sip:alice@") {
		t.Errorf("want a call of Alice, got %+v", e)
	}
	alice.Await(Ringing)
	bob.Accept()
	alice.Await(Established)
	bob.Await(Established)
	alice.AwaitTone(700)
	alice.AwaitNoTone(400)
	bob.AwaitTone(400)
	alice.AwaitColour(0.5, 0.5, "blue")
	bob.AwaitColour(0.1, 0.9, "red")
	bob.AwaitPicture(func(m image.Image) string {
		if s := m.Bounds().Size(); s.X != 640 || s.Y != 360 {
			return s.String()
		}
		return ""
	})
	alice.Keys("1#*")
	for _, k := range "1#*" {
		if e := bob.Await(Key); e.Param != string(k) {
			t.Errorf("want the key %c, got %q", k, e.Param)
		}
	}
	bob.Hangup()
	alice.Await(Closed)
	if !strings.Contains(alice.Said(), "INVITE sip:bob@") {
		t.Error("the messages are not kept")
	}
}

func TestTLSAndEncryptedMediaAndSilence(t *testing.T) {
	t.Parallel()
	alice := Start(t, Options{Name: "alice", Codecs: []string{"pcma/8000/1"}, Encryption: "srtp-mand"})
	bob := Start(t, Options{Name: "bob", Tone: 1000, Encryption: "srtp-mand"})
	alice.Call(bob.URI("tls"))
	alice.AwaitTone(1000)
	bob.AwaitNoTone(1000)
	if !strings.Contains(alice.Said(), "RTP/SAVP") {
		t.Error("media are not encrypted")
	}
	bob.Kill()
}

func TestWaveFilesThatAreStillBeingWritten(t *testing.T) {
	head := "RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00"
	pcm, rate, channels, err := parseWave([]byte(head + "\x01\x00\xff\xff\x05"))
	if err != nil || rate != 8000 || channels != 1 || len(pcm) != 2 || pcm[0] != 1 || pcm[1] != -1 {
		t.Errorf("want two samples at 8000 Hz, got %v, %d, %d, %v", pcm, rate, channels, err)
	}
	for n := range len(head) {
		if _, _, _, err := parseWave([]byte(head[:n])); err == nil {
			t.Errorf("the first %d bytes of a header are taken for a file", n)
		}
	}
}

func FuzzNetstring(f *testing.F) {
	for _, s := range []string{"5:hello,", "0:,", "5:hello", "-1:,", "99999999999:x,", ":,", "4:hello,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readNetstring(bufio.NewReader(bytes.NewReader(b)))
		if err == nil && (len(got) > maxNetstring || !bytes.Contains(b, append(bytes.Clone(got), ','))) {
			t.Errorf("%q is read as %q", b, got)
		}
	})
}

func FuzzWave(f *testing.F) {
	f.Add([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00\x01\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if pcm, _, channels, err := parseWave(b); err == nil && (2*len(pcm) > len(b) || channels < 1) {
			t.Errorf("%d samples of %d bytes", len(pcm), len(b))
		}
	})
}

func TestLevels(t *testing.T) {
	const rate = 8000
	pcm := make([]int16, rate/4)
	for i := range pcm {
		pcm[i] = int16(8192 * (1 - 2*(i/4%2))) // a square wave of 1000 Hz
	}
	if l := Tone(pcm, 1000, rate); l < 0.2 || l > 0.4 {
		t.Errorf("want about 0.3, got %f", l)
	}
	if l := Tone(pcm, 600, rate); l > Quiet {
		t.Errorf("want silence, got %f", l)
	}
}
