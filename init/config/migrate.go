package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// migration turns a document of one schema into one of the next.
type migration func(json.RawMessage) (json.RawMessage, error)

// migrations holds, for each schema but the current one, the step to the schema after it. Schema 1 is the first.
var migrations = map[int]migration{}

// migrate returns the copy of an older schema's newest document that has to become the next generation, or nil.
//
// That is so when the current schema has no generation yet, and also when the older Rotunda ran again after the last
// migration and changed its document: the configuration that ran last counts. The older folder stays as it is.
func (s *Store) migrate(newest *generation) (*generation, error) {
	schema, err := s.olderSchema()
	if err != nil || schema == 0 {
		return nil, err
	}
	old, _, err := s.newest(schema)
	if err != nil || old == nil {
		return nil, err
	}
	if newest != nil {
		from := newest.Origin
		if from == nil || from.Schema != schema || from.Generation >= old.Generation {
			return nil, nil
		}
	}
	doc, err := migrateDocument(old.Document, schema, s.schema, s.migrations)
	if err != nil {
		return nil, err
	}
	g := &generation{Document: doc, Origin: &origin{Schema: schema, Generation: old.Generation}}
	if _, err := g.document(); err != nil {
		return nil, fmt.Errorf("migrated configuration of schema %d: %w", schema, err)
	}
	return g, nil
}

// migrateDocument leads a document through the steps from one schema to another.
func migrateDocument(doc json.RawMessage, from, to int, steps map[int]migration) (json.RawMessage, error) {
	for v := from; v < to; v++ {
		step, ok := steps[v]
		if !ok {
			return nil, fmt.Errorf("configuration of schema %d cannot be migrated: no step from %d to %d", from, v, v+1)
		}
		var err error
		if doc, err = step(doc); err != nil {
			return nil, fmt.Errorf("migrate configuration from schema %d to %d: %w", v, v+1, err)
		}
	}
	return doc, nil
}

// olderSchema is the highest schema below the current one that has a folder, 0 if there is none.
func (s *Store) olderSchema() (int, error) {
	entries, err := s.fsys.ReadDir(s.folder)
	if err != nil {
		return 0, fmt.Errorf("list configurations: %w", err)
	}
	highest := 0
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "v")
		if n, err := strconv.Atoi(digits); ok && err == nil && n < s.schema && n > highest {
			highest = n
		}
	}
	return highest, nil
}
