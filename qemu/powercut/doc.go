// Package powercut proves what a power cut leaves behind.
//
// QEMU's blklogwrites driver records every write and every flush of a run, in order (see [ReadLog]). A cut may come
// after any of them: [Log.Each] rebuilds the disk after every prefix of the log, and for each prefix also states in which
// writes since the last flush are lost, whole or by sectors, as a disk with a volatile cache may lose them. A [Checker] then
// says what such a disk boots and which configuration it comes up with, by the same code that does so in the machine:
// init/fat reads the EFI system partition, init/release knows the loader's order, init/config reads the document.
//
// No state is copied: a [Disk] is a base image and the sectors that differ from it, and a [Memo] lets a check run again
// only when something changed that it had read. Checking a state takes about a millisecond, so that all prefixes are
// checked, not a sample.
//
// What is assumed of the disk: a sector of 512 bytes is written whole or not at all, a flush that was answered holds, and
// a discarded sector may read as anything. What is not covered: disks that lie about flushes.
package powercut
