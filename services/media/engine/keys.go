package engine

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"rotunda/services/media/rtp"
)

const (
	// keyLength and keyGap are what every receiver recognises (ITU-T Q.24 asks for 40 ms of each), with room for loss.
	keyLength = 120 * time.Millisecond
	keyGap    = 80 * time.Millisecond
	keyPause  = 500 * time.Millisecond
	// maxKeys waiting; a conference ID and a PIN have a tenth.
	maxKeys = 256
)

// keyQueue holds the keys that a leg is to send, one after the other.
type keyQueue struct {
	mu    sync.Mutex
	keys  string
	press rtp.KeyPress
	busy  bool
	// wait is the sound that passes before the next key.
	wait time.Duration
}

// add appends keys: 0-9*#A-D, a comma is a pause.
func (q *keyQueue) add(keys string) error {
	keys = strings.ToUpper(keys)
	if i := strings.IndexFunc(keys, func(r rune) bool { return !strings.ContainsRune("0123456789*#ABCD,", r) }); i >= 0 {
		return fmt.Errorf("key %q: want 0-9, *, #, A-D or a comma for a pause", keys[i:i+1])
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.keys)+len(keys) > maxKeys {
		return fmt.Errorf("%d keys would wait: want at most %d", len(q.keys)+len(keys), maxKeys)
	}
	q.keys += keys
	return nil
}

// next returns the packet that goes instead of sound, if any; at is the sound's time stamp.
func (q *keyQueue) next(dst []byte, at uint32, clock int, packet time.Duration) (payload []byte, timestamp uint32, marker, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wait > 0 {
		q.wait -= packet
		return nil, 0, false, false
	}
	for !q.busy {
		if q.keys == "" {
			return nil, 0, false, false
		}
		key := q.keys[0]
		q.keys = q.keys[1:]
		if key == ',' {
			q.wait = keyPause
			return nil, 0, false, false
		}
		var err error
		if q.press, err = rtp.NewKeyPress(key, at, clock, keyLength, packet); err == nil {
			q.busy = true
		}
	}
	if payload, timestamp, marker, ok = q.press.Next(dst); ok {
		return payload, timestamp, marker, true
	}
	q.busy, q.wait = false, keyGap
	return nil, 0, false, false
}
