package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rotunda/services/callbridge/sip"
	"rotunda/services/freeport"
	"rotunda/services/media/bench/wire"
	"rotunda/services/media/control"
)

// house is all that carries calls: database, media manager, workers and Call Bridge, each a process, with callers on one load. The workers have the cores
// that they are told; everything else is on the load's.
type house struct {
	*worker // the first of workers, with the manager's client
	workers processes
	others  processes
	folder  string
	api     string
	sip     netip.AddrPort
	agent   *sip.Agent
	// moved counts offers of the Call Bridge during calls: media are elsewhere, since a worker was lost or taken for lost.
	moved atomic.Int32
	end   func()
}

const houseLogin = "bench:bench"

// loopback is where everything of a house is, calls included.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// openHouse starts one with a worker on each of these cores.
func (b *bench) openHouse(ctx context.Context, cores ...int) (h *house, err error) {
	program := filepath.Join(b.dir, "services")
	if _, err := os.Stat(program); err != nil {
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "rotunda/services").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the services: %w\n%s", err, out)
		}
	}
	h = &house{worker: &worker{panes: map[string][]string{}}}
	defer func() {
		if err != nil {
			for _, p := range append(h.workers, h.others...) {
				err = fmt.Errorf("%w; %s said: %.300s", err, filepath.Base(p.command.Args[3]), p.said.String())
			}
			h.close()
		}
	}()
	if h.folder, err = os.MkdirTemp(b.dir, "house"); err != nil {
		return nil, err
	}
	var at [3]string
	for i := range at {
		port, err := freeport.Find()
		if err != nil {
			return nil, err
		}
		at[i] = "127.0.0.1:" + strconv.Itoa(port)
	}
	registers, clients := at[0], at[1]
	h.api = at[2]
	start := func(core int, name string, args ...string) (*process, error) {
		p, err := launch(core, name, args...)
		if err == nil {
			h.others = append(h.others, p)
		}
		return p, err
	}
	// The path of a socket is short.
	socket := filepath.Join(h.folder, "db")
	if _, err = start(loadCore, program, "database", "-folder", filepath.Join(h.folder, "database"), "-socket", socket); err != nil {
		return nil, err
	}
	if _, err = start(loadCore, program, "media", "-workers", registers, "-clients", clients, "-modules", strconv.Itoa(len(cores))); err != nil {
		return nil, err
	}
	for i, core := range cores {
		p, err := launch(core, b.worker, "-manager", registers, "-worker", "0."+strconv.Itoa(i), "-cpu", strconv.Itoa(core), "-encoder", b.encoder,
			"-ports", fmt.Sprintf("%d-%d", 30000+10000*i, 39999+10000*i))
		if err != nil {
			return nil, err
		}
		h.workers = append(h.workers, p)
	}
	h.process = h.workers[0]
	h.client = control.NewClient(control.ClientOptions{Address: clients, Name: "bench"})
	sipPort, err := freeport.Find()
	if err != nil {
		return nil, err
	}
	h.sip = netip.AddrPortFrom(loopback, uint16(sipPort))
	if _, err = start(loadCore, program, "callbridge", "-settings", filepath.Join(h.folder, "none.json"), "-database", socket, "-listen", h.api, "-socket", filepath.Join(h.folder, "api"),
		"-folder", filepath.Join(h.folder, "bridge"), "-prompts", b.prompts, "-developer", houseLogin, "-media", clients, "-sip", strconv.Itoa(sipPort), "-sips", "0"); err != nil {
		return nil, err
	}
	for limit := time.Now().Add(time.Minute); ; {
		if _, err = h.ask(ctx, "GET", "coSpaces", nil); err == nil {
			var modules []control.Module
			if modules, err = h.client.Status(ctx); err == nil && len(modules) > 0 && modules[0].Registered == len(cores) {
				break
			}
		}
		if time.Now().After(limit) {
			return nil, fmt.Errorf("the Call Bridge and its workers do not come up: %w", err)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if h.load, err = wire.Start(loopback); err != nil {
		return nil, err
	}
	h.agent, err = sip.New(sip.Options{Listen: []sip.Listen{{Transport: sip.TCP, Address: netip.AddrPortFrom(loopback, 0)}},
		Incoming: func(c *sip.Call) { c.Use(&caller{moved: &h.moved}); c.Reject(486, "") }})
	if err != nil {
		return nil, err
	}
	serving, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = h.agent.Serve(serving) }) // it ends with its context
	h.end = func() { cancel(); wait.Wait() }
	return h, nil
}

