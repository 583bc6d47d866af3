package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxSize bounds one stored generation and one decoded document, in bytes.
const MaxSize = 1 << 20

// generation is one file of the store.
type generation struct {
	Schema     int             `json:"schema"`
	Generation int             `json:"generation"`
	Saved      time.Time       `json:"saved"`
	Origin     *origin         `json:"origin,omitempty"`
	Document   json.RawMessage `json:"document"`
	// SHA256 is over Document without insignificant blanks, in hexadecimal.
	SHA256 string `json:"sha256"`
}

// origin is where the first generation of a schema was migrated from. Later generations carry it on.
type origin struct {
	Schema     int `json:"schema"`
	Generation int `json:"generation"`
}

// Decode reads one document strictly: unknown fields, trailing bytes and more than [MaxSize] bytes are errors. It
// does not validate.
func Decode(data []byte) (*Document, error) {
	d := new(Document)
	if err := decodeStrictly(data, d); err != nil {
		return nil, err
	}
	return d, nil
}

// DecodeGeneration reads the document out of a stored generation, migrates it to the current [Schema] and validates
// it. Package state judges by it whether a backup holds a configuration that this machine could run on.
func DecodeGeneration(data []byte) (*Document, error) {
	g, err := decodeGeneration(data)
	if err != nil {
		return nil, err
	}
	if g.Schema > Schema {
		return nil, fmt.Errorf("schema %d is newer than %d", g.Schema, Schema)
	}
	if g.Document, err = migrateDocument(g.Document, g.Schema, Schema, migrations); err != nil {
		return nil, err
	}
	return g.document()
}

func (g generation) document() (*Document, error) {
	d, err := Decode(g.Document)
	if err != nil {
		return nil, err
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return d, nil
}

func decodeGeneration(data []byte) (generation, error) {
	var g generation
	if err := decodeStrictly(data, &g); err != nil {
		return g, err
	}
	sum, compact, err := sumDocument(g.Document)
	if err != nil {
		return g, err
	}
	if sum != g.SHA256 {
		return g, errors.New("sha256 of the document does not match")
	}
	g.Document = compact
	return g, nil
}

// encodeGeneration writes a file around a document in its compact form, which is hundreds of kilobytes with thousands of rules: it is
// neither indented nor read again.
func encodeGeneration(schema, number int, saved time.Time, from *origin, document json.RawMessage) ([]byte, error) {
	sum := sha256.Sum256(document)
	frame, err := json.Marshal(generation{Schema: schema, Generation: number, Saved: saved.UTC().Truncate(time.Second), Origin: from,
		Document: json.RawMessage("0"), SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		return nil, err
	}
	before, after, _ := bytes.Cut(frame, []byte(`"document":0`))
	if len(frame)+len(document) >= MaxSize {
		return nil, fmt.Errorf("document is larger than %d bytes", MaxSize)
	}
	return slices.Concat(before, []byte(`"document":`), document, after, []byte("\n")), nil
}

// sumDocument hashes a document in its compact form, so that indentation does not count.
func sumDocument(document json.RawMessage) (string, json.RawMessage, error) {
	if len(document) == 0 {
		return "", nil, errors.New("document is missing")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(compact.Bytes())
	return hex.EncodeToString(sum[:]), compact.Bytes(), nil
}

func decodeStrictly(data []byte, v any) error {
	if len(data) > MaxSize {
		return fmt.Errorf("larger than %d bytes", MaxSize)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("empty")
		}
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more bytes follow the JSON value")
	}
	return nil
}

func fileName(number int) string { return fmt.Sprintf("%06d.json", number) }

// parseFileName is the inverse of fileName; it accepts nothing else.
func parseFileName(name string) (number int, ok bool) {
	digits, found := strings.CutSuffix(name, ".json")
	n, err := strconv.Atoi(digits)
	if !found || err != nil || n < 1 || fileName(n) != name {
		return 0, false
	}
	return n, true
}
