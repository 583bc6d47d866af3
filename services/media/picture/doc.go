// Package picture is what composed pictures are made of: frames, their smaller copies, and the drawing of a scene.
//
// A [Frame] is one decoded picture, shared by reference between all who show it. Its copies at a half and a quarter of the
// size are made at most once, when first needed, whoever needs them: scaling is most of the work of a composition, and
// from the copy next in size it costs a fraction of what it costs from the whole frame.
//
// A [Canvas] is one composition. It keeps its picture from tick to tick and draws again only the panes whose source has a
// new frame, with what lies over them: of twenty-five panes most have none, and a steady conference costs nothing at all.
// Letters, icons and bars are painted once for a scene and blended from then on. Drawing allocates nothing while the
// scene stays the same. The encoder reads [Canvas.Frame] between two draws.
//
// A [Composer] has what all canvases of a worker share. Background files are read by a goroutine of its own, for decoding
// a photograph takes longer than a tick; [Composer.Close] waits for it. Such files are bounded in size before they are
// decoded, and one that cannot be read leaves a plain background.
//
// Pixels are moved by libyuv and by resample.c. Everything is 8-bit 4:2:0 in limited range; rectangles have even corners
// and sides.
package picture