func (h *house) close() {
	if h.end != nil {
		h.end()
	}
	if h.client != nil {
		h.client.Close()
	}
	if h.load != nil {
		h.load.Close()
	}
	// Last come, first gone.
	for i := len(h.others) - 1; i > 1; i-- {
		h.others[i].stop(syscall.SIGTERM)
	}
	for _, p := range append(h.workers, h.others[:min(2, len(h.others))]...) {
		p.stop(syscall.SIGTERM)
	}
}

// ask sends a request to the API, and returns where what was made is, or the answer.
func (h *house) ask(ctx context.Context, method, path string, values url.Values) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+h.api+"/api/v1/"+path, strings.NewReader(values.Encode()))
	if err != nil {
		return "", err
	}
	user, password, _ := strings.Cut(houseLogin, ":")
	r.SetBasicAuth(user, password)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: %d %w %.200s", method, path, a.StatusCode, err, body)
	}
	if to := a.Header.Get("Location"); to != "" {
		return to[strings.LastIndex(to, "/")+1:], nil
	}
	return string(body), nil
}

// whole is an error when not all calls are up and where they were.
func (h *house) whole(ctx context.Context, calls int) error {
	n, err := h.legs(ctx)
	if err != nil {
		return err
	}
	if moved := h.moved.Load(); n != calls || moved > 0 {
		return fmt.Errorf("%d calls are up and %d were offered other ports, as after the loss of a worker: want %d and none", n, moved, calls)
	}
	return nil
}

// legs is how many call legs are up.
func (h *house) legs(ctx context.Context) (int, error) {
	body, err := h.ask(ctx, "GET", "callLegs?limit=1", nil)
	if err != nil {
		return 0, err
	}
	var list struct {
		Total int `xml:"total,attr"`
	}
	return list.Total, xml.Unmarshal([]byte(body), &list)
}

// dial makes a call with one stream and adds its far end to the load; all of the load's far ends are behind one port.
func (h *house) dial(ctx context.Context, n int, user, media string) (*wire.Far, error) {
	c := &caller{moved: &h.moved, answers: make(chan []byte, 1), ended: make(chan sip.End, 1)}
	offer := fmt.Sprintf("v=0\r\no=bench %d 1 IN IP4 %v\r\ns=-\r\nc=IN IP4 %v\r\nt=0 0\r\n", n+1, loopback, loopback) + strings.ReplaceAll(media, "PORT", strconv.Itoa(int(h.load.Address().Port())))
	h.agent.Dial(sip.Dial{To: fmt.Sprintf("sip:%s@%v", user, h.sip), From: fmt.Sprintf("sip:caller%d@bench.example", n), FromName: fmt.Sprintf("Caller %d", n),
		Next: []sip.Target{{Transport: sip.TCP, Address: h.sip}}, Offer: []byte(offer)}, c)
	select {
	case b := <-c.answers:
		m := mediaLine.FindSubmatch(b)
		if m == nil {
			return nil, fmt.Errorf("call %d: an answer without media: %s", n, b)
		}
		port, err := strconv.ParseUint(string(m[1]), 10, 16)
		if err != nil || port == 0 {
			return nil, fmt.Errorf("call %d: media on port %s: %s", n, m[1], b)
		}
		far := &wire.Far{Remote: netip.AddrPortFrom(loopback, uint16(port))}
		h.load.Add(far)
		return far, nil
	case e := <-c.ended:
		return nil, fmt.Errorf("call %d ended: %d %s", n, e.Code, e.Reason)
	case <-time.After(20 * time.Second):
		return nil, fmt.Errorf("call %d is not answered", n)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var mediaLine = regexp.MustCompile(`(?m)^m=(?:audio|video) (\d+) `)

// caller hears what becomes of one call. What is offered anew is counted and not answered: the round does not count.
type caller struct {
	moved   *atomic.Int32
	answers chan []byte
	ended   chan sip.End
}

func (c *caller) Ringing(int) {}
func (c *caller) Answered(b []byte) {
	select {
	case c.answers <- b:
	default:
	}
}
func (c *caller) Early([]byte)                {}
func (c *caller) Confirmed()                  {}
func (c *caller) Offered([]byte)              { c.moved.Add(1) }
func (c *caller) OfferRefused(int)            {}
func (c *caller) Info(string, []byte) int     { return 200 }
func (c *caller) Referred(string, string) int { return 603 }
func (c *caller) Replaced(by *sip.Call)       { by.Use(&caller{moved: c.moved}); by.Reject(603, "") }
func (c *caller) Ended(e sip.End) {
	select {
	case c.ended <- e:
	default:
	}
}
