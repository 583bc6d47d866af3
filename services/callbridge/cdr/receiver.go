package cdr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"time"

	"rotunda/services/callbridge/meeting"
)

// lastWords is how long an orderly end waits for receivers to take what is left.
const lastWords = 3 * time.Second

// pace are the times of deliveries.
type pace struct {
	// gather is how long the first record waits for those that come with it: the start of a call and of its leg are one POST.
	gather time.Duration
	// connect is for connecting with TLS, answer for a whole POST.
	connect, answer time.Duration
	// first and most are the pauses between tries; they double, and each is shortened by up to a quarter so that the Call Bridges of a
	// cluster do not come together.
	first, most time.Duration
}

var usualPace = pace{gather: 30 * time.Millisecond, connect: 10 * time.Second, answer: 30 * time.Second, first: time.Second, most: time.Minute}

// pause is the one after so many failures.
func (p pace) pause(failures int) time.Duration {
	d := p.most
	if failures < 20 {
		d = min(p.most, p.first<<(failures-1))
	}
	return d - rand.N(d/4+1)
}

// receiver is one place where records go, with a goroutine of its own.
type receiver struct {
	*backlog
	id     meeting.ID
	number int
	uri    string
	// target is uri without fragment; host is for logs.
	target *url.URL
	host   string

	r      *Recorder
	client *http.Client
	ctx    context.Context
	end    context.CancelFunc
	// spoke says that it took records and the log knows.
	spoke bool
}

// receiver makes one that is not started.
func (r *Recorder) receiver(p Place, number int) (*receiver, error) {
	u, err := url.Parse(p.URI)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("its URI is no address of http or https")
	}
	u.Fragment, u.RawFragment = "", ""
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	v := &receiver{backlog: newBacklog(), id: p.ID, number: number, uri: p.URI, target: u, host: net.JoinHostPort(u.Hostname(), port), r: r}
	v.ctx, v.end = context.WithCancel(context.Background())
	// HTTP/1.1 over one connection that is kept: receivers in the field know nothing newer.
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: r.pace.connect, KeepAlive: 30 * time.Second}).DialContext,
		DialTLSContext:         v.dialTLS,
		MaxConnsPerHost:        1,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        5 * time.Minute,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	v.client = &http.Client{
		Transport: transport,
		// What is elsewhere is not the place that was configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	context.AfterFunc(v.ctx, transport.CloseIdleConnections)
	return v, nil
}

// inherit takes over what waits for a receiver whose URI changed: also what was being sent to the old one, which was cut. The old one may have
// taken that, but nobody knows, and a record twice at two addresses is better than one at none.
func (v *receiver) inherit(old *receiver) {
	old.mu.Lock()
	defer old.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.queue = append(v.queue, old.queue...)
	v.bytes, v.missing, v.dropped, v.sent, v.lost = old.bytes, old.missing, old.dropped, old.sent, old.lost
	old.queue, old.flying = nil, 0
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// put adds a record. The Recorder's lock is held.
func (v *receiver) put(one *record) {
	if v.backlog.put(one) {
		v.r.log.Warn("CDR receiver "+strconv.Itoa(v.number)+" ("+v.host+") is too far behind: the oldest records are discarded",
			"records", maxBacklog, "bytes", maxBytes)
	}
}

// run delivers until the receiver is removed, or until stop ends and what is left had its time.
func (v *receiver) run(stop context.Context) {
	defer v.client.CloseIdleConnections()
	defer v.r.alarm.set(v, "")
	// hard is when even a POST under way is cut.
	hard, cut := context.WithCancel(v.ctx)
	defer cut()
	defer context.AfterFunc(stop, func() {
		last := time.NewTimer(lastWords)
		defer last.Stop()
		select {
		case <-last.C:
			cut()
		case <-hard.Done():
		}
	})()
	failures := 0
	for hard.Err() == nil {
		if v.left() == 0 {
			select {
			case <-v.wake:
				// Alone, it waits for others that come with it.
				wait(stop, v.ctx, v.r.pace.gather)
			case <-stop.Done():
				if v.left() == 0 {
					return
				}
			case <-v.ctx.Done():
			}
			continue
		}
		// What was refused together goes one by one: a single record may be the reason.
		most := batchRecords
		if failures > 0 {
			most = 1
		}
		err := v.deliver(hard, most)
		switch {
		case err == nil:
			failures = 0
			v.succeeded()
			continue
		case hard.Err() != nil:
		default:
			failures++
			v.failed(err, failures)
			if stop.Err() == nil {
				wait(stop, v.ctx, v.r.pace.pause(failures))
				continue
			}
		}
		break
	}
	if n := v.left(); n > 0 && v.ctx.Err() == nil {
		v.r.log.Warn("CDR receiver "+strconv.Itoa(v.number)+" ("+v.host+"): records are lost at the end of the Call Bridge", "records", n)
	}
}

// wait pauses for a time, or until a context ends.
func wait(stop, gone context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-stop.Done():
	case <-gone.Done():
	}
}

