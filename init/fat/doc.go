// Package fat reads and writes the EFI system partition: FAT32 with long names, in pure Go, on a [BlockDevice].
//
// Three programs use it. The image builder formats a volume into a file, byte for byte the same for the same input.
// PID 1 installs, commits and removes versions on the partition that the machine boots from; the partition is never
// mounted. The power-cut checker opens what a cut left, lists, reads and calls [Volume.Check].
//
// # What a power cut leaves
//
// FAT has no journal. All safety comes from the order of writes, from the disk writing a sector of 512 bytes whole or
// not at all, and from Sync being a barrier. Between two barriers any set of sectors may be lost, in any order. These
// are the orders; "|" is Sync:
//
//	Create   data clusters | FAT copies, FSInfo | one directory sector |
//	Mkdir    the new directory's cluster | FAT copies, FSInfo | one sector of the parent |
//	Rename   one directory sector | (orphaned long-name slots in the sector before, if any) |
//	Remove   the directory sector with the 8.3 entry | (long-name slots in the sector before) | FAT copies, FSInfo |
//	grow     zeroed cluster | its FAT entry as end of chain | the FAT entry that links it |
//
// They rest on four invariants:
//
//  1. The slots of a name that this package writes lie in one sector, so a name appears and disappears as a whole.
//     A rename is one sector write if the new slots fit into the sector that holds the old 8.3 entry. Where they do
//     not, it is two (new name | old name gone), and a cut between them leaves two names for one chain.
//  2. Apart from the link of a growing directory, which is one sector in each FAT copy and valid either way, a write to
//     the FAT changes only entries of clusters that no name reaches. So it does not matter which of the copies, or
//     which part of one, a cut leaves behind.
//  3. Allocation is mark and sweep: clusters that no name reaches are free, whatever the FAT says, and clusters that a
//     name reaches are never free. A chain that two names share is freed when the second name is gone. If a directory
//     cannot be followed to its end, only clusters that the FAT calls free as well are used.
//  4. Behind the last used slot a directory is zero. Slots behind the end mark are cleared before the mark moves.
//
// # What the firmware does to the volume
//
// systemd-boot counts tries by renaming the file it starts, through the firmware's FAT driver. The driver of EDK2
// (FatPkg/EnhancedFatDxe, Info.c and DirectoryManage.c) marks the old slots deleted and appends the new name behind the
// last slot ever used, never in a gap; both changes go to the disk in one write of a cache page of up to 64 KiB, which
// a cut may tear at any sector. If all slots lie in one sector the rename is atomic; across two, a cut may leave both
// names on one chain, no name, or an 8.3 name that has lost its long name. [CreateOptions.Renames] therefore asks for a
// place behind all other names where that many appended names fit into the same sector, and [Volume.Pack] moves names
// into gaps at the front to keep such places available. Whatever a tear leaves is read without complaint.
//
// # Bounds
//
// Nothing on the volume is believed: chains are followed for at most as many steps as there are clusters, directories
// to 16 levels and 65,536 slots each, and a volume has at most 4 Mi clusters (a table of 16 MiB in memory; a volume of
// 1 GiB takes 1 MiB). Damage is an error value, never a panic.
//
// The layout follows Microsoft's FAT32 File System Specification 1.03; sectors have 512 bytes.
package fat
