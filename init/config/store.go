package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rotunda/init/durable"
)

// keep is how many generations stay on the disk.
const keep = 10

// ErrConflict is returned by Put when somebody else stored a generation in between.
var ErrConflict = errors.New("the configuration was changed in the meantime")

// Store keeps the document as numbered generations, v<schema>/NNNNNN.json below one folder.
//
// Put writes a new file and never touches one that has its name; Load takes the newest file that can be read, has
// the right hash and is valid. A power cut therefore leaves the generation before or the new one. The folder of an
// older schema is read once, to migrate a copy; that of a newer schema is never touched.
type Store struct {
	fsys   durable.FS
	folder string
	now    func() time.Time
	// schema and migrations are variables of a store so that tests can try a schema that does not exist yet.
	schema     int
	migrations map[int]migration

	mu sync.Mutex
	// current is the generation that runs, 0 if none could be read.
	current int
	from    *origin
	// numbers are the generations in the folder, the highest first, while listed says so: from the first one that was written on, and until
	// something has gone wrong. Nobody else writes there.
	numbers []int
	listed  bool
}

// NewStore returns the store in a folder that exists, for example "sets/000001/config".
func NewStore(fsys durable.FS, folder string) *Store {
	return &Store{fsys: fsys, folder: folder, now: time.Now, schema: Schema, migrations: migrations}
}

// OpenStore opens the store in a folder that exists.
func OpenStore(folder string) (*Store, error) {
	disk, err := durable.OpenDisk(folder)
	if err != nil {
		return nil, fmt.Errorf("open configuration: %w", err)
	}
	return NewStore(disk, "."), nil
}

// Load returns the document to run on and its generation. An empty store gets [Factory] as generation 1. The warning
// says which newer generations were passed over and why; it is empty if all is well. An error means that there are
// generations and none can be used: run on [FailSafe]; Put with generation 0 then stores the next one.
func (s *Store) Load() (doc *Document, number int, warning string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.from, s.listed = 0, nil, false

	newest, warnings, err := s.newest(s.schema)
	warning = strings.Join(warnings, "; ")
	if err != nil {
		return nil, 0, warning, err
	}
	older, err := s.migrate(newest)
	switch {
	case err != nil && newest == nil:
		return nil, 0, warning, err
	case err != nil:
		warning = strings.Join(append(warnings, err.Error()), "; ")
	case older != nil:
		// A migration need not leave it in the compact form.
		var compact json.RawMessage
		if _, compact, err = sumDocument(older.Document); err == nil {
			doc, err = Decode(compact)
		}
		if err == nil {
			err = s.store(compact, older.Origin)
		}
		if err != nil {
			return nil, 0, warning, fmt.Errorf("store migrated configuration: %w", err)
		}
		return doc, s.current, warning, nil
	}
	if newest == nil {
		if doc, err = s.storeFactory(); err != nil {
			return nil, 0, warning, fmt.Errorf("store factory configuration: %w", err)
		}
		return doc, s.current, warning, nil
	}
	if doc, err = newest.document(); err != nil {
		return nil, 0, warning, err
	}
	s.current, s.from = newest.Generation, newest.Origin
	return doc, s.current, warning, nil
}

func (s *Store) storeFactory() (*Document, error) {
	data, err := json.Marshal(Factory())
	if err != nil {
		return nil, err
	}
	return Factory(), s.store(data, nil)
}

// Invalid is the error of a document that [Document.Validate] refuses.
type Invalid struct{ error }

// Unwrap returns what is wrong.
func (e Invalid) Unwrap() error { return e.error }

