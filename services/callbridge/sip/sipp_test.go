package sip

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rotunda/services/freeport"
)

// Scenarios of SIPp: what a far end that is not ours does.
const sippHead = `<?xml version="1.0" encoding="ISO-8859-1" ?><!DOCTYPE scenario SYSTEM "sipp.dtd"><scenario name="test">`

const sippSDP = `v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 6000 RTP/AVP 0
`

func sippRequest(method, cseq, to, more, body string) string {
	branch := "[branch]"
	content := "Content-Length: [len]\n"
	if body != "" {
		content = "Content-Type: application/sdp\n" + content
	}
	return "<send retrans=\"500\"><![CDATA[\n" + method + " sip:space@[remote_ip]:[remote_port] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=" + branch +
		"\nFrom: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[pid]S[call_number]\nTo: <sip:space@[remote_ip]>" + to + "\nCall-ID: [call_id]\nCSeq: " + cseq + " " + method +
		"\nContact: sip:sipp@[local_ip]:[local_port]\nMax-Forwards: 70\n" + more + content + "\n" + body + "\n]]></send>\n"
}

func sippResponse(line, more, body string) string {
	content := "Content-Length: [len]\n"
	if body != "" {
		content = "Content-Type: application/sdp\n" + content
	}
	return "<send><![CDATA[\nSIP/2.0 " + line + "\n[last_Via:]\n[last_From:]\n[last_To:];tag=[pid]S[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n[last_Record-Route:]\n" +
		"Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>\n" + more + content + "\n" + body + "\n]]></send>\n"
}

// sippReply answers a request within the dialog, whose To has its tag.
func sippReply(line, more, body string) string {
	return strings.Replace(sippResponse(line, more, body), ";tag=[pid]S[call_number]", "", 1)
}

const (
	sippTo      = "[peer_tag_param]"
	sippWant    = `<recv request="`
	sippGet200  = `<recv response="200" rtd="true"></recv>`
	sippSkip100 = `<recv response="100" optional="true"></recv><recv response="180" optional="true"></recv>`
)

// sipp runs a scenario as caller (to is where to) or as callee.
func sipp(t *testing.T, scenario, to string, args ...string) (wait func(), address chan string) {
	t.Helper()
	program, err := exec.LookPath("sipp")
	if err != nil {
		t.Skip("sipp is not installed")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "scenario.xml")
	if err := os.WriteFile(file, []byte(sippHead+scenario+"</scenario>"), 0o600); err != nil {
		t.Fatal(err)
	}
	// An address of its own, where no other test's connection has the port.
	ip := fmt.Sprintf("127.0.%d.%d", 1+rand.IntN(250), 1+rand.IntN(250))
	port := 20000 + rand.IntN(10000)
	all := append([]string{"-sf", file, "-i", ip, "-p", strconv.Itoa(port), "-m", "1", "-nostdin", "-trace_err", "-trace_msg", "-timeout", "15s",
		"-timeout_error", "-cp", strconv.Itoa(freeport.For(t))}, args...)
	if to != "" {
		all = append(all, to)
	}
	cmd := exec.Command(program, all...)
	cmd.Dir = dir
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if to == "" {
		bound(t, ip+":"+strconv.Itoa(port))
	}
	address = make(chan string, 1)
	address <- ip + ":" + strconv.Itoa(port)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	return func() {
		t.Helper()
		select {
		case err := <-done:
			if err != nil {
				tail := out.String()
				logs, _ := filepath.Glob(filepath.Join(dir, "*_*.log"))
				for _, l := range logs {
					b, _ := os.ReadFile(l)
					tail += "\n" + l + "\n" + string(b[max(0, len(b)-6000):])
				}
				t.Fatalf("sipp: %v\n%s", err, tail[max(0, len(tail)-9000):])
			}
		case <-time.After(20 * time.Second):
			t.Fatal("sipp does not end")
		}
	}, address
}

// bound waits until a program has its UDP port: a call to one that is closed ends at once.
func bound(t *testing.T, address string) {
	t.Helper()
	at := mustAddr(address)
	ip := at.Addr().As4()
	entry := fmt.Sprintf(" %02X%02X%02X%02X:%04X ", ip[3], ip[2], ip[1], ip[0], at.Port())
	for limit := deadline(); ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile("/proc/net/udp")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), entry) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("nobody listens at %s", address)
		}
	}
}

func TestSIPpCalls(t *testing.T) {
	invite := sippRequest("INVITE", "1", "", "", sippSDP)
	ack := strings.Replace(sippRequest("ACK", "1", sippTo, "", ""), ` retrans="500"`, "", 1)
	bye := sippRequest("BYE", "2", sippTo, "", "") + sippGet200
	for _, by := range []string{"u1", "t1"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			a := newEnd(t, unhurried)
			to := a.at(UDP)
			if by == "t1" {
				to = a.at(TCP)
			}
			wait, _ := sipp(t, invite+sippSkip100+sippGet200+ack+bye, to.Address.String(), "-t", by)
			p := a.next()
			p.call.Ring()
			p.call.Accept([]byte(strings.ReplaceAll(strings.ReplaceAll(sippSDP, "[local_ip]", "127.0.0.1"), "\n", "\r\n")))
			p.wants("confirmed")
			if e := p.over(); !e.Remote {
				t.Errorf("told %+v", e)
			}
			wait()
		})
	}
}

