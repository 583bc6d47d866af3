package main

import (
	"context"
	"net"
	"strings"
	"testing"

	"rotunda/init/control"
)

// greet answers the first connection with text.
func greet(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Write([]byte(text))
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestTheShellAnswersWhenItGreets(t *testing.T) {
	for text, want := range map[string]string{
		"SSH-2.0-Rotunda\r\n": "",
		"HTTP/1.1 400 Bad":    "greeted with",
		"":                    "no greeting",
	} {
		err := shellAnswers(context.Background(), greet(t, text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: want %q, got %v", text, want, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// The kernel accepts, nobody greets: a dead shell that still listens.
	defer l.Close()
	if err := shellAnswers(context.Background(), l.Addr().String()); err == nil || !strings.Contains(err.Error(), "no greeting") {
		t.Errorf("want no greeting, got %v", err)
	}
}

func TestAMachineGoesBackOnlyToAVersionThatStarts(t *testing.T) {
	for _, c := range []struct {
		states []string
		want   bool
	}{
		{[]string{"running"}, false},
		{[]string{"running", "failed"}, false},
		{[]string{"running", "committed"}, true},
		{[]string{"running", "trial", "failed"}, true},
	} {
		var list []control.Version
		for n, s := range c.states {
			list = append(list, control.Version{Number: n + 1, State: s})
		}
		if got := another(list); got != c.want {
			t.Errorf("%v: want another version %v, got %v", c.states, c.want, got)
		}
	}
}

func TestAGateOfAPartThatDidNotStartIsClosed(t *testing.T) {
	m := newMachine()
	m.config.FailSafe, m.applied = "", true
	if err := m.gates(context.Background()); err == nil || !strings.Contains(err.Error(), "interfaces did not start") {
		t.Errorf("without interfaces: want the gate closed, got %v", err)
	}
	if _, err := m.Health(context.Background()); err != nil {
		t.Errorf("health without services: got %v", err)
	}
}
