// Package figures keeps what benches measure: one JSON object a line in build/bench.jsonl.
//
//	{"name":"ssh_command_ms","value":12.1,"unit":"ms","peer":"…","peer_value":9.8,"ratio":1.23,"goal":"<= 50"}
//
// A peer is another program that does the same in the same run; "none" says that there is none that could be compared
// honestly. A ratio is value divided by the peer's. Figures are for reading, nothing fails because of them: they depend on
// the machine that measures. A new figure replaces the old one of the same name; a run that is interrupted replaces none,
// for the file is renamed into its place.
package figures

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
)

// None is the peer of a figure that has none.
const None = "none"

// Figure is one line of bench.jsonl.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Peer says what PeerValue was measured on.
	Peer      string   `json:"peer"`
	PeerValue *float64 `json:"peer_value"`
	Ratio     *float64 `json:"ratio"`
	Goal      string   `json:"goal"`
	// Conditions say what was run, where the name does not.
	Conditions string `json:"conditions,omitempty"`
}

// Against adds the peer's value.
func (f Figure) Against(peer string, value float64) Figure {
	ratio := f.Value / value
	f.Peer, f.PeerValue, f.Ratio = peer, &value, &ratio
	return f
}

// Print shows figures as a table.
func Print(figures []Figure) {
	for _, f := range figures {
		peer := ""
		if f.PeerValue != nil {
			peer = fmt.Sprintf("  ratio %.3g to %.4g (%s)", *f.Ratio, *f.PeerValue, f.Peer)
		}
		fmt.Printf("%-18s %8.4g %-5s goal %-8s%s\n", f.Name, f.Value, f.Unit, f.Goal, peer)
	}
}

// Median is the middle of the values, the upper one of two.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// rounded keeps two decimals, or three digits of what is small; more would not come out the same twice.
func (f Figure) rounded() Figure {
	f.Value = round(f.Value)
	if f.PeerValue != nil {
		peer, ratio := round(*f.PeerValue), round(*f.Ratio)
		f.PeerValue, f.Ratio = &peer, &ratio
	}
	return f
}

func round(v float64) float64 {
	scale := 100.0
	for scale < 1e9 && v != 0 && math.Abs(v)*scale < 100 {
		scale *= 10
	}
	return math.Round(v*scale) / scale
}

// Store replaces the figures of the same names and keeps the others.
func Store(path string, figures []Figure) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read figures: %w", err)
	}
	merged, err := merge(old, figures)
	if err != nil {
		return err
	}
	partial := path + ".partial"
	if err := os.WriteFile(partial, merged, 0o644); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

func merge(old []byte, figures []Figure) ([]byte, error) {
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(old))
	for lines.Scan() {
		var f Figure
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			continue // a line that is no figure is not worth keeping
		}
		if !slices.ContainsFunc(figures, func(n Figure) bool { return n.Name == f.Name }) {
			out.Write(append(lines.Bytes(), '\n'))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read figures: %w", err)
	}
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // goals have < and > in them
	for _, f := range figures {
		if err := encoder.Encode(f.rounded()); err != nil {
			return nil, fmt.Errorf("encode figure: %w", err)
		}
	}
	return out.Bytes(), nil
}
