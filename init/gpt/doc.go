// Package gpt writes, reads and grows the partition table of the machine's disk: a GUID partition table with a
// protective MBR, as UEFI 2.10 chapter 5 describes it, on sectors of 512 bytes.
//
// The image builder writes the table; PID 1 reads it to find the partitions "esp" and "data", and at the first boot on
// a larger disk grows the last partition to the end. The same input gives the same bytes: all GUIDs are given.
//
// # What a power cut leaves
//
// A sector is written whole or not at all, and Sync is a barrier ("|"). The reader accepts the primary table or the
// backup, whichever has right checksums, the primary first.
//
//	Write   backup entries and header | primary entries | protective MBR, primary header |
//	Grow    backup entries and header at the new end | primary entries at the other place | primary header |
//
// The two sectors of a table that change with a partition, its header and the entries, are not one write. So the primary
// table has two places for its entries, sectors 2–33 and 34–65, both before the first usable sector 2048; Grow fills the
// one that is not in use and then switches by writing the header, which is one sector. The primary table is therefore
// valid after every cut, old or new. That matters because a Linux kernel ignores the backup unless "gpt" is on its
// command line.
//
// # Bounds
//
// A table is read only if it has 128-byte entries, at most 128 of them. Everything it says is checked against the size
// of the device; damage is an error value, never a panic.
package gpt
