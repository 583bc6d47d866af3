// Package text turns names and messages into pictures of letters: 8-bit coverage, one byte a pixel, to be blended in any
// colour. Shaping, joining and reading order follow Unicode and OpenType (go-text), so that Arabic joins, Devanagari
// reorders and Hebrew runs from the right; letters come from whichever font of the folder has them.
//
// Font files are memory-mapped and shared by all workers of a machine. Only the tables for shaping are read into memory,
// and only of a font that is needed; outlines are read from the map, letter by letter. The largest font (Han, Hangul, kana)
// costs 1.3 MB of heap that way instead of 16 MB.
//
// Text comes from the net: it is cut to [MaxRunes], control and direction-override characters are taken out, and piles of
// combining marks are cut down before anything is shaped. A bitmap is never larger than [MaxSide] each way. Fonts are part
// of the image and trusted. Letters that no font has, most emoji among them, are drawn as empty boxes.
package text
