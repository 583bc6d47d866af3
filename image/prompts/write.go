package prompts

import (
	"fmt"
	"os"
	"path/filepath"
)

// Write puts the files into a folder, each under its name when it is whole. Files that are the same stay, so that nobody reads them anew.
func (m *Made) Write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("write prompts: %w", err)
	}
	for _, f := range m.Files {
		name := filepath.Join(folder, f.Name)
		if before, err := os.ReadFile(name); err == nil && string(before) == string(f.Data) {
			continue
		}
		if err := os.WriteFile(name+".new", f.Data, 0o644); err != nil {
			return fmt.Errorf("write prompts: %w", err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			return fmt.Errorf("write prompts: %w", err)
		}
	}
	return nil
}
