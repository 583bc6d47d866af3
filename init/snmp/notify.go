package snmp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
)

const (
	// maxWaiting notifications of one receiver; one more and the oldest is lost.
	maxWaiting = 256
	// An inform is sent so often, with so much time for the answer each.
	informTries = 3
	// lookUpWithin bounds the look-up of a receiver's name.
	lookUpWithin = 5 * time.Second
)

var (
	snmpTraps   = snmpModules.with(1, 1, 5)
	coldStart   = snmpTraps.with(1)
	warmStart   = snmpTraps.with(2)
	linkDown    = snmpTraps.with(3)
	linkUp      = snmpTraps.with(4)
	authFailure = snmpTraps.with(5)
	trapOID     = snmpModules.with(1, 1, 4, 1, 0)
	sysUpTime   = mib2.with(1, 3, 0)
)

// event is something that receivers are told.
type event struct {
	name     oid
	bindings []binding
}

// teller sends to all receivers. Each has its own goroutine, so that one that cannot be reached keeps no other waiting.
type teller struct {
	agent *agent
	port  int
	// answerWithin is what the receiver of an inform has.
	answerWithin time.Duration
	log          func(string)

	mu   sync.Mutex
	list map[config.SNMPTrap]*receiver
	all  []config.SNMPTrap
	wait sync.WaitGroup
}

type receiver struct {
	config.SNMPTrap
	queue  chan event
	cancel context.CancelFunc

	mu     sync.Mutex
	status control.SNMPReceiver
}

func newTeller(a *agent, port int, log func(string)) *teller {
	return &teller{agent: a, port: port, answerWithin: 5 * time.Second, log: log, list: map[config.SNMPTrap]*receiver{}}
}

// configure ends what is not wanted any more, and begins what is new.
func (t *teller) configure(list []config.SNMPTrap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	wanted := map[config.SNMPTrap]bool{}
	for _, one := range list {
		wanted[one] = true
		if t.list[one] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		version := "2c"
		if one.Community == "" {
			version = "3"
		}
		r := &receiver{SNMPTrap: one, queue: make(chan event, maxWaiting), cancel: cancel,
			status: control.SNMPReceiver{Host: one.Host, Inform: one.Inform, Version: version}}
		t.list[one] = r
		t.wait.Go(func() { t.serve(ctx, r) })
	}
	for one, r := range t.list {
		if !wanted[one] {
			r.cancel()
			delete(t.list, one)
		}
	}
	t.all = list
}

// end waits for none of the notifications.
func (t *teller) end() {
	t.configure(nil)
	t.wait.Wait()
}

// tell never waits.
func (t *teller) tell(e event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.list {
		for {
			select {
			case r.queue <- e:
			default:
				select {
				case <-r.queue:
					r.note(errors.New("more notifications than can be sent"))
				default:
				}
				continue
			}
			break
		}
	}
}

func (t *teller) receivers() (list []control.SNMPReceiver) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range t.all {
		if r := t.list[one]; r != nil {
			r.mu.Lock()
			list = append(list, r.status)
			r.mu.Unlock()
		}
	}
	return list
}

// note counts, and says whether the trouble is another than before.
func (r *receiver) note(err error) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	problem := ""
	if err == nil {
		r.status.Sent++
	} else {
		r.status.Lost++
		problem = err.Error()
	}
	news = problem != r.status.Problem
	r.status.Problem = problem
	return news
}

func (t *teller) serve(ctx context.Context, r *receiver) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-r.queue:
			err := t.send(ctx, r, e)
			if ctx.Err() != nil {
				return
			}
			if r.note(err) && err != nil {
				t.log(fmt.Sprintf("trap to %s: %v", r.Host, err))
			}
		}
	}
}

// send makes a message and brings it there.
func (t *teller) send(ctx context.Context, r *receiver, e event) error {
	p := pdu{kind: tagNotify, id: rand.Int32(), bindings: append([]binding{
		{sysUpTime, ticks(time.Since(t.agent.started).Milliseconds() / 10)}, {trapOID, object(e.name)}}, e.bindings...)}
	var message []byte
	if r.Community != "" {
		if r.Inform {
			p.kind = tagInform
		}
		m := signed(nil, tagInteger, version2c)
		m = element(m, tagOctets, []byte(r.Community))
		message = element(nil, tagSequence, p.append(m))
	} else {
		var err error
		if message, err = t.agent.announce(p); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin+informTries*t.answerWithin)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", net.JoinHostPort(r.Host, strconv.Itoa(t.port)))
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if p.kind != tagInform {
		_, err := c.Write(message)
		return err
	}
	buffer := make([]byte, 2048)
	for range informTries {
		if _, err = c.Write(message); err != nil {
			continue
		}
		if err = c.SetReadDeadline(time.Now().Add(t.answerWithin)); err != nil {
			return err
		}
		var n int
		for n, err = c.Read(buffer); err == nil; n, err = c.Read(buffer) {
			if acknowledges(buffer[:n], p.id) {
				return nil
			}
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		return errors.New("the inform got no answer")
	}
	return err
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// acknowledges says whether a message is the answer to an inform.
func acknowledges(message []byte, id int32) bool {
	r := reader{message}
	body, err := r.inner(tagSequence)
	if err != nil {
		return false
	}
	if version, err := body.integer(); err != nil || version != version2c {
		return false
	}
	if _, err := body.want(tagOctets); err != nil {
		return false
	}
	p, err := readPDU(&body)
	return err == nil && p.kind == tagResponse && p.id == id && p.status == noError
}

// announce makes a trap of SNMPv3: of those, this engine is the authority, and it is signed and encrypted as the first user.
func (a *agent) announce(p pdu) ([]byte, error) {
	a.mu.Lock()
	engine, person := a.engine, a.first
	a.mu.Unlock()
	if person == nil || len(engine) == 0 {
		return nil, errors.New("there is no user of SNMPv3 to send it as")
	}
	return a.seal(time.Now(), engine, rand.Int32(), flagAuth|flagPrivacy, []byte(person.Name), person, p), nil
}