// Put stores a valid document as the next generation if the running one still is the given one, and returns its
// number; the error is [Invalid] for one that is not. After an error the running generation stands.
func (s *Store) Put(doc *Document, running int) (int, error) {
	if err := doc.Validate(); err != nil {
		return 0, Invalid{err}
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if running != s.current {
		return 0, fmt.Errorf("%w: generation is %d, not %d", ErrConflict, s.current, running)
	}
	if err := s.store(data, s.from); err != nil {
		return 0, fmt.Errorf("store configuration: %w", err)
	}
	return s.current, nil
}

// store writes the next generation of a document in its compact form and makes it the current one.
func (s *Store) store(document json.RawMessage, from *origin) error {
	if err := s.prepare(); err != nil {
		return err
	}
	next := 1
	if len(s.numbers) > 0 {
		next = s.numbers[0] + 1
	}
	data, err := encodeGeneration(s.schema, next, s.now(), from, document)
	if err != nil {
		return err
	}
	name := path.Join(s.schemaFolder(s.schema), fileName(next))
	if err := durable.WriteFile(s.fsys, name, data, 0o600, nil); err != nil {
		// The file may have its name already and only the folder's flush went wrong: what was reported as failed
		// must not come back at the next start.
		s.listed = false
		_ = s.fsys.Remove(name)
		return err
	}
	s.current, s.from = next, from
	s.numbers = slices.Insert(s.numbers, 0, next)
	for len(s.numbers) > keep {
		last := len(s.numbers) - 1
		if err := s.fsys.Remove(path.Join(s.schemaFolder(s.schema), fileName(s.numbers[last]))); err != nil {
			// A generation too many does no harm, and the next Put tries again.
			s.listed = false
			break
		}
		s.numbers = s.numbers[:last]
	}
	return nil
}

// prepare makes the folder and finds out what is in it, once: a flush of a folder takes as long as that of a file.
func (s *Store) prepare() (err error) {
	if s.listed {
		return nil
	}
	if err := s.makeFolder(); err != nil {
		return err
	}
	s.numbers, _, err = s.list(s.schema)
	s.listed = err == nil
	return err
}

func (s *Store) schemaFolder(schema int) string {
	return path.Join(s.folder, "v"+strconv.Itoa(schema))
}

func (s *Store) makeFolder() error {
	if err := s.fsys.Mkdir(s.schemaFolder(s.schema), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Also if the folder was there: an earlier call may have made it and not got as far as the flush.
	return s.fsys.SyncDir(s.folder)
}

// list returns the generation numbers of a schema, the highest first, and whether the folder holds anything that is
// neither a generation nor a write that was cut short. A folder that does not exist is empty.
func (s *Store) list(schema int) (numbers []int, foreign []string, err error) {
	entries, err := s.fsys.ReadDir(s.schemaFolder(schema))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		n, ok := parseFileName(e.Name())
		switch {
		case ok:
			numbers = append(numbers, n)
		case !durable.IsTemporary(e.Name()):
			foreign = append(foreign, e.Name())
		}
	}
	slices.SortFunc(numbers, func(a, b int) int { return b - a })
	return numbers, foreign, nil
}

// newest returns the newest usable generation of a schema, nil if its folder is empty, and an error if it holds
// something but nothing usable.
func (s *Store) newest(schema int) (*generation, []string, error) {
	numbers, foreign, err := s.list(schema)
	if err != nil {
		return nil, nil, fmt.Errorf("list configurations: %w", err)
	}
	var warnings []string
	for _, n := range numbers {
		g, err := s.read(schema, n)
		if err == nil {
			return g, warnings, nil
		}
		warnings = append(warnings, fmt.Sprintf("configuration %d passed over: %v", n, err))
	}
	if len(numbers) == 0 && len(foreign) == 0 {
		return nil, nil, nil
	}
	found := append(warnings, foreign...)
	return nil, warnings, fmt.Errorf("no configuration in %s can be used: %s", s.schemaFolder(schema), clip(strings.Join(found, "; ")))
}

func (s *Store) read(schema, number int) (*generation, error) {
	data, err := readBounded(s.fsys, path.Join(s.schemaFolder(schema), fileName(number)))
	if err != nil {
		return nil, err
	}
	g, err := decodeGeneration(data)
	if err != nil {
		return nil, err
	}
	if g.Schema != schema || g.Generation != number {
		return nil, fmt.Errorf("says that it is generation %d of schema %d", g.Generation, g.Schema)
	}
	if schema == s.schema {
		if _, err := g.document(); err != nil {
			return nil, err
		}
	}
	return &g, nil
}

func readBounded(fsys durable.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}
