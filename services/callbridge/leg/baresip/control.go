package baresip

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Types of events that tests wait for.
const (
	Incoming    = "CALL_INCOMING"
	Ringing     = "CALL_RINGING"
	Progress    = "CALL_PROGRESS"
	Established = "CALL_ESTABLISHED"
	Closed      = "CALL_CLOSED"
	Transfer    = "TRANSFER"
	Key         = "CALL_DTMF_START" // Param is the key
	Encrypted   = "CALL_MENC"
)

// Event is something that happened.
type Event struct {
	Type string `json:"type"`
	// Direction is incoming or outgoing.
	Direction string `json:"direction"`
	// Peer is the far end's address, Name what it calls itself, ID the Call-ID.
	Peer string `json:"peeruri"`
	Name string `json:"peerdisplayname"`
	ID   string `json:"id"`
	// Param is the reason of an end, a key, and so on.
	Param string `json:"param"`
}

// control is the connection to ctrl_tcp.
type control struct {
	c       net.Conn
	reading sync.WaitGroup

	mu      sync.Mutex
	cond    *sync.Cond
	events  []Event // that nobody took yet
	answers map[string]answer
	tokens  int
	over    bool
}

type answer struct {
	OK    bool   `json:"ok"`
	Data  string `json:"data"`
	Token string `json:"token"`
}

// patience is how long something may take that a test waits for.
const patience = 20 * time.Second

func connect(t testing.TB, address string) *control {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	c := &control{c: conn, answers: map[string]answer{}}
	c.cond = sync.NewCond(&c.mu)
	c.reading.Go(c.read)
	return c
}

func (c *control) close() {
	c.c.Close()
	c.reading.Wait()
}

func (c *control) read() {
	r := bufio.NewReader(c.c)
	for {
		b, err := readNetstring(r)
		var m struct {
			Event
			answer
			Response bool `json:"response"`
		}
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		c.mu.Lock()
		switch {
		case err != nil:
			c.over = true
		case m.Response:
			c.answers[m.Token] = m.answer
		default:
			c.events = append(c.events, m.Event)
		}
		c.cond.Broadcast()
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// maxNetstring bounds what the program may say at once.
const maxNetstring = 1 << 20

// readNetstring reads "5:hello,".
func readNetstring(r *bufio.Reader) ([]byte, error) {
	digits, err := r.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(digits, ":"), 10, 32)
	if err != nil || n > maxNetstring {
		return nil, fmt.Errorf("netstring of length %q: want at most %d", digits, maxNetstring)
	}
	b := make([]byte, n+1)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	if b[n] != ',' {
		return nil, errors.New("a netstring does not end with a comma")
	}
	return b[:n], nil
}

// wait waits until is says yes, which is called with the lock held each time something came.
func (c *control) wait(is func() bool) bool {
	late := false
	timer := time.AfterFunc(patience, func() {
		c.mu.Lock()
		late = true
		c.cond.Broadcast()
		c.mu.Unlock()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !is() {
		if late || c.over {
			return false
		}
		c.cond.Wait()
	}
	return true
}

// Command gives a command as on its keyboard, and returns what it answers.
func (p *Phone) Command(name, params string) string {
	p.t.Helper()
	c := p.control
	c.mu.Lock()
	c.tokens++
	token := strconv.Itoa(c.tokens)
	c.mu.Unlock()
	m := map[string]string{"command": name, "token": token}
	if params != "" {
		m["params"] = params
	}
	b, err := json.Marshal(m)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c.c, "%d:%s,", len(b), b); err != nil {
		p.t.Fatal(err)
	}
	var a answer
	if !c.wait(func() (ok bool) { a, ok = c.answers[token]; return ok }) {
		p.t.Fatalf("%s does not answer the command %s %s", p.name, name, params)
	}
	if !a.OK {
		p.t.Fatalf("%s refuses the command %s %s: %s", p.name, name, params, a.Data)
	}
	return a.Data
}

// Await waits for an event and takes it, with those before it.
func (p *Phone) Await(kind string) Event {
	p.t.Helper()
	return p.AwaitWhere(kind, func(Event) bool { return true })
}

// AwaitWhere is Await for an event that is says yes to.
func (p *Phone) AwaitWhere(kind string, is func(Event) bool) Event {
	p.t.Helper()
	var found Event
	var saw []string
	c := p.control
	if !c.wait(func() bool {
		for len(c.events) > 0 {
			e := c.events[0]
			c.events = c.events[1:]
			if e.Type == kind && is(e) {
				found = e
				return true
			}
			saw = append(saw, strings.TrimSpace(e.Type+" "+e.Param))
		}
		return false
	}) {
		p.t.Fatalf("%s: want %s, there was only %q", p.name, kind, saw)
	}
	return found
}

// Dial calls an address; events tell what becomes of it.
func (p *Phone) Dial(uri string) { p.t.Helper(); p.Command("dial", uri) }

// Call calls an address and waits until it is answered.
func (p *Phone) Call(uri string) Event {
	p.t.Helper()
	p.Dial(uri)
	return p.Await(Established)
}

// Accept answers a call that rings.
func (p *Phone) Accept() { p.t.Helper(); p.Command("accept", "") }

// Hangup ends its call, or refuses one that rings.
func (p *Phone) Hangup() { p.t.Helper(); p.Command("hangup", "") }

// Hold and Resume are re-INVITEs with a=sendonly and without.
func (p *Phone) Hold() { p.t.Helper(); p.Command("hold", "") }

// Resume ends Hold.
func (p *Phone) Resume() { p.t.Helper(); p.Command("resume", "") }

// Reinvite offers again what there is.
func (p *Phone) Reinvite() { p.t.Helper(); p.Command("reinvite", "") }

// VideoDirection offers another direction of video: sendrecv, sendonly, recvonly or inactive.
func (p *Phone) VideoDirection(d string) { p.t.Helper(); p.Command("video_dir", d) }

// Transfer sends the far end to another address (REFER).
func (p *Phone) Transfer(uri string) { p.t.Helper(); p.Command("transfer", uri) }

// Mute stops and starts its microphone.
func (p *Phone) Mute() { p.t.Helper(); p.Command("mute", "") }

// Keys presses keys (RFC 4733). Each sounds for a tenth of a second, as long as a finger stays.
func (p *Phone) Keys(keys string) {
	p.t.Helper()
	for _, k := range keys {
		p.Command("sndcode", string(k))
		<-time.After(100 * time.Millisecond)
	}
}
