package text

import "container/list"

// Bounds of the cache: the names, counters and messages of some hundred compositions.
const (
	cacheBytes = 2 << 20
	cacheTexts = 1024
)

// key is what a bitmap depends on.
type key struct {
	text  string
	style Style
}

// cache keeps the bitmaps used last.
type cache struct {
	found map[key]*list.Element
	order list.List // of *cached, used last in front
	bytes int
}

type cached struct {
	key    key
	bitmap *Bitmap
}

func (c *cached) size() int { return len(c.bitmap.Alpha) + len(c.key.text) + 256 }

func (c *cache) get(k key) *Bitmap {
	e := c.found[k]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).bitmap
}

func (c *cache) put(k key, b *Bitmap) {
	one := &cached{k, b}
	if one.size() > cacheBytes/4 {
		return
	}
	if c.found == nil {
		c.found = map[key]*list.Element{}
	}
	c.found[k] = c.order.PushFront(one)
	c.bytes += one.size()
	for c.bytes > cacheBytes || c.order.Len() > cacheTexts {
		last := c.order.Remove(c.order.Back()).(*cached)
		delete(c.found, last.key)
		c.bytes -= last.size()
	}
}
