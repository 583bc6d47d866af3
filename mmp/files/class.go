package files

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"rotunda/mmp/grammar"
)

// place is where the files of a class are.
type place int

const (
	// stored files belong to the set that a backup holds.
	stored place = iota
	// transfer files pass through: images, backups, captures.
	transfer
	// logs are written by init and only read here.
	logs
	// generated files are made when they are opened.
	generated
)

// class is a kind of file: which names, whose rights, how much of it.
type class struct {
	// kind names it in error and log lines: "certificate".
	kind string
	// names are exact names, or patterns with one *, of which extensions match in upper case too.
	names []string
	place place
	// file is the name on the disk if it is not the one that is shown.
	file string
	// read, write and remove are the roles that may. A class that nobody may write cannot be uploaded.
	read, write, remove []grammar.Role
	// maxSize of one file, maxTotal of all together, in bytes; maxCount files.
	maxSize, maxTotal int64
	maxCount          int
	// check looks at the whole content of a small file before it is stored; its error refuses the file.
	check func(data []byte) error
	// describe returns a few words about the content for the log.
	describe func(data []byte) string
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

var (
	admins  = []grammar.Role{grammar.Admin}
	cryptos = []grammar.Role{grammar.Admin, grammar.Crypto}
)

// classes is the whole view; the first that has the name counts.
var classes = []class{
	{kind: "upgrade image", names: []string{"upgrade.img", "*.img"}, place: transfer, read: admins, write: admins, remove: admins,
		maxSize: 512 * mib, maxTotal: gib, maxCount: 4},
	{kind: "backup", names: []string{"*.bak"}, place: transfer, read: admins, write: admins, remove: admins,
		maxSize: 2 * gib, maxTotal: 8 * gib, maxCount: 64},
	{kind: "packet capture", names: []string{"*.pcap"}, place: transfer, read: admins, remove: admins,
		maxSize: 512 * mib, maxTotal: 2 * gib, maxCount: 32},
	{kind: "licence", names: []string{"cms.lic", "license.dat"}, place: stored, read: admins, write: admins, remove: admins,
		maxSize: mib, maxTotal: 2 * mib, maxCount: 2},
	{kind: "private key", names: []string{"*.key"}, place: stored, read: cryptos, write: cryptos, remove: cryptos,
		maxSize: mib, maxTotal: 16 * mib, maxCount: 256, describe: describeCrypto},
	{kind: "PKCS#12 archive", names: []string{"*.p12", "*.pfx"}, place: stored, read: cryptos, write: cryptos, remove: cryptos,
		maxSize: mib, maxTotal: 16 * mib, maxCount: 64},
	{kind: "certificate", names: []string{"*.crt", "*.cer", "*.pem", "*.der", "*.csr"}, place: stored, read: cryptos, write: cryptos, remove: cryptos,
		maxSize: mib, maxTotal: 64 * mib, maxCount: 512, describe: describeCrypto},
	{kind: "SSH public key", names: []string{"*.pub"}, place: stored, read: admins, write: admins, remove: admins,
		maxSize: 64 * kib, maxTotal: 4 * mib, maxCount: 256, describe: describePublicKeys},
	{kind: "single sign-on archive", names: []string{"sso_*.zip"}, place: stored, read: admins, write: admins, remove: admins,
		maxSize: 8 * mib, maxTotal: 64 * mib, maxCount: 32},
	// Guide chapter 2.9; the Call Bridge reads them when it starts.
	{kind: "prompt or picture", names: []string{"*.wav", "*.jpg"}, place: stored, read: admins, write: admins, remove: admins,
		maxSize: 8 * mib, maxTotal: 32 * mib, maxCount: 128},
	{kind: "password dictionary", names: []string{"dictionary"}, place: stored, read: admins, write: admins, remove: admins,
		maxSize: 16 * mib, maxTotal: 16 * mib, maxCount: 1},
	{kind: "message", names: []string{"motd", "login_warning"}, place: stored, read: admins, write: admins, remove: admins,
		maxSize: 8 * kib, maxTotal: 16 * kib, maxCount: 2, check: checkMessage},
	{kind: "log", names: []string{"log"}, place: logs, file: logFile, read: admins},
	{kind: "audit log", names: []string{"audit"}, place: logs, read: []grammar.Role{grammar.Admin, grammar.Audit}},
	{kind: "configuration", names: []string{liveName}, place: generated, read: admins},
	{kind: "log bundle", names: []string{bundleName}, place: generated, read: admins},
	{kind: "log bundle", names: []string{generatedName}, place: transfer, read: admins, remove: admins},
}

const (
	liveName   = "live.json"
	bundleName = "logbundle.tar.gz"
	// generatedName is what the command generate_logbundle leaves.
	generatedName = "generatedlogbundle.tar.gz"
	// logFile is what init calls the log.
	logFile = "messages"
	// partialSuffix is what WinSCP adds to the name of a file that it has not sent completely; it takes it away by a
	// rename when it has.
	partialSuffix = ".filepart"
	// maxName in bytes, with room for that suffix and for a temporary name on the disk.
	maxName = 128
)

// entry is a name that may be in the view.
type entry struct {
	name string
	*class
	// disk is what it is called on the disk, if neither its name nor the class says so.
	disk string
	// partial is set for a name with [partialSuffix]: rights of the class, but kept in the transfer folder.
	partial bool
}

// classify finds what a name is, ok is false for a name that nothing has.
func classify(name string) (e entry, ok bool) {
	e.name = name
	base, partial := strings.CutSuffix(name, partialSuffix)
	if len(name) > maxName || !plain(base) {
		return entry{}, false
	}
	for i := range classes {
		c := &classes[i]
		if slices.ContainsFunc(c.names, func(pattern string) bool { return fits(pattern, base) }) {
			e.class, e.partial = c, partial
			return e, !partial || c.write != nil
		}
	}
	return entry{}, false
}

// plain reports whether a name has only characters that every client, script and command line can handle. There is no
// slash among them and no leading dot, so a plain name never leads out of its folder and never is a temporary name.
func plain(name string) bool {
	if name == "" || name[0] == '.' || name[0] == '-' {
		return false
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-@+", c)) {
			return false
		}
	}
	return true
}

