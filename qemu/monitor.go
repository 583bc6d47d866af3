package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Monitor speaks QMP, the QEMU Machine Protocol, with a running machine.
type Monitor struct {
	conn net.Conn

	// one command at a time: QMP answers in order
	command sync.Mutex

	mu      sync.Mutex
	answers chan answer
	events  []Event
	changed chan struct{}
	ended   bool
	done    chan struct{}
}

// Event is something that QEMU reports by itself, for example RESET, SHUTDOWN, WATCHDOG.
type Event struct {
	Name string          `json:"event"`
	Data json.RawMessage `json:"data"`
}

type answer struct {
	Greeting json.RawMessage `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Class       string `json:"class"`
		Description string `json:"desc"`
	} `json:"error"`
	Event
}

func newMonitor(conn net.Conn) *Monitor {
	m := &Monitor{conn: conn, answers: make(chan answer, 4), changed: make(chan struct{}), done: make(chan struct{})}
	go m.read()
	return m
}

func (m *Monitor) read() {
	defer close(m.done)
	defer close(m.answers)
	scanner := bufio.NewScanner(m.conn)
	scanner.Buffer(nil, 4<<20)
	for scanner.Scan() {
		var a answer
		if err := json.Unmarshal(scanner.Bytes(), &a); err != nil {
			continue // QMP sends whole JSON objects a line; anything else is not for us
		}
		if a.Name == "" {
			m.answers <- a
			continue
		}
		m.mu.Lock()
		m.events = append(m.events, a.Event)
		close(m.changed)
		m.changed = make(chan struct{})
		m.mu.Unlock()
	}
	m.mu.Lock()
	m.ended = true
	close(m.changed)
	m.changed = make(chan struct{})
	m.mu.Unlock()
}

// negotiate reads the greeting and leaves capability negotiation mode.
func (m *Monitor) negotiate(ctx context.Context) error {
	if _, err := m.answer(ctx); err != nil {
		return fmt.Errorf("wait for the monitor: %w", err)
	}
	_, err := m.Execute(ctx, "qmp_capabilities", nil)
	return err
}

func (m *Monitor) answer(ctx context.Context) (answer, error) {
	select {
	case a, ok := <-m.answers:
		if !ok {
			return answer{}, errors.New("qemu ended")
		}
		if a.Error != nil {
			return answer{}, fmt.Errorf("%s: %s", a.Error.Class, a.Error.Description)
		}
		return a, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// Execute runs a QMP command; arguments may be nil.
func (m *Monitor) Execute(ctx context.Context, command string, arguments any) (json.RawMessage, error) {
	m.command.Lock()
	defer m.command.Unlock()
	request, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments})
	if err != nil {
		return nil, fmt.Errorf("qmp %s: %w", command, err)
	}
	if _, err := m.conn.Write(append(request, '\n')); err != nil {
		return nil, fmt.Errorf("qmp %s: %w", command, err)
	}
	a, err := m.answer(ctx)
	if err != nil {
		return nil, fmt.Errorf("qmp %s: %w", command, err)
	}
	return a.Return, nil
}

// Reset presses the reset button.
func (m *Monitor) Reset(ctx context.Context) error {
	_, err := m.Execute(ctx, "system_reset", nil)
	return err
}

// PowerButton presses the power button (ACPI).
func (m *Monitor) PowerButton(ctx context.Context) error {
	_, err := m.Execute(ctx, "system_powerdown", nil)
	return err
}

// Quit ends QEMU.
func (m *Monitor) Quit(ctx context.Context) error {
	_, err := m.Execute(ctx, "quit", nil)
	return err
}

// Screenshot writes what the screen shows to a PPM file.
func (m *Monitor) Screenshot(ctx context.Context, path string) error {
	_, err := m.Execute(ctx, "screendump", map[string]string{"filename": path})
	return err
}

// SetLink plugs or unplugs the network cable of card i, counted from 0.
func (m *Monitor) SetLink(ctx context.Context, i int, up bool) error {
	_, err := m.Execute(ctx, "set_link", map[string]any{"name": fmt.Sprintf("net%d", i), "up": up})
	return err
}

// Events returns how often the named event was reported so far.
func (m *Monitor) Events(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count(name)
}

func (m *Monitor) count(name string) int {
	n := 0
	for _, e := range m.events {
		if e.Name == name {
			n++
		}
	}
	return n
}

// AwaitEvents waits until the named event was reported at least n times.
func (m *Monitor) AwaitEvents(ctx context.Context, name string, n int) error {
	for {
		m.mu.Lock()
		have, changed, ended := m.count(name), m.changed, m.ended
		m.mu.Unlock()
		if have >= n {
			return nil
		}
		if ended {
			return fmt.Errorf("wait for %d × %s: qemu ended after %d", n, name, have)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d × %s: %w after %d", n, name, ctx.Err(), have)
		}
	}
}

func (m *Monitor) close() {
	_ = m.conn.Close()
	for range m.answers { // let the reader end even if nobody took its last answers
	}
	<-m.done
}
