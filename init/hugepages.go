package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// smallMachine is below which memory is too dear for huge pages. With them the kernel rounds each heap up to pages of 2 MiB and sets 45 MB
// aside to be able to make more: on a machine of 1 GiB, half of what all our programs take.
const smallMachine = 4 << 30

// settleHugePages switches transparent huge pages off on a small machine (admin-guide/mm/transhuge of the kernel). It
// comes before anything that lives long is started.
func settleHugePages(sysfs string, total uint64) error {
	if total >= smallMachine {
		return nil
	}
	err := os.WriteFile(filepath.Join(sysfs, "kernel/mm/transparent_hugepage/enabled"), []byte("never"), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("switch huge pages off: %w", err)
	}
	return nil
}
