package prompts

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"rotunda/services/callbridge/prompts/prompt"
)

// LocalFiles are the names of the files that administrators may put on this machine, those of IVRs and of meetings.
func LocalFiles() []string {
	var names []string
	for _, kind := range []prompt.Kind{prompt.Call, prompt.IVR} {
		first, later := wanted(kind)
		names = append(append(names, first...), later...)
	}
	slices.Sort(names)
	return names
}

// readLocal reads what administrators have put.
func (l *Library) readLocal() {
	l.local = newPlace(key{})
	if l.o.Local == "" || l.o.Folder == "" {
		return
	}
	for _, name := range LocalFiles() {
		b, err := readPlain(filepath.Join(l.o.Local, name), most(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var content []byte
		var extension string
		if err == nil {
			content, extension, err = usable(name, b)
		}
		if err == nil {
			err = l.keep(l.local, name, content, extension, answer{}, l.o.Now())
		}
		if err != nil {
			l.fail(l.local, name, err)
		}
	}
}

// readPlain reads a file that is neither a link nor a pipe.
func readPlain(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("this is no plain file"))
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, tooLarge("the file has more than %d bytes", most)
	}
	return b, nil
}