// refused is an answer that is no acknowledgement.
type refused int

func (s refused) Error() string {
	return "it answers " + strconv.Itoa(int(s)) + " " + http.StatusText(int(s))
}

// deliver sends one document. Where the receiver had closed a connection that was kept, which is no fault, it sends it again at once.
func (v *receiver) deliver(ctx context.Context, most int) error {
	var b bytes.Buffer
	bridge := ""
	if v.r.o.CallBridge != nil {
		bridge = v.r.o.CallBridge()
	}
	envelope(&b, v.r.session, bridge)
	v.take(&b, most)
	b.WriteString(closing)
	kept, err := v.post(ctx, b.Bytes())
	if err != nil && kept && ctx.Err() == nil {
		if _, isStatus := err.(refused); !isStatus {
			v.client.CloseIdleConnections()
			_, err = v.post(ctx, b.Bytes())
		}
	}
	v.done(err == nil)
	return err
}

// post says whether it went over a connection that was kept.
func (v *receiver) post(ctx context.Context, body []byte) (kept bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, v.r.pace.answer)
	defer cancel()
	var mu sync.Mutex
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		mu.Lock()
		kept = i.Reused
		mu.Unlock()
	}})
	q := &http.Request{Method: http.MethodPost, URL: v.target, Host: v.target.Host, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/xml"}, "User-Agent": {"Rotunda"}}, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body))}
	answer, err := v.client.Do(q.WithContext(ctx))
	mu.Lock()
	reused := kept
	mu.Unlock()
	if err != nil {
		// What wraps it has the URI, which may have a name and a password.
		var in *url.Error
		if errors.As(err, &in) {
			err = in.Err
		}
		return reused, err
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
		return reused, refused(answer.StatusCode)
	}
	// The status acknowledges; the rest is read so that the connection can be kept, but a receiver that closes amid it has the records.
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	return reused, nil
}

// maxAnswer bounds what is read of an answer; nobody looks at it.
const maxAnswer = 64 << 10

func (v *receiver) succeeded() {
	name := "CDR receiver " + strconv.Itoa(v.number)
	if !v.spoke {
		v.spoke = true
		v.r.log.Info("successfully connected to " + name)
	}
	if n := v.report(); n > 0 {
		v.r.log.Warn(name+" has a gap", "records", n)
	}
	v.r.alarm.set(v, "")
}

func (v *receiver) failed(err error, failures int) {
	v.spoke = false
	v.r.alarm.set(v, reason(err))
	if failures != 1 {
		// The log has it; it is told again when it has passed.
		return
	}
	name := fmt.Sprintf("CDR receiver %d (%s)", v.number, v.host)
	if status, ok := err.(refused); ok {
		v.r.log.Warn(name+" does not take records", "status", int(status))
		return
	}
	v.r.log.Warn("unable to connect to "+name, "error", err)
}

// reason is the failureReason of an alarm (reference section 2.11).
func reason(err error) string {
	var name *net.DNSError
	if errors.As(err, &name) {
		return "dnsFailure"
	}
	var status refused
	if !errors.As(err, &status) {
		return "connectFailure"
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusProxyAuthRequired:
		return "authenticationFailure"
	case status == http.StatusServiceUnavailable:
		return "serviceUnavailable"
	case status >= 500:
		return "internalServerError"
	}
	return "error"
}

// alarm is on while a receiver does not take records.
type alarm struct {
	mu      sync.Mutex
	failing map[*receiver]string
	tell    func(on bool, reason string)
}

// set notes why a receiver fails, "" when it does not.
func (a *alarm) set(v *receiver, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := len(a.failing)
	if why == "" {
		delete(a.failing, v)
	} else {
		if a.failing == nil {
			a.failing = map[*receiver]string{}
		}
		a.failing[v] = why
	}
	if now := len(a.failing); a.tell != nil && (before == 0) != (now == 0) {
		a.tell(now > 0, why)
	}
}
