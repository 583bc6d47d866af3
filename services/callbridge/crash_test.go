package callbridge

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rotunda/services/callbridge/sip"
	"rotunda/services/freeport"
)

// processArgs has the arguments of a test binary that is a Call Bridge, one a line.
const processArgs = "ROTUNDA_TEST_CALLBRIDGE"

func init() {
	if args := os.Getenv(processArgs); args != "" {
		if err := Main(strings.Split(args, "\n")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// process runs a Call Bridge as a process of its own, with the options of a house.
func (h *house) process(arguments ...string) *exec.Cmd {
	h.t.Helper()
	c := exec.Command(os.Args[0])
	o := h.options
	c.Env = append(os.Environ(), processArgs+"="+strings.Join(append([]string{"-settings", o.settings, "-database", o.database, "-listen", "", "-socket", o.socket, "-folder", o.folder,
		"-front", fmt.Sprint(o.front), "-developer", o.developer, "-media", o.media}, arguments...), "\n"))
	c.Stdout, c.Stderr = h.log, h.log
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return c
}

// telephone is a far end that speaks UDP.
type telephone struct {
	t    *testing.T
	conn net.Conn
	id   string
	tag  string // the other side's
	cseq int
}

func (p *telephone) send(method, body string) {
	p.t.Helper()
	if method != "ACK" {
		p.cseq++
	}
	to := "<sip:88001@meet.example.com>"
	if p.tag != "" {
		to += ";tag=" + p.tag
	}
	content := ""
	if body != "" {
		content = "Content-Type: application/sdp\r\n"
	}
	local := p.conn.LocalAddr().String()
	fmt.Fprintf(p.conn, "%s sip:88001@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport\r\nFrom: <sip:anna@example.com>;tag=a\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"+
		"Contact: <sip:anna@%s>\r\nMax-Forwards: 70\r\n%sContent-Length: %d\r\n\r\n%s", method, p.conn.RemoteAddr(), local, rand.Text(), to, p.id, p.cseq, method, local, content, len(body), body)
}

// final waits for a final answer to the last request, and remembers who gave it.
func (p *telephone) final() string {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	b := make([]byte, 65536)
	for {
		n, err := p.conn.Read(b)
		if err != nil {
			p.t.Fatalf("no answer: %v", err)
		}
		r := textproto.NewReader(bufio.NewReader(strings.NewReader(string(b[:n]))))
		line, err := r.ReadLine()
		if err != nil || !strings.HasPrefix(line, "SIP/2.0 ") || strings.HasPrefix(line, "SIP/2.0 1") {
			continue
		}
		head, _ := r.ReadMIMEHeader()
		if head.Get("Cseq") == "" || !strings.HasPrefix(head.Get("Cseq"), fmt.Sprint(p.cseq)+" ") {
			continue
		}
		if _, tag, ok := strings.Cut(head.Get("To"), ";tag="); ok && p.tag == "" {
			p.tag = tag
		}
		return line
	}
}

// request waits for one, and returns its headers.
func (p *telephone) request(method string) textproto.MIMEHeader {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	b := make([]byte, 65536)
	for {
		n, err := p.conn.Read(b)
		if err != nil {
			p.t.Fatalf("no %s: %v", method, err)
		}
		r := textproto.NewReader(bufio.NewReader(strings.NewReader(string(b[:n]))))
		if line, err := r.ReadLine(); err != nil || !strings.HasPrefix(line, method+" ") {
			continue
		}
		head, _ := r.ReadMIMEHeader()
		return head
	}
}

// answer answers a request with 200.
func (p *telephone) answer(head textproto.MIMEHeader) {
	fmt.Fprintf(p.conn, "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContent-Length: 0\r\n\r\n",
		head.Get("Via"), head.Get("From"), head.Get("To"), head.Get("Call-Id"), head.Get("Cseq"))
}

func TestAfterAKillFarEndsFindOutAndTheAlarmIsRaised(t *testing.T) {
	h, _ := openWithMedia(t)
	h.expect(http.MethodPost, "/api/v1/coSpaces", url.Values{"name": {"Weekly"}, "uri": {"88001"}})
	h.end() // its options and its database go on as processes of their own
	port := strconv.Itoa(freeport.For(t))
	first := h.process("-sip", port, "-sips", "0")
	at := netip.MustParseAddrPort("127.0.0.1:" + port)
	until(t, "SIP on its port", func() bool { return strings.Contains(h.log.String(), "transport=udp address="+at.String()) })
	h.expect(http.MethodGet, "/api/v1/coSpaces", nil)
	conn, err := net.Dial("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	phone := &telephone{t: t, conn: conn, id: rand.Text()}
	phone.send("INVITE", "v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n")
	if line := phone.final(); line != "SIP/2.0 200 OK" {
		t.Fatalf("want the call answered, got %s; log %s", line, h.log)
	}
	phone.send("ACK", "")
	until(t, "the call is up", func() bool {
		return h.read("system/status").At("callLegsActive") == "1" && len(leftIn(t, h.options.folder).Notes) == 1
	})
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	second := h.process("-sip", port, "-sips", "0")
	until(t, "the alarm", func() bool {
		return strings.Contains(fmt.Sprint(h.read("system/alarms")), restarted)
	})
	if n := h.read("calls").Attr("total"); n != "0" {
		t.Errorf("want no call, got %s", n)
	}
	// Who was in the call is told, as the dialog is numbered.
	bye := phone.request("BYE")
	if bye.Get("Call-Id") != phone.id || !strings.HasSuffix(bye.Get("To"), ";tag=a") || !strings.HasSuffix(bye.Get("From"), ";tag="+phone.tag) ||
		!strings.Contains(bye.Get("Reason"), "cause=500") {
		t.Errorf("the far end is told %v", bye)
	}
	phone.answer(bye)
	until(t, "the answer to it", func() bool { return strings.Contains(h.log.String(), "calls=1 told=1") })
	phone.send("BYE", "")
	if line := phone.final(); !strings.HasPrefix(line, "SIP/2.0 481 ") {
		t.Errorf("a request of a call that the Call Bridge does not know any more: want 481, got %s", line)
	}
	// An orderly end is no crash.
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("want an orderly end, got %v", err)
	}
	h.process("-sip", "0", "-sips", "0")
	if e := h.read("system/alarms"); strings.Contains(fmt.Sprint(e), restarted) {
		t.Errorf("after an orderly end: want no alarm, got %+v", e)
	}
}

// What the notes of one call cost, from its first leg to its end.
func BenchmarkNotesOfACall(b *testing.B) {
	m, _ := openMark(b.TempDir(), slog.New(slog.DiscardHandler))
	defer m.close()
	r := sip.Remains{CallID: "6d1c9f0e-3b7c-4c0b-8a52-2f1d0a9b7e11@192.0.2.17", Local: "<sip:88001@meet.example.com>", LocalTag: "0123456789abcdef",
		Remote: `"Anna Example" <sip:anna@example.com>`, RemoteTag: "fedcba98", Target: "sip:anna@192.0.2.17:5062;transport=tcp", Routes: []string{"<sip:192.0.2.1;lr;transport=tcp>"},
		Transport: sip.TCP, Seq: 4}
	for b.Loop() {
		m.note(legBegan)
		over := m.keep(r)
		over()
		m.note(legOver)
	}
}
