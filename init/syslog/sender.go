package syslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/journal"
)

const (
	// batch is what is written at once; a server that takes less than that in patience is given up and tried anew.
	batch    = 16 << 10
	patience = 2 * time.Minute
	// lookEvery is how often the log is looked at for new lines.
	lookEvery = 200 * time.Millisecond
	// settle is how long an acknowledged line may still be lost in the far end's memory.
	settle    = 15 * time.Second
	saveEvery = time.Second
	// lookBehind is how old the figure of what waits may be.
	lookBehind = 5 * time.Second
	// goodbye is how long the end of this process waits for acknowledgements.
	goodbye    = 2 * time.Second
	retryFirst = time.Second
	retryMost  = time.Minute
	// steady connections make the next try an early one.
	steady = 30 * time.Second
	// sayEvery bounds what is said about a server: saying something makes a line to send.
	sayEvery = time.Minute
)

var errClosed = errors.New("it has closed the connection")

// sender brings one log to one server.
type sender struct {
	server config.SyslogServer
	tls    config.TLSKindService
	audit  bool
	logs   string
	places places
	log    func(string)
	now    func() time.Time

	reader *journal.Reader
	// confirmed is up to where the server has the log, saved what the disk says of it.
	confirmed, saved journal.Position
	savedAt, saidAt  time.Time
	// told is the state that the log was told last.
	told string
	// missing says that lines were overwritten before they were sent.
	missing bool

	mu     sync.Mutex
	status control.SyslogServer
	// reached is up to where the server has acknowledged the log; whole says that this is all of it.
	reached journal.Position
	whole   bool
	// waiting is how much it does not have, as of waitingAt.
	waiting   int64
	waitingAt time.Time
}

// The states of a server.
const (
	stateConnecting  = "connecting"
	stateConnected   = "connected"
	stateUnreachable = "unreachable"
)

// identity tells a server apart, also on the disk.
func identity(s config.SyslogServer, audit bool) string {
	kind := "log"
	if audit {
		kind = "audit"
	}
	return kind + " " + s.Name() + " " + s.Address()
}

func (s *sender) name() string { return identity(s.server, s.audit) }

func (s *sender) file() string {
	if s.audit {
		return journal.AuditFile
	}
	return journal.MessagesFile
}

// say logs the state that the server is in unless the log knows it, or was told another a short time ago.
func (s *sender) say() {
	now, is := s.now(), s.look()
	if is.State == s.told || !s.saidAt.IsZero() && now.Sub(s.saidAt) < sayEvery {
		return
	}
	s.told, s.saidAt = is.State, now
	if is.Problem != "" {
		s.log(fmt.Sprintf("%s is %s: %s; the log waits for it", s.title(), is.State, is.Problem))
		return
	}
	s.log(fmt.Sprintf("%s is %s", s.title(), is.State))
}

func (s *sender) enter(state, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.State != state {
		s.status.Since = s.now()
	}
	s.status.State, s.status.Problem = state, problem
}

// turn is enter, and tells the log.
func (s *sender) turn(state, problem string) {
	s.enter(state, problem)
	s.say()
}

// run serves until ctx ends.
func (s *sender) run(ctx context.Context) {
	s.reader = journal.NewReader(s.logs, s.file())
	defer s.reader.Close()
	s.enter(stateConnecting, "")
	for s.begin() != nil {
		if !sleep(ctx, retryFirst) {
			return
		}
	}
	pause := retryFirst
	for ctx.Err() == nil {
		conn, below, err := connect(ctx, s.server, s.tls)
		if err == nil {
			s.turn(stateConnected, "")
			begin := time.Now()
			err = s.stream(ctx, conn, below)
			if time.Since(begin) >= steady {
				pause = retryFirst
			}
		}
		s.save(true)
		if ctx.Err() != nil {
			return
		}
		s.turn(stateUnreachable, err.Error())
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, retryMost)
	}
}

