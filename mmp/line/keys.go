package line

import (
	"unicode"
	"unicode/utf8"
)

// key is one thing typed: a rune that prints, or one of the constants below, which lie outside Unicode.
type key rune

const (
	keyNone key = -iota
	keyStart
	keyEnd
	keyLeft
	keyRight
	keyUp
	keyDown
	keyWordLeft
	keyWordRight
	keyBackspace
	keyDelete
	keyDeleteOrLeave
	keyKillEnd
	keyKillLine
	keyKillWord
	keyYank
	keySwap
	keyClear
	keyTab
	keyEnter
	keyInterrupt
	keyPasteBegin
	keyPasteEnd
)

// controls are the keys of the bytes 0x00 to 0x1f: Ctrl-A is 0x01 and so on.
var controls = [32]key{
	'A' & 31: keyStart,
	'B' & 31: keyLeft,
	'C' & 31: keyInterrupt,
	'D' & 31: keyDeleteOrLeave,
	'E' & 31: keyEnd,
	'F' & 31: keyRight,
	'H' & 31: keyBackspace,
	'I' & 31: keyTab,
	'J' & 31: keyEnter,
	'K' & 31: keyKillEnd,
	'L' & 31: keyClear,
	'M' & 31: keyEnter,
	'N' & 31: keyDown,
	'P' & 31: keyUp,
	'T' & 31: keySwap,
	'U' & 31: keyKillLine,
	'W' & 31: keyKillWord,
	'Y' & 31: keyYank,
}

// final maps the last byte of ESC [ … and ESC O … to keys.
var final = map[byte]key{'A': keyUp, 'B': keyDown, 'C': keyRight, 'D': keyLeft, 'H': keyStart, 'F': keyEnd}

// tilde maps the number in ESC [ n ~ to keys.
var tilde = map[int]key{1: keyStart, 3: keyDelete, 4: keyEnd, 7: keyStart, 8: keyEnd, 200: keyPasteBegin, 201: keyPasteEnd}

// decoder turns bytes into keys. It is a state machine without a clock: an Escape that is typed alone waits for the
// next byte, which is the price for working over slow lines.
type decoder struct {
	state decoderState
	// number is the first parameter of a control sequence, second the next.
	number, second int
	params         int
	afterCR        bool
	partial        []byte
}

type decoderState int

const (
	plain decoderState = iota
	escape
	csi
	ss3
)

// feed takes a byte and returns the key that it completes, keyNone if none.
func (d *decoder) feed(b byte) key {
	afterCR := d.afterCR
	d.afterCR = false
	switch d.state {
	case escape:
		d.state = plain
		switch b {
		case '[':
			d.state, d.number, d.second, d.params = csi, 0, 0, 1
			return keyNone
		case 'O':
			d.state = ss3
			return keyNone
		case 0x1b:
			d.state = escape
			return keyNone
		case 'b':
			return keyWordLeft
		case 'f':
			return keyWordRight
		case 0x7f:
			return keyKillWord
		}
		// Meta with a key that means nothing here. A control character is not part of a sequence.
		if b < 0x20 {
			return d.feed(b)
		}
		return keyNone
	case csi:
		return d.control(b)
	case ss3:
		d.state = plain
		return final[b]
	}

	if len(d.partial) > 0 {
		if b&0xc0 != 0x80 {
			// The character broke off; what comes now stands for itself.
			d.partial = d.partial[:0]
			return d.feed(b)
		}
		d.partial = append(d.partial, b)
		if !utf8.FullRune(d.partial) {
			return keyNone
		}
		r, n := utf8.DecodeRune(d.partial)
		d.partial = d.partial[:0]
		if r == utf8.RuneError && n <= 1 || !unicode.IsGraphic(r) {
			return keyNone
		}
		return key(r)
	}
	switch {
	case b == 0x1b:
		d.state = escape
		return keyNone
	case b == '\r':
		d.afterCR = true
		return keyEnter
	case b == '\n' && afterCR, b == 0:
		// Telnet servers in front of serial ports send CR LF or CR NUL for Return (RFC 854).
		return keyNone
	case b < 0x20:
		return controls[b]
	case b == 0x7f:
		return keyBackspace
	case b < utf8.RuneSelf:
		return key(b)
	case b >= 0xc2 && b <= 0xf4:
		d.partial = append(d.partial, b)
	}
	return keyNone
}

// control takes a byte of a control sequence (ECMA-48 section 5.4).
func (d *decoder) control(b byte) key {
	switch {
	case b >= '0' && b <= '9':
		n := &d.number
		if d.params > 1 {
			n = &d.second
		}
		// No sequence that means anything has a larger number; without a bound it would overflow.
		*n = min(*n*10+int(b-'0'), 9999)
		return keyNone
	case b == ';':
		d.params++
		return keyNone
	case b >= 0x20 && b <= 0x3f:
		return keyNone
	}
	d.state = plain
	switch {
	case b == 0x1b:
		d.state = escape
		return keyNone
	case b < 0x20:
		return d.feed(b)
	case b == '~':
		return tilde[d.number]
	}
	k := final[b]
	// xterm reports Ctrl or Alt with an arrow as ESC [ 1 ; 5 C.
	if d.second > 1 {
		switch k {
		case keyLeft:
			return keyWordLeft
		case keyRight:
			return keyWordRight
		}
	}
	return k
}
