package layout

import (
	"encoding/json"
	"fmt"

	"rotunda/services/media/control"
)

// Limits of a layout template.
const (
	// TemplateSize is in bytes of JSON.
	TemplateSize = 64 << 10
	// MaxTemplates in one document, MaxPanes in one template: as many as the largest fixed layout has.
	MaxTemplates = 16
	MaxPanes     = 25
	// PaneUnit is the whole canvas in the units of a pane, MinPane the least width and height.
	PaneUnit = 10000
	MinPane  = 200
)

// ParseTemplates reads a layout template document, {"templates":[{"panes":[{"x":0,"y":0,"w":5000,"h":5000}]}]}, and returns
// the panes of each template. Other members are ignored, since documents are written for other tools too.
func ParseTemplates(document []byte) ([][]control.Pane, error) {
	if len(document) > TemplateSize {
		return nil, fmt.Errorf("layout template of %d bytes: at most %d are allowed", len(document), TemplateSize)
	}
	var d struct {
		Templates []struct {
			Panes []control.Pane `json:"panes"`
		} `json:"templates"`
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, fmt.Errorf("read layout template: %w", err)
	}
	if n := len(d.Templates); n < 1 || n > MaxTemplates {
		return nil, fmt.Errorf("document with %d layout templates: want 1 to %d", n, MaxTemplates)
	}
	list := make([][]control.Pane, len(d.Templates))
	for i, t := range d.Templates {
		if err := CheckTemplate(t.Panes); err != nil {
			return nil, fmt.Errorf("layout template %d: %w", i+1, err)
		}
		list[i] = t.Panes
	}
	return list, nil
}

// CheckTemplate says what is wrong with the panes of a template.
func CheckTemplate(panes []control.Pane) error {
	if n := len(panes); n < 1 || n > MaxPanes {
		return fmt.Errorf("%d panes: want 1 to %d", n, MaxPanes)
	}
	for i, p := range panes {
		switch {
		case p.W < MinPane || p.H < MinPane:
			return fmt.Errorf("pane %d is %d × %d: want at least %d each way", i+1, p.W, p.H, MinPane)
		case p.X < 0 || p.Y < 0 || p.W > PaneUnit || p.H > PaneUnit || p.X > PaneUnit-p.W || p.Y > PaneUnit-p.H:
			return fmt.Errorf("pane %d at %d,%d of %d × %d: not inside of the canvas of %d × %d", i+1, p.X, p.Y, p.W, p.H,
				PaneUnit, PaneUnit)
		}
	}
	return nil
}

// PickTemplate chooses among several: the one with fewest panes that has one for each of n, otherwise the one with most.
func PickTemplate(list [][]control.Pane, n int) []control.Pane {
	var best []control.Pane
	for _, t := range list {
		switch {
		case best == nil,
			len(best) < n && len(t) > len(best),
			len(t) >= n && len(t) < len(best):
			best = t
		}
	}
	return best
}
