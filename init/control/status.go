package control

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxStatus bounds what a daemon says of itself.
const maxStatus = 1 << 20

// WriteStatus puts what a daemon says of itself, such as a [TimeStatus], into its file. Whoever reads it finds it whole.
func WriteStatus(file string, status any) error {
	text, err := json.Marshal(status)
	if err != nil {
		return err
	}
	fresh := filepath.Join(filepath.Dir(file), ".status")
	if err := os.WriteFile(fresh, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, file)
}

// ReadStatus reads it. The error is [fs.ErrNotExist] for a daemon that has said nothing yet, or does not run.
func ReadStatus(root fs.FS, file string, into any) error {
	f, err := root.Open(strings.TrimPrefix(file, "/"))
	if err != nil {
		return err
	}
	defer f.Close()
	return json.NewDecoder(io.LimitReader(f, maxStatus)).Decode(into)
}
