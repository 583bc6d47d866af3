// Package record keeps what a leg is sent: as an MP4 file ([Create]) or as a live stream to an RTMP server ([Dial]). It
// repackages access units of H.264 and frames of AAC-LC and never decodes or encodes.
//
// # Files
//
// A recording grows as fragmented MP4 under its final name with [Unfinished] behind it, so that nobody who looks for .mp4
// files takes it for a whole one. At the end it becomes a plain MP4, index in front and one mdat (which is what players that
// seek and upload services want), and is renamed. In between:
//
//	0        ftyp
//	32       free: its size is the pointer to the movie box that counts
//	40       room for the final index, a hole in the file
//	…        two places for the movie box of the open file
//	8 MiB    fragments, each moof + mdat, of at most one second
//
// A movie box is replaced by writing the next one where the old one is not, syncing, and then writing the 8 bytes at 32. These
// lie in one sector, so that a power cut leaves the old or the new box. Both the parameter sets of a new resolution and
// the final index come into the file in this way: finishing an hour costs the writing of 1 to 2 MB, not of the hour once
// more. Only a file so short that the room would be a noticeable part of it, or one whose index outgrew the room, is
// copied to a second file, which then takes its place by a rename. What a crash leaves is therefore always one readable
// file. [Recover] finishes it by the same code as Close, which reads the index back from the fragments: nothing but the
// fragments being filled and written is held in memory, and each Close tests the recovery.
//
// Loss: a crash of the program or the machine costs at most the second that is being filled and the one that is not synced
// yet. The disk never blocks a caller: a goroutine of the file writes, and a stalled server costs whole fragments only after
// 8 MiB have gathered.
//
// # Streams
//
// A push gathers ready-made chunks in one buffer while the connection writes the other, 4 MiB together. When the peer is too slow,
// everything before the newest key frame is given up, or everything, and a key frame is asked for. The server's bytes
// are hostile: the length of a message, the number of chunk streams and the depth of AMF values are bounded.
//
// Sources: ISO/IEC 14496-12 and -15 (files), 14496-1 and -3 (AAC), "Adobe's Real Time Messaging Protocol" 1.0, "Adobe Flash
// Video File Format" 10.1, "Action Message Format -- AMF 0", guide chapters 11.3 to 11.10.
package record
