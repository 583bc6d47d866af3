package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// promptsFolder is where the Call Bridge keeps the prompts and pictures that are not built in, for the media workers to read.
	promptsFolder = "/run/rotunda/prompts"
	// brandingFolder has copies of what administrators have put (guide chapter 2.9), made when the Call Bridge starts: no service sees the folder
	// with the keys.
	brandingFolder = "/run/rotunda/branding"

	maxBrandingFile  = 8 << 20
	maxBrandingTotal = 32 << 20
)

// brandingEndings are those of prompts and pictures.
var brandingEndings = []string{".wav", ".jpg"}

// copyBranding copies prompts and pictures from the folder of stored files to an empty one. What cannot be read is left out, and told.
func copyBranding(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("empty %s: %w", to, err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", to, err)
	}
	if from == "" {
		return nil
	}
	list, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("read the folder of stored files: %w", err)
	}
	left := int64(maxBrandingTotal)
	var errs []error
	for _, e := range list {
		if !slices.Contains(brandingEndings, strings.ToLower(filepath.Ext(e.Name()))) || !e.Type().IsRegular() {
			continue
		}
		n, err := copyPlain(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), min(left, maxBrandingFile))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.Name(), err))
			continue
		}
		left -= n
	}
	return errors.Join(errs...)
}

// copyPlain copies a file that is neither a link nor anything that blocks, and leaves nothing where it is too large.
func copyPlain(from, to string, most int64) (int64, error) {
	f, err := openUpgrade(from)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	t, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(t, io.LimitReader(f, most+1))
	if err = errors.Join(err, t.Close()); err == nil && n > most {
		err = fmt.Errorf("larger than the %d bytes that there is room for", most)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(to))
	}
	return n, nil
}
