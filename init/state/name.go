package state

import "strings"

// Suffix ends the name of every backup.
const Suffix = ".bak"

// MaxBackupName is the longest name of a backup, its suffix not counted.
const MaxBackupName = 64

// FileName turns the name that an administrator gives a backup, with or without its suffix, into its file name.
func FileName(name string) (string, error) {
	base := strings.TrimSuffix(name, Suffix)
	ok := base != "" && len(base) <= MaxBackupName && base[0] != '.' && base[0] != '-'
	for _, r := range base {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	}
	if !ok {
		return "", refuse("backup name %q: use 1 to %d letters, digits, dots, hyphens and underscores, beginning with a letter, a digit or an underscore", printable(name), MaxBackupName)
	}
	return base + Suffix, nil
}
