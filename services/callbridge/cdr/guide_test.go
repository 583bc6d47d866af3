package cdr

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const tasks = "../../../docs/cdr.md"

// TestTheReceiverOfTheManualWorks runs the program that the manual shows.
func TestTheReceiverOfTheManualWorks(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the manual's receiver is a program for it")
	}
	page, err := os.ReadFile(tasks)
	if err != nil {
		t.Fatal(err)
	}
	var program strings.Builder
	_, rest, ok := strings.Cut(string(page), "In Python, with nothing else:\n\n")
	if !ok {
		t.Fatalf("%s has no program", tasks)
	}
	for line := range strings.Lines(rest) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "    ") {
			break
		}
		program.WriteString(strings.TrimPrefix(line, "    "))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	text := strings.ReplaceAll(program.String(), `("", 8444)`, fmt.Sprintf(`("127.0.0.1", %d)`, port))
	if !strings.Contains(text, fmt.Sprint(port)) {
		t.Fatal("the manual's program listens nowhere")
	}
	c := exec.Command(python, "-u", "-c", text)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	s := newScene(t)
	s.start(fmt.Sprintf("http://127.0.0.1:%d/cdr", port))
	ivrJoin(s)
	lines := bufio.NewScanner(out)
	var got []string
	for len(got) < 6 && lines.Scan() {
		got = append(got, strings.Fields(lines.Text())[1])
	}
	if want := "callLegStart callLegUpdate callStart callLegUpdate callLegEnd callEnd"; strings.Join(got, " ") != want {
		t.Errorf("want %s, got %s", want, strings.Join(got, " "))
	}
}

func TestTheManualHasTheFiguresOfTheProgram(t *testing.T) {
	page, err := os.ReadFile(tasks)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("%d,%03d records or %d MiB wait", maxBacklog/1000, maxBacklog%1000, maxBytes>>20),
		fmt.Sprintf("at most about %d KiB", batchBytes>>10),
		fmt.Sprintf("no answer within %d seconds", int(usualPace.answer.Seconds())),
		fmt.Sprintf("within %d seconds of a restart", int(lastWords.Seconds())),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%s: want %q in it", tasks, want)
		}
	}
}