// fits compares a name with a pattern. Something must stand for the *, and upper-case extensions are what some systems
// export certificates with.
func fits(pattern, name string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return name == pattern
	}
	if len(name) <= len(before)+len(after) || !strings.HasPrefix(name, before) {
		return false
	}
	return strings.EqualFold(name[len(name)-len(after):], after)
}

// place of the entry on the disk.
func (e entry) where() place {
	if e.partial {
		return transfer
	}
	return e.class.place
}

// diskName is its name there.
func (e entry) diskName() string {
	switch {
	case e.disk != "":
		return e.disk
	case e.file != "":
		return e.file
	}
	return e.name
}

func may(roles []grammar.Role, p Person) bool { return slices.Contains(roles, p.Role) }

// storable lists the names that a person may store, for error lines.
func storable(p Person) string {
	var names []string
	for _, c := range classes {
		if may(c.write, p) {
			names = append(names, c.names...)
		}
	}
	if names == nil {
		return "none for role " + string(p.Role)
	}
	return strings.Join(names, ", ")
}

// Error is a refusal with a text for a person; errors.Is finds its kind: [fs.ErrNotExist], [fs.ErrPermission],
// [fs.ErrExist], [ErrFull] or [ErrRefused].
type Error struct {
	Text string
	Kind error
}

func (e *Error) Error() string { return e.Text }

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

var (
	// ErrFull means that a quota or the disk has no room.
	ErrFull = errors.New("no room")
	// ErrRefused means that the content or the way it is sent is not taken.
	ErrRefused = errors.New("refused")
)

func refusal(kind error, format string, a ...any) error {
	return &Error{Text: fmt.Sprintf(format, a...), Kind: kind}
}

// forRead returns the entry if the person may see it. Who may not see a file is not told that there is one.
func forRead(p Person, name string) (entry, error) {
	e, ok := classify(name)
	if !ok || !may(e.read, p) {
		return entry{}, refusal(fs.ErrNotExist, "there is no file %.160q", name)
	}
	return e, nil
}

// forWrite returns the entry if the person may store it.
func forWrite(p Person, name string) (entry, error) {
	e, ok := classify(name)
	switch {
	case !ok:
		return entry{}, refusal(fs.ErrPermission, "%.160q cannot be stored; names that can be stored: %s", name, storable(p))
	case !may(e.write, p):
		return entry{}, refusal(fs.ErrPermission, "role %s may not store %s; names that it can store: %s", p.Role, name, storable(p))
	}
	return e, nil
}

func forRemove(p Person, name string) (entry, error) {
	e, err := forRead(p, name)
	if err != nil {
		return e, err
	}
	if !may(e.remove, p) {
		return e, refusal(fs.ErrPermission, "%s can be neither removed nor renamed", name)
	}
	return e, nil
}