func (s *sender) title() string {
	if s.audit {
		return "audit server " + s.server.Name()
	}
	return "syslog server " + s.server.Name()
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// begin finds out where the server is: a new one gets what comes from now on.
func (s *sender) begin() error {
	place, known, err := s.places.load(s.name())
	if err == nil && !known {
		if err = s.reader.SeekEnd(); err == nil {
			place = s.reader.Position()
			err = s.places.save(s.name(), place)
		}
	}
	if err != nil {
		s.turn(stateUnreachable, err.Error())
		return err
	}
	s.confirmed, s.saved = place, place
	s.mu.Lock()
	s.reached = place
	s.mu.Unlock()
	return nil
}

func (s *sender) save(now bool) {
	if s.confirmed == s.saved || !now && time.Since(s.savedAt) < saveEvery {
		return
	}
	if err := s.places.save(s.name(), s.confirmed); err != nil {
		s.enter(s.look().State, err.Error())
		return
	}
	s.saved, s.savedAt = s.confirmed, time.Now()
}

// mark is a place that the server has once so many bytes are acknowledged.
type mark struct {
	bytes        int64
	place        journal.Position
	acknowledged time.Time
}

// stream sends until the connection ends, and leaves confirmed where it may go on.
func (s *sender) stream(ctx context.Context, conn net.Conn, below *counted) error {
	lost, err := s.reader.Seek(s.confirmed)
	if err != nil {
		conn.Close()
		return err
	}
	s.missing = s.missing || lost
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, conn)
		ended <- err
	}()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Now()) })
	var marks []mark
	finish := func(err error) error {
		stop()
		s.settled(below, &marks, err == nil)
		conn.Close()
		return err
	}
	timer := time.NewTicker(lookEvery)
	defer timer.Stop()
	for {
		frames, count, err := s.gather()
		if err != nil {
			finish(err)
			<-ended
			return err
		}
		if count > 0 {
			place := s.reader.Position()
			if ctx.Err() == nil {
				_ = conn.SetWriteDeadline(time.Now().Add(patience))
			}
			if _, err := io.WriteString(conn, frames); err != nil && ctx.Err() == nil {
				finish(err)
				<-ended
				return fmt.Errorf("send: %w", err)
			} else if err == nil {
				marks = append(marks, mark{bytes: below.written.Load(), place: place})
				s.mu.Lock()
				s.status.Sent += int64(count)
				s.mu.Unlock()
			}
		}
		select {
		case <-ctx.Done():
			s.leave(conn, below, ended, &marks)
			finish(ctx.Err())
			return ctx.Err()
		case err := <-ended:
			if finish(err) == nil {
				err = errClosed
			}
			return err
		default:
		}
		s.settled(below, &marks, false)
		s.caughtUp(count == 0 && (len(marks) == 0 || !marks[len(marks)-1].acknowledged.IsZero()))
		s.save(false)
		s.say()
		if count > 0 {
			continue
		}
		select {
		case <-ctx.Done():
		case err := <-ended:
			if finish(err) == nil {
				err = errClosed
			}
			return err
		case <-timer.C:
		}
	}
}

// leave lets the far end take what is on its way.
func (s *sender) leave(conn net.Conn, below *counted, ended chan error, marks *[]mark) {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = conn.SetWriteDeadline(time.Now().Add(goodbye))
		_ = c.CloseWrite()
	}
	limit := time.NewTimer(goodbye)
	defer limit.Stop()
	look := time.NewTicker(goodbye / 100)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			ended <- err
			s.settled(below, marks, err == nil)
			return
		case <-limit.C:
			return
		case <-look.C:
			// It has all of it, the end included. Some never close their side.
			if n, err := below.pending(); err == nil && n == 0 {
				s.settled(below, marks, true)
				return
			}
		}
	}
}

// gather reads what fits into a batch.
func (s *sender) gather() (frames string, count int, err error) {
	var b strings.Builder
	now := s.now()
	if s.missing = s.missing || s.reader.Lost(); s.missing {
		s.missing = false
		b.WriteString(Frame(Message(fmt.Sprintf("%s daemon.warning %s syslog: lines are missing here: the log was overwritten before this server could be reached",
			now.UTC().Format("Jan _2 15:04:05.000"), hostname()), now)))
		count++
	}
	for b.Len() < batch {
		line, err := s.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", 0, err
		}
		b.WriteString(Frame(Message(string(line), now)))
		count++
	}
	return b.String(), count, nil
}

// settled moves confirmed on. A far end that has said good-bye has read all that it has acknowledged.
func (s *sender) settled(below *counted, marks *[]mark, all bool) {
	pending, err := below.pending()
	if err != nil {
		return
	}
	now := time.Now()
	acknowledged := below.written.Load() - pending
	list := *marks
	done := 0
	reached := s.confirmed
	for i := range list {
		if list[i].bytes > acknowledged {
			break
		}
		reached = list[i].place
		if list[i].acknowledged.IsZero() {
			list[i].acknowledged = now
		}
		if all || now.Sub(list[i].acknowledged) >= settle {
			done = i + 1
		}
	}
	if done > 0 {
		s.confirmed = list[done-1].place
		*marks = list[done:]
	}
	s.mu.Lock()
	s.reached = reached
	s.mu.Unlock()
}

// caughtUp says whether the server has acknowledged all that was read.
func (s *sender) caughtUp(whole bool) {
	s.mu.Lock()
	s.whole = whole
	s.mu.Unlock()
}

// behind is how much of the log the server does not have. To look takes two dozen files, so it is looked at once in a while.
func (s *sender) behind(now time.Time) (int64, error) {
	s.mu.Lock()
	reached, whole, waiting, at := s.reached, s.whole && s.status.State == stateConnected, s.waiting, s.waitingAt
	s.mu.Unlock()
	switch {
	case whole:
		return 0, nil
	case now.Sub(at) < lookBehind:
		return waiting, nil
	}
	waiting, err := journal.Behind(s.logs, s.file(), reached)
	s.mu.Lock()
	s.waiting, s.waitingAt = waiting, now
	s.mu.Unlock()
	return waiting, err
}

// look is the status.
func (s *sender) look() control.SyslogServer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}