func TestSIPpPRACKsAndOffersLateAndAnew(t *testing.T) {
	ack := strings.Replace(sippRequest("ACK", "1", sippTo, "", ""), ` retrans="500"`, "", 1)
	bye := sippRequest("BYE", "4", sippTo, "", "") + sippGet200
	t.Run("PRACK", func(t *testing.T) {
		t.Parallel()
		a := newEnd(t, unhurried)
		rel := `<recv response="100" optional="true"></recv><recv response="183"><action><ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" assign_to="1" check_it="true"/></action></recv>`
		prack := sippRequest("PRACK", "2", sippTo, "RAck: [$1] 1 INVITE\n", "") + sippGet200
		wait, _ := sipp(t, sippRequest("INVITE", "1", "", "Supported: 100rel\n", sippSDP)+rel+prack+sippGet200+ack+bye, a.at(UDP).Address.String())
		p := a.next()
		p.call.Progress([]byte("v=0\r\n"))
		p.call.Accept([]byte("v=0\r\n")) // waits for the PRACK
		p.wants("confirmed")
		p.over()
		wait()
		if ok := a.wire.last(false, "SIP/2.0 200 OK"); strings.Contains(a.wire.last(false, "SIP/2.0 183"), "Require: 100rel") == false {
			t.Errorf("the 183 is not reliable; 200: %s", ok)
		}
	})
	t.Run("late offer", func(t *testing.T) {
		t.Parallel()
		a := newEnd(t, unhurried)
		answer := strings.Replace(sippRequest("ACK", "1", sippTo, "", sippSDP), ` retrans="500"`, "", 1)
		wait, _ := sipp(t, sippRequest("INVITE", "1", "", "", "")+sippSkip100+sippGet200+answer+bye, a.at(UDP).Address.String())
		p := a.next()
		p.call.Accept([]byte("v=0\r\n"))
		got := <-p.told
		if !strings.HasPrefix(got, "answered v=0") || !strings.Contains(got, "m=audio 6000") {
			t.Errorf("told %q", got)
		}
		p.wants("confirmed")
		p.over()
		wait()
	})
	t.Run("re-INVITE", func(t *testing.T) {
		t.Parallel()
		a := newEnd(t, unhurried)
		again := sippRequest("INVITE", "2", sippTo, "", sippSDP) + sippSkip100 + sippGet200 +
			strings.Replace(sippRequest("ACK", "2", sippTo, "", ""), ` retrans="500"`, "", 1)
		wait, _ := sipp(t, sippRequest("INVITE", "1", "", "", sippSDP)+sippSkip100+sippGet200+ack+again+bye, a.at(UDP).Address.String())
		p := a.next()
		p.call.Accept([]byte("v=0\r\n"))
		p.wants("confirmed")
		if got := <-p.told; !strings.HasPrefix(got, "offered v=0") {
			t.Errorf("told %q", got)
		}
		p.call.AnswerOffer([]byte("v=0\r\n"))
		p.over()
		wait()
	})
}

func TestSIPpIsCalled(t *testing.T) {
	invited := sippWant + `INVITE"></recv>`
	acked := sippWant + `ACK"></recv>`
	ended := sippWant + `BYE"></recv>` + sippReply("200 OK", "", "")
	for name, s := range map[string]struct {
		scenario string
		late     bool
		told     []string
	}{
		"answers":    {scenario: invited + sippResponse("180 Ringing", "", "") + sippResponse("200 OK", "", "v=0") + acked + ended, told: []string{"ringing 180", "answered v=0", "confirmed"}},
		"late offer": {scenario: invited + sippResponse("200 OK", "", "v=0") + acked + ended, late: true, told: []string{"offered v=0"}},
		"PRACK": {scenario: `<recv request="INVITE"><action><ereg regexp=".*" search_in="hdr" header="Via:" assign_to="2"/></action></recv>` +
			sippResponse("183 Session Progress", "Require: 100rel\nRSeq: 7\n", "v=0") +
			`<recv request="PRACK"><action><ereg regexp="7 +1 +INVITE" search_in="hdr" header="RAck:" assign_to="1" check_it="true"/></action></recv>` +
			sippReply("200 OK", "", "") + `<nop><action><log message="[$1]"/></action></nop>` +
			"<send><![CDATA[\nSIP/2.0 200 OK\nVia:[$2]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\nCSeq: 1 INVITE\n" +
			"Contact: <sip:sipp@[local_ip]:[local_port]>\nContent-Length: 0\n\n]]></send>" + acked + ended,
			told: []string{"answered v=0", "confirmed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newEnd(t, unhurried)
			wait, address := sipp(t, s.scenario, "")
			to := Target{Transport: UDP, Address: mustAddr(<-address)}
			p := a.call(to, func(d *Dial) {
				if s.late {
					d.Offer = nil
				}
			})
			p.wants(s.told...)
			if s.late {
				p.call.AnswerOffer([]byte("v=0\r\n"))
				p.wants("confirmed")
			}
			p.call.Hangup("")
			wait()
		})
	}
}
