package store

import (
	"hash/fnv"
	"strconv"
	"strings"

	"rotunda/services/callbridge/schema"
)

// Keys:
//
//	/o/<plural>/<id>                         an object
//	/o/<parent plural>/<id>/<plural>/<id>    one that lives below another
//	/m/<machine>/<plural>/<id>               one that belongs to a machine
//	/f/<index>/<0 to 63>                     a fence
//	/f/most/<plural>                         the fence of a type of which there may be only so many
//	/f/needed/<0 to 63>                      the fences between deletions and references that must not dangle
//	/f/writer/<machine>/<store>              the last transaction of a Store
const (
	shared    = "/o/"
	local     = "/m/"
	fencesKey = "/f/"
)

// key is where an object is.
func (m *model) key(machine ID, o *schema.Object, parent, id ID) string {
	var b strings.Builder
	b.Grow(96)
	if o.Local {
		b.WriteString(local)
		b.WriteString(machine.String())
		b.WriteByte('/')
	} else {
		b.WriteString(shared)
	}
	if o.Parent != nil {
		b.WriteString(o.Parent.Plural)
		b.WriteByte('/')
		b.WriteString(parent.String())
		b.WriteByte('/')
	}
	b.WriteString(o.Plural)
	b.WriteByte('/')
	b.WriteString(id.String())
	return b.String()
}

// parse says which object a key is; no kind when it is none of ours: a fence, one of another machine, a type of a newer version.
func (m *model) parse(machine ID, key string) (k *kind, parent, id ID) {
	isLocal := false
	rest, ok := strings.CutPrefix(key, shared)
	if !ok {
		if rest, ok = strings.CutPrefix(key, local); !ok {
			return nil, parent, id
		}
		var owner string
		owner, rest, _ = strings.Cut(rest, "/")
		if owner != machine.String() {
			return nil, parent, id
		}
		isLocal = true
	}
	plural, rest, _ := strings.Cut(rest, "/")
	text, rest, below := strings.Cut(rest, "/")
	k = m.plural[plural]
	if below && k != nil {
		if parent, ok = parseCanonical(text); !ok {
			return nil, parent, id
		}
		over := k
		plural, text, _ = strings.Cut(rest, "/")
		if k = m.plural[plural]; k == nil || k.parent != over {
			return nil, parent, id
		}
	}
	if k == nil || k.object.Live || k.object.Local != isLocal || (k.parent != nil) != below {
		return nil, parent, id
	}
	if id, ok = parseCanonical(text); !ok {
		return nil, parent, id
	}
	return k, parent, id
}

// parseCanonical takes an ID in the one form that keys have.
func parseCanonical(s string) (ID, bool) {
	id, ok := ParseID(s)
	var text [36]byte
	encodeID(text[:], id)
	return id, ok && s == string(text[:])
}

// shards are the fences of an index. More let more Call Bridges write at once, fewer make the keys of an import fewer.
const shards = 64

func shard(s string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	return int(h.Sum32() % shards)
}

// fence of a value, in the form in which its index compares. Every version must come to the same one.
func (x *index) fence(folded string) string { return x.shard(shard(folded)) }
func (x *index) shard(n int) string         { return fencesKey + x.Name + "/" + strconv.Itoa(n) }

func mostFence(o *schema.Object) string { return fencesKey + "most/" + o.Plural }
func neededFence(id ID) string {
	return fencesKey + "needed/" + strconv.Itoa(shard(string(id[:])))
}
