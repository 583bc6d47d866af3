package qemu

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/creack/pty"
)

// Client runs the real OpenSSH programs against one account of a machine.
type Client struct {
	// Address and Port of the machine's SSH server.
	Address string
	Port    int
	User    string
	// Password is given when asked for; empty means that none is.
	Password string
	// Identity is a private key file; empty means no public-key login.
	Identity string
	// Options are further -o values, for example "ControlPath=…".
	Options []string
}

// SSH returns a client for an account, through the port forwarded to 22.
func (m *Machine) SSH(user, password string) Client {
	return Client{Address: "127.0.0.1", Port: m.Port(22), User: user, Password: password}
}

// Result is what a program printed and how it ended.
type Result struct {
	Stdout, Stderr string
	// Status is the exit status; noConnection is OpenSSH's own failure.
	Status int
}

const noConnection = 255

// options are those of every call: no known hosts and no configuration of the user that runs the tests, no second try with
// a password that was refused, and an end of 20 s to a connection whose machine was reset, which QEMU's user network does
// not notice.
func (c Client) options() []string {
	o := []string{
		"-F", "none",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no",
		"-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=30", "-o", "IdentityAgent=none",
		"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4",
	}
	for _, option := range c.Options {
		o = append(o, "-o", option)
	}
	if c.Identity != "" {
		o = append(o, "-o", "IdentitiesOnly=yes", "-i", c.Identity)
	} else {
		o = append(o, "-o", "PubkeyAuthentication=no")
	}
	return o
}

// askpass is the program that OpenSSH calls for a password. It is a shell script because the password must not stand in
// any command line, where every user of the host could read it.
const askpass = "#!/bin/sh\nprintf '%s\\n' \"$ROTUNDA_TEST_PASSWORD\"\n"

// Run runs one command: ssh host "command". Standard input may be nil. An exit status other than 0 is no error.
func (c Client) Run(ctx context.Context, command string, stdin io.Reader) (Result, error) {
	args := append(c.options(), "-p", strconv.Itoa(c.Port), c.User+"@"+c.Address, command)
	return c.run(ctx, "ssh", args, stdin)
}

// SFTP runs sftp with the given batch, one command a line. It stops at the first command that fails, unless that line
// begins with "-", and then has a status other than 0.
func (c Client) SFTP(ctx context.Context, batch ...string) (Result, error) {
	// -b alone would turn on BatchMode, which never asks for a password; the first value of an option counts.
	args := append([]string{"-o", "BatchMode=no"}, c.options()...)
	args = append(args, "-b", "-", "-P", strconv.Itoa(c.Port), c.User+"@"+c.Address)
	return c.run(ctx, "sftp", args, strings.NewReader(strings.Join(batch, "\n")+"\n"))
}

// Share opens a connection, whose control socket is at path, and returns a client that runs everything over it, without
// logging in again. The second result ends the connection.
func (c Client) Share(ctx context.Context, path string) (Client, func() error, error) {
	environment, tidy, err := c.environment()
	if err != nil {
		return c, nil, fmt.Errorf("share connection: %w", err)
	}
	defer tidy()
	args := append([]string{"-N", "-o", "ControlMaster=yes", "-o", "ControlPath=" + path,
		"-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo connected"}, c.options()...)
	master := exec.Command("ssh", append(args, "-p", strconv.Itoa(c.Port), c.User+"@"+c.Address)...)
	master.Env = environment
	var stderr lockedBuffer
	master.Stderr = &stderr
	stdout, err := master.StdoutPipe()
	if err != nil {
		return c, nil, fmt.Errorf("share connection: %w", err)
	}
	if err := master.Start(); err != nil {
		return c, nil, fmt.Errorf("share connection: %w", err)
	}
	end := func() error {
		if err := master.Process.Kill(); err != nil {
			return fmt.Errorf("end shared connection: %w", err)
		}
		_ = master.Wait() // it was killed
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = master.Process.Kill() })
	defer stop()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		return c, nil, errors.Join(fmt.Errorf("share connection: %q, %w: %s", line, err, stderr.String()), end())
	}
	c.Options = append(append([]string(nil), c.Options...), "ControlPath="+path)
	return c, end, nil
}

// environment makes OpenSSH ask for the password without a terminal; the second result removes what that needs.
func (c Client) environment() ([]string, func(), error) {
	dir, err := os.MkdirTemp("", "rotunda-ssh-")
	if err != nil {
		return nil, nil, err
	}
	tidy := func() { _ = os.RemoveAll(dir) }
	script := filepath.Join(dir, "askpass")
	if err := os.WriteFile(script, []byte(askpass), 0o700); err != nil {
		tidy()
		return nil, nil, err
	}
	return append(os.Environ(), "SSH_ASKPASS="+script, "SSH_ASKPASS_REQUIRE=force", "ROTUNDA_TEST_PASSWORD="+c.Password, "LC_ALL=C"), tidy, nil
}

func (c Client) run(ctx context.Context, program string, args []string, stdin io.Reader) (Result, error) {
	environment, tidy, err := c.environment()
	if err != nil {
		return Result{}, fmt.Errorf("run %s: %w", program, err)
	}
	defer tidy()
	command := exec.CommandContext(ctx, program, args...)
	command.Env = environment
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = stdin, &stdout, &stderr
	err = command.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return result, fmt.Errorf("run %s: %w; it printed %q and %q", program, ctx.Err(), result.Stdout, result.Stderr)
	case errors.As(err, &exit):
		result.Status = exit.ExitCode()
	case err != nil:
		return result, fmt.Errorf("run %s: %w", program, err)
	}
	return result, nil
}

// Session is an interactive SSH session on a terminal of its own.
type Session struct {
	*Console
	command *exec.Cmd
}

// Dial runs ssh on a new terminal, where it asks for the password; the caller converses. Name appears in messages.
func (c Client) Dial(name string) (*Session, error) {
	return c.dial(name, "ssh", append(c.options(), "-t", "-p", strconv.Itoa(c.Port), c.User+"@"+c.Address)...)
}

// DialSFTP runs sftp on a new terminal, with further arguments.
func (c Client) DialSFTP(name string, arguments ...string) (*Session, error) {
	arguments = append(arguments, c.options()...)
	return c.dial(name, "sftp", append(arguments, "-P", strconv.Itoa(c.Port), c.User+"@"+c.Address)...)
}

func (c Client) dial(name, program string, arguments ...string) (*Session, error) {
	command := exec.Command(program, arguments...)
	command.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C")
	// ssh is hung up when the terminal's other side closes, hence also when this process dies.
	terminal, err := pty.StartWithSize(command, &pty.Winsize{Rows: 24, Cols: 200})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return &Session{Console: newConsole(name, terminal, nil), command: command}, nil
}

// Open dials, answers the question for the password and waits for the shell's prompt.
func (c Client) Open(ctx context.Context, name string) (*Session, error) {
	s, err := c.Dial(name)
	if err != nil {
		return nil, err
	}
	if c.Password != "" {
		if _, err = s.Expect(ctx, `(?i)password:? *\z`); err == nil {
			err = s.Send(c.Password + "\r")
		}
	}
	if err == nil {
		_, err = s.Expect(ctx, `(?m)^`+prompt+`\z`)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("open session %s: %w", name, err)
	}
	return s, nil
}

// Wait waits until ssh ends by itself and returns its exit status.
func (s *Session) Wait() int {
	<-s.done
	_ = s.command.Wait()
	return s.command.ProcessState.ExitCode()
}

// Close ends the session if it still runs.
func (s *Session) Close() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
	s.close()
}
