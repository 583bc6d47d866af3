package turn

import (
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rotunda/services/chromium"
)

//go:embed browser_test.html
var relayPage []byte

// TestTwoBrowsersMeetThroughTheRelayAlone has two Chromium send video and messages to each other with no way but the relays of this
// server, as web app users behind firewalls do.
func TestTwoBrowsersMeetThroughTheRelayAlone(t *testing.T) {
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(relayPage)
	}))
	defer pages.Close()
	for _, c := range []struct {
		name, transport string
		fast            bool
	}{{"UDP", "udp", true}, {"TCP", "tcp", true}, {"UDP without the fast path", "udp", false}} {
		t.Run(c.name, func(t *testing.T) {
			s, p := serveWay(t, c.fast, func(*Plan) {})
			port := p.Port
			if c.transport == "tcp" {
				port = p.TLSPort
			}
			url := fmt.Sprintf("turn:127.0.0.1:%d?transport=%s", port, c.transport)
			var ends []*chromium.Tab
			for range 2 {
				page := chromium.Start(t, chromium.WebRTC...).Open(pages.URL)
				chromium.Until(t, "the page is there", func() bool { return chromium.Eval[bool](page, "typeof ways == 'function'") })
				chromium.Eval[any](page, "join(%s, %s, %s)", url, "admin", "secret")
				ends = append(ends, page)
			}
			one, two := ends[0], ends[1]
			offer := chromium.Eval[string](one, "offer()")
			for line := range strings.Lines(offer) {
				if strings.HasPrefix(line, "a=candidate") && !strings.Contains(line, "typ relay") {
					t.Errorf("a candidate that is no relay: %s", line)
				}
			}
			if !strings.Contains(offer, "typ relay") {
				t.Fatalf("the browser got no relay; its offer is\n%s", offer)
			}
			chromium.Eval[any](one, "accept(%s)", chromium.Eval[string](two, "answer(%s)", offer))
			for n, page := range ends {
				chromium.Until(t, "green is seen", func() bool { return chromium.Eval[bool](page, "green()") })
				chromium.Until(t, "the channel is open", func() bool { return chromium.Eval[string](page, "pc.talk.readyState") == "open" })
				chromium.Eval[any](page, "pc.talk.send(%s)", fmt.Sprint("from ", n))
			}
			for n, page := range ends {
				chromium.Until(t, "the message has come", func() bool {
					return chromium.Eval[string](page, "arrived.join()") == fmt.Sprint("from ", 1-n)
				})
				for _, way := range chromium.Eval[[][3]string](page, "ways()") {
					if way != [3]string{"relay", c.transport, "relay"} {
						t.Errorf("end %d: wanted relays at both sides by %s, got %v", n, c.transport, way)
					}
				}
			}
			if metric(s, `turn_packets_total{direction="between_relays"}`) == 0 {
				t.Errorf("wanted packets between relays inside the server, got none: %v", s.Status().Counters)
			}
		})
	}
}
