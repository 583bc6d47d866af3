package firmware

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// decompressors undo the compressions that Debian releases after bookworm use for modules. Undoing it while building
// is worth it: 33 modules load in 2.0 s raw and in 11.3 s through an xz decoder in software emulation (measured), and
// the initramfs around them is compressed anyway.
var decompressors = []struct {
	suffix  string
	command []string
}{
	{".ko.xz", []string{"xz", "--decompress", "--quiet", "--"}},
	{".ko.zst", []string{"zstd", "--decompress", "--quiet", "--rm", "--"}},
	{".ko.gz", []string{"gzip", "--decompress", "--quiet", "--"}},
}

// decompressModules replaces every compressed module under root by the module itself.
func decompressModules(ctx context.Context, root string) error {
	for _, d := range decompressors {
		var names []string
		err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() && strings.HasSuffix(name, d.suffix) {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("find compressed modules: %w", err)
		}
		// A command line has room for a few thousand paths; 500 keep well below.
		for batch := range slices.Chunk(names, 500) {
			if err := run(ctx, "", d.command[0], append(slices.Clone(d.command[1:]), batch...)...); err != nil {
				return err
			}
		}
	}
	return nil
}
