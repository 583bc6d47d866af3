package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

func TestLinesOfAnyLengthUpToTheBound(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 4096, MaxLine - 1} {
		text := strings.Repeat("x", n)
		r := bufio.NewReaderSize(strings.NewReader(text+"\nnext\n"), 16)
		got, memory, err := readLine(r, nil)
		if err != nil || string(got) != text {
			t.Errorf("line of %d bytes: got %d bytes, %v", n, len(got), err)
		}
		if got, _, err := readLine(r, memory); err != nil || string(got) != "next" {
			t.Errorf("line after one of %d bytes: want next, got %q, %v", n, got, err)
		}
	}
	if _, _, err := readLine(bufio.NewReaderSize(strings.NewReader(strings.Repeat("x", MaxLine)+"\n"), 16), nil); !errors.Is(err, errTooLong) {
		t.Errorf("line of %d bytes and its end: want %v, got %v", MaxLine, errTooLong, err)
	}
	if _, _, err := readLine(bufio.NewReader(strings.NewReader("half")), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a line: want %v, got %v", io.ErrUnexpectedEOF, err)
	}
	if _, _, err := readLine(bufio.NewReader(strings.NewReader("")), nil); !errors.Is(err, io.EOF) {
		t.Errorf("the end: want %v, got %v", io.EOF, err)
	}
}

func TestALineThatIsTooLongIsNotSent(t *testing.T) {
	body, err := json.Marshal(strings.Repeat("x", MaxLine))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Line{ID: 1, Body: body}).Append(nil); !errors.Is(err, errTooLong) {
		t.Errorf("want %v, got %v", errTooLong, err)
	}
}

func TestWhatAWorkerHoldsIsToldInParts(t *testing.T) {
	held := []Holding{
		{Owner: "a", Legs: make([]HeldLeg, 5), Conferences: make([]Conference, 1)},
		{Owner: "b", Conferences: make([]Conference, 3)},
		{Owner: "c"},
	}
	legs, conferences := map[string]int{}, map[string]int{}
	for _, part := range split(held, 2) {
		if len(part.Legs) > 2 || len(part.Conferences) > 2 {
			t.Errorf("a part of %d legs and %d conferences, want 2 at most", len(part.Legs), len(part.Conferences))
		}
		legs[part.Owner] += len(part.Legs)
		conferences[part.Owner] += len(part.Conferences)
	}
	if legs["a"] != 5 || conferences["a"] != 1 || conferences["b"] != 3 || len(legs) != 3 {
		t.Errorf("want all legs and conferences of three owners, got %v and %v", legs, conferences)
	}
}

// FuzzParseLine finds that a line that is read can be written, and reads the same again.
func FuzzParseLine(f *testing.F) {
	for _, seed := range []string{
		`{"hello":{"version":1,"role":"client","name":"callbridge","grace":5000}}`,
		`{"id":1,"ask":"putLeg","owner":"a","body":{"id":"x","transports":[{"local":["127.0.0.1","::1"]}]}}`,
		`{"id":1,"error":{"code":"capacity","text":"full"}}`,
		`{"event":{"event":"lost","legs":["a"]},"owner":"x"}`,
		`{"holding":{"owner":"a","legs":[{"id":"x","units":1000}]}}`,
		`{"beat":{"name":"0.1","capacity":9000}}`,
		`{`, ``, `null`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseLine(data)
		if err != nil {
			return
		}
		first, err := m.Append(nil)
		if errors.Is(err, errTooLong) {
			return
		}
		if err != nil {
			t.Fatalf("%q was read and cannot be written: %v", data, err)
		}
		again, err := ParseLine(first[:len(first)-1])
		if err != nil {
			t.Fatalf("%q was written and cannot be read: %v", first, err)
		}
		if second, err := again.Append(nil); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("written %q and then %q, %v", first, second, err)
		}
	})
}

// FuzzPrepare finds that no body of a request does more than be refused.
func FuzzPrepare(f *testing.F) {
	for i, seed := range []string{
		`{"id":"x","transports":[{"local":["127.0.0.1"],"keys":{"suite":"AEAD_AES_128_GCM","local":"AAAA"}}],"video":{"slots":9}}`,
		`{"leg":"a","keys":"123#,*"}`, `{"legs":["a","b"]}`, `{"id":"x","leg":"a"}`, ``, `{}`, `"x"`,
	} {
		f.Add(byte(i), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		r := requestList[int(which)%len(requestList)]
		_, run, err := r.prepare(body)
		if err != nil {
			if CodeOf(err) != CodeInvalid {
				t.Fatalf("%s %q: want code %s, got %v", r.name, body, CodeInvalid, err)
			}
			return
		}
		if run == nil {
			t.Fatalf("%s %q: neither refused nor prepared", r.name, body)
		}
	})
}

// FuzzServe finds that nothing a client can send ends in a panic or a hang.
func FuzzServe(f *testing.F) {
	hello := `{"hello":{"version":1,"role":"client","name":"a"}}` + "\n"
	f.Add([]byte(hello + `{"id":1,"ask":"status"}` + "\n"))
	f.Add([]byte(hello + `{"id":1,"ask":"putLeg","body":{"id":"x"}}` + "\n" + `{"id":2,"ask":"sync"}` + "\n"))
	f.Add([]byte(`{"hello":{"version":2}}` + "\n"))
	f.Add([]byte(`{"hello":{"version":1,"role":"worker","name":"0.1"}}` + "\n"))
	f.Add([]byte("\n\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := NewDispatcher(nothing{}, DispatcherOptions{})
		defer d.Close()
		client, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = d.Serve(t.Context(), server)
		}()
		go func() { _, _ = io.Copy(io.Discard, client) }()
		_, _ = client.Write(data)
		client.Close()
		<-done
	})
}

// nothing is a handler that refuses every request that gets as far.
type nothing struct{}

func (nothing) Holdings() []Holding  { return nil }
func (nothing) Owner(string) Service { return caller(refuse) }

func refuse(context.Context, string, any, any) error { return Errorf(CodeUnknown, "nothing is here") }
