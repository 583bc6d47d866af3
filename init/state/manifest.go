package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rotunda/init/config"
	"rotunda/init/control"
)

// magic begins every backup. Its line end shows a transfer that took the file for text.
const magic = "ROTUNDA-BACKUP\r\n"

// formatVersion is raised when the layout changes.
const formatVersion = 1

// Bounds of a backup. A backup of a whole machine with a large database has some thousand files and a few GiB.
const (
	maxManifest = 8 << 20
	maxFiles    = 20000
	maxTotal    = 64 << 30 // bytes of all files together
	maxName     = 512      // bytes of one path below the set
	maxDepth    = 16
	// headerSize is magic, length of the manifest as 32 bits big-endian, SHA-256 of the manifest.
	headerSize = len(magic) + 4 + sha256.Size
)

// manifest is the table of contents of a backup. The file is
//
//	magic | length of manifest | SHA-256 of manifest | manifest as JSON | contents of the files in the order of the manifest
//
// and nothing after it, so that its length follows from its beginning. Contents are stored as they are: certificates
// and keys do not compress, and a database compresses its own snapshots.
//
// The hashes find damage. They do not prove who made a backup: that has to be whoever may upload one, which is an
// administrator. So a manifest cannot name an owner, a place outside of the set or anything but regular files.
type manifest struct {
	Format   int       `json:"format"`
	Product  string    `json:"product"`
	Created  time.Time `json:"created"`
	Version  string    `json:"version"`
	Build    string    `json:"build"`
	Platform string    `json:"platform"`
	Hostname string    `json:"hostname"`
	// Schema is the configuration's schema that the version ran on.
	Schema int     `json:"schema"`
	Files  []entry `json:"files"`
}

