package prompts

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// readLocal reads what administrators have put. Extensions may be in upper case, as some systems write them.
func (l *Library) readLocal() {
	l.local = newPlace(key{})
	if l.o.Local == "" || l.o.Folder == "" {
		return
	}
	list, err := os.ReadDir(l.o.Local)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.o.Log.Warn("the prompts and pictures of this machine cannot be read", "error", err)
		}
		return
	}
	names := LocalFiles()
	for _, e := range list {
		extension := filepath.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), extension) + strings.ToLower(extension)
		switch {
		case !slices.Contains(names, name):
			l.o.Log.Warn("a file of this machine has the name of no prompt and no picture", "file", e.Name())
			continue
		case l.local.files[name] != nil:
			continue // welcome.WAV beside welcome.wav
		}
		b, err := readPlain(filepath.Join(l.o.Local, e.Name()), most(name))
		var content []byte
		if err == nil {
			content, extension, err = usable(name, b)
		}
		if err == nil {
			err = l.keep(l.local, name, content, extension, answer{}, l.o.Now())
		}
		if err != nil {
			l.fail(l.local, name, err)
		} else {
			l.succeed(l.local, name)
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
