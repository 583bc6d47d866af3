// Package release owns the versions of Rotunda: the upgrade.img they come in, and their installation on the EFI system
// partition.
//
// # upgrade.img
//
// [Write] makes it and [Verify] checks it to the last byte. It is, without padding:
//
//	8 bytes   "ROTUNDA" and a zero
//	4 bytes   length of the manifest, big-endian, at most 64 KiB
//	manifest  JSON, see Manifest
//	64 bytes  Ed25519 signature (RFC 8032) over a prefix that says what is signed, and the manifest
//	image     the EFI image, at most 256 MiB, whose size and SHA-256 the manifest holds
//
// The manifest is not parsed before its signature holds. Nothing may follow the image.
//
// # Versions on the disk
//
// A version is one file, EFI/Linux/rotunda_NNNNNN.efi, where NNNNNN is the install counter. systemd-boot starts the one
// that [Order] puts first. It counts tries in the name: an installed version begins as rotunda_000008+3.efi, and before
// each start the loader renames it, to +2-1, +1-2, +0-3. A version that reaches its gates is committed: the counter goes
// from its name. One that does not has no tries left after three starts, sorts behind all others, and the machine is back
// on the version before it. Images carry ROTUNDA_VERSION and ROTUNDA_BUILD in their .osrel section, and none of the fields
// by which systemd-boot would sort before it looks at the name; so a downgrade is just the newest install.
//
// # What a power cut leaves
//
// Everything rests on the orders of package fat. At each write of [Store.Install] and [Store.Commit] the loader starts the
// old version or the new one, and both are whole:
//
//   - Install removes what makes room first: never the running version and never the one to fall back to. A cut in that
//     leaves fewer spare versions.
//   - The image's clusters and the FAT are on the medium, and the image has been read back and its SHA-256 compared,
//     before its name appears in EFI/Linux by one sector write. Before that write the loader cannot see it; there is no
//     temporary name to clean up.
//   - The name is placed where the loader's three renames stay in the same sector, so that the firmware's rename too is
//     one sector write in effect (see package fat).
//   - Commit renames in that same sector: one sector write. The loader sees the counter or does not; both start the new
//     version.
//   - Names that share a chain, as a torn rename across sectors can leave, are one version here: they are listed, committed
//     and removed together.
package release
