// Package codec turns packets into sound and pictures and back, by the libraries of firmware/codecs: libavcodec (H.264, VP8 and
// VP9 decoders, G.722, AAC), openh264 and x264, libvpx (VP8 encoder), and libopus. G.711 is two tables of its own.
//
// It owns the memory of the libraries and nothing else: it starts no goroutine, reads no clock, and logs nothing. Each
// decoder or encoder serves one stream and one thread at a time. Nothing here makes garbage once a stream is running: a
// decoded picture is lent out of libavcodec's own pool without a copy, and goes back with its last Release.
//
// What decoders get comes from anybody. Every size is bounded before memory is taken for it (MaxPixels, MaxAccessUnit,
// MaxAudioPacket); only the four decoders that are used are in the libraries at all; an error ends with the packet that
// caused it. A fault in the C code ends the process, which has no privileges, and its supervisor starts the next one.
//
// # Why openh264
//
// Both encoders of H.264 give what every peer takes: Constrained Baseline, Annex B, parameter sets before each key frame,
// no key frame unless asked. The clips of BenchmarkEncode at 720p30 and 1.5 Mbit/s, one thread of an AMD EPYC, medians of three;
// streams are how many of them one core encodes:
//
//	              x264 ultrafast    x264 superfast    openh264
//	talking head  9.7  0.928        6.3  0.935        12.3  0.936   streams, SSIM
//	test pattern  9.7  0.976        7.2  0.978         8.7  0.977
//	zoom          7.7  0.900        5.8  0.938         7.6  0.940
//	nine tiles    8.3  0.938        6.7  0.962         7.5  0.970
//	cuts          8.8  0.941        6.6  0.950         8.6  0.954
//
// openh264 looks like superfast, or better, in 0.5 to 0.9 of its time. What it lacks is x264's model of the receiver's
// buffer: x264 never spends more than a third of a second's bits on one picture, while openh264 needed 0.16 s for the head's key
// frame, 0.31 s for the zoom's and 0.34 s for a page full of small print, but 0.85 s for a chessboard of random shades. So
// openh264 is the default, and x264 is there for paths that are too narrow for such a picture.
package codec
