package roomsystem

import (
	"crypto/rand"
	"net/netip"
	"testing"

	"rotunda/services/callbridge/leg/baresip"
	"rotunda/services/callbridge/sdp"
)

// What the endpoint offers is taken with all that it is for; what it cannot use is said to it and not guessed.
func TestTheOfferIsOneThatIsTaken(t *testing.T) {
	o := Options{Address: netip.MustParseAddr("192.0.2.1"), Width: 640, Height: 360, Rate: 15}
	s := sdp.New(sdp.Policy{Video: true, Presentation: true, Floor: sdp.ServerOnly}, rand.Reader)
	if err := s.ReadOffer(o.describe(ports{5000, 5002, 5004, 5006}, 1, nil)); err != nil {
		t.Fatal(err)
	}
	if floor, _ := s.Wants(); !floor {
		t.Error("no floor is agreed on")
	}
	again, _, err := read(o.describe(ports{5000, 5002, 5004, 5006}, 1, nil))
	if err == nil {
		t.Errorf("another client is taken for a floor control server: %v", again)
	}
	if _, _, err := read([]byte("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n")); err == nil {
		t.Error("an answer without rtcp-mux is taken, whose reports would go nowhere")
	}
}

func TestColoursAreTheSameAfterTheWayThroughTheEncoder(t *testing.T) {
	for _, name := range []string{"red", "green", "blue", "white", "black", "magenta", "yellow"} {
		want, err := baresip.ParseColour(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := toRGB(fromRGB(want)); !baresip.Alike(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		clip, err := shoot(&Options{Width: 320, Height: 180, Rate: 5}, name)
		if err != nil || len(clip) != 5 || len(clip[0]) == 0 {
			t.Errorf("%s: %d frames, %v: want 5", name, len(clip), err)
		}
	}
}