// entry is one file of a backup.
type entry struct {
	// Path below the set, for example "files/web.crt".
	Path   string `json:"path"`
	Mode   uint32 `json:"mode"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

const product = "Rotunda"

// refuse says what is wrong with a backup or a name; nothing was changed.
func refuse(format string, args ...any) error {
	return control.Refuse(http.StatusUnprocessableEntity, format, args...)
}

// total is the size of all files.
func (m *manifest) total() int64 {
	var sum int64
	for _, e := range m.Files {
		sum += e.Size
	}
	return sum
}

// encodeManifest returns the beginning of a backup.
func encodeManifest(m *manifest) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(body) > maxManifest {
		return nil, refuse("too many files for one backup: their list is larger than %d bytes", maxManifest)
	}
	sum := sha256.Sum256(body)
	head := append([]byte(magic), binary.BigEndian.AppendUint32(nil, uint32(len(body)))...)
	return append(append(head, sum[:]...), body...), nil
}

// readManifest reads and judges the beginning of a backup of fileSize bytes.
func readManifest(r io.Reader, fileSize int64) (*manifest, error) {
	head := make([]byte, headerSize)
	if n, err := io.ReadFull(r, head); err != nil {
		if ended(err) && !strings.HasPrefix(string(head[:n]), magic) {
			return nil, notABackup(head[:n])
		}
		return nil, cutShort(err)
	}
	if string(head[:len(magic)]) != magic {
		return nil, notABackup(head)
	}
	length := binary.BigEndian.Uint32(head[len(magic):])
	if length > maxManifest {
		return nil, refuse("the backup is damaged: its list of files cannot be %d bytes long", length)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, cutShort(err)
	}
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], head[len(magic)+4:]) {
		return nil, refuse("the backup is damaged: its list of files has been altered")
	}
	m, err := decodeManifest(body)
	if err != nil {
		return nil, err
	}
	want := int64(headerSize) + int64(length) + m.total()
	switch {
	case fileSize < want:
		return nil, refuse("the backup is cut short: %d of %d bytes are there; upload it again", fileSize, want)
	case fileSize > want:
		return nil, refuse("the backup is damaged: %d bytes follow its end", fileSize-want)
	}
	return m, nil
}

func notABackup(head []byte) error {
	if strings.HasPrefix(string(head), strings.TrimSuffix(magic, "\r\n")+"\n") {
		return refuse("the backup was altered on its way: upload it in binary mode")
	}
	return refuse("not a backup of Rotunda")
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func cutShort(err error) error {
	if ended(err) {
		return refuse("the backup is cut short; upload it again")
	}
	return fmt.Errorf("read backup: %w", err)
}

// decodeManifest checks everything about a manifest that does not depend on the machine.
func decodeManifest(body []byte) (*manifest, error) {
	// The few fields that stay for ever come first, so that a newer format is named and not called damaged.
	var about struct {
		Format  int    `json:"format"`
		Version string `json:"version"`
	}
	if err := json.Unmarshal(body, &about); err != nil {
		return nil, refuse("the backup is damaged: %v", err)
	}
	if about.Format > formatVersion {
		return nil, refuse("the backup was made by a newer version (%s): upgrade to it first", printable(about.Version))
	}
	m := new(manifest)
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, refuse("the backup is damaged: %v", err)
	}
	if m.Format != formatVersion || m.Product != product {
		return nil, refuse("not a backup of Rotunda")
	}
	if len(m.Files) > maxFiles {
		return nil, refuse("the backup is damaged: it lists %d files and %d are allowed", len(m.Files), maxFiles)
	}
	var sum int64
	folders := map[string]bool{}
	files := map[string]bool{}
	for n, e := range m.Files {
		if err := checkName(e.Path); err != nil {
			return nil, refuse("the backup is damaged: %v", err)
		}
		if n > 0 && e.Path <= m.Files[n-1].Path {
			return nil, refuse("the backup is damaged: its list of files is not in order at %s", e.Path)
		}
		if e.Size < 0 || e.Size > maxTotal-sum {
			return nil, refuse("the backup is damaged: %s cannot be %d bytes long", e.Path, e.Size)
		}
		sum += e.Size
		if fs.FileMode(e.Mode)&^fs.ModePerm != 0 {
			return nil, refuse("the backup is damaged: mode %o of %s is not one of a file", e.Mode, e.Path)
		}
		if raw, err := hex.DecodeString(e.SHA256); err != nil || len(raw) != sha256.Size {
			return nil, refuse("the backup is damaged: the SHA-256 of %s is %q", e.Path, printable(e.SHA256))
		}
		files[e.Path] = true
		for dir := path.Dir(e.Path); dir != "." && !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	for dir := range folders {
		if files[dir] {
			return nil, refuse("the backup is damaged: %s is a file and a folder", dir)
		}
	}
	return m, nil
}

// fits judges whether this machine may take the backup.
func (m *manifest) fits(opt Options) error {
	if m.Platform != opt.Platform {
		return refuse("the backup is of platform %s and this machine is %s: backups are not exchanged between them",
			printable(m.Platform), opt.Platform)
	}
	if m.Schema > config.Schema {
		return refuse("the backup was made by a newer version (%s): upgrade to it first", printable(m.Version))
	}
	return nil
}

// checkName accepts the path of a file of a set: below one of its parts, without any step up, and printable, since
// it appears in messages.
func checkName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("a file name is longer than %d bytes", maxName)
	}
	if !fs.ValidPath(name) || !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable) {
		return fmt.Errorf("%q is not a file name", name)
	}
	steps := strings.Split(name, "/")
	least := 2 // the part and a name
	if steps[0] == "app" {
		least = 3 // and the service in between
	}
	known := false
	for _, p := range parts {
		known = known || p.name == steps[0]
	}
	if !known || len(steps) < least {
		return fmt.Errorf("%q is not a place of a set", name)
	}
	if len(steps) > maxDepth+1 {
		return fmt.Errorf("%q lies more than %d folders deep", name, maxDepth)
	}
	for _, s := range steps {
		if len(s) > 255 {
			return fmt.Errorf("a part of %q is longer than 255 bytes", name)
		}
	}
	return nil
}

func unprintable(r rune) bool { return r == '\\' || !unicode.IsPrint(r) }

// printable keeps a text of a backup fit for one line of a message.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, s)
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// about is what callers are told of a backup.
func (m *manifest) about(file string, size int64) control.Backup {
	return control.Backup{
		File: file, Created: m.Created, Version: m.Version, Platform: m.Platform, Hostname: m.Hostname,
		Schema: m.Schema, Files: len(m.Files), Size: size,
	}
}
