package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/landlock-lsm/go-landlock/landlock"

	"rotunda/init/plain"
)

// Verb is the word by which this program's file becomes the process that asks.
const Verb = "revocation"

const (
	// startPatience is for a process to start on the slowest machine.
	startPatience = 20 * time.Second
	// maxChain is how many certificates a chain may have, maxTalk bounds what the two processes say.
	maxChain = 16
	maxTalk  = 1 << 20
)

// Process asks in a process of its own.
type Process struct{}

// Chain is [Chain] in a process of its own. The error says that it could not be asked at all.
func (Process) Chain(ctx context.Context, chain []*x509.Certificate) ([]Finding, error) {
	if len(chain) > maxChain {
		return nil, fmt.Errorf("a chain of %d certificates, more than %d", len(chain), maxChain)
	}
	question := make([][]byte, len(chain))
	for i, c := range chain {
		question[i] = c.Raw
	}
	text, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, Patience+startPatience)
	defer cancel()
	cmd := exec.CommandContext(within, "/proc/self/exe", Verb)
	// FIPS mode is in it.
	cmd.Env = []string{"GODEBUG=" + os.Getenv("GODEBUG")}
	// It reads what strangers wrote, so that what it says is not the shell's own: lines of the shell may be of the audit log.
	var words lastWords
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), &words
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var list []Finding
	err = json.NewDecoder(io.LimitReader(said, maxTalk)).Decode(&list)
	ended := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case ended != nil:
		return nil, fmt.Errorf("the process that asks ended: %w%s", ended, &words)
	case err != nil:
		return nil, fmt.Errorf("the process that asks: %w", err)
	case len(list) != max(len(chain)-1, 0):
		return nil, fmt.Errorf("the process that asks has %d findings about a chain of %d", len(list), len(chain))
	}
	return list, nil
}

// Main is the verb: it reads a chain as a list of certificates in DER, and prints a list of [Finding].
func Main([]string) error {
	if err := confine(); err != nil {
		return err
	}
	var question [][]byte
	if err := json.NewDecoder(io.LimitReader(os.Stdin, maxTalk)).Decode(&question); err != nil {
		return fmt.Errorf("read question: %w", err)
	}
	var chain []*x509.Certificate
	for _, der := range question {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("read question: %w", err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 || len(chain) > maxChain {
		return errors.New("read question: no chain, or one that is too long")
	}
	list := Chain(context.Background(), chain, time.Now())
	if list == nil {
		list = []Finding{}
	}
	return json.NewEncoder(os.Stdout).Encode(list)
}

// confine leaves /etc, where it says who resolves names. The shell, whose user this is, has accounts and keys; a process that is confined
// more than another may not look into it either (landlock(7)). A kernel without Landlock is a developer's.
func confine() error {
	if err := landlock.V2.BestEffort().RestrictPaths(landlock.RODirs("/etc")); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	return nil
}

// lastWords keeps the end of what the process says.
type lastWords []byte

const maxWords = 500

func (w *lastWords) Write(b []byte) (int, error) {
	*w = append(*w, b...)
	*w = (*w)[max(0, len(*w)-maxWords):]
	return len(b), nil
}

func (w *lastWords) String() string {
	if len(*w) == 0 {
		return ""
	}
	return ": " + plain.Line(strings.ToValidUTF8(strings.ReplaceAll(strings.TrimSpace(string(*w)), "\n", "; "), ""), ' ')
}
