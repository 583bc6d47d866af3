package callbridge

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/api/apitest"
	"rotunda/services/callbridge/ledger"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/sip"
	"rotunda/services/database/databasetest"
	"rotunda/services/freeport"
	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// openWithMedia runs a Call Bridge with a media engine that has no media.
func openWithMedia(t *testing.T) (*house, *controltest.Engine) {
	t.Helper()
	e := controltest.New(control.WorkerStatus{Name: "0.0", Capacity: 9000})
	d := control.NewDispatcher(e, control.DispatcherOptions{Role: control.RoleManager})
	e.Emit = d.Emit
	l, err := control.Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Listen(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		d.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return openAt(t, databasetest.New(t).Socket(), func(o *options) { o.media = l.Addr().String() }), e
}

// until waits for something to be so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !so(); {
		if time.Now().After(limit) {
			t.Fatalf("%s: it did not come to it", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// sip is where the Call Bridge listens on loopback.
func (h *house) sip(transport string) netip.AddrPort {
	h.t.Helper()
	var at netip.AddrPort
	line := regexp.MustCompile(`SIP listens transport=` + transport + ` address=(127\.0\.0\.1:\d+)`)
	until(h.t, "SIP by "+transport+" on loopback", func() bool {
		m := line.FindAllStringSubmatch(h.log.String(), -1)
		if m == nil {
			return false
		}
		at = netip.MustParseAddrPort(m[len(m)-1][1])
		return true
	})
	return at
}

func (h *house) read(path string) apitest.Element {
	h.t.Helper()
	body, _ := h.expect(http.MethodGet, "/api/v1/"+path, nil)
	e, err := apitest.Parse([]byte(body))
	if err != nil {
		h.t.Fatalf("%s: %v in %s", path, err, body)
	}
	return e
}

// callerScenario calls user, hears 200, and waits for BYE.
func callerScenario(user string) string {
	sdp := "v=0\no=sipp 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\nm=audio 6000 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"
	head := "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nFrom: \"Anna\" <sip:anna@example.com>;tag=[pid]S[call_number]\n"
	return `<?xml version="1.0" encoding="ISO-8859-1" ?><!DOCTYPE scenario SYSTEM "sipp.dtd"><scenario name="caller">
<send retrans="500"><![CDATA[
INVITE sip:` + user + `@[remote_ip]:[remote_port] SIP/2.0
` + head + `To: <sip:` + user + `@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:anna@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

` + sdp + `
]]></send>
<recv response="100" optional="true"></recv><recv response="180" optional="true"></recv>
<recv response="200" rrs="true"></recv>
<send><![CDATA[
ACK [next_url] SIP/2.0
` + head + `To: <sip:` + user + `@[remote_ip]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv request="BYE"></recv>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>`
}

// call begins a call by SIPp; wait waits for its end and wants it to be as the scenario says.
func (h *house) call(scenario string, transport string) (wait func()) {
	h.t.Helper()
	program, err := exec.LookPath("sipp")
	if err != nil {
		h.t.Skip("sipp is not installed")
	}
	dir := h.t.TempDir()
	file := filepath.Join(dir, "scenario.xml")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		h.t.Fatal(err)
	}
	mode := map[string]string{"udp": "u1", "tcp": "t1"}[transport]
	cmd := exec.Command(program, "-sf", file, "-i", "127.0.0.1", "-p", strconv.Itoa(freeport.For(h.t)), "-cp", strconv.Itoa(freeport.For(h.t)), "-m", "1", "-t", mode, "-nostdin", "-timeout", "60s",
		"-timeout_error", "-trace_err", h.sip(transport).String())
	cmd.Dir = dir
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	h.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return func() {
		h.t.Helper()
		if err := <-done; err != nil {
			problems, _ := filepath.Glob(filepath.Join(dir, "*errors.log"))
			text := ""
			for _, p := range problems {
				b, _ := os.ReadFile(p)
				text += string(b)
			}
			h.t.Errorf("SIPp: %v\n%s\nlog: %s", err, text, h.log)
		}
	}
}

func TestACallToASpaceIsShownAndEndedByTheAPI(t *testing.T) {
	h, _ := openWithMedia(t)
	_, location := h.expect(http.MethodPost, "/api/v1/coSpaces", url.Values{"name": {"Weekly"}, "uri": {"88001"}})
	space := location[strings.LastIndex(location, "/")+1:]
	for _, transport := range []string{"udp", "tcp"} {
		wait := h.call(callerScenario("88001"), transport)
		until(t, "a connected leg", func() bool {
			legs := h.read("callLegs")
			return len(legs.Children) == 1 && h.read("callLegs/"+legs.Children[0].Attr("id")).At("status", "state") == "connected"
		})
		calls := h.read("calls")
		if calls.Attr("total") != "1" || calls.Children[0].At("name") != "Weekly" || calls.Children[0].At("coSpace") != space {
			t.Fatalf("want the call of the space, got %+v", calls)
		}
		call := calls.Children[0].Attr("id")
		one := h.read("calls/" + call)
		for field, want := range map[string]string{"callType": "coSpace", "numCallLegs": "1", "maxCallLegs": "1", "numParticipantsLocal": "1", "numParticipantsRemote": "0", "locked": "false"} {
			if got := one.At(field); got != want {
				t.Errorf("calls/…: %s: want %s, got %q", field, want, got)
			}
		}
		people := h.read("calls/" + call + "/participants")
		if people.Attr("total") != "1" || people.Children[0].At("name") != "Anna" || people.Children[0].At("call") != call {
			t.Errorf("want Anna, got %+v", people)
		}
		leg := h.read("callLegs/" + h.read("callLegs").Children[0].Attr("id"))
		for path, want := range map[string]string{"remoteParty": "anna@example.com", "type": "sip", "direction": "incoming", "status/unencryptedMedia": "true", "status/encryptedMedia": "false", "status/deactivated": "false"} {
			if got := leg.At(strings.Split(path, "/")...); got != want {
				t.Errorf("callLegs/…: %s: want %s, got %q", path, want, got)
			}
		}
		if s := h.read("system/status"); s.At("callLegsActive") != "1" {
			t.Errorf("want one active leg, got %+v", s)
		}
		if left := leftIn(t, h.options.folder); left.Legs != 1 || len(left.Notes) != 1 {
			t.Errorf("the next process would not know of the call: %+v", left)
		}
		h.expect(http.MethodDelete, "/api/v1/calls/"+call, nil)
		wait()
		until(t, "no call", func() bool { return h.read("calls").Attr("total") == "0" })
	}
	if s := h.read("system/status"); s.At("callLegsCompleted") != "2" || s.At("callLegsMaxActive") != "1" {
		t.Errorf("want two legs that are over, got %+v", s)
	}
	if n := strings.Count(h.log.String(), "incoming SIP call to="); n != 2 {
		t.Errorf("want a line of the log for each call, got %d in %s", n, h.log)
	}
}

func TestCallsThatComeBeforeTheDatabaseAreRefusedForNow(t *testing.T) {
	d := databasetest.New(t)
	d.Stop()
	h := openAt(t, d.Socket(), nil)
	scenario := callerScenario("88001")
	begin, end := strings.Index(scenario, `<recv response="200"`), strings.Index(scenario, `</scenario>`)
	ack := `<recv response="503"></recv><send><![CDATA[
ACK sip:88001@[remote_ip]:[remote_port] SIP/2.0
[last_Via:]
[last_From:]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>`
	h.call(scenario[:begin]+ack+scenario[end:], "udp")()
}

func TestAtItsEndTheCallBridgeTellsEveryFarEnd(t *testing.T) {
	h, _ := openWithMedia(t)
	h.expect(http.MethodPost, "/api/v1/coSpaces", url.Values{"name": {"Weekly"}, "uri": {"88001"}})
	wait := h.call(callerScenario("88001"), "udp")
	until(t, "a call", func() bool { return h.read("system/status").At("callLegsActive") == "1" })
	until(t, "a connected leg", func() bool {
		legs := h.read("callLegs")
		return len(legs.Children) == 1 && h.read("callLegs/"+legs.Children[0].Attr("id")).At("status", "state") == "connected"
	})
	h.end()
	wait()
	if left := leftIn(t, h.options.folder); left.Legs != 0 || left.Notes != nil {
		t.Errorf("the next start would raise an alarm: %+v", left)
	}
}

var legBegan, legOver = meeting.Change{Kind: meeting.LegBegan}, meeting.Change{Kind: meeting.LegOver}

func TestAfterACrashWithCallsThereIsAnAlarm(t *testing.T) {
	folder := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	m, before := openMark(folder, log)
	if before.crashed {
		t.Error("a first start is no crash")
	}
	m.note(legBegan)
	m.note(legBegan)
	m.note(legOver)
	// A process that is killed closes nothing.
	m, before = openMark(folder, log)
	if !before.crashed || before.dialogs != nil {
		t.Errorf("a leg was up, and the next start knows %+v", before)
	}
	r := sip.Remains{CallID: "x", Local: "<sip:a@b>", LocalTag: "l", Remote: "<sip:c@d>", Target: "sip:c@d", Transport: sip.UDP}
	over := m.keep(r)
	m.keep(r)
	over()
	m, before = openMark(folder, log)
	if want := (remains{crashed: true, dialogs: []sip.Remains{r}}); !reflect.DeepEqual(before, want) {
		t.Errorf("want %+v, got %+v", want, before)
	}
	m.note(legBegan)
	m.note(legOver)
	if _, before = openMark(folder, log); before.crashed {
		t.Error("all legs had ended")
	}
	h := openAt(t, databasetest.New(t).Socket(), func(o *options) {
		m, _ := openMark(o.folder, log)
		m.note(legBegan)
	})
	if body, _ := h.expect(http.MethodGet, "/api/v1/system/alarms", nil); !strings.Contains(body, "<type>"+restarted+"</type>") {
		t.Errorf("want the alarm, got %s", body)
	}
}

// leftIn is what a Call Bridge left in its folder.
func leftIn(t *testing.T, folder string) ledger.Left {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, upFile))
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Parse(b)
}
