package main

import (
	"os"
	"unicode/utf16"
)

// loaderEntry is the EFI variable in which systemd-boot says what it started (systemd's Boot Loader Interface):
// four bytes of attributes, then UTF-16.
const loaderEntry = "/sys/firmware/efi/efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

func startedEntry() string {
	b, err := os.ReadFile(loaderEntry)
	if err != nil || len(b) > 1024 {
		return ""
	}
	return decodeEntry(b)
}

func decodeEntry(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	var units []uint16
	for b = b[4:]; len(b) >= 2; b = b[2:] {
		u := uint16(b[0]) | uint16(b[1])<<8
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}
