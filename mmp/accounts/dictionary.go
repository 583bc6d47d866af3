package accounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"os"
	"strings"
	"unicode"
)

// dictionaryName is the file whose presence turns the check on: one word or phrase a line.
const dictionaryName = "dictionary"

const (
	// maxDictionary is what is read of it; the file view takes no larger one.
	maxDictionary = 16 << 20
	// maxWord is the longest line that can be a password.
	maxWord = 4 * maxPassword
)

// inDictionary reports whether the password is one of the words, without regard to case, or would be one without the
// digits and signs around it: "dragon" also forbids "Dragon123!".
func inDictionary(words io.Reader, password string) (bool, error) {
	whole := strings.ToLower(strings.TrimSpace(password))
	bare := strings.TrimFunc(whole, func(r rune) bool { return !unicode.IsLetter(r) })
	lines := bufio.NewReaderSize(io.LimitReader(words, maxDictionary), maxWord)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			// No password is that long; the rest of the line is read as a line of its own, which forbids nothing useful
			// and allows nothing that should not be.
			continue
		}
		if word := strings.ToLower(strings.TrimSpace(string(line))); word != "" && (word == whole || word == bare) {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// checkDictionary applies the stored dictionary, if there is one. One that cannot be read is logged and forbids
// nothing: a disk error must not keep somebody from setting a password.
func (s *Store) checkDictionary(password string) error {
	if s.cfg.Files == nil {
		return nil
	}
	f, err := s.cfg.Files.OpenStored(dictionaryName)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer f.Close()
		var found bool
		if found, err = inDictionary(f, password); found {
			return errors.New("the password is in the dictionary")
		}
	}
	if err != nil {
		s.event(syslog.LOG_WARNING, fmt.Sprintf("the password dictionary cannot be read and is not applied: %v", err))
	}
	return nil
}
